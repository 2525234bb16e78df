"""The head of the page: what the classifier is asked, and how well it answers."""

from markupsafe import Markup

from demo.markup import html
from demo.style import LOGO
from demo.tabs.evaluation import subtitle
from model.checkpoints.checkpoint import Checkpoint


def question(checkpoint: Checkpoint) -> str:
    """Return what a checkpoint is asked: its title, or a sentence with its number of classes."""
    return checkpoint.page.title or f"Which of {len(checkpoint.class_names):,} classes is it?"


def page_title(checkpoint: Checkpoint) -> str:
    """Return what the browser's tab and the installed page are called."""
    return f"{question(checkpoint)} - Frostflower"


def heading(checkpoint: Checkpoint, more: str = "") -> Markup:
    """Lay out the head of the page: logo, question, and a line on what the classifier is worth.

    Args:
        checkpoint: What answers.
        more: A sentence that is added to that line.
    """
    return html(
        '<div class="ff-head">{logo}<div><h1>{title}</h1><p>{subtitle}</p></div></div>',
        logo=LOGO,
        title=question(checkpoint),
        subtitle=f"{subtitle(checkpoint)} {more}".strip(),
    )
