"""The table of a batch: filters, orders, and the HTML of its rows."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from markupsafe import Markup

from demo.many.batch import Batch, Row
from demo.markup import html, join
from demo.pictures import jpeg_url
from demo.words import SURE, probability_text, short, verdict
from model.classifier import Prediction

PAGE = 50
"""Rows on a page of the table; thumbnails are sent for these rows only."""

ALL, ANY_CLASS = "all", ""

_LONGEST_HEADLINE = 60  # characters; a longer one would take several lines

_COLUMNS = html(
    '<tr><th aria-label="Picture"></th><th>Photograph</th><th>Answer</th>'
    '<th class="number">Probability</th></tr>'
)


def _unsure(row: Row) -> bool:
    """Tell whether several classes are possible, or the first one is not even fairly sure."""
    if not isinstance(row.outcome, Prediction):
        return False
    return len(row.outcome.label_set) > 1 or row.outcome.top[0].probability < SURE


def _none_of_these(row: Row) -> bool:
    return isinstance(row.outcome, Prediction) and row.outcome.none_of_these


def _unreadable(row: Row) -> bool:
    return not isinstance(row.outcome, Prediction)


FILTERS: dict[str, tuple[str, Callable[[Row], bool]]] = {
    ALL: ("All", lambda row: True),
    "unsure": ("Unsure", _unsure),
    "none": ("None of these", _none_of_these),
    "disagree": ("Similar photographs disagree", lambda row: row.disagree),
    "unreadable": ("Could not be read", _unreadable),
}
"""Value in the list -> its name, and a function that tells whether a row is shown."""


def _name(row: Row) -> tuple[object, ...]:
    return (row.name.casefold(), row.number)


def _answer(row: Row) -> tuple[object, ...]:
    if not isinstance(row.outcome, Prediction):
        return (1, "", 0.0)
    name, probability = short(row.outcome)
    return (0, name.casefold(), -probability)


def _least_sure(row: Row) -> tuple[object, ...]:
    if not isinstance(row.outcome, Prediction):
        return (1, 0.0)
    return (0, short(row.outcome)[1])


def _surest(row: Row) -> tuple[object, ...]:
    bad, share = _least_sure(row)
    return (bad, -share if isinstance(share, float) else 0.0)


def _oddest(row: Row) -> tuple[object, ...]:
    if not isinstance(row.outcome, Prediction):
        return (1, 0.0)
    return (0, -row.outcome.unknown_score)


ORDERS: dict[str, tuple[str, Callable[[Row], tuple[object, ...]]]] = {
    "sent": ("As they were sent", lambda row: (row.number,)),
    "name": ("By name", _name),
    "answer": ("By class", _answer),
    "least": ("Least probable answer first", _least_sure),
    "most": ("Most probable answer first", _surest),
    "odd": ("Least like the known classes first", _oddest),
}
"""Value in the list -> its name, and the key by which rows are sorted."""


class Choice(NamedTuple):
    """A visitor's choice of rows.

    Attributes:
        shown: Key of `FILTERS`.
        class_id: Class of the answers to show; "" for all.
        order: Key of `ORDERS`.
        page: Page of the table, from 0.
    """

    shown: str = ALL
    class_id: str = ANY_CLASS
    order: str = "sent"
    page: int = 0


def chosen(rows: Sequence[Row], choice: Choice) -> list[Row]:
    """Filter and sort rows; in orders by answer, photographs that could not be read come last."""
    _, is_shown = FILTERS[choice.shown]
    _, key = ORDERS[choice.order]
    found = [row for row in rows if is_shown(row) and _is_of(row, choice.class_id)]
    return sorted(found, key=key)


def _is_of(row: Row, class_id: str) -> bool:
    if class_id == ANY_CLASS:
        return True
    return isinstance(row.outcome, Prediction) and row.outcome.top[0].class_id == class_id


def filter_choices(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """List the filters for `gr.Dropdown`, with the number of rows that each shows."""
    return [
        (f"{name} ({sum(map(is_shown, rows))})", key) for key, (name, is_shown) in FILTERS.items()
    ]


def class_choices(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """List the classes of the answers for `gr.Dropdown`, with the number of rows of each."""
    firsts = [row.outcome.top[0] for row in rows if isinstance(row.outcome, Prediction)]
    counts = Counter(first.class_id for first in firsts)
    names = {first.class_id: first.label for first in firsts}
    found = sorted(names, key=lambda class_id: names[class_id].casefold())
    listed = [(f"{names[class_id]} ({counts[class_id]})", class_id) for class_id in found]
    return [(f"All classes ({len(found)})", ANY_CLASS), *listed]


def table(batch: Batch, choice: Choice) -> Markup:
    """Render a page of the table.

    Args:
        batch: The batch.
        choice: The visitor's choice of rows; a page after the last one shows the last one.

    Returns:
        HTML.
    """
    rows = chosen(batch.done, choice)
    if not rows:
        words = "There are no such photographs." if batch.done else ""
        return html('<p class="ff-text">{words}</p>', words=words)
    page = min(max(choice.page, 0), (len(rows) - 1) // PAGE)
    part = rows[page * PAGE : (page + 1) * PAGE]
    return html(
        '<table class="ff-table ff-many"><thead>{head}</thead><tbody>{body}</tbody></table>{pages}',
        head=_COLUMNS,
        body=join(_row(row, batch.thumbnail(row)) for row in part),
        pages=_pages(page, len(rows)) if len(rows) > PAGE else "",
    )


def _row(row: Row, thumbnail: bytes | None) -> Markup:
    if not isinstance(row.outcome, Prediction):
        return html(
            '<tr class="bad"><td></td><td>{name}</td><td colspan="2">Could not be read: it '
            "{reason}.</td></tr>",
            name=row.name,
            reason=row.outcome,
        )
    picture = Markup()
    if thumbnail:
        picture = html('<img src="{source}" alt="">', source=jpeg_url(thumbnail))
    return html(
        '<tr data-row="{number}"><td>{picture}</td><td><button type="button">{name}</button></td>'
        '<td>{answer}{marks}</td><td class="number">{share}</td></tr>',
        number=row.number,
        picture=picture,
        name=row.name,
        answer=_answer_text(row, row.outcome),
        marks=join(
            html('<span class="ff-mark">{mark}</span>', mark=mark)
            for mark in _marks(row, row.outcome)
        ),
        # The nearest class's probability would look like that of "none of these".
        share="–" if row.outcome.none_of_these else probability_text(short(row.outcome)[1]),
    )


def _answer_text(row: Row, outcome: Prediction) -> str:
    """Return the answer; for an unsure row, the possible classes if their names are short."""
    if outcome.none_of_these:
        return "Probably none of these"
    name = short(outcome)[0]
    if not _unsure(row) or outcome.parent:  # `_marks` names the classes of a parent
        return name
    # The number of classes matters only for "none of these", which was handled above.
    headline = verdict(outcome, num_classes=0).headline
    return headline if len(headline) <= _LONGEST_HEADLINE else name


def _marks(row: Row, outcome: Prediction) -> list[str]:
    marks, first = [], outcome.top[0]
    if outcome.none_of_these:
        marks.append(f"nearest: {first.label}, {probability_text(first.probability)}")
    elif outcome.parent:
        marks.append(f"not clear which one; perhaps {first.label}")
    if _unsure(row):
        count = len(outcome.label_set)
        marks.append(f"unsure: {count} classes possible" if count > 1 else "unsure")
    if row.disagree:
        marks.append("most similar photographs disagree")
    return marks


def _pages(page: int, count: int) -> Markup:
    last = (count - 1) // PAGE
    return html(
        '<nav class="ff-pages" aria-label="Pages of the table">{back}<span>{first} to {end} of '
        "{count}</span>{on}</nav>",
        back=_turn("Previous", page - 1) if page else "",
        first=page * PAGE + 1,
        end=min((page + 1) * PAGE, count),
        count=count,
        on=_turn("Next", page + 1) if page < last else "",
    )


def _turn(word: str, page: int) -> Markup:
    return html(
        '<button type="button" data-page="{page}">{word} {count}</button>',
        page=page,
        word=word,
        count=PAGE,
    )
