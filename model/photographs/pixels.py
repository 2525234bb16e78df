"""Converts decoded pictures to 8-bit RGB and reduces them, without a second full-size copy."""

import functools
import math
from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image

from model.photographs.colour import to_srgb

_STRIP = 2**20  # px converted at a time
_WIDEST = 10
"""A long picture is reduced until it has no more px than a 10:1 panorama with the requested short
side: 4 million px for a short side of 640 px, which take 16 MB."""


class UnsupportedMode(ValueError):
    """A colour mode that cannot be converted; the message describes the photograph's fault."""


def reduction(size: tuple[int, int], least_side: int | None) -> int:
    """Return the factor by which a picture can be reduced: 1, 2, 4, ...

    Args:
        size: Width and height, in px.
        least_side: The least short side to keep, in px; None for no reduction.

    Returns:
        The divisor of width and height.
    """
    factor = 1
    if least_side is None:
        return factor
    while min(size) // (2 * factor) >= least_side:
        factor *= 2
    while math.ceil(size[0] / factor) * math.ceil(size[1] / factor) > _WIDEST * least_side**2:
        factor *= 2
    return factor


def to_rgb(image: Image.Image, factor: int = 1) -> Image.Image:
    """Convert a picture to RGB, filling transparent areas with white, and reduce it.

    Args:
        image: A decoded picture in any mode of Pillow.
        factor: See `reduction`; each pixel of the result is the mean of `factor` squared pixels.

    Returns:
        8-bit sRGB; the picture itself if there is nothing to do.

    Raises:
        UnsupportedMode: The mode cannot be converted.
    """
    profile = image.info.get("icc_profile")
    if image.mode == "RGB" and "transparency" not in image.info:
        return to_srgb(image if factor == 1 else image.reduce(factor), profile)
    if image.mode in ("CMYK", "L") and "transparency" not in image.info:
        convert, profile = functools.partial(_from_profile, profile=profile), None
    elif image.mode.startswith("I") or image.mode == "F":
        convert, profile = _scaling(image), None
    else:
        convert = _over_white
    width, height = image.size
    result = Image.new("RGB", (math.ceil(width / factor), math.ceil(height / factor)))
    for top, strip in _strips(image, factor):
        converted = convert(strip)
        if factor > 1:
            converted = converted.reduce(factor)
        result.paste(converted, (0, top // factor))
    return to_srgb(result, profile)


def _from_profile(image: Image.Image, profile: bytes | None) -> Image.Image:
    converted = to_srgb(image, profile)
    return converted if converted.mode == "RGB" else _over_white(converted)


def _strips(image: Image.Image, multiple: int = 1) -> Iterator[tuple[int, Image.Image]]:
    """Cut a picture into strips whose height is a multiple of `multiple`, except the last."""
    width, height = image.size
    rows = max(multiple, _STRIP // width // multiple * multiple)
    for top in range(0, height, rows):
        yield top, image.crop((0, top, width, min(top + rows, height)))


def _over_white(image: Image.Image) -> Image.Image:
    has_alpha = image.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info
    try:
        if not has_alpha:
            return image.convert("RGB")
        image = image.convert("RGBA")
    except ValueError as error:
        problem = f"has the colour mode {image.mode}, which cannot be read"
        raise UnsupportedMode(problem) from error
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def _scaling(image: Image.Image) -> Callable[[Image.Image], Image.Image]:
    """Return a function that scales 16- or 32-bit greys to 8 bits; Pillow would clip them."""
    if image.mode.startswith("I;16"):
        transparent = image.info.get("transparency")

        def scale(strip: Image.Image) -> np.ndarray:
            sixteen = np.asarray(strip).astype(np.uint32)
            if isinstance(transparent, int):
                sixteen[sixteen == transparent] = 65535
            return (sixteen + 128) // 257

    else:
        offset, factor = _range(image)

        def scale(strip: Image.Image) -> np.ndarray:
            return np.rint((_numbers(strip) - offset) * factor)

    return lambda strip: Image.fromarray(scale(strip).astype(np.uint8)).convert("RGB")


def _numbers(image: Image.Image) -> np.ndarray:
    return np.nan_to_num(np.asarray(image).astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)


def _range(image: Image.Image) -> tuple[float, float]:
    """Return the number that means black, and the value of one step in 255ths of white."""
    ends = [(numbers.min(), numbers.max()) for _, s in _strips(image) for numbers in [_numbers(s)]]
    low, high = float(min(end[0] for end in ends)), float(max(end[1] for end in ends))
    if image.mode == "I" and low >= 0 and 255 < high <= 65535:
        return 0.0, 1 / 257
    if image.mode == "F" and low >= 0 and high <= 1:
        return 0.0, 255.0
    if low < 0 or high > 255:  # the file declares no range, so the picture's own is used
        return low, 255 / max(high - low, 1e-12)
    return 0.0, 1.0
