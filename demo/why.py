"""Why it answered so: where it looked, and the training photographs most like the upload."""

import base64
import html
import io

from PIL import Image

from model.backbones.transforms import Transforms
from model.classifier import EvidenceCard, Prediction, Similar
from model.explain.heat_map import HeatMap, overlay

_SIDE = 640  # px


def why(photo: Image.Image, prediction: Prediction, transforms: Transforms) -> str:
    """Render the heat map and the evidence.

    Args:
        photo: The decoded photograph.
        prediction: What the classifier says of it.
        transforms: How it was framed.

    Returns:
        HTML; names are escaped, pictures are part of it.
    """
    panels = ""
    if prediction.heat:
        panels += _heat_panel(photo, prediction.heat, prediction.top[0].label, transforms)
    if prediction.evidence:
        panels += _evidence_panel(prediction.evidence, prediction.top[0].label)
    return f'<div class="ff-why">{panels}</div>' if panels else ""


def _heat_panel(photo: Image.Image, heat: HeatMap, label: str, transforms: Transforms) -> str:
    painted = overlay(photo, heat, transforms, max_side=_SIDE)
    name = html.escape(label)
    return (
        '<div class="ff-panel"><h3>Where it looked</h3>'
        f'<img class="ff-heat" src="{_data_url(painted)}" alt="What speaks for {name} glows">'
        f'<p class="ff-text">What glows speaks for “{name}”. The dark border was not looked '
        "at.</p></div>"
    )


def _evidence_panel(evidence: EvidenceCard, label: str) -> str:
    notes = []
    if evidence.training_photograph:
        name = html.escape(evidence.training_photograph)
        notes.append(f"This is one of the training photographs ({name}), or a copy of it.")
    if evidence.disagree:
        notes.append(
            f"Most of them are not “{html.escape(label)}”: look twice before you trust the answer."
        )
    warning = "".join(f'<p class="ff-banner">{note}</p>' for note in notes)
    cards = "".join(_similar(one, label) for one in evidence.similar)
    return (
        f'<div class="ff-panel"><h3>Most similar training photographs</h3>{warning}'
        f'<ol class="ff-similar">{cards}</ol><p class="ff-text">The bar is the likeness of '
        "features, from none to the same photograph.</p></div>"
    )


def _similar(one: Similar, label: str) -> str:
    picture = ""
    if one.thumbnail:
        source = "data:image/jpeg;base64," + base64.b64encode(one.thumbnail).decode()
        picture = f'<img src="{source}" alt="">'
    mark = "" if one.label == label else ' class="other"'
    likeness = max(0.0, 1 - one.distance**2 / 2)  # the cosine of the embeddings
    return (
        f'<li{mark}>{picture}<span class="name">{html.escape(one.label)}</span>'
        f'<meter min="0" max="1" value="{likeness:.3f}" aria-label="likeness"></meter>'
        f'<span class="file">{html.escape(one.name)}</span></li>'
    )


def _data_url(image: Image.Image) -> str:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
