"""The icon of the page, only in the sizes that an installed page asks for."""

import io
from functools import cache
from pathlib import Path

from PIL import Image
from starlette.responses import PlainTextResponse, Response

ICON = Path(__file__).resolve().parent / "static" / "icon.png"
"""The logo (`style.LOGO`) in white on teal, 512 x 512 px."""

_SIZES = (192, 512)  # px, the sizes that Gradio's manifest names


@cache
def _png(size: int) -> bytes:
    buffer = io.BytesIO()
    with Image.open(ICON) as image:
        smooth = image.convert("RGBA").resize((size, size), Image.Resampling.LANCZOS)
        smooth.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def icon() -> Response:
    """Answer with the icon in its original size, whatever size the query asks for."""
    return Response(ICON.read_bytes(), media_type="image/png")


def pwa_icon(size: int) -> Response:
    """Answer with the icon in a size that the manifest names.

    It replaces Gradio's own answer, which draws any size: 50,000 px would take 10 GB of memory.

    Args:
        size: Side of the icon, in px.

    Returns:
        A PNG, or 404 if the manifest does not name the size.
    """
    if size not in _SIZES:
        return PlainTextResponse("There is no icon of this size.\n", status_code=404)
    return Response(_png(size), media_type="image/png")
