"""Pictures that are embedded in the page's HTML as `data:` addresses."""

import base64
import io

from PIL import Image


def jpeg_url(content: bytes) -> str:
    """Write a JPEG file as a `data:` address.

    Args:
        content: The bytes of the file.
    """
    return "data:image/jpeg;base64," + base64.b64encode(content).decode()


def picture_url(image: Image.Image, quality: int = 85) -> str:
    """Encode a picture as a JPEG, and write that as a `data:` address.

    Args:
        image: The picture, RGB.
        quality: Quality of the JPEG, 1-95.
    """
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return jpeg_url(file.getvalue())
