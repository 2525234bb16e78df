"""Recognises cameras' raw files: TIFFs whose first picture is a small preview."""

from PIL import Image, TiffImagePlugin

_SUBFILE_TYPE, _PHOTOMETRIC, _SUB_IFDS, _DNG_VERSION = 0x00FE, 0x0106, 0x014A, 0xC612
_REDUCED, _COLOUR_FILTER = 1, 32803


def is_raw(image: Image.Image, content: bytes) -> bool:
    """Return whether a file is a camera's raw file; Pillow would show only its preview.

    Args:
        image: The opened picture, not loaded.
        content: The file.

    Returns:
        True for a DNG, CR2, NEF, ARW and the like; False for an ordinary TIFF.

    Source: Adobe, "Digital negative (DNG) specification", 2023; TIFF/EP, ISO 12234-2.
    """
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return False
    tags = image.tag_v2
    is_preview = tags.get(_SUBFILE_TYPE, 0) == _REDUCED and _SUB_IFDS in tags
    return (
        content[8:10] == b"CR"
        or _DNG_VERSION in tags
        or is_preview
        or tags.get(_PHOTOMETRIC) == _COLOUR_FILTER
    )
