"""Lists of classes to choose from: how long they may be, and a dropdown that checks nothing."""

from typing import Any

import gradio as gr

MOST_LISTED = 5000
"""Most classes that a list shows: with 25,000, Gradio's list takes 22 s to open."""


class Unchecked(gr.Dropdown):
    """A `gr.Dropdown` that accepts whatever the page sends; the caller must check it.

    The message of Gradio's own check lists all choices, as HTML. That check also knows only the
    choices that came with the page or that Gradio has not forgotten since.
    """

    is_template = True  # so that gr.Dropdown's own front end shows it

    def preprocess(self, payload: Any) -> Any:
        """Return what the page sent, unchecked."""
        return payload
