"""The icon, in the sizes that an installed page asks for and in no other."""

import io
from functools import cache
from pathlib import Path

from PIL import Image
from starlette.responses import PlainTextResponse, Response

ICON = Path(__file__).resolve().parent / "static" / "icon.png"
"""The drawing of `style.LOGO` in white on teal, 512 x 512 px."""

_SIZES = (192, 512)  # px, those that Gradio's manifest names


@cache
def _png(size: int) -> bytes:
    buffer = io.BytesIO()
    with Image.open(ICON) as image:
        smooth = image.convert("RGBA").resize((size, size), Image.Resampling.LANCZOS)
        smooth.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def icon() -> Response:
    """Answer with the icon as it is, whatever size a query asks for."""
    return Response(ICON.read_bytes(), media_type="image/png")


def pwa_icon(size: int) -> Response:
    """Answer with the icon; Gradio's own answer draws any size, so 50,000 px would take 10 GB.

    Args:
        size: Its side in px.

    Returns:
        A PNG, or 404 where the manifest names no such size.
    """
    if size not in _SIZES:
        return PlainTextResponse("There is no icon of this size.\n", status_code=404)
    return Response(_png(size), media_type="image/png")
