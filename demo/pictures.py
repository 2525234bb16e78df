"""Pictures that are part of the page's HTML."""

import base64
import io

from PIL import Image


def jpeg_url(content: bytes) -> str:
    """Write a JPEG as an address that holds it.

    Args:
        content: The file.
    """
    return "data:image/jpeg;base64," + base64.b64encode(content).decode()


def picture_url(image: Image.Image, quality: int = 85) -> str:
    """Encode a picture as a JPEG, and that as an address.

    Args:
        image: RGB.
        quality: Of the JPEG, 1-95.
    """
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return jpeg_url(file.getvalue())
