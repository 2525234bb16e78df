"""The page: a header and five tabs around one loaded classifier."""

import os
import sys

import gradio as gr

from demo import gpu
from demo.batch import BATCH
from demo.collect import Corrections
from demo.header import heading, page_title
from demo.line import take_turns
from demo.markup import html, show
from demo.tabs.about import about_tab
from demo.tabs.classify import classify_tab
from demo.tabs.evaluation import evaluation_tab
from demo.tabs.history import history_tab
from demo.tabs.many import many_tab
from model import verify
from model.classifier import Classifier

MAX_BYTES = 10_000_000
"""Largest upload, unless told otherwise."""


def build(
    classifier: Classifier,
    *,
    max_bytes: int = MAX_BYTES,
    batch: int = BATCH,
    corrections: Corrections | None = None,
) -> gr.Blocks:
    """Build the page; where the classifier does not answer as it did when made, it says so.

    Args:
        classifier: The loaded classifier.
        max_bytes: Largest upload, in bytes.
        batch: Photographs of the API that are classified together, at most.
        corrections: Where visitors' corrections are kept; None to ask for none.

    Returns:
        The app, not launched yet; its queue is bounded.

    Raises:
        ValueError: As `verify.replay`.
    """
    # Gradio keeps 10,000 requests and sums them all up after each one. Nobody looks at that.
    os.environ.setdefault("GRADIO_ANALYTICS_MAX_EVENTS", "100")
    os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", "1000")
    checkpoint = classifier.checkpoint
    drifts = [] if gpu.IS_ZERO else verify.replay(classifier)
    if gpu.IS_ZERO:
        print("ZeroGPU gives no GPU while a Space starts, so the golden answers are not replayed.")
    if drifts:
        print(f"Warning: {verify.warning(drifts)}", file=sys.stderr, flush=True)
    with gr.Blocks(title=page_title(checkpoint), analytics_enabled=False) as demo:
        show(heading(checkpoint))
        if drifts:
            warning = verify.warning(drifts)
            show(html('<p class="ff-banner" role="alert">{warning}</p>', warning=warning))
        with gr.Tabs(overflow_behavior="wrap"):  # a phone shows all of them, in two rows
            with gr.Tab("Classify"):
                classify_tab(classifier, max_bytes, batch, corrections)
            with gr.Tab("Many photographs"):
                many_tab(classifier, max_bytes)
            with gr.Tab("Training history"):
                history_tab(checkpoint)
            with gr.Tab("Evaluation"):
                evaluation_tab(checkpoint)
            with gr.Tab("About"):
                about_tab(checkpoint, classifier.backbone.device_text)
    return take_turns(demo)
