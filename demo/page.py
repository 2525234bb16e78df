"""The page: for each loaded classifier a header and tabs."""

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
"""Largest upload in bytes, unless the caller chooses another limit."""


def build(
    classifiers: Classifier | Mapping[str, Classifier],
    *,
    max_bytes: int = MAX_BYTES,
    batch: int = BATCH,
    passes: int = 1,
    corrections: Corrections | None = None,
) -> gr.Blocks:
    """Build the page, with a warning if a classifier's answers differ from its golden answers.

    Args:
        classifiers: One loaded classifier, or several by name; the page shows one at a time.
        max_bytes: Largest upload, in bytes.
        batch: Largest number of photographs that one classifier classifies together.
        passes: Most batches that are classified at the same time: as many as there are replicas.
        corrections: Where visitors' corrections are kept; None to ask for none.

    Returns:
        The app, not launched yet, with a bounded queue.

    Raises:
        ValueError: Golden answers cannot be replayed; see `verify.replay`.
    """
    # By default Gradio keeps 10,000 requests for analytics and adds all of them up after each one.
    os.environ.setdefault("GRADIO_ANALYTICS_MAX_EVENTS", "100")
    os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", "1000")
    served = classifiers if isinstance(classifiers, Mapping) else {"": classifiers}
    names = list(served)
    titles = {name: page_title(classifier.checkpoint) for name, classifier in served.items()}
    shelf, together = Shelf(), Together(batch, passes)
    compared = {name: classifier.checkpoint for name, classifier in served.items()}
    if gpu.IS_ZERO:
        print("The golden answers are not replayed: ZeroGPU offers no GPU while a Space starts.")
    with gr.Blocks(title=titles[names[0]], analytics_enabled=False) as demo:

        def part(name: str, endpoint: str) -> None:
            checkpoint = served[name].checkpoint
            show(heading(checkpoint, only_words(served[name])))
            _warn(served[name], f"{name}: " if len(served) > 1 else "")
            with gr.Tabs(overflow_behavior="wrap"):  # so that a phone shows all tabs, in two rows
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
    """Warn on the page and on stderr if a classifier's answers differ from its golden answers."""
    drifts = [] if gpu.IS_ZERO else verify.replay(classifier)
    if drifts:
        warning = verify.warning(drifts)
        print(f"Warning: {prefix}{warning}", file=sys.stderr, flush=True)
        show(html('<p class="ff-banner" role="alert">{warning}</p>', warning=warning))
