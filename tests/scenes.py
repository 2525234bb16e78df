"""Pictures with details, as photographs have them, and the frames of a burst."""

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

SIZE = (160, 120)


def scene(seed: int, detail: float = 1.5) -> Image.Image:
    """A photograph-like picture: blurred noise with coarse and fine structure."""
    rng = np.random.default_rng(seed)
    picture = np.zeros((SIZE[1], SIZE[0], 3))
    for radius, weight in ((20, 1.0), (6, 1.0), (detail, 1.0)):
        noise = Image.fromarray(rng.integers(0, 256, (SIZE[1], SIZE[0], 3), np.uint8))
        layer = np.asarray(noise.filter(ImageFilter.GaussianBlur(radius))).astype(float)
        picture += weight * (layer - layer.mean()) / layer.std()
    return Image.fromarray((128 + 30 * picture).clip(0, 255).astype(np.uint8))


def frames(seed: int, count: int) -> list[Image.Image]:
    """One scene by a camera that moves, turns by up to 5 degrees, and sees other light."""
    rng, made = np.random.default_rng(seed), []
    for _ in range(count):
        turned = scene(seed).rotate(rng.uniform(-5, 5), Image.Resampling.BICUBIC)
        left, top = rng.integers(10, 18, 2).tolist()
        cropped = turned.crop((left, top, left + 128, top + 92))
        made.append(ImageEnhance.Brightness(cropped).enhance(rng.uniform(0.85, 1.15)))
    return made


def dated(camera: str, when: str) -> bytes:
    """An EXIF block that says by which camera and when, as 2024:05:06 07:08:09."""
    exif = Image.Exif()
    exif[0x010F] = camera
    exif.get_ifd(0x8769)[0x9003] = when
    return exif.tobytes()
