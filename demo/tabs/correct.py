"""The part "Wrong? It is …" under an answer, which keeps visitors' corrections for training."""

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

_LEAST = least_photographs({"valid": 0.1})  # photographs of a new class before training uses it
_FOCUS = """() => setTimeout(() => {
  if (document.activeElement === document.body) document.querySelector("#keep")?.focus();
}, 100)"""  # because the button "Undo" may disappear while it has the focus
_AT_ONCE = 4  # corrections that are processed at the same time, or wait for the folder


class Part(NamedTuple):
    """The part of the page, as the rest of the tab sees it.

    Attributes:
        outputs: The components that change with a new photograph.
        update: Returns their values for an answered photograph, or for None.
    """

    outputs: list[Component | gr.Column]
    update: Callable[[Upload | None], tuple[Any, ...]]


NO_PART = Part([], lambda upload: ())
"""The empty part for pages that keep no corrections."""


def train_command(classes: Classes, folder: str, labels: Counter[str]) -> str:
    """Return the command that trains again with the corrections.

    Args:
        classes: The classes and the name of their data set.
        folder: The folder of corrections.
        labels: Label -> number of photographs with it in the folder.
    """
    command = f"python train.py {shell.quote(classes.data)} --add {shell.quote(folder)}"
    if classes.trained_background or labels[classes.background] >= _LEAST:
        return f"{command} --background {shell.quote(classes.background)}"
    return command


def kept_text(change: Change, classes: Classes, folder: str | None) -> Markup:
    """Render which correction was kept, and how to train with it.

    Args:
        change: The correction.
        classes: The classes.
        folder: The folder of corrections; None for visitors other than the owner.
    """
    row, earlier = change.row, change.earlier
    was = html(", in place of “{name}”", name=classes.shown(earlier.label)) if earlier else ""
    verb = "Kept"
    if earlier and earlier.label == row.label:
        verb, was = "Already kept", ""
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
                "This is a new class with {count} {photographs}. Training ignores it until it has "
                "{least}.",
                count=count,
                photographs="photograph" if count == 1 else "photographs",
                least=_LEAST,
            )
        )
        if meant := classes.nearly(row.label):
            lines.append(
                html("Did you mean “{meant}”? Choose “Undo” and name it again.", meant=meant)
            )
    if folder:
        lines.append(
            html(
                "Train again with all corrections so far ({total:,}): <code>{command}</code> "
                "This takes only seconds if the features of {data} are cached.",
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
        corrections: Where corrections are kept.
        checkpoint: The checkpoint of the classifier.
        photo: The input with the photograph that was answered.
        chosen: The component with the classes that the visitor allows.
        predict: Classifies the photograph again, among the chosen classes, so that a call cannot
            invent an answer.

    Returns:
        The parts that the tab must update with each answer.
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
                raise NotKept("There is no photograph. Please send it again as a file.")
            if answered != _key(upload):
                raise NotKept("This is a new photograph. Please wait for its answer first.")
            answer = predict(upload.image, possible).top[0].class_id
            change = corrections.keep(visitor, images.read(upload.path), label, answer)
            text = kept_text(change, classes, folder)
        except images.BadImageError as error:
            text = _alert(f"The photograph {error}. Please send it again.")
        except NotKept as error:
            text = _alert(str(error))
        return text, gr.update(visible=corrections.can_undo(visitor))

    def undo(request: gr.Request) -> tuple[Any, Any]:
        visitor = _visitor(request)
        try:
            row, earlier, _ = corrections.undo(visitor)
            taken = html("<b>Undone: “{name}”</b>", name=classes.shown(row.label))
            rest = "The photograph is no longer kept."
            if earlier and earlier.label == row.label:
                rest = "The photograph stays: somebody else has kept it, too."
            elif earlier:
                rest = f"It is kept as “{classes.shown(earlier.label)}” again, as before."
            text = _status(html("{taken}. {rest}", taken=taken, rest=rest))
        except NotKept as error:
            text = _alert(str(error))
        return text, gr.update(visible=corrections.can_undo(visitor))

    with gr.Column(visible=False, elem_id="correct", elem_classes="ff-panel") as part:
        if corrections.public:
            promise = (
                "The owner of this page keeps the photograph and your answer to improve the "
                "classifier."
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
        answered = gr.Textbox(visible=False)  # sent with each click: the photograph shown then
        show(
            html(
                '<p class="ff-small">“Keep this” stores the photograph, your answer, the '
                "classifier's answer and the time, so that the owner of this page can improve the "
                "classifier. The file is stored as you sent it, with its camera data, which may "
                "include the place.</p>"
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
    """Return a text that identifies the photograph of an answer; "" if there is none."""
    return str(upload.path) if upload and upload.path else ""


def _visitor(request: gr.Request) -> str:
    """Return Gradio's session of the open page as the visitor's name, or else the address."""
    return request.session_hash or (request.client.host if request.client else "")


def _status(*lines: Markup) -> Markup:
    """Render a status, even an empty one, so that screen readers read what is added to it later."""
    paragraphs = join(html("<p>{line}</p>", line=line) for line in lines)
    return html('<div class="ff-kept" role="status">{lines}</div>', lines=paragraphs)


def _alert(sentence: str) -> Markup:
    alert = html('<p class="ff-banner" role="alert">{sentence}</p>', sentence=sentence)
    return join([_status(), alert])
