"""The one decoder: bytes or a path in, an upright RGB image out.

Training and serving both call `decode`, so a photograph cannot look different to the two.
"""

import functools
import io
import stat
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from model.photographs.jpeg import can_be_scaled

DECODER_VERSION = 2
"""Part of every feature-cache key: raise it when `decode` returns other pixels for a file."""

MAX_PIXELS = 40_000_000
"""Largest photograph, in px; a larger one is refused before its pixels are decoded."""

MAX_BYTES = 500_000_000
"""Largest file, in bytes; a larger one is refused before it is read."""

LEAST_SIDE = 640
"""Short side in px that a JPEG keeps when it is decoded at a half, a quarter or an eighth.

That is twice what the packaged networks see of it, so that resizing still has pixels to average. Of
a telephone's 12 million px a sixteenth is left: decoding and framing take 36 instead of 93 ms, and
features move by 2e-4 of cosine distance.
"""

FORMATS = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "PNG": (".png", ".apng"),
    "WEBP": (".webp",),
    "BMP": (".bmp", ".dib"),
    "GIF": (".gif",),
    "TIFF": (".tif", ".tiff"),
    "AVIF": (".avif", ".avifs"),
    "HEIF": (".heic", ".heif", ".heics", ".hif"),
}
"""Pillow's name of each format that is read -> the file endings it usually has."""

SUFFIXES = frozenset(suffix for suffixes in FORMATS.values() for suffix in suffixes)
"""File endings that mark a file as a photograph (lower case, with the dot)."""

FORMATS_TEXT = "JPEG, PNG, WebP, BMP, GIF, TIFF, AVIF, HEIC"

_JPEGS = ("JPEG", "MPO")
"""Pillow's names of a JPEG: a telephone's, with a second picture behind it, is an MPO to it."""

_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class BadImageError(ValueError):
    """A file that cannot be used as a photograph; the message is the reason, without the path."""


@functools.cache
def _prepare_pillow() -> None:
    """Register every format once, and silence Pillow's warnings of what `decode` reports."""
    import pillow_heif

    Image.init()
    pillow_heif.register_heif_opener()
    warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
    warnings.filterwarnings("ignore", module=r"PIL\..*")


def read(path: Path) -> bytes:
    """Read a photograph's bytes.

    Args:
        path: The file.

    Returns:
        Its content.

    Raises:
        BadImageError: The file is missing, is not a file, may not be read, or is empty.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # reading a pipe or a device might never end
            raise BadImageError("is not a file")
        if status.st_size > MAX_BYTES:
            raise BadImageError(f"has {status.st_size:,} bytes; the limit is {MAX_BYTES:,}")
        content = path.read_bytes()
    except OSError as error:
        raise BadImageError((error.strerror or str(error)).lower()) from error
    if not content:
        raise BadImageError("is empty (0 bytes)")
    return content


def _open(content: bytes) -> Image.Image:
    """Open and check the header; no pixel is decoded yet."""
    _prepare_pillow()
    if not content:
        raise BadImageError("is empty (0 bytes)")
    try:
        image = Image.open(io.BytesIO(content), formats=list(FORMATS))
    except UnidentifiedImageError:
        raise BadImageError(f"is not a photograph; expected {FORMATS_TEXT}") from None
    except Image.DecompressionBombError:
        raise BadImageError(f"has more than {MAX_PIXELS // 10**6} million px") from None
    except Exception as error:  # a broken header makes Pillow's plugins raise almost anything
        raise BadImageError(f"has a broken header ({error or type(error).__name__})") from error
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise BadImageError(
            f"has {width} x {height} = {width * height / 1e6:.0f} million px; "
            f"the limit is {MAX_PIXELS // 10**6} million"
        )
    return image


def _load(image: Image.Image) -> None:
    try:
        image.load()
    except Exception as error:  # as above; OSError for a truncated file, but not only
        raise BadImageError(f"is damaged or truncated ({error or type(error).__name__})") from error


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """Scale grey pictures of 16 or 32 bits to 8; Pillow's own conversion would clip them."""
    if image.mode.startswith("I;16"):
        sixteen = np.asarray(image).astype(np.uint32)
        return Image.fromarray(((sixteen + 128) // 257).astype(np.uint8))
    pixels = np.asarray(image).astype(np.float32)
    pixels = np.nan_to_num(pixels, nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(pixels.min()), float(pixels.max())
    if image.mode == "I" and low >= 0 and 255 < high <= 65535:
        pixels = pixels / 257
    elif image.mode == "F" and low >= 0 and high <= 1:
        pixels = pixels * 255
    elif low < 0 or high > 255:  # no range is declared, so the picture's own is used
        pixels = (pixels - low) / max(high - low, 1e-12) * 255
    return Image.fromarray(np.rint(pixels).astype(np.uint8))


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I") or image.mode == "F":
        image = _to_eight_bits(image)
    has_alpha = image.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info
    try:
        if not has_alpha:
            return image.convert("RGB")
        image = image.convert("RGBA")
    except ValueError as error:
        raise BadImageError(f"has the colour mode {image.mode}, which cannot be read") from error
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def _upright(image: Image.Image, original: Image.Image) -> Image.Image:
    """Turn the picture the way its EXIF orientation says."""
    try:
        orientation = original.getexif().get(_ORIENTATION)
    except Exception:  # unreadable EXIF says nothing about orientation; viewers show such files too
        return image
    turn = _TURNS.get(orientation) if isinstance(orientation, int) else None
    return image if turn is None else image.transpose(turn)


def decode(source: bytes | Path, *, least_side: int | None = LEAST_SIDE) -> Image.Image:
    """Decode a photograph: EXIF orientation applied, first frame, 8-bit RGB, alpha over white.

    Args:
        source: The file's content, or its path.
        least_side: A larger JPEG may be decoded at a half, a quarter or an eighth of its size, as
            long as its short side keeps this many px; None for its whole size.

    Returns:
        An RGB image.

    Raises:
        BadImageError: Not a photograph, empty, damaged, truncated, or over `MAX_PIXELS`.
    """
    content = source if isinstance(source, bytes) else read(source)
    original = _open(content)
    if least_side and original.format in _JPEGS and can_be_scaled(content):
        original.draft(None, (least_side, least_side))
    _load(original)
    return _upright(_to_rgb(original), original)


def check(content: bytes) -> None:
    """Make sure that `decode` would succeed, at less cost for a JPEG.

    Args:
        content: The file's content.

    Raises:
        BadImageError: As `decode`.
    """
    image = _open(content)
    if image.format in _JPEGS and can_be_scaled(content):  # at an eighth, still every byte is read
        image.draft("RGB", (max(1, image.width // 8), max(1, image.height // 8)))
    _load(image)
    if image.mode not in ("RGB", "L", "CMYK"):  # modes that `decode` may not know
        _to_rgb(image)
