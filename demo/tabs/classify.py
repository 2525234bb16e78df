"""The Classify tab, which shows the most probable classes of a photograph, and the API."""

import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
from PIL import Image

from demo import opening
from demo.answer import EMPTY, TOP, answer
from demo.batch import Batcher, Together
from demo.collect import Corrections
from demo.gpu import on_gpu
from demo.photo import Photo, Upload, is_upload, refusal
from demo.style import script
from demo.tabs.correct import NO_PART, Part, correct_part
from demo.tabs.more import more_part, read_asked, read_further, strip
from demo.tabs.only import OnlyPart, Question, ask, from_call, only_part
from demo.tabs.recent import recent_part
from demo.tabs.why import why
from model.classifier import Classifier, Prediction
from model.photographs import images

_NO_PREVIEW = gr.update(value=None, visible=False)
_AT_ONCE = 16
"""Most calls of the page that run at the same time, and as many of the API: enough that a few large
photographs do not block the others. `photographs.budget` limits their memory, and Gradio has 40
threads."""
_NOTE_ASKED = "(photo, asked, chosen) => { window.ffAsked = asked; return [photo, asked, chosen]; }"
_FLOWER = (170, 85, 440, 355)  # left, top, right, bottom in scikit-learn's flower.jpg, in px


def _package_folder(name: str) -> Path:
    """Return the folder of an installed package without importing it, which may take seconds."""
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise ImportError(f"Package {name} is missing. pip install -r requirements.txt")
    return Path(spec.origin).parent


def example_photographs(folder: Path) -> list[Path]:
    """Return example photographs that come with installed packages.

    Args:
        folder: The folder for the first one, a flower that is cropped from a wider picture.

    Returns:
        A flower, the wider picture of it, and an animal.
    """
    wide = _package_folder("sklearn") / "datasets/images/flower.jpg"
    flower = folder / "dahlia.jpg"
    images.decode(wide).crop(_FLOWER).save(flower, quality=95)
    return [flower, wide, _package_folder("gradio") / "test_data/cheetah2.jpg"]


def preview(photo: Image.Image) -> Image.Image:
    """Shrink a photograph to at most 1280 px, to show formats that browsers cannot draw."""
    small = photo.copy()
    small.thumbnail((1280, 1280))
    return small


def label_json(prediction: Prediction) -> dict[str, float]:
    """Return class name -> probability, the value for `gr.Label`."""
    return {candidate.label: candidate.probability for candidate in prediction.top}


class _Parts(NamedTuple):
    """The components of the tab that change with an answer."""

    photo: Photo
    shown: gr.Image
    more: gr.HTML
    result: gr.HTML
    reasons: gr.HTML
    correct: Part
    only: OnlyPart


def classify_tab(
    classifier: Classifier,
    max_bytes: int,
    together: Together,
    corrections: Corrections | None = None,
    endpoint: str = "predict",
) -> None:
    """Lay out the tab inside a `gr.Tab`, and add its endpoints.

    Args:
        classifier: The loaded classifier.
        max_bytes: Largest upload, in bytes.
        together: How many photographs are classified together.
        corrections: Where corrections are kept; None to ask for none.
        endpoint: Name of the endpoint; see `opening.only` for the one that takes a list of classes.
    """
    run_each = ask(on_gpu(classifier.predict_each), TOP)
    run_together = Batcher[Question, Prediction](run_each, together.size, together.passes)
    least_side = classifier.backbone.transforms.least_side
    with gr.Row(equal_height=True):
        with gr.Column(min_width=300):
            photo, shown = _input(max_bytes, least_side)
            more = more_part(max_bytes)
        with gr.Column(min_width=300):
            result = gr.HTML(
                EMPTY, js_on_load=script("answer"), elem_id="top5", container=True, padding=False
            )
    only = only_part(classifier)
    # The parts that appear with an answer come last, so that they do not move anything else.
    with gr.Row():
        with gr.Column(min_width=300):
            gr.Examples(
                [[str(path)] for path in example_photographs(Path(tempfile.mkdtemp()))],
                inputs=photo,
                cache_examples=False,  # a cache could show answers of an earlier checkpoint
                api_visibility="private",
                label="Examples",
                elem_id="examples",
            )
        with gr.Column(min_width=300):
            recent_part(classifier.checkpoint, endpoint)
    correct = NO_PART
    if corrections:
        correct = correct_part(
            corrections,
            classifier.checkpoint,
            photo,
            only.chosen,
            lambda image, chosen: run_together(Question(image, only.allowed(chosen))),
        )
    reasons = gr.HTML("", elem_id="why")
    parts = _Parts(photo, shown, more, result, reasons, correct, only)
    _page_events(parts, classifier, together, max_bytes)
    _endpoints(endpoint, photo, classifier, run_together, _AT_ONCE + together.further)


def _input(max_bytes: int, least_side: int) -> tuple[Photo, gr.Image]:
    """Lay out the input, and above it a preview for formats that browsers cannot draw."""
    with gr.Column(elem_id="photograph-and-preview"):
        photo = Photo(
            type="pil",
            sources=["upload", "clipboard", "webcam"],
            label="Photograph",
            elem_id="photograph",
            height=340,
            buttons=["fullscreen"],
            placeholder="Choose a photograph\nor drop one here",
        )
        photo.max_bytes, photo.least_side = max_bytes, least_side
        shown = gr.Image(
            visible=False,
            interactive=False,
            show_label=False,
            container=False,
            buttons=[],
            height=340,
            elem_id="preview",
        )
    return photo, shown


def _page_events(parts: _Parts, classifier: Classifier, together: Together, max_bytes: int) -> None:
    """Connect the parts, so that the page answers each photograph that a visitor sends."""
    checkpoint, device = classifier.checkpoint, classifier.backbone.device_text
    transforms, uploads = classifier.backbone.transforms, Path(parts.photo.GRADIO_CACHE)
    run, run_several = on_gpu(classifier.predict_each), on_gpu(classifier.predict_together)
    explained = ask(run, TOP, explain=True)
    explain = Batcher[Question, Prediction](explained, together.size, together.passes)
    # Several photographs of one object are a pass of their own; other visitors wait for it.
    explain_several = Batcher[tuple[list[Image.Image], list[str] | None], Prediction](
        lambda groups: [run_several(group, TOP, explain=True, only=ids) for group, ids in groups],
        size=1,
        passes=together.passes,
    )

    def predict(photos: list[Image.Image], chosen: object) -> Prediction:
        if len(photos) > 1:
            return explain_several((photos, parts.only.ids(chosen)))
        return explain(Question(photos[0], parts.only.allowed(chosen)))

    def show(upload: Upload | None, text: object, chosen: object) -> tuple[Any, ...]:
        if upload is None:
            return _NO_PREVIEW, strip(None), EMPTY, "", *parts.correct.update(None)
        asked = read_asked(text)
        # Further photographs are ignored if they belong to another first one, so another object.
        paths = asked.further if is_upload(asked.first, upload) else []
        further = read_further(paths, uploads, max_bytes, transforms.least_side)
        photos = [upload.image, *(one.image for one in further)]
        prediction = predict(photos, chosen)
        shown = _NO_PREVIEW
        if not upload.drawable:
            shown = gr.update(value=preview(upload.image), visible=True)
        card = answer(prediction, checkpoint, device, len(photos), asked.first)
        because = why(upload.image, prediction, transforms, len(photos))
        return shown, strip(further), card, because, *parts.correct.update(upload)

    private: dict[str, Any] = {"api_visibility": "private"}
    # A single field contains the whole question, and a single event answers it, always the latest
    # one. So answers arrive in order whatever the visitor replaces, adds, removes or chooses.
    asked = gr.Textbox(visible="hidden", elem_id="asked")
    # `change` covers upload, paste, camera, examples and clearing.
    parts.photo.change(None, [parts.photo, asked], asked, js=script("photograph"), **private)
    answered = asked.change(
        show,
        [parts.photo, asked, parts.only.chosen],
        [parts.shown, parts.more, parts.result, parts.reasons, *parts.correct.outputs],
        js=_NOTE_ASKED,
        concurrency_limit=_AT_ONCE + together.further,
        concurrency_id="show",  # shared by all classifiers of the page, as they share the memory
        trigger_mode="always_last",
        show_progress="minimal",
        **private,
    )
    answered.failure(
        None, [parts.photo, asked], [parts.photo, asked], js=script("refused"), **private
    )


def _endpoints(
    name: str,
    photo: Photo,
    classifier: Classifier,
    run: Batcher[Question, Prediction],
    at_once: int,
) -> None:
    """Add the endpoints for programs: one takes a photograph, the other also a list of classes."""

    def predict(upload: Upload | None) -> tuple[dict[str, float], dict[str, Any]]:
        """Classify a photograph: return the five most probable classes, and how far to trust them.

        The second value contains the set of classes that may be right, whether it is probably none
        of the classes, and the most similar training photographs.
        """
        if upload is None:
            raise refusal("No photograph was sent.")
        prediction = run(Question(upload.image))
        return label_json(prediction), prediction.to_json()

    def predict_only(
        upload: Upload | None, classes: Any
    ) -> tuple[dict[str, float], dict[str, Any]]:
        """Classify a photograph that can only be one of the given classes, a list of ids or names.

        It returns the same values as /predict, but only for these classes. In the second value,
        `set_aside` is the probability that went to all other classes, and `best_set_aside` is the
        most probable of them.
        """
        if upload is None:
            raise refusal("No photograph was sent.")
        prediction = run(Question(upload.image, from_call(classifier, classes)))
        return label_json(prediction), prediction.to_json()

    classes = gr.JSON(visible=False, label="Classes")
    for function, inputs, api_name in (
        (predict, [photo], name),
        (predict_only, [photo, classes], opening.only(name)),
    ):
        endpoint, answered = gr.Button(visible=False), gr.Label(visible=False, num_top_classes=TOP)
        endpoint.click(
            function,
            inputs,
            [answered, gr.JSON(visible=False)],
            api_name=api_name,
            concurrency_limit=at_once,
            concurrency_id="predict",
        )
