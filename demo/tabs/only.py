"""Limits the answer to the classes that the visitor, or the owner of the page, allows.

The browser keeps a visitor's choice and sends it with each photograph (see `Question`), so that
photographs of several visitors can still be classified in one pass.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import gradio as gr
from gradio.components import Component
from gradio.context import get_blocks_context
from PIL import Image

from demo.choices import MOST_LISTED, Unchecked
from demo.markup import show, text
from demo.photo import refusal
from demo.style import script
from model.classifier import Classifier, Prediction
from model.photographs.class_names import MAX_CLASSES
from model.trust.restrict import Allowed

_RESTORE = """stored => {
  (window.ffPossible ??= {}).KEY = "[]";
  return [Array.isArray(stored) ? stored : []];
}"""
_SCRAMBLED = "frostflower"
"""The key with which Gradio scrambles values in the browser. It is not a secret: with a random key,
visitors' choices would be lost when the program is restarted."""


class Question(NamedTuple):
    """A photograph, and the classes that the answer may be.

    Attributes:
        image: The decoded photograph.
        allowed: The classes, from `Classifier.resolve`; None for all.
    """

    image: Image.Image
    allowed: Allowed | None = None


def ask(
    run: Callable[..., list[Prediction]], top: int, *, explain: bool = False
) -> Callable[[Sequence[Question]], list[Prediction]]:
    """Return a function that answers a batch of questions.

    Args:
        run: `Classifier.predict_each`.
        top: How many classes to list.
        explain: Whether to compute the heat map, too.

    Returns:
        N questions -> N predictions.
    """
    return lambda questions: run(
        [question.image for question in questions],
        [question.allowed for question in questions],
        top,
        explain=explain,
    )


def offered(classifier: Classifier) -> list[tuple[str, str]]:
    """Return the names and ids of the classes that can be answered, in alphabetical order.

    Args:
        classifier: The classifier.
    """
    checkpoint = classifier.checkpoint
    pairs = list(zip(checkpoint.class_names, checkpoint.class_ids, strict=True))
    if classifier.allowed is not None:
        pairs = [pairs[index] for index in classifier.allowed]
    return sorted(pairs, key=lambda pair: pair[0].casefold())


def only_words(classifier: Classifier) -> str:
    """Say that the owner of the page allows only some classes; "" if all are allowed."""
    if classifier.allowed is None:
        return ""
    count, allowed = len(classifier.checkpoint.class_ids), len(classifier.allowed)
    return f"Here it answers only with {allowed:,} of its {count:,} classes."


def from_call(classifier: Classifier, classes: object) -> Allowed | None:
    """Check the list of classes that a program sent.

    Args:
        classifier: The classifier.
        classes: The value of the call, normally a list of ids and names.

    Returns:
        The classes; None for all.

    Raises:
        gr.Error: It is not such a list, or contains a class that cannot be answered.
    """
    if not isinstance(classes, list) or not all(isinstance(one, str) for one in classes):
        raise refusal('The classes must be a list of ids or names, such as ["rose", "tulip"].')
    if len(classes) > MAX_CLASSES:
        raise refusal(f"{len(classes):,} classes were sent; at most {MAX_CLASSES:,} are allowed.")
    try:
        return classifier.resolve(classes)
    except ValueError as error:
        raise refusal(str(error)) from None


def read_back(stored: object, offers: Sequence[tuple[str, str]]) -> list[str]:
    """Check the choice that the page sends; the browser has kept it, so it may be anything.

    Args:
        stored: The value from the page, normally the ids of the chosen classes.
        offers: The classes that can be answered now, from `offered`.

    Returns:
        The chosen classes that can still be answered, in the order in which they were chosen.
    """
    known = {class_id for _, class_id in offers}
    if not isinstance(stored, list):
        return []
    found = dict.fromkeys(one for one in stored[:MAX_CLASSES] if isinstance(one, str))
    return [one for one in found if one in known]


def storage_key(offers: Sequence[tuple[str, str]]) -> str:
    """Return the name under which the browser keeps the choice; it depends on the offered classes.

    Args:
        offers: The classes that can be answered, from `offered`.
    """
    listed = json.dumps(sorted(class_id for _, class_id in offers)).encode()
    return f"frostflower-possible-{hashlib.sha256(listed).hexdigest()[:16]}"


class OnlyPart(NamedTuple):
    """The part of the page, as the rest of the tab sees it.

    Attributes:
        chosen: The component whose value is sent with each photograph. When it changes, the page's
            script raises the event `ff-possible`.
        ids: Turns that value into ids of classes; None if all are allowed.
        allowed: Turns that value into `Question.allowed`.
    """

    chosen: Component
    ids: Callable[[object], list[str] | None]
    allowed: Callable[[object], Allowed | None]


def only_part(classifier: Classifier) -> OnlyPart:
    """Lay out the part inside the tab.

    Args:
        classifier: The classifier.

    Returns:
        What the tab needs to classify a photograph with the visitor's choice.
    """
    offers = offered(classifier)
    known = {class_id: n for n, class_id in enumerate(classifier.checkpoint.class_ids)}

    def ids(chosen: object) -> list[str] | None:
        return read_back(chosen, offers) or None

    def allowed(chosen: object) -> Allowed | None:
        found = ids(chosen) or known
        return tuple(sorted(known[one] for one in found)) if len(found) < len(known) else None

    stored = gr.BrowserState([], storage_key=storage_key(offers), secret=_SCRAMBLED)
    with gr.Accordion(
        "Limit the answer to some classes",
        open=False,
        elem_id="only",
        visible=1 < len(offers) <= MOST_LISTED,
    ) as part:
        show(
            text(
                "Choose what the photograph can show, for example the plants that grow here. Only "
                "these classes can then be the answer, and you see how much of the probability "
                "went to all others. This browser keeps your choice; the tab Many photographs "
                "ignores it."
            )
        )
        with gr.Row(elem_classes="ff-only"):
            chosen = Unchecked(
                offers if len(offers) <= MOST_LISTED else [],
                value=[],
                multiselect=True,
                label="Only these classes",
                info="Type to search. If you choose none, all are possible.",
                elem_id="only-classes",
                min_width=220,
                scale=4,
            )
            everything = gr.Button("All classes", elem_id="only-all", min_width=130, scale=0)

    def mine(code: str) -> str:  # a page with several classifiers has this part several times
        return code.replace("KEY", f"part{chosen._id}")

    # These events run in the browser only.
    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    chosen.change(None, [chosen, stored], [stored, part], js=mine(script("only")), **private)
    everything.click(None, None, chosen, js="() => [[]]", **private)
    page = get_blocks_context()
    if page is not None:
        page.root_block.load(None, stored, chosen, js=mine(_RESTORE), **private)
    return OnlyPart(chosen, ids, allowed)
