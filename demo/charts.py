"""Charts of a checkpoint. Drawn in the visitor's browser, from the page's own files."""

from collections.abc import Sequence

import altair as alt
import pandas as pd
from gradio.components.plot import AltairPlotData

from model.checkpoints.history import thinned
from model.heads.head import Row, best_epoch

_COLOURS = {"train": "#8b6bb1", "valid": "#139488"}
_GREY = "#8795a0"
_HEIGHT = 250


def history_chart(history: Sequence[Row], measure: str) -> AltairPlotData:
    """Draw loss or accuracy of every epoch, train and valid, with the best epoch marked.

    Points are drawn beside the lines, so that a history of one epoch shows too. Colours are set
    mark by mark: Gradio replaces those of a colour scale. Naming the kind of chart makes Gradio fit
    it to the page's width and take axis colours from the theme, light or dark.

    Args:
        history: One row an epoch; of very many, some are drawn.
        measure: `loss` (nats) or `accuracy` (shown in percent).

    Returns:
        What gr.Plot takes.
    """
    best, count, history = best_epoch(history), len(history), thinned(history)
    is_loss = measure == "loss"
    values = [row[f"{split}_{measure}"] for row in history for split in _COLOURS]
    low, high = min(values), max(values)
    margin = max((high - low) * 0.06, 0.01)
    y_scale = alt.Scale(
        domain=[0 if is_loss else max(0, low - margin), high + margin if is_loss else 1],
        nice=False,
        zero=False,
    )
    x = alt.X(
        "epoch:Q",
        title="Epoch",
        axis=alt.Axis(format="d", tickMinStep=1, grid=False),
        scale=alt.Scale(domain=[1, max(count, 2)], nice=False),
    )
    number_format = ".4f" if is_loss else ".2%"
    y_axis = alt.Axis(format=".2~f" if is_loss else ".0%", tickCount=5)
    layers: list[alt.Chart] = [*_best_marks(best, count, x)]
    for split, colour in _COLOURS.items():
        frame = pd.DataFrame(
            {"epoch": int(row["epoch"]), "value": row[f"{split}_{measure}"], "split": split}
            for row in history
        )
        base = alt.Chart(frame).encode(
            x=x,
            y=alt.Y("value:Q", title=None, axis=y_axis, scale=y_scale),
            tooltip=[
                alt.Tooltip("split:N", title="Split"),
                alt.Tooltip("epoch:Q", title="Epoch", format="d"),
                alt.Tooltip("value:Q", title=measure.title(), format=number_format),
            ],
        )
        layers += [
            base.mark_line(stroke=colour, strokeWidth=2),
            base.mark_point(fill=colour, stroke=colour, size=22, opacity=1),
        ]
    chart = alt.layer(*layers).properties(height=_HEIGHT, background="transparent")
    return AltairPlotData(plot=chart.to_json(), chart="line")


def _best_marks(best: int, epochs: int, x: alt.X) -> tuple[alt.Chart, alt.Chart]:
    """Draw a dashed line at the best epoch, and its name on the side where there is room."""
    late = best > epochs * 0.6
    base = alt.Chart(pd.DataFrame([{"epoch": best, "text": f"best epoch, {best}"}])).encode(x=x)
    name = base.mark_text(
        align="right" if late else "left",
        dx=-6 if late else 6,
        fill=_GREY,
        strokeWidth=0,
        fontSize=12,
    ).encode(text="text:N", y=alt.value(_HEIGHT / 2))
    return base.mark_rule(stroke=_GREY, strokeDash=[4, 3]), name


def reliability_chart(bins: Sequence[dict[str, float]]) -> AltairPlotData:
    """Draw how often the first answer is right against the probability it was given.

    Args:
        bins: As `metrics.reliability`.

    Returns:
        What gr.Plot takes.
    """
    low = min(min(group["confidence"], group["accuracy"]) for group in bins)
    scale = alt.Scale(domain=[max(0, low - 0.05), 1], nice=False, zero=False)
    axis = alt.Axis(format=".0%", tickCount=5)
    x = alt.X("confidence:Q", title="Probability", axis=axis, scale=scale)
    y = alt.Y("accuracy:Q", title=None, axis=axis, scale=scale)
    diagonal = pd.DataFrame({"confidence": scale.domain, "accuracy": scale.domain})
    base = alt.Chart(pd.DataFrame(bins)).encode(
        x=x,
        y=y,
        tooltip=[
            alt.Tooltip("confidence:Q", title="Probability", format=".1%"),
            alt.Tooltip("accuracy:Q", title="Right", format=".1%"),
            alt.Tooltip("photographs:Q", title="Photographs", format="d"),
        ],
    )
    colour = _COLOURS["valid"]
    chart = alt.layer(
        alt.Chart(diagonal).encode(x=x, y=y).mark_line(stroke=_GREY, strokeDash=[4, 3]),
        base.mark_line(stroke=colour, strokeWidth=2),
        base.mark_point(fill=colour, stroke=colour, size=40, opacity=1),
    ).properties(height=_HEIGHT, background="transparent")
    return AltairPlotData(plot=chart.to_json(), chart="line")
