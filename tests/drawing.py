"""Photographs drawn for the tests: small, seeded, with colours a classifier can learn."""

import colorsys
import io
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("daisy", "rose", "tulip")


def drawn_photograph(hue: float, seed: int, size: tuple[int, int] = (48, 40)) -> Image.Image:
    """A disc of one hue on a noisy ground; hue is 0-1, size is width and height in px."""
    rng = np.random.default_rng(seed)
    width, height = size
    pixels = rng.integers(90, 160, (height, width, 3)).astype(np.float64)
    y, x = np.mgrid[:height, :width]
    centre_x, centre_y = rng.uniform(0.4, 0.6, 2) * (width, height)
    disc = (x - centre_x) ** 2 + (y - centre_y) ** 2 < (0.4 * min(width, height)) ** 2
    colour = np.array(colorsys.hsv_to_rgb(hue, 0.9, 0.9)) * 255
    pixels[disc] = colour + rng.normal(0, 12, (int(disc.sum()), 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def draw_class(folder: Path, number: int, of: int, count: int, suffix: str = ".jpg") -> list[Path]:
    """Draw `count` photographs of class `number` of `of` into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for photograph in range(count):
        # The folder above is part of the seed, so that no two splits share a photograph.
        seed = 1000 * number + photograph + 100_000 * sum(folder.parent.name.encode())
        path = folder / f"{photograph:03}{suffix}"
        drawn_photograph(number / of, seed).save(path)
        paths.append(path)
    return paths


def same_photograph(path: Path, *copies: Path) -> None:
    """Copy a photograph byte for byte."""
    for copy in copies:
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())


def patterns(count: int) -> list[Image.Image]:
    """Photographs that differ in light and shade, not in colour alone."""
    rng = np.random.default_rng(5)
    coarse = [Image.fromarray(rng.integers(0, 256, (9, 9, 3), np.uint8)) for _ in range(count)]
    return [image.resize((180, 150), Image.Resampling.BICUBIC) for image in coarse]


def recompressed(image: Image.Image, quality: int, scale: float) -> Image.Image:
    """A copy as it comes back from a website: resized, then saved as a JPEG."""
    file = io.BytesIO()
    size = (round(image.width * scale), round(image.height * scale))
    image.resize(size, Image.Resampling.LANCZOS).save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


def lossless_jpeg(width: int, height: int, *extra: bytes) -> bytes:
    """A plain grey lossless JPEG (SOF3, ITU-T T.81 Annex H); `extra` segments stand before it.

    Its one Huffman code says that a pixel is as predicted, so the picture is one 0-bit a pixel.
    """
    frame = bytes([0xFF, 0xC3, 0, 11, 8, *height.to_bytes(2), *width.to_bytes(2), 1, 1, 0x11, 0])
    table = bytes([0xFF, 0xC4, 0, 20, 0, 1, *[0] * 16])
    scan = bytes([0xFF, 0xDA, 0, 8, 1, 1, 0, 1, 0, 0])
    picture = bytes(-(-width * height // 8))
    return b"".join([b"\xff\xd8", *extra, frame, table, scan, picture, b"\xff\xd9"])
