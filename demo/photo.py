"""The image input: uploads are read by the library's own decoder, and nothing else is."""

import base64
import sys
from pathlib import Path, PurePath
from typing import NamedTuple

import gradio as gr
from gradio.components.image import ImageData
from markupsafe import escape
from PIL import Image

from model.photographs import images

_UNDRAWABLE = {*images.FORMATS["TIFF"], *images.FORMATS["HEIF"]}


class Upload(NamedTuple):
    """What a visitor sent.

    Attributes:
        image: The photograph, upright RGB.
        drawable: Whether browsers can draw the file that was sent.
        path: That file, in the upload folder; None where its bytes came within the call.
    """

    image: Image.Image
    drawable: bool
    path: Path | None = None


def refusal(message: str) -> gr.Error:
    """Make what a visitor is told, without a traceback in the owner's log.

    Args:
        message: A sentence; it may hold what the visitor sent.
    """
    return gr.Error(escape(message), title="Not classified", print_exception=False)  # shows HTML


class Photo(gr.Image):
    """A `gr.Image` that hands on an `Upload`, and opens uploads only.

    gr.Image itself clips 16-bit pictures, drops alpha, opens any file of the server that an API
    call names, and fetches any address; see the tests. It takes gr.Image's own arguments: Gradio
    reads the signature.
    """

    is_template = True  # shown by gr.Image's own front end

    max_bytes: int = 10_000_000
    """Largest photograph, in bytes; Gradio bounds uploads by itself."""

    least_side: int = images.LEAST_SIDE
    """As `images.decode`."""

    async def async_move_resource_to_block_cache(
        self, url_or_file_path: str | Path | None
    ) -> str | None:
        """Refuse web addresses: Gradio would fetch them, whatever they are and of any size.

        Raises:
            gr.Error: It is a web address.
        """
        if str(url_or_file_path or "").lower().startswith(("http:", "https:")):
            raise refusal("Send the photograph itself, not its address.")
        return await super().async_move_resource_to_block_cache(url_or_file_path)

    def preprocess(  # pyrefly: ignore[bad-override]  (the page's functions take an Upload)
        self, payload: ImageData | None
    ) -> Upload | None:
        """Decode an upload.

        Args:
            payload: What the page or an API call sent.

        Returns:
            The photograph, or None when the input was cleared.

        Raises:
            gr.Error: Not an upload, too large, or not a photograph; the message says so.
        """
        if payload is None:
            return None
        path = payload.path or ""
        try:
            image = images.decode(self._content(payload), least_side=self.least_side)
        except images.BadImageError as error:
            name = payload.orig_name or ("" if path.startswith("data:") else PurePath(path).name)
            print(f"Refused: a photograph {error}.", file=sys.stderr, flush=True)
            raise refusal(f"{name[:80] or 'The photograph'} {error}.") from None
        drawable = PurePath(path).suffix.lower() not in _UNDRAWABLE
        return Upload(image, drawable, None if _inline(payload) else Path(path).resolve())

    def _content(self, payload: ImageData) -> bytes:
        """Return the bytes of an upload or of a `data:` URL.

        Raises:
            BadImageError: The path is not below the upload folder, or the text is not base64.
        """
        if address := _inline(payload):
            if len(address) * 3 / 4 > self.max_bytes:
                raise images.BadImageError(f"is larger than {self.max_bytes / 1e6:g} MB")
            try:
                return base64.b64decode(address.partition(",")[2], validate=True)
            except ValueError as error:
                raise images.BadImageError("is not valid base64") from error
        return read_upload(payload.path or "", Path(self.GRADIO_CACHE), self.max_bytes)


def is_upload(path: str, upload: Upload) -> bool:
    """Tell whether a path, as the page names it, is that of an upload."""
    try:
        return Path(path).resolve() == upload.path
    except (OSError, RuntimeError, ValueError):  # no path at all
        return False


def read_upload(path: str, uploads: Path, max_bytes: int) -> bytes:
    """Read an uploaded file.

    Args:
        path: Where it lies, as the page or an API call says.
        uploads: The upload folder; nothing outside it is opened.
        max_bytes: Largest file, in bytes.

    Returns:
        Its bytes.

    Raises:
        BadImageError: It is no upload, is too large, or cannot be read.
    """
    try:
        file = Path(path).resolve()
    except (OSError, RuntimeError, ValueError) as error:  # no path at all
        raise images.BadImageError("is not an uploaded photograph") from error
    if not file.is_relative_to(uploads.resolve()):
        raise images.BadImageError("is not an uploaded photograph")
    if file.is_file() and file.stat().st_size > max_bytes:
        raise images.BadImageError(f"is larger than {max_bytes / 1e6:g} MB")
    return images.read(file)


def _inline(payload: ImageData) -> str:
    """Return the `data:` URL that holds the photograph, or ""."""
    return next((a for a in (payload.url, payload.path) if a and a.startswith("data:")), "")
