"""When a photograph was taken and by which camera, as its EXIF says."""

from datetime import UTC, datetime
from typing import NamedTuple

from PIL import Image
from PIL.ExifTags import IFD, Base

_CAMERA = (Base.Make, Base.Model)
_SERIAL = Base.BodySerialNumber
_FORM = "%Y:%m:%d %H:%M:%S"


class Shot(NamedTuple):
    """When and by what a photograph was taken.

    Attributes:
        camera: Maker, model and serial number, as far as they are there; "" for none.
        seconds: Time on the camera's own clock, in s since 1970; no time zone is applied.
    """

    camera: str
    seconds: float


def shot(image: Image.Image) -> Shot | None:
    """Read when a photograph was taken.

    Args:
        image: As `images.decode` returns it with `exif=True`.

    Returns:
        The shot; None where the EXIF is missing, damaged or holds no time of exposure.
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
    except Exception:  # whatever is wrong with an EXIF block, it then tells no time
        return None
    seconds = taken.replace(tzinfo=UTC).timestamp()
    if fraction.isdecimal() and fraction.isascii():
        seconds += float(f"0.{fraction[:9]}")
    return Shot(" ".join(part for part in parts if part)[:200], seconds)


def _text(value: object) -> str:
    return str(value).strip("\0 \t\r\n").encode(errors="replace").decode()
