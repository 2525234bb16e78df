"""Golden answers: a new checkpoint's answers to drawn patterns, for comparison later.

The patterns are not photographs. They are computed with whole numbers, so every machine draws the
same pixels, and only their hashes are stored.
"""

import hashlib
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from PIL import Image

PATTERNS_VERSION = 1
"""Part of every pattern's seed: raise it when `patterns` draws different pictures."""

SIZES = ((400, 260), (190, 300), (61, 47), (256, 256))
"""Width and height in px: wide, tall, smaller than the input of most backbones, and square."""

_CELLS = 7


def patterns() -> list[Image.Image]:
    """Draw the patterns: clouds of seeded colours, fine stripes and an off-centre disc.

    Shapes that are not square reveal a change of framing, the disc and the slanted stripes
    distinguish a view from its mirror image, colours distinguish the channels, and stripes as fine
    as the pixels distinguish one interpolation from another.

    Returns:
        RGB images with the sizes in `SIZES`.
    """
    return [_pattern(number, *size) for number, size in enumerate(SIZES)]


def _pattern(number: int, width: int, height: int) -> Image.Image:
    seed = f"frostflower golden {PATTERNS_VERSION} {number}".encode()
    cells = np.frombuffer(hashlib.shake_256(seed).digest(_CELLS * _CELLS * 3), np.uint8)
    clouds = cells.reshape(_CELLS, _CELLS, 3).astype(np.int64)
    for axis, length in ((0, height), (1, width)):  # bilinear, in 256ths of a cell
        place = np.arange(length) * ((_CELLS - 1) * 256) // (length - 1)
        cell = np.minimum(place // 256, _CELLS - 2)
        shape = (-1, 1, 1) if axis == 0 else (1, -1, 1)
        share = (place - 256 * cell).reshape(shape)
        low, high = clouds.take(cell, axis), clouds.take(cell + 1, axis)
        clouds = (low * (256 - share) + high * share) // 256
    y, x = np.arange(height)[:, None], np.arange(width)
    stripes = ((3 * x + 5 * y) % 7 - 3) * 9
    pixels = clouds + stripes[..., None]
    inside = (8 * x - 3 * width) ** 2 + (8 * y - 3 * height) ** 2 < (2 * min(width, height)) ** 2
    pixels[inside] = (cells[:3].astype(np.int64) + stripes[inside, None]) % 256
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def sha256(pattern: Image.Image) -> str:
    """Return a hash of an image's size and pixels, in hexadecimal."""
    return hashlib.sha256(repr(pattern.size).encode() + pattern.tobytes()).hexdigest()


@dataclass(frozen=True)
class Golden:
    """The answers that a checkpoint gave when it was written.

    Attributes:
        patterns_version: The value of `PATTERNS_VERSION` at that time.
        sha256: The hash of each of the P patterns.
        probabilities: float64 `[P, C]`.
        device: The device and engine in words, such as `CPU (ONNX Runtime)`.
    """

    patterns_version: int
    sha256: list[str]
    probabilities: np.ndarray
    device: str

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values, with probabilities rounded to 9 decimal places."""
        return asdict(self) | {"probabilities": np.round(self.probabilities, 9).tolist()}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Golden":
        """Rebuild golden answers from the values of `to_json`, checked by `schema.golden`."""
        return cls(**values | {"probabilities": np.array(values["probabilities"], np.float64)})
