"""The answer: words, a bar for each class, the classes that may be right, and buttons."""

from markupsafe import Markup

from demo.markup import html, join, text
from demo.style import LOGO
from demo.words import as_text, is_doubtful, probability_text, short, verdict
from model.checkpoints.checkpoint import Checkpoint
from model.checkpoints.page import link_for
from model.classifier import Prediction

TOP = 5
"""Number of bars in an answer."""

_SET_SHOWN = 12

EMPTY = html(
    """<div class="ff-result"><div class="ff-empty">{logo}
Add or paste a photograph, use the camera, or choose an example. The answer appears here.
</div></div>""",
    logo=LOGO,
)


def answer(
    prediction: Prediction,
    checkpoint: Checkpoint,
    device: str,
    photographs: int = 1,
    asked: str = "",
) -> Markup:
    """Render a prediction.

    Args:
        prediction: The most probable classes.
        checkpoint: The checkpoint of the classifier.
        device: The device, in words.
        photographs: Number of photographs of the same object that were classified together.
        asked: The page's name for the photograph, which the page's scripts compare.

    Returns:
        HTML.
    """
    num_classes = len(checkpoint.class_ids)
    said = verdict(prediction, num_classes, photographs)
    unknown = prediction.none_of_these
    return html(
        '<div class="ff-result{none}" data-asked="{asked}" data-short="{short}">'
        '<div role="status"><p class="ff-answer">{headline}</p>'
        '<p class="{manner}">{sentence}</p></div>{if_one}<div class="ff-bars">{rows}</div>'
        '{label_set}<div class="ff-foot">{actions}<div class="ff-note">{note}{time}</div></div>'
        "</div>",
        none=" ff-none" if unknown else "",
        asked=asked,
        short="None of these" if unknown else short(prediction)[0],
        headline=said.headline,
        manner="ff-banner" if is_doubtful(prediction) else "ff-sure",
        sentence=said.sentence,
        if_one=text("If it is one of them anyway:") if unknown else "",
        rows=_bars(prediction),
        label_set=label_set(prediction),
        actions=_actions(prediction, checkpoint, photographs),
        note=text(f"Averaged over {photographs} photographs.") if photographs > 1 else "",
        time=f"{prediction.seconds * 1000:,.0f} ms on {device}",
    )


def _bars(prediction: Prediction) -> Markup:
    return join(
        html(
            '<span class="name {mark}">{name}</span><span class="share {mark}">{share}</span>'
            '<meter class="{mark}" min="0" max="1" value="{value:.6f}" aria-label="{name}">'
            "</meter>",
            mark="" if rank else "first",
            name=candidate.label,
            share=probability_text(candidate.probability),
            value=candidate.probability,
        )
        for rank, candidate in enumerate(prediction.top)
    )


def _actions(prediction: Prediction, checkpoint: Checkpoint, photographs: int) -> Markup:
    """Lay out the link and the buttons of an answer; `static/head.html` makes the buttons work."""
    first, link = prediction.top[0], Markup()
    if checkpoint.page.link and not prediction.none_of_these:
        link = html(
            '<a href="{address}" target="_blank" rel="noopener noreferrer">About {label}'
            '<span aria-hidden="true"> ↗</span><span class="ff-hidden"> (opens a new window)</span>'
            "</a>",
            address=link_for(checkpoint.page.link, first.label, first.class_id),
            label=first.label,
        )
    return html(
        '<div class="ff-actions">{link}<button type="button" data-copy="{text}">Copy as text'
        '</button><button type="button" data-share="{text}">Share</button></div>',
        link=link,
        text=as_text(prediction, len(checkpoint.class_ids), photographs),
    )


def label_set(prediction: Prediction) -> Markup:
    """Render a set of several classes with its coverage; nothing if the coverage does not hold."""
    unsaid = prediction.none_of_these or prediction.is_mostly_aside
    if unsaid or len(prediction.label_set) == 1:
        return Markup()
    names, more = prediction.label_set, ""
    coverage = probability_text(prediction.coverage)
    promise = f"Sets like this hold the right class in {coverage} of photographs"
    promise += ", if it is one of those allowed." if prediction.restricted else "."
    if len(names) > _SET_SHOWN:
        more = f" and {len(names) - _SET_SHOWN} more"
    return html(
        '<p class="ff-set">It is one of <b>{shown}</b>{more}. {promise}</p>',
        shown=", ".join(names[:_SET_SHOWN]),
        more=more,
        promise=promise,
    )
