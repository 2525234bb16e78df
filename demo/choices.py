"""Lists of classes to choose from: how long they may be, and what the page sends of them."""

from typing import Any

import gradio as gr

MOST_LISTED = 5000
"""Classes up to which they are listed: with 25,000, Gradio's list takes 22 s to open."""


class Unchecked(gr.Dropdown):
    """A `gr.Dropdown` that takes whatever the page sends; the caller checks it.

    Gradio's own check lists all choices in its message, and shows them as HTML. It also knows only
    the choices that came with the page, or that it has not forgotten since.
    """

    is_template = True  # shown by gr.Dropdown's own front end

    def preprocess(self, payload: Any) -> Any:
        """Hand on what the page sent."""
        return payload
