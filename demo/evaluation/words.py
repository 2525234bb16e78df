"""The figures of a split in sentences and short tables."""

from typing import Any

from markupsafe import Markup

from demo.evaluation.shares import percent, unbroken
from demo.markup import figures, html, join, panel, table, text
from model.checkpoints.card import (
    LEVEL_COLUMNS,
    answered_text,
    level_rows,
    split_sentences,
)
from model.checkpoints.checkpoint import Checkpoint
from model.trust.interval import wilson

SPLIT_NAMES = {"valid": "validation", "test": "test"}
FEW = 5
"""Photographs of a class that say little: one error more or less moves recall by 20 points."""

_PAIRS, _MORE_PAIRS, _WEAKEST = 5, 50, 5


def headline_split(checkpoint: Checkpoint) -> str:
    """Name the split whose figures are shown first: `test` where it was measured, else `valid`."""
    return "test" if "test" in checkpoint.metrics["splits"] else "valid"


def knows_pairs(values: dict[str, Any]) -> bool:
    """Tell whether the figures of a split say which classes were confused."""
    return "confusions" in values or "confusion_matrix" in values


def top(checkpoint: Checkpoint, split: str, errors: int) -> Markup:
    """Say how often it is right and on what that was measured.

    Args:
        checkpoint: The checkpoint.
        split: Name of the split.
        errors: How many classes had a photograph that was taken for another.

    Returns:
        HTML.
    """
    values = checkpoint.metrics["splits"][split]
    answer = html(
        '<p class="ff-reliance">Right on <b>{share}</b> of {count:,} photographs that it was not '
        "trained on; over many more photographs like these, {expected} would be expected.</p>",
        share=percent(values["top1"]),
        count=values["photographs"],
        expected=_expected(values, "top1"),
    )
    known = {f"of {len(checkpoint.class_names):,} classes had an error": f"{errors:,}"}
    five = {f"right answer among five; {_expected(values, 'top5')}": percent(values["top5"])}
    shown = {
        "first answer right": percent(values["top1"]),
        **(five if len(checkpoint.class_names) > 5 else {}),
        **(known if knows_pairs(values) else {}),
        "of these photographs not called “none of these”": percent(values["known_pass_rate"]),
    }
    measured = unbroken(" ".join(_measured_on(checkpoint, split)))
    return join([answer, figures(shown), text(measured)])


def _expected(values: dict[str, Any], figure: str) -> str:
    low, high = map(percent, wilson(values[figure], values["photographs"]))
    return f"between {low.removesuffix('%').strip()} and {high}"


def _measured_on(checkpoint: Checkpoint, split: str) -> list[str]:
    chosen = "" if split == "test" else " The best epoch was chosen on the same photographs."
    return [
        f"Measured on the {SPLIT_NAMES[split]} split of {checkpoint.metrics['data']['name']} "
        f"(seed {checkpoint.metrics['seed']}).{chosen}",
        *split_sentences(checkpoint),
    ]


def pairs_table(confused: dict[tuple[int, int], int], checkpoint: Checkpoint, split: str) -> Markup:
    """List the pairs confused most often; each has a button that shows it.

    Args:
        confused: As `metrics.confused_pairs`.
        checkpoint: The checkpoint.
        split: Name of the split.

    Returns:
        HTML; nothing where no pair is known.
    """
    values, names = checkpoint.metrics["splits"][split], checkpoint.class_names
    if not confused:
        return Markup()
    by_count = sorted(confused, key=lambda pair: (-confused[pair], *(names[i] for i in pair)))
    rows = [
        (
            _name(names[true]),
            html(
                '<button type="button" data-true="{true}" data-predicted="{predicted}" '
                'title="{other}" aria-label="Show the pair {name} and {other}">{other}</button>',
                true=true,
                predicted=predicted,
                name=names[true],
                other=names[predicted],
            ),
            f"{confused[true, predicted]:,} of {values['per_class'][true]['support']:,}",
        )
        for true, predicted in by_count[:_MORE_PAIRS]
    ]
    header = ("Is", "Was taken for", "Photos")
    parts = [table(rows[:_PAIRS], header=header)]
    if len(rows) > _PAIRS:
        more = html(
            '<details class="ff-fold"><summary>The next {count}</summary>{rows}</details>',
            count=len(rows) - _PAIRS,
            rows=table(rows[_PAIRS:], header=header),
        )
        parts.append(more)
    return panel("Most confused", *parts)


def _name(name: str) -> Markup:
    """Lay out a class name in one line, so that the tables stay on the first screen."""
    return html('<span title="{name}">{name}</span>', name=name)


def weakest_table(checkpoint: Checkpoint, split: str) -> Markup:
    """List the classes of which the smallest share was recognised, and those hardly measured.

    Args:
        checkpoint: The checkpoint.
        split: Name of the split.

    Returns:
        HTML.
    """
    classes = checkpoint.metrics["splits"][split]["per_class"]
    weak = [
        (row["recall"], name, row["support"])
        for row, name in zip(classes, checkpoint.class_names, strict=True)
        if row["support"] and row["recall"] < 1
    ]
    rows = [
        (_name(name), f"{round(recall * support):,} of {support:,} ({percent(recall)})")
        for recall, name, support in sorted(weak)[:_WEAKEST]
    ]
    parts = [text("Every photograph of every class was recognised.")]
    if rows:
        parts = [table(rows, header=("Class", "Recognised"))]
    few = sum(row["support"] < FEW for row in classes)
    if few:
        are = "class has" if few == 1 else "classes have"
        note = f"{few:,} {are} fewer than {FEW} photographs here: too few to judge them by."
        parts.append(text(note))
    return panel("Weakest classes", *parts)


def honesty(checkpoint: Checkpoint, split: str) -> Markup:
    """Say what probabilities, sets and "none of these" are worth."""
    promised, values = checkpoint.calibration.trust, checkpoint.metrics["splits"][split]
    rows = {
        "A probability is off by, on average (calibration error, ECE)": percent(values["ece"]),
        f"The right class is in the set (promised: {percent(promised.coverage)})": percent(
            values["coverage"]
        ),
        "Classes in a set, on average": f"{values['mean_set_size']:.2f}",
        "Photographs of its classes not called “none of these” "
        f"(promised: {percent(promised.known_pass_rate)})": percent(values["known_pass_rate"]),
    }
    how = "the validation photographs and measured on the test photographs."
    if split == "valid":
        how = (
            "four fifths of the validation photographs and measured on the other fifth, five times "
            "in turn, so no photograph was measured by an adjustment that had seen it."
        )
    return panel(
        "How far to trust it",
        table(rows.items()),
        text(
            "A set is a list of the classes that a photograph may show: as short as possible, but "
            f"with the right class in it for {percent(promised.coverage)} of the photographs."
        ),
        text(f"Probabilities and sets were adjusted (calibrated) on {how}"),
        text(
            unbroken(
                "In the chart, answers given with 80 % are right in 80 % on the dashed line; below "
                "it they promise too much. Every point stands for equally many photographs."
            )
        ),
    )


def by_level(checkpoint: Checkpoint, split: str) -> Markup:
    """Say how often each level of classes with parents is right; nothing where none has any."""
    values = checkpoint.metrics["splits"][split]
    rows = level_rows(values)
    if not rows:
        return Markup()
    cells = (map(unbroken, row) for row in rows)
    sentence = text(unbroken(answered_text(values)))
    return panel("By level", table(cells, header=LEVEL_COLUMNS), sentence)
