"""Charts of a checkpoint, which the visitor's browser draws from the page's own files."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import altair as alt
import pandas as pd
from gradio.components.plot import AltairPlotData

from demo.evaluation.shares import percent
from model.checkpoints.history import thinned
from model.heads.head import Row, best_epoch

_COLOURS = {"train": "#8b6bb1", "valid": "#139488"}
_SPLITS = {"train": "Training", "valid": "Validation"}
_GREY = "#8795a0"
_HEIGHT = 250
_ENOUGH = 10
"""Fewest epochs of a history whose first epochs may lie outside the chart."""


@dataclass(frozen=True)
class Axis:
    """The vertical axis of a chart of the history.

    Attributes:
        low: Where it begins; an accuracy in 0-1, or a loss in nats.
        high: Where it ends.
        left_out: The last of the first epochs with a value outside the axis; 0 if there is none.
    """

    low: float
    high: float
    left_out: int


def history_axis(history: Sequence[Row], measure: str) -> Axis:
    """Choose the vertical axis so that the later epochs of a history can be told apart.

    In a history of ten or more epochs, the first twentieth may lie outside the axis, if that gives
    the others more than twice the room. Later epochs never lie outside.

    Args:
        history: One row for each epoch.
        measure: `loss` (nats) or `accuracy` (in 0-1).

    Returns:
        The axis.
    """
    is_loss = measure == "loss"
    values = [[row[f"{split}_{measure}"] for split in _COLOURS] for row in history]
    worst = [max(row) if is_loss else 1 - min(row) for row in values]
    first = math.ceil(len(worst) / 20) if len(worst) >= _ENOUGH else 0
    later = max(worst[first:])
    shown = later if later < max(worst) / 2 else max(worst)
    limit = shown + max(0.06 * shown, 0.01)
    left_out = max((epoch for epoch in range(1, first + 1) if worst[epoch - 1] > limit), default=0)
    if is_loss:
        return Axis(0.0, limit, left_out)
    return Axis(max(0.0, 1 - limit), 1 + 0.04 * limit if left_out else 1.0, left_out)


def left_out_text(history: Sequence[Row], measure: str) -> str:
    """Say which epochs lie outside a chart of the history; "" if it shows all of them.

    Args:
        history: One row for each epoch.
        measure: `loss` or `accuracy`.
    """
    axis, is_loss = history_axis(history, measure), measure == "loss"
    if not axis.left_out:
        return ""
    edge = f"ends at {axis.high:.2g}" if is_loss else f"begins at {percent(axis.low)}"
    epochs = "epoch 1" if axis.left_out == 1 else f"epochs 1 to {axis.left_out}"
    train, valid = (_written(history[0], split, measure) for split in _COLOURS)
    return (
        f"To keep later epochs readable, the axis {edge}. Values of {epochs} lie "
        f"{'above' if is_loss else 'below'} that; in epoch 1, training has {train} and "
        f"validation {valid}."
    )


def history_text(history: Sequence[Row], measure: str) -> str:
    """Say what a chart of the history shows, for people who cannot see it.

    Args:
        history: One row for each epoch.
        measure: `loss` or `accuracy`.
    """
    best = best_epoch(history)
    first, row = history[0], history[best - 1]
    sentences = []
    for split, name in (("valid", "Validation"), ("train", "Training")):
        column, value = f"{split}_{measure}", _written(row, split, measure)
        if row[column] == first[column]:
            course = f"is {value} in epoch {best}"
        else:
            verb = "rises" if row[column] > first[column] else "falls"
            before = _written(first, split, measure)
            course = f"{verb} from {before} in epoch 1 to {value} in epoch {best}"
        sentences.append(f"{name} {measure} {course}")
    chosen = " by accuracy" if measure == "loss" else ""
    return f"{sentences[0]}, the best of {len(history):,}{chosen}. {sentences[1]}."


def _written(row: Row, split: str, measure: str) -> str:
    value = row[f"{split}_{measure}"]
    return f"{value:.3g}" if measure == "loss" else percent(value)


def history_chart(history: Sequence[Row], measure: str) -> AltairPlotData:
    """Draw loss or accuracy of every epoch, train and valid, with the best epoch marked.

    Points are drawn on the lines, so that a history of one epoch is visible. Each mark has its own
    colour, because Gradio replaces the colours of a scale. Naming the kind of chart makes Gradio
    fit it to the page's width and take the colours of the axes from the theme, light or dark. No
    other text gets these colours, so the title of an axis names the best epoch.

    Args:
        history: One row for each epoch; a selection is drawn if there are very many.
        measure: `loss` (nats) or `accuracy` (shown in percent).

    Returns:
        The value for `gr.Plot`.
    """
    best, count, description = best_epoch(history), len(history), history_text(history, measure)
    axis, history = history_axis(history, measure), thinned(history)
    x = alt.X(
        "epoch:Q",
        title=f"Epoch (dashed line: best epoch, {best})",
        axis=alt.Axis(format="d", tickMinStep=1, grid=False),
        scale=alt.Scale(domain=[1, max(count, 2)], nice=False),
    )
    y_axis = alt.Axis(format=".2~f", tickCount=5) if measure == "loss" else _percent_axis()
    scale = alt.Scale(domain=[axis.low, axis.high], nice=False, zero=False)
    y = alt.Y("value:Q", title=None, axis=y_axis, scale=scale)
    dashed = alt.Chart(pd.DataFrame([{"epoch": best}])).encode(x=x)
    layers: list[alt.Chart] = [dashed.mark_rule(stroke=_GREY, strokeDash=[4, 3], aria=False)]
    for split, colour in _COLOURS.items():
        frame = pd.DataFrame(
            {
                "epoch": int(row["epoch"]),
                "value": row[f"{split}_{measure}"],
                "written": _written(row, split, measure),
                "split": _SPLITS[split],
            }
            for row in history
        )
        tooltip = [
            alt.Tooltip("split:N", title="Photographs"),
            alt.Tooltip("epoch:Q", title="Epoch", format="d"),
            alt.Tooltip("written:N", title=measure.title()),
        ]
        base = alt.Chart(frame).encode(x=x, y=y, tooltip=tooltip)
        inside = frame[frame["value"].between(axis.low, axis.high)]
        points = alt.Chart(inside).encode(x=x, y=y, tooltip=tooltip)
        layers += [
            base.mark_line(stroke=colour, strokeWidth=2, clip=bool(axis.left_out), aria=False),
            points.mark_point(fill=colour, stroke=colour, size=22, opacity=1, aria=False),
        ]
    return _plot(layers, description)


def _percent_axis() -> alt.Axis:
    return alt.Axis(labelExpr="format(100 * datum.value, '.1~f') + '\u00a0%'", tickCount=5)


def _plot(layers: Sequence[alt.Chart], description: str) -> AltairPlotData:
    chart = alt.layer(*layers).properties(
        height=_HEIGHT, background="transparent", description=description
    )
    return AltairPlotData(plot=chart.to_json(), chart="line")


def reliability_text(bins: Sequence[dict[str, float]]) -> str:
    """Say what the chart of probabilities shows, for people who cannot see it.

    Args:
        bins: Groups of answers with similar probabilities; see `metrics.reliability`.
    """
    low, high = min(bins, key=_confidence), max(bins, key=_confidence)
    ends = [
        f"{percent(group['accuracy'])} are right where the probability is about "
        f"{percent(group['confidence'])}"
        for group in ([low] if len(bins) == 1 else [low, high])
    ]
    return f"How often the first answer is right, by its probability: {', and '.join(ends)}."


def _confidence(group: dict[str, float]) -> float:
    return group["confidence"]


def reliability_chart(bins: Sequence[dict[str, float]]) -> AltairPlotData:
    """Draw how often the first answer is right, against its probability.

    Args:
        bins: Groups of answers with similar probabilities; see `metrics.reliability`.

    Returns:
        The value for `gr.Plot`.
    """
    low = min(min(group["confidence"], group["accuracy"]) for group in bins)
    scale = alt.Scale(domain=[max(0, low - 0.05), 1], nice=False, zero=False)
    axis = _percent_axis()
    x = alt.X("confidence:Q", title="Probability", axis=axis, scale=scale)
    y = alt.Y("accuracy:Q", title=None, axis=axis, scale=scale)
    diagonal = pd.DataFrame({"confidence": scale.domain, "accuracy": scale.domain})
    frame = pd.DataFrame(bins)
    for figure in ("confidence", "accuracy"):
        frame[f"{figure}_written"] = frame[figure].map(percent)
    base = alt.Chart(frame).encode(
        x=x,
        y=y,
        tooltip=[
            alt.Tooltip("confidence_written:N", title="Probability"),
            alt.Tooltip("accuracy_written:N", title="Right"),
            alt.Tooltip("photographs:Q", title="Photographs", format="d"),
        ],
    )
    colour = _COLOURS["valid"]
    dashed = alt.Chart(diagonal).encode(x=x, y=y)
    layers = [
        dashed.mark_line(stroke=_GREY, strokeDash=[4, 3], aria=False),
        base.mark_line(stroke=colour, strokeWidth=2, aria=False),
        base.mark_point(fill=colour, stroke=colour, size=40, opacity=1, aria=False),
    ]
    return _plot(layers, reliability_text(bins))
