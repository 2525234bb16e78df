"""Draws the training history with matplotlib."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from model.checkpoints.history import thinned
from model.heads.head import Row, best_epoch

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TRAIN, VALID, INK = "#9a6fb0", "#2f6f6a", "#333333"


def new_figure(width: float, height: float) -> "Figure":
    """Make a figure without pyplot's global state, so that any thread may draw.

    Args:
        width: Width in inches.
        height: Height in inches.
    """
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=150, layout="constrained")


def to_png(figure: "Figure") -> bytes:
    """Return a figure as the content of a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def history_png(history: Sequence[Row]) -> bytes:
    """Plot training and validation loss and accuracy per epoch, and mark the best epoch.

    Args:
        history: One row per epoch; a very long history is thinned.

    Returns:
        The content of a PNG file.
    """
    figure = new_figure(9, 3.4)
    best, history = best_epoch(history), thinned(history)
    epochs = [row["epoch"] for row in history]
    axes = figure.subplots(1, 2)
    for axis, measure, title in zip(
        axes, ("loss", "accuracy"), ("Loss (nats)", "Accuracy (%)"), strict=True
    ):
        scale = 100 if measure == "accuracy" else 1
        for split, colour in (("train", _TRAIN), ("valid", VALID)):
            values = [row[f"{split}_{measure}"] * scale for row in history]
            axis.plot(epochs, values, color=colour, marker="o", markersize=3, label=split)
        axis.axvline(best, color=INK, linewidth=0.8, linestyle=":", label=f"best epoch, {best}")
        axis.set_title(title, loc="left", fontsize=10)
        axis.set_xlabel("epoch")
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].legend(frameon=False, fontsize=8)
    return to_png(figure)
