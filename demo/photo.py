"""The image input: it opens uploads only, with the library's own decoder."""

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
    """A photograph that a visitor sent.

    Attributes:
        image: The photograph, upright RGB.
        drawable: Whether browsers can draw the file.
        path: The file in the upload folder; None if the call itself contained its bytes.
    """

    image: Image.Image
    drawable: bool
    path: Path | None = None


def refusal(message: str) -> gr.Error:
    """Make an error message for the visitor that leaves no traceback in the owner's log.

    Args:
        message: A sentence; it may contain text that the visitor sent.
    """
    # escaped, because gr.Error renders HTML
    return gr.Error(escape(message), title="Not classified", print_exception=False)


class Photo(gr.Image):
    """A `gr.Image` that passes on an `Upload`, and opens uploads only.

    `gr.Image` itself clips 16-bit pictures, drops the alpha channel, opens any file on the server
    that an API call names, and fetches any web address. This class has no constructor of its own
    because Gradio reads its signature.
    """

    is_template = True  # so that gr.Image's own front end shows it

    max_bytes: int = 10_000_000
    """Largest photograph inside a call, in bytes; Gradio itself limits uploads."""

    least_side: int = images.LEAST_SIDE
    """Smallest side of a photograph in px; see `images.decode`."""

    async def async_move_resource_to_block_cache(
        self, url_or_file_path: str | Path | None
    ) -> str | None:
        """Refuse web addresses, because Gradio would fetch any address and files of any size.

        Raises:
            gr.Error: The path is a web address.
        """
        if str(url_or_file_path or "").lower().startswith(("http:", "https:")):
            raise refusal("Send the photograph itself, not its web address.")
        return await super().async_move_resource_to_block_cache(url_or_file_path)

    def preprocess(  # pyrefly: ignore[bad-override]  (the page's functions take an Upload)
        self, payload: ImageData | None
    ) -> Upload | None:
        """Decode an upload.

        Args:
            payload: The value that the page or an API call sent.

        Returns:
            The photograph, or None if the input was cleared.

        Raises:
            gr.Error: It is not an upload, is too large, or is not a photograph.
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
    """Tell whether a path that the page sent is the file of an upload."""
    try:
        return Path(path).resolve() == upload.path
    except (OSError, RuntimeError, ValueError):  # not a valid path
        return False


def read_upload(path: str, uploads: Path, max_bytes: int) -> bytes:
    """Read an uploaded file.

    Args:
        path: The path that the page or an API call sent.
        uploads: The upload folder; nothing outside it is opened.
        max_bytes: Largest file, in bytes.

    Returns:
        The bytes of the file.

    Raises:
        BadImageError: The file is not an upload, is too large, or cannot be read.
    """
    try:
        file = Path(path).resolve()
    except (OSError, RuntimeError, ValueError) as error:  # not a valid path
        raise images.BadImageError("is not an uploaded photograph") from error
    if not file.is_relative_to(uploads.resolve()):
        raise images.BadImageError("is not an uploaded photograph")
    if file.is_file() and file.stat().st_size > max_bytes:
        raise images.BadImageError(f"is larger than {max_bytes / 1e6:g} MB")
    return images.read(file)


def _inline(payload: ImageData) -> str:
    """Return the `data:` URL that contains the photograph; "" if there is none."""
    return next((a for a in (payload.url, payload.path) if a and a.startswith("data:")), "")
