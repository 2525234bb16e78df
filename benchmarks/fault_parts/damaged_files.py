"""Damages photographs of every format that can be read."""

import io
import zlib
from collections.abc import Iterator

import numpy as np
import pillow_heif
from PIL import Image

_SIDES = ((160, 120), (1400, 1100))


def _picture(size: tuple[int, int]) -> Image.Image:
    """Draw a picture with enough detail to give every encoder work."""
    x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    noise = np.random.default_rng(0).integers(0, 40, (size[1], size[0]))
    planes = (x * 255 // size[0], y * 255 // size[1], (x + y) % 216 + noise)
    return Image.fromarray(np.stack(planes, axis=-1).clip(0, 255).astype(np.uint8))


def _lossless_jpeg(width: int, height: int) -> bytes:
    """Write a plain lossless JPEG (SOF3), in which each 0-bit means "as predicted"."""
    frame = bytes([0xFF, 0xC3, 0, 11, 8, *height.to_bytes(2), *width.to_bytes(2), 1, 1, 0x11, 0])
    table = bytes([0xFF, 0xC4, 0, 20, 0, 1, *[0] * 16])
    scan = bytes([0xFF, 0xDA, 0, 8, 1, 1, 0, 1, 0, 0])
    return b"\xff\xd8" + frame + table + scan + bytes(-(-width * height // 8)) + b"\xff\xd9"


def originals() -> dict[str, list[bytes]]:
    """Save pictures in every variant of every format that can be read: format -> files."""
    pillow_heif.register_heif_opener()
    found: dict[str, list[bytes]] = {"JPEG lossless": [_lossless_jpeg(*size) for size in _SIDES]}

    def add(name: str, kind: str, picture: Image.Image, **options: object) -> None:
        file = io.BytesIO()
        picture.save(file, kind, **options)
        found.setdefault(name, []).append(file.getvalue())

    for size in _SIDES:
        rgb = _picture(size)
        grey, cmyk, palette = rgb.convert("L"), rgb.convert("CMYK"), rgb.quantize(60)
        alpha = rgb.copy()
        alpha.putalpha(grey)
        deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
        exif = Image.Exif()
        exif[0x0112] = 6
        for picture in (rgb, grey, cmyk):
            add("JPEG", "JPEG", picture, exif=exif)
            add("JPEG progressive", "JPEG", picture, progressive=True, quality=90)
        add("JPEG", "JPEG", rgb, subsampling=0, restart_marker_blocks=4)
        add("MPO", "MPO", rgb, save_all=True, append_images=[rgb.rotate(9)])
        for picture in (rgb, grey, alpha, palette, deep, grey.convert("1")):
            add("PNG", "PNG", picture)
        add("APNG", "PNG", rgb, save_all=True, append_images=[rgb.rotate(9)])
        for options in ({"quality": 60}, {"lossless": True}):
            add("WebP", "WEBP", alpha, **options)
        add("WebP animated", "WEBP", rgb, save_all=True, append_images=[rgb.rotate(9)])
        for picture in (rgb, palette, grey.convert("1")):
            add("BMP", "BMP", picture)
        add("GIF", "GIF", palette, save_all=True, append_images=[palette.rotate(9)])
        for coding in (None, "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "zstd"):
            add("TIFF", "TIFF", rgb, compression=coding)
        add("TIFF", "TIFF", deep)
        add("TIFF", "TIFF", grey.convert("1"), compression="group4")
        add("AVIF", "AVIF", alpha, quality=50)
        add("HEIC", "HEIF", rgb, quality=50)
    return found


def damage(content: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """Damage a file.

    Args:
        content: The file.
        other: Another file of the same format.
        rng: Decides the damage.

    Returns:
        The damaged file.
    """
    data = bytearray(content)
    for _ in range(int(rng.integers(1, 4))):
        if not data:
            break
        size = max(len(data), 1)
        # half of the damage is done to the beginning, where the headers are
        at = int(rng.integers(size if rng.random() < 0.5 else min(size, 400)))
        length = int(rng.integers(1, 1 + min(size, int(2 ** rng.integers(1, 14)))))
        kind = rng.integers(7)
        if kind == 0:
            for place in rng.integers(at, min(size, at + 64), int(rng.integers(1, 12))):
                data[place : place + 1] = bytes([data[place] ^ (1 << int(rng.integers(8)))])
        elif kind == 1:
            del data[at : at + length]
        elif kind == 2:
            data[at:at] = data[at : at + length]
        elif kind == 3:
            start = int(rng.integers(max(len(other), 1)))
            data[at : at + length] = other[start : start + length]
        elif kind == 4:
            width = int(rng.choice([1, 2, 4]))
            value = int(rng.choice([0, 1, 127, 255, 256, 65_535, 2**31 - 1, 2**32 - 1, 4_000]))
            order = "big" if rng.random() < 0.5 else "little"
            data[at : at + width] = (value % 256**width).to_bytes(width, order)
        elif kind == 5:
            data[at : at + length] = rng.bytes(length)
        else:
            del data[at + (0 if rng.random() < 0.3 else size // 2) :]
    return _with_sums(bytes(data)) if rng.random() < 0.7 else bytes(data)


def _with_sums(content: bytes) -> bytes:
    """Correct the check sums of a PNG's chunks, which would hide all other damage."""
    if content[:8] != b"\x89PNG\r\n\x1a\n":
        return content
    data, at = bytearray(content), 8
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4])
        data[end : end + 4] = zlib.crc32(data[at + 4 : end]).to_bytes(4)
        at = end + 4
    return bytes(data[: len(content)])


def files(all_of: list[bytes], seed: int) -> Iterator[bytes]:
    """Yield an endless sequence of damaged copies of files, which depends only on the seed."""
    rng = np.random.default_rng(seed)
    while True:
        first, second = (all_of[int(number)] for number in rng.integers(len(all_of), size=2))
        yield damage(first, second, rng)
