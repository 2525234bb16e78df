"""The matrix of confused classes, in which a visitor can choose a pair."""

from typing import Any

from markupsafe import Markup

from demo.evaluation.words import knows_pairs
from demo.markup import html, join, panel, text
from model.trust.confusion import blocks

_NAME = 80
"""Most characters of a class name in a label; the pair that is shown has the whole name."""

_LISTED = 200


def matrix(
    confused: dict[tuple[int, int], int], values: dict[str, Any], names: list[str]
) -> Markup:
    """Render the matrix; classes that are confused with one another are side by side.

    Args:
        confused: Pair of classes -> number of photographs, from `metrics.confused_pairs`.
        values: Figures of the split.
        names: C class names.

    Returns:
        HTML. Each cell with a count is a button with `data-true` and `data-predicted`.
    """
    shown = blocks(confused)
    parts = []
    if shown:
        how_to = _how_to(shown, _involved(confused, values))
        parts += [_grid(shown, confused, values, names), text(how_to)]
    elif knows_pairs(values):
        parts.append(text("No photograph of this split was mistaken for another class."))
    else:
        parts.append(text("This checkpoint does not say which classes were confused."))
    return panel("Confused classes", *parts)


def _involved(confused: dict[tuple[int, int], int], values: dict[str, Any]) -> set[int]:
    """Return the classes with any confusion, including pairs that are not stored."""
    involved = {label for pair in confused for label in pair}
    for label, row in enumerate(values["per_class"]):
        is_missed = row["support"] and row["recall"] < 1
        if is_missed or (row["recall"] and row["precision"] < 1):
            involved.add(label)
    return involved


def _how_to(shown: list[list[int]], involved: set[int]) -> str:
    count = sum(map(len, shown))
    rest = ""
    if count < len(involved):
        rest = f" These {count} of {len(involved):,} confused classes have the most errors."
    return "Rows: the right class. Columns: the answer. Choose a number to see both classes." + rest


def unconfused(
    confused: dict[tuple[int, int], int], values: dict[str, Any], names: list[str]
) -> Markup:
    """List the classes without any confusion, folded.

    Args:
        confused: Pair of classes -> number of photographs, from `metrics.confused_pairs`.
        values: Figures of the split.
        names: C class names.

    Returns:
        HTML; empty if the figures do not say which classes were confused.
    """
    if not knows_pairs(values):
        return Markup()
    involved = _involved(confused, values)
    others = [name for label, name in enumerate(names) if label not in involved]
    if not others:
        return text("Every class was confused with another.")
    listed = ", ".join(others[:_LISTED])
    if len(others) > _LISTED:
        listed += f" and {len(others) - _LISTED:,} more"
    return html(
        '<details class="ff-fold"><summary>{count:,} {word} without confusion</summary>{names}'
        "</details>",
        count=len(others),
        word="class" if len(others) == 1 else "classes",
        names=text(listed + "."),
    )


def _grid(
    shown: list[list[int]],
    confused: dict[tuple[int, int], int],
    values: dict[str, Any],
    names: list[str],
) -> Markup:
    order = [label for block in shown for label in block]
    starts = {block[0] for block in shown[1:]}
    edges = {label: html(' class="edge"') if label in starts else Markup() for label in order}
    first = next(pair for true in order for p in order if (pair := (true, p)) in confused)
    rows = []
    for true in order:
        support, recall = (values["per_class"][true][name] for name in ("support", "recall"))
        cells = []
        for predicted in order:
            if true == predicted:
                right = round(recall * support)
                cells.append(html('<td class="right">{count:,}</td>', count=right))
            elif (true, predicted) in confused:
                cells.append(
                    _cell(
                        confused[true, predicted],
                        support,
                        (true, predicted),
                        names,
                        edge=edges[predicted],
                        is_first=(true, predicted) == first,
                    )
                )
            else:
                cells.append(html("<td{edge}></td>", edge=edges[predicted]))
        row = html(
            '<tr{edge}><th scope="row" title="{name}">{name}</th>{cells}</tr>',
            edge=edges[true],
            name=names[true],
            cells=join(cells),
        )
        rows.append(row)
    head = join(
        html(
            '<th scope="col"{edge} title="{name}"><span>{name}</span></th>',
            edge=edges[label],
            name=names[label],
        )
        for label in order
    )
    return html(
        '<div class="ff-matrix-frame"><div class="ff-matrix" role="region" '
        'aria-label="Table of confused classes"><table role="grid" aria-label="Confused classes: '
        'rows are the right class, columns are the answer"><thead><tr><td></td>{head}'
        "</tr></thead><tbody>{rows}</tbody></table></div></div>",
        head=head,
        rows=join(rows),
    )


def pair_text(count: int, support: int, name: str, other: str) -> str:
    """Say how many photographs of a class were mistaken for another."""
    verb = "was" if count == 1 else "were"
    if not count:
        return f"None of the {support:,} photographs of {name} was mistaken for {other}"
    return f"{count:,} of {support:,} photographs of {name} {verb} mistaken for {other}"


def _cell(
    count: int,
    support: int,
    pair: tuple[int, int],
    names: list[str],
    *,
    edge: Markup,
    is_first: bool,
) -> Markup:
    name, other = (short(names[label]) for label in pair)
    return html(
        '<td{edge} style="--ff-share:{share:.2f}"><button type="button" data-true="{true}" '
        'data-predicted="{predicted}" tabindex="{tab}" aria-label="{label}">{count:,}</button>'
        "</td>",
        edge=edge,
        share=min(1.0, count / max(support, 1)),
        true=pair[0],
        predicted=pair[1],
        tab=0 if is_first else -1,
        label=pair_text(count, support, name, other),
        count=count,
    )


def short(name: str) -> str:
    """Cut a name that is too long for a label."""
    return name if len(name) <= _NAME else name[: _NAME - 1] + "…"
