"""The sentences about the state of a batch: empty, busy, cancelled or done."""

import math
from collections.abc import Sequence

from markupsafe import Markup

from demo.many import view
from demo.many.batch import Batch, Row
from demo.markup import html
from model.classifier import Prediction

EMPTY = html(
    '<p class="ff-text ff-nothing" role="status">Nothing has been sent yet. The answers will '
    "appear here, in a table.</p>"
)
STARTING = html('<p class="ff-ended" role="status" data-starting>Sent; starting …</p>')
WAITING_TEXT = "Sent; waiting until other visitors' photographs are done."
GONE_TEXT = (
    "These answers were deleted: the hour is over, or other visitors needed the space. Please "
    "send the photographs again."
)
GONE = html('<p class="ff-banner" role="status">{text}</p>', text=GONE_TEXT)


def busy(batch: Batch, seconds: float) -> Markup:
    """Say how many photographs of a batch are done, and how long the others will take.

    Args:
        batch: The batch.
        seconds: Time since its first photograph, in s.
    """
    done, total = len(batch.done), len(batch.rows)
    left = ""
    if done and seconds > 1:
        left = f", about {duration(seconds / done * (total - done))} left"
    return html(
        '<div class="ff-busy"><p>Classifying: {done} of {total} done{left}. Meanwhile you can use '
        'the other tabs.</p><progress max="{total}" value="{done}" aria-label="Photographs '
        'classified"></progress></div>',
        done=done,
        total=total,
        left=left,
    )


def ended(batch: Batch) -> Markup:
    """Say how a batch ended: done, cancelled, or stopped by an error."""
    done, total = batch.done, len(batch.rows)
    good = sum(isinstance(row.outcome, Prediction) for row in done)
    parts = [f"{good} {_photographs(good)} classified"]
    if bad := len(done) - good:
        parts.append(f"{bad} could not be read")
    words = ", ".join(parts)
    if len(done) == total:
        sentence = f"Done: {words}."
    elif batch.is_cancelled:
        sentence = f"Cancelled: {words}, {total - len(done)} left out. These answers are kept."
    else:
        sentence = (
            f"An error on the server stopped this early: {words}, {total - len(done)} left out. "
            "Please send those again later."
        )
    hint = " Choose a photograph in the table to see its details." if good else ""
    return html(
        '<p class="ff-ended" role="status">{sentence}{hint}</p>', sentence=sentence, hint=hint
    )


def count(rows: Sequence[Row], choice: view.Choice) -> Markup:
    """Say how many rows a choice shows, for people who cannot see the table change.

    Args:
        rows: All rows.
        choice: The visitor's filters and order.

    Returns:
        HTML.
    """
    found, total = len(view.chosen(rows, choice)), len(rows)
    return html(
        '<p class="ff-text">{found} of {total} {photographs} shown{pages}.</p>',
        found=found,
        total=total,
        photographs="photograph is" if total == 1 else "photographs are",
        pages=f", {view.PAGE} on a page" if found > view.PAGE else "",
    )


def duration(seconds: float) -> str:
    """Write a duration given in s as a short text, rounded up."""
    if seconds < 55:
        return f"{max(5, math.ceil(seconds / 5) * 5)} s"
    return f"{math.ceil(seconds / 60)} min"


def _photographs(count: int) -> str:
    return "photograph" if count == 1 else "photographs"
