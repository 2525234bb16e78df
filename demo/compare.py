"""Compares the classifiers of a page: their curves on validation, and their figures."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import altair as alt
import gradio as gr
import pandas as pd
from gradio.components.plot import AltairPlotData
from markupsafe import Markup

from demo.markup import html, join, panel, show, text
from model.checkpoints.card import percent
from model.checkpoints.checkpoint import Checkpoint
from model.checkpoints.history import thinned
from model.heads.head import Row, best_epoch

_HEIGHT = 250  # px, with axes and titles
_APART = 0.075  # share of the axis between the numbers at the ends of curves, which are 13 px high
_MOST_POINTS = 150  # of a curve: a chart has up to eight, and the page has up to eight charts each


class Style(NamedTuple):
    """Colour and line style of a classifier's curves.

    Attributes:
        colour: A colour with a contrast of 3 or more to white and to the dark theme's panels.
        dash: Lengths of stroke and gap in px, for people who cannot tell the colours apart.
    """

    colour: str
    dash: tuple[int, ...]


STYLES = (
    Style("#1f7fc4", (1, 0)),
    Style("#cf5f0a", (7, 3)),
    Style("#139488", (2, 3)),
    Style("#c2569b", (9, 3, 2, 3)),
    Style("#8a7d14", (12, 5)),
    Style("#8b6bb1", (4, 2)),
    Style("#d4504f", (2, 6)),
    Style("#7b8791", (6, 2, 2, 2, 2, 2)),
)


def comparison(checkpoints: Mapping[str, Checkpoint]) -> None:
    """Lay out the comparison inside a `gr.Tab`.

    Args:
        checkpoints: Name -> checkpoint, at most as many as `STYLES`.
    """
    show(
        panel(
            "All classifiers of this page",
            comparison_table(checkpoints),
            text(join([comparability(list(checkpoints.values())), _HOW], " ")),
        ),
        elem_id="comparison",
    )
    histories = [checkpoint.history for checkpoint in checkpoints.values()]
    with gr.Row():
        for measure in ("loss", "accuracy"):
            with gr.Column(min_width=320):
                unit = " (nats)" if measure == "loss" else ""
                gr.Plot(
                    comparison_chart(histories, list(checkpoints), measure),
                    label=f"Validation {measure}{unit} of all classifiers",
                    elem_id=f"comparison-{measure}",
                )


_HOW = "The number at the end of a curve is that of its classifier; the dot marks the best epoch."


def comparability(checkpoints: Sequence[Checkpoint]) -> str:
    """Say whether all figures were measured on the same photographs.

    Their fingerprints tell: each covers all photographs with their splits and classes.

    Args:
        checkpoints: Two or more checkpoints.
    """
    data = [checkpoint.metrics["data"] for checkpoint in checkpoints]
    names = sorted({one["name"] for one in data})
    prints = {one.get("fingerprint") for one in data}
    if len(names) > 1:
        return (
            "The figures were not measured on the same photographs: the data sets are "
            f"{', '.join(names[:-1])} and {names[-1]}."
        )
    if None in prints:
        return (
            "Not all of these checkpoints say which photographs they were measured on, so these "
            "may differ."
        )
    if len(prints) == 1:
        return "All were measured on the same validation photographs."
    seeds = sorted({checkpoint.metrics["seed"] for checkpoint in checkpoints})
    if len(seeds) > 1:
        return (
            f"The figures were not measured on the same photographs of {names[0]}: it was split "
            f"with the seeds {', '.join(map(str, seeds))}."
        )
    return (
        f"The photographs of {names[0]} or their split differ, so the figures were not measured on "
        "the same photographs."
    )


def comparison_table(checkpoints: Mapping[str, Checkpoint]) -> Markup:
    """Lay out the figures of the classifiers, each with a sample of its line.

    Args:
        checkpoints: Name -> checkpoint.

    Returns:
        HTML.
    """
    rows = (
        _row(number, style, name, checkpoint)
        for number, (style, (name, checkpoint)) in enumerate(
            zip(STYLES, checkpoints.items(), strict=False), 1
        )
    )
    titles = ("Classifier", "Right on validation", "Best epoch", "Photographs", "Seconds")
    return html(
        '<table class="ff-table ff-compare"><thead><tr>{titles}</tr></thead>{rows}</table>',
        titles=join(html('<th scope="col">{title}</th>', title=title) for title in titles),
        rows=join(rows),
    )


def _row(number: int, style: Style, name: str, checkpoint: Checkpoint) -> Markup:
    history, best = checkpoint.history, checkpoint.training["best_epoch"]
    row = next(row for row in history if row["epoch"] == best)
    data, head = checkpoint.metrics["data"], checkpoint.training["head_text"]
    cells = (
        percent(row["valid_accuracy"]),
        f"{best} of {len(history)}",
        f"{checkpoint.metrics['splits']['valid']['photographs']:,}",
        f"{sum(row['seconds'] for row in history):,.1f}",
    )
    return html(
        '<tbody><tr><th scope="row"><svg viewBox="0 0 34 8" aria-hidden="true"><line x1="0" y1="4" '
        'x2="34" y2="4" stroke="{colour}" stroke-dasharray="{dash}"/></svg>{number} {name}</th>'
        '{cells}</tr><tr><td colspan="5">{data}; {head}; {backbone}</td></tr></tbody>',
        colour=style.colour,
        dash=" ".join(map(str, style.dash)),
        number=number,
        name=name,
        cells=join(html('<td class="number">{cell}</td>', cell=cell) for cell in cells),
        data=data["name"],
        head=head,
        backbone=checkpoint.backbone.name,
    )


def comparison_chart(
    histories: Sequence[Sequence[Row]], names: Sequence[str], measure: str
) -> AltairPlotData:
    """Draw the validation loss or accuracy of several classifiers in one chart.

    Args:
        histories: The history of each classifier, with one row for each epoch.
        names: The names of the classifiers.
        measure: `loss` (nats) or `accuracy` (shown in percent).

    Returns:
        The value for `gr.Plot`.
    """
    key, is_loss = f"valid_{measure}", measure == "loss"
    values = [row[key] for history in histories for row in history]
    margin = max((max(values) - min(values)) * 0.06, 0.01)
    low, high = max(0, min(values) - margin), max(values) + margin
    low, high = (0, high) if is_loss else (low, min(high, 1 + margin / 2))
    epochs = max(map(len, histories))
    axes = {
        "x": alt.X(
            "epoch:Q",
            title="Epoch",
            axis=alt.Axis(format="d", tickMinStep=1, grid=False),
            scale=alt.Scale(domain=[1, max(epochs, 2)], nice=False),
        ),
        "y": alt.Y(
            "value:Q",
            title=None,
            axis=alt.Axis(format=".2~f" if is_loss else ".0%", tickCount=5),
            scale=alt.Scale(domain=[low, high], nice=False, zero=False),
        ),
        "tooltip": [
            alt.Tooltip("name:N", title="Classifier"),
            alt.Tooltip("epoch:Q", title="Epoch", format="d"),
            alt.Tooltip("value:Q", title=measure.title(), format=".4f" if is_loss else ".2%"),
        ],
    }
    ends = apart([h[-1][key] for h in histories if len(h) == epochs], low, high)
    layers = []
    for number, (style, history) in enumerate(zip(STYLES, histories, strict=False), 1):
        points = [
            {"epoch": int(row["epoch"]), "value": row[key], "name": names[number - 1]}
            for row in thinned(history, _MOST_POINTS)
        ]
        base = alt.Chart(pd.DataFrame(points)).encode(**axes)
        kept = best_epoch(history)
        best = alt.Chart(pd.DataFrame(one for one in points if one["epoch"] == kept))
        end = points[-1] | {"number": f"{number}"}
        aside = 0  # px; a shorter curve's number moves away from the longer ones, usually better
        if len(history) == epochs:
            end["value"] = ends.pop(0)
        else:
            aside = -10 if is_loss else 10
        layers += [
            base.mark_line(stroke=style.colour, strokeWidth=2, strokeDash=list(style.dash)),
            best.encode(**axes).mark_point(
                fill=style.colour, stroke=style.colour, size=60, opacity=1
            ),
            alt.Chart(pd.DataFrame([end]))
            .encode(x=axes["x"], y=axes["y"], text="number:N")
            .mark_text(
                align="left",
                dx=6,
                dy=aside,
                fill=style.colour,
                strokeWidth=0,
                fontSize=13,
                fontWeight=700,
            ),
        ]
    chart = alt.layer(*layers).properties(height=_HEIGHT, background="transparent")
    return AltairPlotData(plot=chart.to_json(), chart="line")


def apart(values: Sequence[float], low: float, high: float) -> list[float]:
    """Move values apart, so that the numbers written at them do not overlap.

    Args:
        values: Where the numbers belong on the axis.
        low: The beginning of the axis.
        high: The end of the axis.

    Returns:
        The moved values in the same order, all of them on the axis if there is room.
    """
    step, least = _APART * (high - low), low
    order, moved = sorted(range(len(values)), key=lambda index: values[index]), list(values)
    for index in order:
        moved[index] = max(values[index], least)
        least = moved[index] + step
    most = high
    for index in reversed(order):
        moved[index] = min(moved[index], most)
        most = moved[index] - step
    return moved
