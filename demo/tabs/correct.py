"""Corrections under an answer: "Wrong? It is …", kept in a folder to train with."""

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import gradio as gr
from gradio.components import Component
from markupsafe import Markup
from PIL import Image

from demo.choices import MOST_LISTED
from demo.collect import Change, Corrections
from demo.labels import NONE_OF_THESE, Classes, NotKept
from demo.markup import html, join, show
from demo.photo import Photo, Upload
from model import shell
from model.checkpoints.checkpoint import Checkpoint
from model.classifier import Prediction
from model.photographs import images
from model.splits.stratify import least_photographs

_LEAST = least_photographs({"valid": 0.1})  # of a new class, before training takes it
_FOCUS = """() => setTimeout(() => {
  if (document.activeElement === document.body) document.querySelector("#keep")?.focus();
}, 100)"""  # "Undo" goes while it has the focus
_AT_ONCE = 4  # corrections that are decoded, or wait for the folder


class Part(NamedTuple):
    """The part of the page, as the rest of the tab sees it.

    Attributes:
        outputs: What changes with a new photograph.
        update: Their values; called with the photograph whose answer may be wrong, or None.
    """

    outputs: list[Component | gr.Column]
    update: Callable[[Upload | None], tuple[Any, ...]]


NO_PART = Part([], lambda upload: ())
"""Where no corrections are kept."""


def train_command(classes: Classes, folder: str, labels: Counter[str]) -> str:
    """Write down how to train again with the corrections.

    Args:
        classes: The classes and the name of their data set.
        folder: The folder of corrections.
        labels: How many photographs of each label are in it.
    """
    command = f"python train.py {shell.quote(classes.data)} --add {shell.quote(folder)}"
    if classes.trained_background or labels[classes.background] >= _LEAST:
        return f"{command} --background {shell.quote(classes.background)}"
    return command


def kept_text(change: Change, classes: Classes, folder: str | None) -> Markup:
    """Render what was kept, and how to train with it.

    Args:
        change: The correction.
        classes: The classes.
        folder: The folder; None for visitors, who do not train.
    """
    row, earlier = change.row, change.earlier
    was = html(", in place of “{name}”", name=classes.shown(earlier.label)) if earlier else ""
    verb = "Kept"
    if earlier and earlier.label == row.label:
        verb, was = "It was kept before", ""
    lines = [
        html(
            "<b>{verb}: “{name}”</b>{was}. The file is {path}.",
            verb=verb,
            name=classes.shown(row.label),
            was=was,
            path=row.path,
        )
    ]
    if not classes.is_known(row.label) and (count := change.labels[row.label]) < _LEAST:
        lines.append(
            html(
                "This is a new class. Training leaves it out until it has {least} photographs; "
                "there {verb} {count}.",
                least=_LEAST,
                verb="is" if count == 1 else "are",
                count=count,
            )
        )
        if meant := classes.nearly(row.label):
            lines.append(
                html("Did you mean “{meant}”? Choose “Undo” and name it again.", meant=meant)
            )
    if folder:
        lines.append(
            html(
                "Train again with all that was kept, {total:,} so far: <code>{command}</code> "
                "Features are cached: where {data} was trained before, this takes seconds.",
                total=change.labels.total(),
                command=train_command(classes, folder, change.labels),
                data=classes.data,
            )
        )
    return _status(*lines)


def correct_part(
    corrections: Corrections,
    checkpoint: Checkpoint,
    photo: Photo,
    chosen: Component,
    predict: Callable[[Image.Image, object], Prediction],
) -> Part:
    """Lay out the part.

    Args:
        corrections: Where they are kept.
        checkpoint: What answers.
        photo: The input, which holds the photograph of the answer.
        chosen: Holds the classes that the visitor allows.
        predict: Gives the answer to that photograph alone again, among the chosen classes, so that
            a call cannot make one up.

    Returns:
        What the tab has to update with each answer.
    """
    classes = Classes(checkpoint)
    is_listed = len(checkpoint.class_ids) <= MOST_LISTED
    folder = None if corrections.public else str(corrections.folder)

    def keep(
        upload: Upload | None, said: object, answered: object, possible: object, request: gr.Request
    ) -> tuple[Any, Any]:
        visitor = _visitor(request)
        try:
            label = classes.label(said)
            if upload is None or upload.path is None:
                raise NotKept("There is no photograph. Send it again, as a file.")
            if answered != _key(upload):
                raise NotKept("The photograph is a new one. Wait for its answer, then name it.")
            answer = predict(upload.image, possible).top[0].class_id
            change = corrections.keep(visitor, images.read(upload.path), label, answer)
            text = kept_text(change, classes, folder)
        except images.BadImageError as error:
            text = _alert(f"The photograph {error}. Send it again.")
        except NotKept as error:
            text = _alert(str(error))
        return text, gr.update(visible=corrections.can_undo(visitor))

    def undo(request: gr.Request) -> tuple[Any, Any]:
        visitor = _visitor(request)
        try:
            row, earlier, _ = corrections.undo(visitor)
            taken = html("<b>Taken back: “{name}”</b>", name=classes.shown(row.label))
            rest = "The photograph is no longer kept."
            if earlier and earlier.label == row.label:
                rest = "The photograph stays: somebody else has kept it as well."
            elif earlier:
                rest = f"It is kept as “{classes.shown(earlier.label)}” again, as before."
            text = _status(html("{taken}. {rest}", taken=taken, rest=rest))
        except NotKept as error:
            text = _alert(str(error))
        return text, gr.update(visible=corrections.can_undo(visitor))

    with gr.Column(visible=False, elem_id="correct", elem_classes="ff-panel") as part:
        if corrections.public:
            promise = (
                "The photograph and your answer are kept by whoever runs this page, to train it "
                "better."
            )
            show(html('<p class="ff-banner" role="note">{promise}</p>', promise=promise))
        with gr.Row(elem_classes="ff-correct"):
            named = gr.Dropdown(
                classes.choices() if is_listed else [NONE_OF_THESE],
                value=None,
                label="Wrong? It is …",
                info="Choose a class, or type a new name."
                if is_listed
                else f"Type the name of one of the {len(checkpoint.class_ids):,} classes in full, "
                "or a new name.",
                filterable=True,
                allow_custom_value=True,
                elem_id="right-class",
                min_width=220,
                scale=4,
            )
            button = gr.Button("Keep this", variant="primary", elem_id="keep", min_width=110)
            back = gr.Button("Undo", visible=False, elem_id="undo", min_width=90)
        message = gr.HTML(_status(), elem_id="kept")
        answered = gr.Textbox(visible=False)  # sent with each click, so it is what was on show then
        show(
            html(
                '<p class="ff-small">“Keep this” keeps the photograph, your answer, the '
                "classifier's answer and the time for whoever runs this page, to train it better. "
                "The file is kept as it was sent, with all that the camera wrote into it, which "
                "may be the place where it was taken.</p>"
            )
        )
    arguments: dict[str, Any] = {
        "show_progress": "hidden",
        "api_visibility": "private",
        "concurrency_limit": _AT_ONCE,
    }
    button.click(keep, [photo, named, answered, chosen], [message, back], **arguments)
    undone = back.click(undo, None, [message, back], **arguments)
    undone.then(None, js=_FOCUS, api_visibility="private")
    return Part(
        [part, named, message, answered],
        lambda upload: (gr.update(visible=upload is not None), None, _status(), _key(upload)),
    )


def _key(upload: Upload | None) -> str:
    """Name the photograph of an answer."""
    return str(upload.path) if upload and upload.path else ""


def _visitor(request: gr.Request) -> str:
    """Name the visitor: Gradio's session, of an open page, or the address."""
    return request.session_hash or (request.client.host if request.client else "")


def _status(*lines: Markup) -> Markup:
    """Render what was done; it is always there, so that what comes into it is read aloud."""
    paragraphs = join(html("<p>{line}</p>", line=line) for line in lines)
    return html('<div class="ff-kept" role="status">{lines}</div>', lines=paragraphs)


def _alert(sentence: str) -> Markup:
    alert = html('<p class="ff-banner" role="alert">{sentence}</p>', sentence=sentence)
    return join([_status(), alert])
