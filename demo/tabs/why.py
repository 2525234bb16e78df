"""The reasons for an answer: where the classifier looked, and similar training photographs."""

from collections import Counter

from markupsafe import Markup
from PIL import Image

from demo.markup import html, join, panel, text
from demo.pictures import jpeg_url, picture_url
from model.backbones.transforms import Transforms
from model.classifier import AnswerEvidence, Prediction, Similar
from model.explain.heat_map import HeatMap, overlay

_SIDE = 640  # px


def why(
    photo: Image.Image, prediction: Prediction, transforms: Transforms, photographs: int = 1
) -> Markup:
    """Render the heat map and the evidence.

    Args:
        photo: The decoded photograph.
        prediction: The prediction for it.
        transforms: How the photograph was framed.
        photographs: Number of photographs of the same object; `photo` is the first.

    Returns:
        HTML; pictures are part of it.
    """
    label, panels = prediction.top[0].label, []
    if prediction.heat:
        title = "Where it looked" if photographs == 1 else "Where it looked in the first photograph"
        panels.append(_heat_panel(title, photo, prediction.heat, label, transforms))
    if prediction.evidence:
        panels.append(_evidence_panel(prediction.evidence, label))
    return html('<div class="ff-why">{panels}</div>', panels=join(panels)) if panels else Markup()


def _heat_panel(
    title: str, photo: Image.Image, heat: HeatMap, label: str, transforms: Transforms
) -> Markup:
    painted = overlay(photo, heat, transforms, max_side=_SIDE)
    return panel(
        title,
        html(
            '<figure class="ff-fade"><img src="{plain}" alt="">'
            '<img class="ff-heat" src="{source}" alt="The parts that speak for {label} glow" '
            # Gradio reuses these elements for the next photograph, so the fader must be reset.
            "onload=\"const fader = this.closest('.ff-panel').querySelector('.ff-fader input');"
            ' fader.value = 0.7; fader.oninput()"></figure>'
            '<label class="ff-fader"><span>Photograph</span>'
            '<input type="range" min="0" max="1" step="0.05" value="0.7" '
            'aria-label="From the photograph to where it looked" oninput="this.closest('
            "'.ff-panel').style.setProperty('--ff-fade', this.value)"
            '"><span>Where it looked</span></label>',
            plain=picture_url(photo.resize(painted.size, Image.Resampling.LANCZOS)),
            source=picture_url(painted),
            label=label,
        ),
        text(f"Glowing parts speak for “{label}”. Only the part inside the white frame was used."),
    )


def _evidence_panel(evidence: AnswerEvidence, label: str) -> Markup:
    seen = Markup()
    if evidence.training_photograph:
        name = evidence.training_photograph
        note = f"This is one of the training photographs ({name}), or a copy of it."
        seen = html('<p class="ff-banner">{note}</p>', note=note)
    if not any(one.thumbnail for one in evidence.similar):
        title = "What the most similar training photographs show"
        return panel(title, seen, text(_counted(evidence)))
    return panel(
        "Most similar training photographs",
        seen,
        html(
            '<ol class="ff-similar">{cards}</ol>',
            cards=join(_similar(one, label) for one in evidence.similar),
        ),
        text("The longer a bar, the more similar the photograph is."),
    )


def _counted(evidence: AnswerEvidence) -> str:
    """Count the classes of the most similar training photographs, if none can be shown."""
    counts = Counter(one.label for one in evidence.similar)
    if len(counts) == 1:
        label = next(iter(counts))
        return f"The {len(evidence.similar)} most similar training photographs all show “{label}”."
    times = "\N{NO-BREAK SPACE}×"
    listed = ", ".join(f"{count}{times} “{label}”" for label, count in counts.most_common())
    return f"Of the {len(evidence.similar)} most similar training photographs: {listed}."


def _similar(one: Similar, label: str) -> Markup:
    picture = Markup()
    if one.thumbnail:
        picture = html('<img src="{source}" alt="">', source=jpeg_url(one.thumbnail))
    return html(
        '<li class="{mark}">{picture}<span class="name">{label}</span>'
        '<meter min="0" max="1" value="{likeness:.3f}" aria-label="similarity"></meter></li>',
        mark="" if one.label == label else "other",
        picture=picture,
        label=one.label,
        likeness=max(0.0, 1 - one.distance**2 / 2),  # the cosine of the embeddings
    )
