"""Converts a photograph's colours from its ICC profile to sRGB."""

import functools
import io

from PIL import Image, ImageCms

_MAX_BYTES = 4_000_000  # in a profile; printer profiles have 0.5 to 3 MB
_SPACES = {"RGB": "RGB", "CMYK": "CMYK", "L": "GRAY"}
_SAME = 2  # a profile within this many levels of 255 from sRGB counts as sRGB


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert a picture from the colours of its profile, as browsers do.

    Args:
        image: A picture in RGB, CMYK or L.
        profile: The ICC profile from the file; None for sRGB.

    Returns:
        An RGB picture. It is the picture itself if that is already sRGB, or if the profile is
        damaged, for another kind of colours, or absurdly large.
    """
    if not profile or len(profile) > _MAX_BYTES or image.mode not in _SPACES:
        return image
    transform = _transform(profile, image.mode)
    return image if transform is None else transform.apply(image)


@functools.lru_cache(64)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if source.profile.xcolor_space.strip() != _SPACES[mode]:
            return None
        transform = ImageCms.buildTransform(
            source,
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            ImageCms.Intent.PERCEPTUAL,
            ImageCms.Flags.NOCACHE,  # several threads share a transform
        )
        return None if _changes_nothing(transform, mode) else transform
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None


def _changes_nothing(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Return whether a profile is sRGB under another name, by converting a grid of colours."""
    if mode != "RGB":
        return False
    levels = range(0, 256, 51)
    colours = bytes(value for r in levels for g in levels for b in levels for value in (r, g, b))
    grid = Image.frombytes("RGB", (len(levels) ** 2, len(levels)), colours)
    found = transform.apply(grid).tobytes()
    return max(abs(a - b) for a, b in zip(found, colours, strict=True)) <= _SAME
