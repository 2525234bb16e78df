"""Reads from EXIF when a photograph was taken and with which camera."""

from datetime import UTC, datetime
from typing import NamedTuple

from PIL import Image
from PIL.ExifTags import IFD, Base

_CAMERA = (Base.Make, Base.Model)
_SERIAL = Base.BodySerialNumber
_FORM = "%Y:%m:%d %H:%M:%S"


class Shot(NamedTuple):
    """When and with which camera a photograph was taken.

    Attributes:
        camera: Those of maker, model and serial number that EXIF has; "" for none.
        seconds: Time of the camera's own clock, in s since 1970, without a time zone.
    """

    camera: str
    seconds: float


def shot(image: Image.Image) -> Shot | None:
    """Read when a photograph was taken.

    Args:
        image: A photograph that `images.decode` returned with `exif=True`.

    Returns:
        The shot; None if the EXIF is missing, damaged or has no exposure time stamp.
    """
    block = image.info.get("exif")
    if not isinstance(block, bytes):
        return None
    try:
        exif = Image.Exif()
        exif.load(block)
        details = exif.get_ifd(IFD.Exif)
        taken = datetime.strptime(_text(details[Base.DateTimeOriginal]), _FORM)
        fraction = _text(details.get(Base.SubsecTimeOriginal, ""))
        parts = [_text(exif.get(tag, "")) for tag in _CAMERA]
        parts.append(_text(details.get(_SERIAL, "")))
    except Exception:  # a damaged EXIF block can raise any error; there is no time then
        return None
    seconds = taken.replace(tzinfo=UTC).timestamp()
    if fraction.isdecimal() and fraction.isascii():
        seconds += float(f"0.{fraction[:9]}")
    return Shot(" ".join(part for part in parts if part)[:200], seconds)


def _text(value: object) -> str:
    return str(value).strip("\0 \t\r\n").encode(errors="replace").decode()
