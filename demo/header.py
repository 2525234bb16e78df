"""The head of the page: the question that the classifier answers, and how often it is right."""

from markupsafe import Markup

from demo.markup import html
from demo.style import LOGO
from demo.tabs.evaluation import subtitle
from model.checkpoints.checkpoint import Checkpoint


def question(checkpoint: Checkpoint) -> str:
    """Return the question above the page: the checkpoint's title, or one made from its classes."""
    return checkpoint.page.title or f"Which of {len(checkpoint.class_names):,} classes is it?"


def page_title(checkpoint: Checkpoint) -> str:
    """Return the title of the browser's tab and of the installed page."""
    return f"{question(checkpoint)} - Frostflower"


def heading(checkpoint: Checkpoint, more: str = "") -> Markup:
    """Lay out the head of the page: logo, question, and a line about how often answers are right.

    Args:
        checkpoint: The checkpoint of the classifier.
        more: A sentence to add to that line.
    """
    return html(
        '<div class="ff-head">{logo}<div><h1>{title}</h1><p>{subtitle}</p></div></div>',
        logo=LOGO,
        title=question(checkpoint),
        subtitle=f"{subtitle(checkpoint)} {more}".strip(),
    )
