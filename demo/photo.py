"""The image input: uploads are read by the library's own decoder, and nothing else is."""

import base64
import html
from collections import deque
from pathlib import Path, PurePath
from typing import ClassVar

import gradio as gr
import numpy as np
from gradio.components.image import Base64ImageData, ImageData
from PIL import Image

from model.photographs import images

UNSEEN, PREVIEW = "unseen", "preview"
"""Marks in an image's `info`: no browser draws the file; the file is our own picture of one."""

_KEPT_PREVIEWS = 1000
_UNSEEN_SUFFIXES = {*images.FORMATS["TIFF"], *images.FORMATS["HEIF"]}


class Photo(gr.Image):
    """A `gr.Image` that hands on an upright RGB image, and opens uploads only.

    gr.Image itself clips 16-bit pictures, drops alpha, opens any file of the server that an API
    call names, and fetches any address; see the tests. It takes gr.Image's own arguments: Gradio
    reads the signature.
    """

    is_template = True  # shown by gr.Image's own front end

    max_bytes: int = 10_000_000
    """Largest photograph, in bytes; Gradio bounds uploads by itself."""

    least_side: int = images.LEAST_SIDE
    """As `images.decode`."""

    _previews: ClassVar[deque[str]] = deque(maxlen=_KEPT_PREVIEWS)

    async def async_move_resource_to_block_cache(
        self, url_or_file_path: str | Path | None
    ) -> str | None:
        """Refuse web addresses: Gradio would fetch them, whatever they are and of any size.

        Raises:
            gr.Error: It is a web address.
        """
        if str(url_or_file_path or "").lower().startswith(("http:", "https:")):
            raise gr.Error("Send the photograph itself, not its address.", title="Not classified")
        return await super().async_move_resource_to_block_cache(url_or_file_path)

    def preprocess(self, payload: ImageData | None) -> Image.Image | None:
        """Decode an upload.

        Args:
            payload: What the page or an API call sent.

        Returns:
            The photograph, with the marks `UNSEEN` and `PREVIEW` in its `info`, or None when the
            input was cleared.

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
            # gr.Error shows its text as HTML
            message = html.escape(f"{name[:80] or 'The photograph'} {error}.")
            raise gr.Error(message, title="Not classified") from error
        image.info[UNSEEN] = PurePath(path).suffix.lower() in _UNSEEN_SUFFIXES
        image.info[PREVIEW] = path in self._previews
        return image

    def postprocess(
        self, value: np.ndarray | Image.Image | str | Path | None
    ) -> ImageData | Base64ImageData | None:
        """Show a picture; one that the app made is remembered as a preview.

        Args:
            value: A picture, or an example's path.

        Returns:
            What the page gets.
        """
        shown = super().postprocess(value)
        if isinstance(value, Image.Image) and isinstance(shown, ImageData) and shown.path:
            self._previews.append(shown.path)
        return shown

    def _content(self, payload: ImageData) -> bytes:
        """Return the bytes of an upload or of a `data:` URL.

        Raises:
            BadImageError: The path is not below the upload folder, or the text is not base64.
        """
        address = next((a for a in (payload.url, payload.path) if a and a.startswith("data:")), "")
        if address:
            if len(address) * 3 / 4 > self.max_bytes:
                raise images.BadImageError(f"is larger than {self.max_bytes / 1e6:g} MB")
            try:
                return base64.b64decode(address.partition(",")[2], validate=True)
            except ValueError as error:
                raise images.BadImageError("is not valid base64") from error
        try:
            path = Path(payload.path or "").resolve()
        except (OSError, RuntimeError, ValueError) as error:  # no path at all
            raise images.BadImageError("is not an uploaded photograph") from error
        if not path.is_relative_to(Path(self.GRADIO_CACHE).resolve()):
            raise images.BadImageError("is not an uploaded photograph")
        if path.is_file() and path.stat().st_size > self.max_bytes:
            raise images.BadImageError(f"is larger than {self.max_bytes / 1e6:g} MB")
        return images.read(path)
