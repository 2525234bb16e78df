"""The one decoder: bytes or a path in, an upright RGB image out.

Training and serving both call `decode`, so they see a photograph exactly alike.
"""

import functools
import io
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, TiffImagePlugin, UnidentifiedImageError

from model.photographs import budget
from model.photographs.jpeg import can_be_scaled, completed, lacks_little
from model.photographs.pixels import UnsupportedMode, reduction, to_rgb
from model.photographs.raw import is_raw

DECODER_VERSION = 3
"""Part of every feature-cache key: raise it when `decode` returns different pixels for a file."""

MAX_PIXELS = 40_000_000
"""Largest number of px of a photograph, unless `allow` changes it; a larger one is refused before
it is decoded."""

MAX_BYTES = 500_000_000
"""Most bytes that a file may have; a larger one is refused before it is read."""

LEAST_SIDE = 640
"""The least px that the short side keeps when a photograph is halved, quartered and so on.

That is twice what the packaged backbones see of it, so that resizing still has pixels to average. A
phone's photograph of 12 million px is reduced to a sixteenth of its pixels, and memory holds no
more than that. A JPEG is decoded directly at that size: decoding and framing take 36 ms instead of
93 ms, and the features move by a cosine distance of 2e-4.
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
"""Pillow's name of each format that can be read -> its usual file endings."""

SUFFIXES = frozenset(suffix for suffixes in FORMATS.values() for suffix in suffixes)
"""File endings that mark a file as a photograph (lower case, including the dot)."""

FORMATS_TEXT = "JPEG, PNG, WebP, BMP, GIF, TIFF, AVIF, HEIC"

_JPEGS = ("JPEG", "MPO")
"""Pillow's names for a JPEG; a phone's JPEG that holds a second picture is an MPO to Pillow."""

_BYTES_A_PIXEL = {"GIF": 5, "WEBP": 16, "AVIF": 10, "HEIF": 8}
"""Measured bytes per pixel that decoding takes at its peak; 4 for the formats not listed."""

_PROGRESSIVE = 6
"""The same for a progressive JPEG, whose coefficients are kept at full size."""

_PILLOW_LIMIT = 89_478_485
_limit = MAX_PIXELS

_STARTS = {
    "JPEG": (b"\xff\xd8\xff",),
    "TIFF": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    "PNG": (b"\x89PNG\r\n\x1a\n",),
    "camera's raw file": (b"IIU\0", b"IIRO", b"IIRS", b"FUJIFILMCCD-RAW"),
}
"""First bytes of files that Pillow may not be able to read, such as a 12-bit JPEG."""

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
    """A file that cannot be used as a photograph; the message is the reason without the path."""


def allow(pixels: int) -> None:
    """Set how large photographs may be in this process.

    Args:
        pixels: The most px that a photograph may have, width times height.

    Raises:
        ValueError: `pixels` is less than 1.
    """
    global _limit
    if pixels < 1:
        raise ValueError(f"--max-pixels {pixels} must be 1 or more.")
    _limit = pixels
    Image.MAX_IMAGE_PIXELS = max(pixels, _PILLOW_LIMIT)  # Pillow allows up to twice this


def largest() -> int:
    """Return the most px that a photograph may have."""
    return _limit


def version() -> str:
    """Name the decoder version, and the pixel limit if it was changed: both decide what is read."""
    return f"{DECODER_VERSION}" if _limit == MAX_PIXELS else f"{DECODER_VERSION}-{_limit}"


@functools.cache
def _prepare_pillow() -> None:
    """Register every format once, and silence warnings about faults that `decode` reports."""
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
        The content of the file.

    Raises:
        BadImageError: The file is missing, empty, unreadable or too large, or is not a file.
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


@contextmanager
def opened(path: Path) -> Iterator[bytes]:
    """Read a photograph's bytes for the duration of a block, limiting the bytes held in memory.

    Args:
        path: See `read`.

    Yields:
        The content of the file.

    Raises:
        BadImageError: See `read`.
    """
    try:
        size = path.stat().st_size
    except OSError as error:
        raise BadImageError((error.strerror or str(error)).lower()) from error
    with budget.READING.take(size):
        yield read(path)


def _open(content: bytes) -> Image.Image:
    """Open a photograph and check its header, without decoding any pixels."""
    _prepare_pillow()
    if not content:
        raise BadImageError("is empty (0 bytes)")
    try:
        image = Image.open(io.BytesIO(content), formats=list(FORMATS))
    except UnidentifiedImageError:
        raise BadImageError(_unknown(content)) from None
    except Image.DecompressionBombError:
        raise BadImageError(f"has too many px; {_limit_text()}") from None
    except Exception as error:  # a broken header makes Pillow's plugins raise almost anything
        raise BadImageError(f"has a broken header ({error or type(error).__name__})") from error
    if is_raw(image, content):
        raise BadImageError("is a camera's raw file; export it as JPEG")
    width, height = image.size
    if width * height > _limit:
        raise BadImageError(
            f"has {width} x {height} = {width * height / 1e6:.0f} million px; {_limit_text()}"
        )
    return image


def _unknown(content: bytes) -> str:
    """Describe a file that Pillow does not recognise."""
    for kind, starts in _STARTS.items():
        if content.startswith(starts):
            return f"is a {kind} of an unsupported kind"
    return f"is not a photograph; expected {FORMATS_TEXT}"


def _limit_text() -> str:
    return f"the limit is {_limit / 1e6:g} million (--max-pixels)"


def _load(image: Image.Image) -> None:
    try:
        image.load()
    except Exception as error:  # Pillow's plugins raise more than OSError for damaged files
        raise BadImageError(f"is damaged or truncated ({error or type(error).__name__})") from error


def _upright(image: Image.Image, original: Image.Image) -> Image.Image:
    """Turn a picture by its EXIF orientation; XMP orientation is ignored, as browsers do."""
    try:
        if isinstance(original, TiffImagePlugin.TiffImageFile):
            orientation = original.tag_v2.get(_ORIENTATION)
        else:
            exif = Image.Exif()
            exif.load(original.info.get("exif") or b"")
            orientation = exif.get(_ORIENTATION)
    except Exception:  # a photograph with unreadable EXIF is still used, as it is
        return image
    turn = _TURNS.get(orientation) if isinstance(orientation, int) else None
    return image if turn is None else image.transpose(turn)


def _outside_white(image: Image.Image, original: Image.Image) -> Image.Image:
    """Make the part of a GIF's canvas white that its first frame leaves transparent."""
    whole = (0, 0, *original.size)
    frame = getattr(original, "dispose_extent", None)
    if original.format != "GIF" or not frame or tuple(frame) == whole:
        return image
    share = image.width / original.width
    box = tuple(round(side * share) for side in frame)
    canvas = Image.new("RGB", image.size, "white")
    canvas.paste(image.crop(box), box[:2])
    return canvas


def decode(
    source: bytes | Path, *, least_side: int | None = LEAST_SIDE, exif: bool = False
) -> Image.Image:
    """Decode a photograph: EXIF orientation applied, first frame, 8-bit RGB, alpha over white.

    The call waits while other photographs occupy the memory reserved for decoding, see `budget`.

    Args:
        source: The file's content, or its path.
        least_side: A larger photograph is halved, quartered and so on, as long as its short side
            keeps this many px; None for full size.
        exif: Keep the EXIF block as `info["exif"]`. It may contain the place where the photograph
            was taken, so it must not be saved or sent.

    Returns:
        An RGB image.

    Raises:
        BadImageError: The file is not a photograph, empty, damaged, truncated or too large.
    """
    if isinstance(source, Path):
        with opened(source) as content:
            return decode(content, least_side=least_side, exif=exif)
    try:
        return _decode(source, least_side, exif)
    except BadImageError:
        if not lacks_little(source):
            raise
        return _decode(completed(source), least_side, exif)


def _decode(content: bytes, least_side: int | None, exif: bool) -> Image.Image:
    original, amount = _sized(content, (least_side, least_side) if least_side else None)
    with budget.decoding(amount):
        _load(original)
        image = _convert(original, reduction(original.size, least_side))
        image = _upright(_outside_white(image, original), original)
        block = original.info.get("exif")  # some conversions keep it in the result
        del original
    image.info.pop("exif", None)
    if exif and block:
        image.info["exif"] = block
    return image


def check(content: bytes) -> None:
    """Make sure that `decode` would succeed; for a JPEG this is cheaper than decoding.

    Args:
        content: The file's content.

    Raises:
        BadImageError: See `decode`.
    """
    try:
        _check(content)
    except BadImageError:
        if not lacks_little(content):
            raise
        _check(completed(content))


def _check(content: bytes) -> None:
    image, amount = _sized(content, (1, 1))  # every byte is read even at an eighth of the size
    with budget.decoding(amount):
        _load(image)
        if image.mode not in ("RGB", "L", "CMYK"):  # `decode` may not support other modes
            _convert(image, reduction(image.size, LEAST_SIDE))
        del image


def _sized(content: bytes, least: tuple[int, int] | None) -> tuple[Image.Image, int]:
    """Open a photograph, a JPEG at reduced size; also return the bytes that decoding takes."""
    image = _open(content)
    coefficients = 0
    if image.format in _JPEGS and "progressive" in image.info:
        coefficients = _PROGRESSIVE * image.width * image.height
    if least and image.format in _JPEGS and can_be_scaled(content):
        image.draft(None, least)
    pixels = image.width * image.height
    return image, coefficients + _BYTES_A_PIXEL.get(image.format or "", 4) * pixels


def _convert(image: Image.Image, factor: int) -> Image.Image:
    try:
        return to_rgb(image, factor)
    except UnsupportedMode as error:
        raise BadImageError(str(error)) from error
