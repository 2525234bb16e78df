"""The image input: uploads are read by the library's own decoder, and nothing else is."""

import base64
import binascii
import html
from pathlib import Path

import gradio as gr
from gradio.components.image import ImageData
from PIL import Image

from model import images


class Photo(gr.Image):
    """A `gr.Image` that hands on an upright RGB image, and opens uploads only.

    gr.Image itself clips 16-bit pictures, drops alpha, and opens any file of the server that an
    API call names; see the tests. It takes gr.Image's own arguments: Gradio reads the signature.
    """

    is_template = True  # shown by gr.Image's own front end

    max_bytes: int = 10_000_000
    """Largest photograph, in bytes, for one that comes as text (`data:`); Gradio bounds uploads."""

    def preprocess(self, payload: ImageData | None) -> Image.Image | None:
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
        name = Path(payload.orig_name or payload.path or "The photograph").name
        try:
            return images.decode(self._content(payload))
        except images.BadImageError as error:
            # gr.Error shows its text as HTML
            raise gr.Error(html.escape(f"{name} {error}."), title="Not classified") from error

    def _content(self, payload: ImageData) -> bytes:
        """Return the bytes of an upload or of a `data:` URL.

        Raises:
            BadImageError: The path is not below the upload folder, or the text is not base64.
        """
        address = next((a for a in (payload.url, payload.path) if a and a.startswith("data:")), "")
        if address:
            if len(address) * 3 / 4 > self.max_bytes:
                raise images.BadImageError(f"is larger than {self.max_bytes / 1e6:.0f} MB")
            try:
                return base64.b64decode(address.partition(",")[2], validate=True)
            except binascii.Error as error:
                raise images.BadImageError("is not valid base64") from error
        path = Path(payload.path or "").resolve()
        if not path.is_relative_to(Path(self.GRADIO_CACHE).resolve()):
            raise images.BadImageError("is not an uploaded photograph")
        return images.read(path)
