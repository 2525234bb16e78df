"""The Classify tab: a photograph in, the five most probable classes as bars, and the API."""

import math
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gradio as gr
from markupsafe import Markup
from PIL import Image

from demo.batch import Batcher
from demo.collect import Corrections
from demo.gpu import on_gpu
from demo.markup import html, join
from demo.photo import Photo, Upload, refusal
from demo.style import LOGO
from demo.tabs.correct import NO_PART, correct_part
from demo.tabs.why import why
from demo.words import verdict
from model.classifier import Classifier, Prediction
from model.photographs import images

TOP = 5
_NO_PREVIEW = gr.update(value=None, visible=False)
_SET_SHOWN = 12
_AT_ONCE = 16
"""Photographs of the page, and as many of the API, that are decoded or wait for it or for a batch:
enough for some large ones to leave room for others. `photographs.budget` bounds what they take, and
Gradio has 40 threads."""
_FLOWER = (170, 85, 440, 355)  # left, top, right, bottom in scikit-learn's flower.jpg, in px

_EMPTY = html(
    """<div class="ff-result"><div class="ff-empty">{logo}
Add a photograph, paste one, use the camera, or choose an example. The answer appears here.
</div></div>""",
    logo=LOGO,
)


def _package_folder(name: str) -> Path:
    """Return where a package is installed, without the seconds that importing it may take."""
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise ImportError(f"Package {name} is missing. pip install -r requirements.txt")
    return Path(spec.origin).parent


def example_photographs(folder: Path) -> list[Path]:
    """Return photographs that come with installed packages: a flower, and what is none.

    Args:
        folder: Gets the flower, which is cut out of a wider picture as a visitor would frame it.

    Returns:
        Two files.
    """
    wide = images.decode(_package_folder("sklearn") / "datasets/images/flower.jpg")
    flower = folder / "dahlia.jpg"
    wide.crop(_FLOWER).save(flower, quality=95)
    return [flower, _package_folder("gradio") / "test_data/cheetah2.jpg"]


def probability_text(share: float) -> str:
    """Write a probability with one decimal, never rounding a doubt away to 0.0 or 100.0 %."""
    tenths = min(max(share * 1000, 0), 1000)
    if 0 < tenths < 0.5:
        return "< 0.1 %"
    if 999.5 <= tenths < 1000:
        return "> 99.9 %"
    return f"{math.floor(tenths + 0.5) / 10:.1f} %"


def bars(prediction: Prediction, device: str) -> Markup:
    """Render a prediction: the answer in words, a bar a class, the set, the time it took and where.

    Args:
        prediction: The five most probable classes.
        device: The device in words.

    Returns:
        HTML.
    """
    rows = [
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
    ]
    said = verdict(prediction)
    return html(
        '<div class="ff-result"><p class="ff-answer">{headline}</p>'
        '<p class="{manner}" role="status">{sentence}</p><div class="ff-bars">{rows}</div>'
        '{label_set}<div class="ff-note">{note}</div></div>',
        headline=said.headline,
        manner="ff-banner" if prediction.none_of_these else "ff-sure",
        sentence=said.sentence,
        rows=join(rows),
        label_set=label_set(prediction),
        note=f"{prediction.seconds * 1000:,.0f} ms on {device}",
    )


def label_set(prediction: Prediction) -> Markup:
    """Render a prediction set of several classes with its promise; nothing where it cannot hold."""
    if prediction.none_of_these or len(prediction.label_set) == 1:
        return Markup()
    names, more = prediction.label_set, ""
    coverage = probability_text(prediction.coverage)
    promise = f"Sets like this hold the right class in {coverage} of photographs."
    if len(names) > _SET_SHOWN:
        more = f" and {len(names) - _SET_SHOWN} more"
    return html(
        '<p class="ff-set">It is one of <b>{shown}</b>{more}. {promise}</p>',
        shown=", ".join(names[:_SET_SHOWN]),
        more=more,
        promise=promise,
    )


def preview(photo: Image.Image) -> Image.Image:
    """Shrink a photograph for the page, for formats that browsers do not draw."""
    small = photo.copy()
    small.thumbnail((1280, 1280))
    return small


def label_json(prediction: Prediction) -> dict[str, float]:
    """Return what gr.Label takes: class name -> probability."""
    return {candidate.label: candidate.probability for candidate in prediction.top}


def classify_tab(
    classifier: Classifier, max_bytes: int, batch: int, corrections: Corrections | None = None
) -> None:
    """Lay out the tab inside a `gr.Tab`, and add the `/predict` endpoint.

    Args:
        classifier: The loaded classifier.
        max_bytes: Largest upload, in bytes.
        batch: Photographs that are classified together, at most.
        corrections: Where corrections are kept; None to ask for none.
    """
    device = classifier.backbone.device_text
    transforms = classifier.backbone.transforms
    run = on_gpu(classifier.predict)
    run_together = Batcher[Image.Image, Prediction](lambda photos: run(photos, TOP), batch)
    explain_together = Batcher[Image.Image, Prediction](
        lambda photos: run(photos, TOP, explain=True), batch
    )

    def show(upload: Upload | None) -> tuple[Any, ...]:
        if upload is None:
            return _NO_PREVIEW, _EMPTY, "", *correct.update(None)
        prediction = explain_together(upload.image)
        shown = _NO_PREVIEW
        if not upload.drawable:
            shown = gr.update(value=preview(upload.image), visible=True)
        because = why(upload.image, prediction, transforms)
        return shown, bars(prediction, device), because, *correct.update(upload)

    def predict(upload: Upload | None) -> tuple[dict[str, float], dict[str, Any]]:
        """Classify a photograph: the five most probable classes, and how far to trust them.

        The second value holds the set of classes that may be right, whether it is none of them,
        and the training photographs most like it.
        """
        if upload is None:
            raise refusal("No photograph was sent.")
        prediction = run_together(upload.image)
        return label_json(prediction), prediction.to_json()

    with gr.Row(equal_height=True):
        with gr.Column(min_width=300, elem_id="photograph-and-preview"):
            photo = Photo(
                type="pil",
                sources=["upload", "clipboard", "webcam"],
                label="Photograph",
                elem_id="photograph",
                height=340,
                buttons=["fullscreen"],
                placeholder="Drop a photograph here\n- or -\nClick to choose one",
            )
            photo.max_bytes, photo.least_side = max_bytes, transforms.least_side
            shown = gr.Image(
                visible=False,
                interactive=False,
                show_label=False,
                container=False,
                buttons=[],
                height=340,
                elem_id="preview",
            )
        with gr.Column(min_width=300):
            result = gr.HTML(_EMPTY, elem_id="top5", container=True, padding=False)
    correct = NO_PART
    if corrections:
        correct = correct_part(corrections, classifier.checkpoint, photo, run_together)
    reasons = gr.HTML("", elem_id="why")
    gr.Examples(
        [[str(path)] for path in example_photographs(Path(tempfile.mkdtemp()))],
        inputs=photo,
        cache_examples=False,  # cached answers would outlive the checkpoint that gave them
        api_visibility="private",
        label="Examples",
        elem_id="examples",
    )
    # `change` covers upload, paste, camera, examples and clearing alike, once each.
    arguments: dict[str, Any] = {"show_progress": "minimal", "api_visibility": "private"}
    changed = photo.change(
        show,
        photo,
        [shown, result, reasons, *correct.outputs],
        concurrency_limit=_AT_ONCE,
        **arguments,
    )
    # The reason is in the message; a picture that no browser can draw is of no use.
    changed.failure(lambda: (None, _EMPTY, ""), None, [photo, result, reasons], **arguments)
    endpoint, answer = gr.Button(visible=False), gr.Label(visible=False, num_top_classes=TOP)
    details = gr.JSON(visible=False)
    endpoint.click(
        predict, photo, [answer, details], api_name="predict", concurrency_limit=_AT_ONCE
    )
