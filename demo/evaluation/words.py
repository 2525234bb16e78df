"""Sentences and short tables about the figures of a split."""

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
"""Classes with fewer photographs cannot be judged: one error changes recall by over 20 points."""

_PAIRS, _MORE_PAIRS, _WEAKEST = 5, 50, 5


def headline_split(checkpoint: Checkpoint) -> str:
    """Return the split whose figures are shown first: `test` if it was measured, else `valid`."""
    return "test" if "test" in checkpoint.metrics["splits"] else "valid"


def knows_pairs(values: dict[str, Any]) -> bool:
    """Tell whether the figures of a split say which classes were confused."""
    return "confusions" in values or "confusion_matrix" in values


def top(checkpoint: Checkpoint, split: str, errors: int) -> Markup:
    """Say how often the classifier is right, and on which photographs this was measured.

    Args:
        checkpoint: The checkpoint.
        split: Name of the split.
        errors: How many classes had a photograph that was mistaken for another class.

    Returns:
        HTML.
    """
    values = checkpoint.metrics["splits"][split]
    answer = html(
        '<p class="ff-reliance">Right on <b>{share}</b> of {count:,} photographs that it was not '
        "trained on. On many more photographs like these, expect {expected}.</p>",
        share=percent(values["top1"]),
        count=values["photographs"],
        expected=_expected(values, "top1"),
    )
    known = {f"of {len(checkpoint.class_names):,} classes had an error": f"{errors:,}"}
    five = {f"right class in the top five; {_expected(values, 'top5')}": percent(values["top5"])}
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
    """List the most frequently confused pairs; each has a button that shows it.

    Args:
        confused: Pair of classes -> number of photographs, from `metrics.confused_pairs`.
        checkpoint: The checkpoint.
        split: Name of the split.

    Returns:
        HTML; empty if no pair is known.
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
    header = ("Right class", "Answer", "Photos")
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
    """Lay out a class name on one line, so that the tables fit on the first screen."""
    return html('<span title="{name}">{name}</span>', name=name)


def weakest_table(checkpoint: Checkpoint, split: str) -> Markup:
    """List the classes that were recognised least often, and count those with few photographs.

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
        note = f"{few:,} {are} fewer than {FEW} photographs here, too few to judge."
        parts.append(text(note))
    return panel("Weakest classes", *parts)


def honesty(checkpoint: Checkpoint, split: str) -> Markup:
    """Say how far to trust probabilities, sets and "none of these"."""
    promised, values = checkpoint.calibration.trust, checkpoint.metrics["splits"][split]
    rows = {
        "Average error of a probability (calibration error, ECE)": percent(values["ece"]),
        f"The right class is in the set (promised: {percent(promised.coverage)})": percent(
            values["coverage"]
        ),
        "Classes in a set, on average": f"{values['mean_set_size']:.2f}",
        "Photographs of known classes not called “none of these” "
        f"(promised: {percent(promised.known_pass_rate)})": percent(values["known_pass_rate"]),
    }
    how = "the validation photographs and measured on the test photographs."
    if split == "valid":
        how = (
            "four fifths of the validation photographs and measured on the other fifth, five times "
            "in turn, so that no photograph was used for both at once."
        )
    return panel(
        "How far to trust it",
        table(rows.items()),
        text(
            "A set lists the classes that a photograph may show: as few as possible, but with the "
            f"right class for {percent(promised.coverage)} of the photographs."
        ),
        text(f"Probabilities and sets were adjusted (calibrated) on {how}"),
        text(
            unbroken(
                "On the chart's dashed line, 80 % of the answers given with 80 % are right; points "
                "below it promise too much. Each point stands for equally many photographs."
            )
        ),
    )


def by_level(checkpoint: Checkpoint, split: str) -> Markup:
    """Say how often each level is right if classes have parents; empty if they have none."""
    values = checkpoint.metrics["splits"][split]
    rows = level_rows(values)
    if not rows:
        return Markup()
    cells = (map(unbroken, row) for row in rows)
    sentence = text(unbroken(answered_text(values)))
    return panel("By level", table(cells, header=LEVEL_COLUMNS), sentence)
