"""The About tab: facts about the classifier, its limits, downloads, and programs that use it."""

from pathlib import Path
from typing import Any

import gradio as gr
from markupsafe import escape

from demo.about import scripts
from demo.about.downloads import NoFileError, OnnxFile, card_file, why_no_onnx
from demo.about.facts import facts_panel, limits_panel
from demo.about.snippets import snippets
from demo.markup import join, show, text
from demo.style import script
from model.checkpoints.checkpoint import Checkpoint
from model.trust.restrict import Allowed

LISTED_AT_ONCE = 1000
"""Most classes whose names come with the page; 10,000 names of 35 letters would take 350 kB."""

_PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}


def about_tab(
    checkpoint: Checkpoint,
    device: str,
    *,
    endpoint: str = "predict",
    allowed: Allowed | None = None,
) -> None:
    """Lay out the tab inside a `gr.Tab`.

    Args:
        checkpoint: The checkpoint.
        device: The device, in words.
        endpoint: Name of the endpoint for this checkpoint.
        allowed: The classes with which this page answers; None for all.
    """
    with gr.Row():
        with gr.Column(min_width=320, scale=3):
            show(facts_panel(checkpoint, device, allowed))
        with gr.Column(min_width=300, scale=2):
            show(limits_panel(checkpoint))
            _take_along(checkpoint, endpoint, allowed)
    gr.HTML(snippets(endpoint), js_on_load=script("snippets"), elem_id=f"call-{endpoint}")
    _classes(checkpoint.class_names, allowed)


def _classes(every: list[str], allowed: Allowed | None) -> None:
    """List the classes; if there are very many, their names load when a visitor opens the list."""
    names = sorted(every if allowed is None else map(every.__getitem__, allowed), key=str.casefold)
    title = f"All {len(every):,} classes"
    if allowed is not None:
        title = f"The {len(names):,} of {len(every):,} classes with which this page answers"
    listed = text(join(names, ", "))
    is_later = len(names) > LISTED_AT_ONCE
    with gr.Accordion(title, open=False, elem_id="every-class") as part:
        shown = show(text("Loading the names …") if is_later else listed)
    if is_later:
        part.expand(lambda: listed, None, shown, **_PRIVATE)


def _take_along(checkpoint: Checkpoint, endpoint: str, allowed: Allowed | None) -> None:
    """Offer the model card and the ONNX file."""
    limit = ""
    if allowed is not None:
        limit = (
            f" Both cover all {len(checkpoint.class_ids):,} classes: this page's limit to "
            f"{len(allowed):,} of them does not apply."
        )
    pressed = f"onnx-file-{endpoint}"
    with gr.Column(elem_classes="ff-panel ff-take"):
        gr.HTML("<h2>Downloads</h2>")
        show(
            text(
                "The model card says how it was trained and measured. The ONNX file is the whole "
                "classifier with its backbone, for programs that use ONNX Runtime; it contains "
                f"weights, class names and thresholds, but no photographs.{limit}"
            )
        )
        with gr.Row():
            card = card_file(checkpoint)
            if card:
                gr.DownloadButton(
                    "Download model card", value=str(card), elem_id=f"card-{endpoint}"
                )
            reason = why_no_onnx()
            wanted = None if reason else gr.Button("Download ONNX file", elem_id=f"onnx-{endpoint}")
        if wanted is None:
            show(text(reason))
            return
        packed = gr.DownloadButton("The file", elem_id=pressed, elem_classes="ff-pressed")
        said = gr.HTML(
            "", js_on_load=scripts.STATUS_SCRIPT, elem_id=f"onnx-said-{endpoint}", padding=False
        )
    file, folder = OnnxFile(checkpoint), Path(packed.GRADIO_CACHE)

    def make() -> tuple[Any, ...]:
        try:
            path = file.get(folder)
        except NoFileError as error:
            message = escape(str(error))  # because gr.Error renders HTML
            raise gr.Error(message, title="No file", print_exception=False) from None
        size = path.stat().st_size / 1e6
        return gr.update(value=str(path)), f"{path.name}, {size:,.1f} MB. The download starts now."

    wanted.click(None, None, said, js=scripts.BUSY_SCRIPT, **_PRIVATE)
    made = wanted.click(
        make, None, [packed, said], concurrency_limit=1, concurrency_id="onnx", **_PRIVATE
    )
    made.success(None, None, None, js=scripts.press(pressed), **_PRIVATE)
    made.failure(lambda: "", None, said, **_PRIVATE)
