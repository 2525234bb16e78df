"""Turns a decoded photograph into a backbone's pixels: framing, mirror image, random views."""

import functools
import hashlib
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal, get_args

import numpy as np
from PIL import Image, ImageEnhance

from model.photographs import images

Framing = Literal["crop", "pad", "squash"]

LEAST_SIZE, MAX_SIZE = 16, 1024
"""Smallest and largest side of a backbone's input, in px. No network of timm takes more than 1,024.
At that size the first start with one packaged network took 23 s on two busy cores, at 2,048 px over
60 s."""

VIEWS_VERSION = 1
"""Part of every feature-cache key: raise it when `Transforms.view` returns different pixels."""

CENTER, MIRROR = "center", "mirror"
EVALUATION_VIEWS = (CENTER, MIRROR)
"""The views whose logits are averaged for a prediction."""

FILL = (124, 116, 104)
"""The mean colour of ImageNet, used where a view extends beyond the photograph."""


def view_names(random_views: int, seed: int) -> list[str]:
    """Name the views of a training photograph.

    Args:
        random_views: Number of augmented renderings, in addition to the centre view and its mirror
            image.
        seed: Seed of the renderings. It is part of their names, so another seed gives other views.

    Returns:
        `["center", "mirror", "random-SEED-0", ...]`.
    """
    return [CENTER, MIRROR, *(f"random-{seed}-{number}" for number in range(random_views))]


@dataclass(frozen=True)
class Transforms:
    """The geometry shared by training and serving; the backbone normalises colours.

    Attributes:
        image_size: Side of the square input of the backbone, in px.
        framing: `crop` (the centre, as in the backbone's own evaluation), `pad` (the whole
            photograph on a plain ground) or `squash` (the whole photograph, distorted).
        crop_pct: Share of the short side that `crop` keeps, 0-1.
        interpolation: `bicubic` or `bilinear`.
    """

    image_size: int
    framing: Framing = "crop"
    crop_pct: float = 0.875
    interpolation: str = "bicubic"

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: A value is out of range.
        """
        if not LEAST_SIZE <= self.image_size <= MAX_SIZE:
            raise ValueError(f"Image size {self.image_size} px is outside {LEAST_SIZE}-{MAX_SIZE}.")
        if self.framing not in get_args(Framing):
            raise ValueError(f"Framing '{self.framing}' is not one of crop, pad, squash.")
        if not 0 < self.crop_pct <= 1:
            raise ValueError(f"crop_pct {self.crop_pct} is outside 0-1.")
        if self.interpolation not in ("bicubic", "bilinear"):
            raise ValueError(f"Interpolation '{self.interpolation}' is not bicubic or bilinear.")

    @property
    def least_side(self) -> int:
        """Short side in px that decoding must keep, see `images.LEAST_SIDE`."""
        seen = self.image_size / (self.crop_pct if self.framing == "crop" else 1)
        return max(images.LEAST_SIDE, math.ceil(2 * seen))

    @property
    def _resample(self) -> Image.Resampling:
        return Image.Resampling[self.interpolation.upper()]

    def center(self, image: Image.Image) -> np.ndarray:
        """Render the centre view.

        Args:
            image: A decoded photograph, RGB.

        Returns:
            uint8 `[image_size, image_size, 3]`.
        """
        size = (self.image_size, self.image_size)
        width, height = image.size
        if self.framing == "crop":
            side = min(width, height) * self.crop_pct
            left, top = (width - side) / 2, (height - side) / 2
            box = (left, top, left + side, top + side)
            return np.asarray(image.resize(size, self._resample, box=box))
        if self.framing == "squash":
            return np.asarray(image.resize(size, self._resample))
        scale = self.image_size / max(width, height)
        inner = image.resize(
            (max(1, round(width * scale)), max(1, round(height * scale))), self._resample
        )
        canvas = Image.new("RGB", size, FILL)
        canvas.paste(inner, ((size[0] - inner.width) // 2, (size[1] - inner.height) // 2))
        return np.asarray(canvas)

    def views(self, image: Image.Image, names: Sequence[str], digest: str = "") -> list[np.ndarray]:
        """Render several views like `view`, resizing only once for the centre and its mirror."""
        center = functools.cache(lambda: self.center(image))
        plain = {CENTER: center, MIRROR: lambda: center()[:, ::-1]}
        return [plain[n]() if n in plain else self.view(image, n, digest) for n in names]

    def view(self, image: Image.Image, name: str, digest: str) -> np.ndarray:
        """Render one named view of a photograph.

        Args:
            image: The decoded photograph, RGB.
            name: One of `view_names`.
            digest: The photograph's content hash; with the name it is the seed of a random view.

        Returns:
            uint8 `[image_size, image_size, 3]`.
        """
        if name == CENTER:
            return self.center(image)
        if name == MIRROR:
            return self.center(image)[:, ::-1]
        seed = hashlib.sha256(f"{digest} {name}".encode()).digest()[:8]
        return self._random(image, np.random.default_rng(int.from_bytes(seed, "big")))

    def _random(self, image: Image.Image, rng: np.random.Generator) -> np.ndarray:
        """Random resized crop (0.35-1 of the area), shear up to 10 degrees, flip, colour change.

        The photograph is first shrunk, with antialiasing, to the scale of the crop. Crop, shear and
        flip are then one affine map, so the pixels are resampled only once more and no border of
        an intermediate picture shows.
        """
        width, height = image.size
        area, ratio = rng.uniform(0.35, 1.0), np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3)))
        crop_width = min(width, np.sqrt(width * height * area * ratio))
        crop_height = min(height, np.sqrt(width * height * area / ratio))
        x, y = (rng.uniform(0, side) for side in (width - crop_width, height - crop_height))
        shear, mirrored = np.tan(np.deg2rad(rng.uniform(-10, 10))), rng.random() < 0.5
        colours = rng.uniform(0.8, 1.2, size=3)

        shrink = min(1.0, self.image_size / min(crop_width, crop_height))
        small = image
        if shrink < 1:
            small = image.resize(
                (max(1, round(width * shrink)), max(1, round(height * shrink))), self._resample
            )
        scale_x, scale_y = small.width / width, small.height / height
        step_x = crop_width * scale_x / self.image_size
        step_y = crop_height * scale_y / self.image_size
        if mirrored:
            x, step_x = x + crop_width, -step_x
        middle = self.image_size / 2
        affine = (step_x, shear * step_y, x * scale_x - shear * step_y * middle)
        affine += (0.0, step_y, y * scale_y)
        square = (self.image_size, self.image_size)
        result = small.transform(
            square, Image.Transform.AFFINE, affine, self._resample, fillcolor=FILL
        )
        enhancers = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
        for enhance, factor in zip(enhancers, colours, strict=True):
            result = enhance(result).enhance(float(factor))
        return np.asarray(result)

    def to_json(self) -> dict[str, object]:
        """Return the fields as plain JSON values."""
        return asdict(self)
