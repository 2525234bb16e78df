"""The page: a header and its tabs around each loaded classifier."""

import os
import sys
from collections.abc import Mapping

import gradio as gr

from demo import gpu
from demo.batch import BATCH, Together
from demo.chooser import choose, connect
from demo.collect import Corrections
from demo.compare import comparison
from demo.header import heading, page_title
from demo.line import take_turns
from demo.many.batch import Shelf
from demo.markup import html, show
from demo.opening import endpoints
from demo.tabs.about import about_tab
from demo.tabs.classify import classify_tab
from demo.tabs.data import data_tab
from demo.tabs.evaluation import evaluation_tab
from demo.tabs.history import history_tab
from demo.tabs.many import many_tab
from demo.tabs.only import only_words
from model import verify
from model.classifier import Classifier

MAX_BYTES = 10_000_000
"""Largest upload, unless told otherwise."""


def build(
    classifiers: Classifier | Mapping[str, Classifier],
    *,
    max_bytes: int = MAX_BYTES,
    batch: int = BATCH,
    passes: int = 1,
    corrections: Corrections | None = None,
) -> gr.Blocks:
    """Build the page; where a classifier does not answer as it did when made, it says so.

    Args:
        classifiers: The loaded classifier; or several by name, one of which is shown at a time.
        max_bytes: Largest upload, in bytes.
        batch: Photographs of the API that one classifier classifies together, at most.
        passes: Batches that are classified at the same time: as many as there are replicas.
        corrections: Where visitors' corrections are kept; None to ask for none.

    Returns:
        The app, not launched yet; its queue is bounded.

    Raises:
        ValueError: As `verify.replay`.
    """
    # Gradio keeps 10,000 requests and sums them all up after each one. Nobody looks at that.
    os.environ.setdefault("GRADIO_ANALYTICS_MAX_EVENTS", "100")
    os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", "1000")
    served = classifiers if isinstance(classifiers, Mapping) else {"": classifiers}
    names = list(served)
    titles = {name: page_title(classifier.checkpoint) for name, classifier in served.items()}
    shelf, together = Shelf(), Together(batch, passes)
    compared = {name: classifier.checkpoint for name, classifier in served.items()}
    if gpu.IS_ZERO:
        print("ZeroGPU gives no GPU while a Space starts, so the golden answers are not replayed.")
    with gr.Blocks(title=titles[names[0]], analytics_enabled=False) as demo:

        def part(name: str, endpoint: str) -> None:
            checkpoint = served[name].checkpoint
            show(heading(checkpoint, only_words(served[name])))
            _warn(served[name], f"{name}: " if len(served) > 1 else "")
            with gr.Tabs(overflow_behavior="wrap"):  # a phone shows all of them, in two rows
                with gr.Tab("Classify"):
                    classify_tab(served[name], max_bytes, together, corrections, endpoint)
                with gr.Tab("Many photographs"):
                    many_tab(served[name], max_bytes, shelf)
                with gr.Tab("Training history"):
                    history_tab(checkpoint)
                    if len(served) > 1:
                        comparison(compared)
                with gr.Tab("Evaluation"):
                    evaluation_tab(checkpoint)
                if checkpoint.audit is not None:
                    with gr.Tab("Data"):
                        data_tab(checkpoint)
                with gr.Tab("About"):
                    about_tab(
                        checkpoint,
                        served[name].backbone.device_text,
                        endpoint=endpoint,
                        allowed=served[name].allowed,
                    )

        if len(served) == 1:
            part(*names, *endpoints(names))
        else:
            choice, parts = choose(names), {}
            for name, endpoint in zip(names, endpoints(names), strict=True):
                with gr.Column(visible=name == names[0]) as parts[name]:
                    part(name, endpoint)
            connect(choice, parts, titles)
    return take_turns(demo)


def _warn(classifier: Classifier, prefix: str) -> None:
    """Where a classifier does not answer as it did when made, say so on the page and on stderr."""
    drifts = [] if gpu.IS_ZERO else verify.replay(classifier)
    if drifts:
        warning = verify.warning(drifts)
        print(f"Warning: {prefix}{warning}", file=sys.stderr, flush=True)
        show(html('<p class="ff-banner" role="alert">{warning}</p>', warning=warning))
