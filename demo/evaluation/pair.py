"""A pair of classes: how often they were confused, and training photographs of both."""

from typing import Any

from markupsafe import Markup

from demo.evaluation.matrix import pair_text
from demo.evaluation.shares import percent
from demo.markup import html, join, table, text
from demo.photo import refusal
from demo.pictures import jpeg_url
from model.checkpoints.checkpoint import Checkpoint
from model.explain.evidence import Evidence
from model.explain.look_alikes import look_alikes

_PICTURES = 6


def chosen_pair(sent: object, confused: dict[tuple[int, int], int]) -> tuple[int, int]:
    """Read which pair a browser asks for.

    Args:
        sent: The value in the call, which may be anything.
        confused: Pair of classes -> number of photographs, from `metrics.confused_pairs`.

    Returns:
        A key of `confused`.

    Raises:
        gr.Error: There is no such pair.
    """
    values = sent if isinstance(sent, dict) else {}
    true, predicted = values.get("true"), values.get("predicted")
    if isinstance(true, int) and isinstance(predicted, int) and (true, predicted) in confused:
        return true, predicted
    raise refusal("There is no such pair. Please reload the page.")


def pair(
    checkpoint: Checkpoint,
    values: dict[str, Any],
    confused: dict[tuple[int, int], int],
    true: int,
    predicted: int,
) -> Markup:
    """Render a pair of classes.

    Args:
        checkpoint: The checkpoint.
        values: Figures of the split.
        confused: Pair of classes -> number of photographs, from `metrics.confused_pairs`.
        true: Index of the right class.
        predicted: Index of the class that was answered.

    Returns:
        HTML. If the checkpoint keeps thumbnails, it includes photographs of each class that are
        most like the other class.
    """
    names, classes = checkpoint.class_names, values["per_class"]
    sentences = [
        pair_text(
            confused.get((one, other), 0),
            classes[one]["support"],
            f"“{names[one]}”",
            f"“{names[other]}”",
        )
        for one, other in ((true, predicted), (predicted, true))
    ]
    rows = [
        (names[label], percent(classes[label]["recall"]), percent(classes[label]["precision"]))
        for label in (true, predicted)
    ]
    header = ("Class", "Recognised", "Answers right")
    evidence, pictures = checkpoint.evidence, Markup()
    if evidence is not None and evidence.blob is not None:
        pictures = join(
            [
                _pictures(evidence, names[one], look_alikes(evidence, one, other, _PICTURES))
                for one, other in ((true, predicted), (predicted, true))
            ]
        )
        pictures = html(
            '<div class="ff-pair-two">{pictures}</div>{note}',
            pictures=pictures,
            note=text("Training photographs of each class that are most like the other class."),
        )
    return html(
        '<section class="ff-panel ff-pair"><p>{first}. {second}.</p>{figures}{pictures}</section>',
        first=sentences[0],
        second=sentences[1],
        figures=table(rows, header=header),
        pictures=pictures,
    )


def _pictures(evidence: Evidence, name: str, numbers: list[int]) -> Markup:
    images = join(
        thumbnail(evidence, number, f"Training photograph of {name}") for number in numbers
    )
    if not numbers:
        images = text("No training photograph was kept.")
    return html(
        "<figure><figcaption>{name}</figcaption><div>{images}</div></figure>",
        name=name,
        images=images,
    )


def thumbnail(evidence: Evidence, number: int, alt: str) -> Markup:
    """Render a training photograph.

    Args:
        evidence: The training photographs, with thumbnails.
        number: The photograph's number in `evidence`.
        alt: Its alternative text.

    Returns:
        HTML.
    """
    source = jpeg_url(evidence.thumbnail(number) or b"")
    return html('<img src="{source}" alt="{alt}">', source=source, alt=alt)
