"""Figures drawn with matplotlib: the training history, and a photograph beside its top classes."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from model.checkpoints.history import thinned
from model.explain.heat_map import overlay
from model.heads.head import Row, best_epoch

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from model.backbones.transforms import Transforms
    from model.classifier import Prediction

_TRAIN, _VALID, _INK = "#9a6fb0", "#2f6f6a", "#333333"


def _figure(width: float, height: float) -> "Figure":
    """Make a figure without touching pyplot's state, so that any thread may draw."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=150, layout="constrained")


def _png(figure: "Figure") -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def history_png(history: Sequence[Row]) -> bytes:
    """Plot loss and accuracy of every epoch, train and valid, with the best epoch marked.

    Args:
        history: One row an epoch; of very many, some are drawn.

    Returns:
        A PNG file.
    """
    figure = _figure(9, 3.4)
    best, history = best_epoch(history), thinned(history)
    epochs = [row["epoch"] for row in history]
    axes = figure.subplots(1, 2)
    for axis, measure, title in zip(
        axes, ("loss", "accuracy"), ("Loss (nats)", "Accuracy (%)"), strict=True
    ):
        scale = 100 if measure == "accuracy" else 1
        for split, colour in (("train", _TRAIN), ("valid", _VALID)):
            values = [row[f"{split}_{measure}"] * scale for row in history]
            axis.plot(epochs, values, color=colour, marker="o", markersize=3, label=split)
        axis.axvline(best, color=_INK, linewidth=0.8, linestyle=":", label=f"best epoch, {best}")
        axis.set_title(title, loc="left", fontsize=10)
        axis.set_xlabel("epoch")
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].legend(frameon=False, fontsize=8)
    return _png(figure)


def prediction_png(
    image: Image.Image, prediction: "Prediction", transforms: "Transforms", title: str
) -> bytes:
    """Draw a photograph, where the classifier looked, and the bars of the most probable classes.

    Args:
        image: The decoded photograph.
        prediction: What the classifier says of it, with its heat map.
        transforms: How it was framed.
        title: A line above the photograph, such as its file name.

    Returns:
        A PNG file.
    """
    pictures = {title: image}
    if prediction.heat:
        pictures[f"what speaks for {prediction.top[0].label}"] = overlay(
            image, prediction.heat, transforms
        )
    figure = _figure(6 + 3.2 * len(pictures), 3.6)
    *left, right = figure.subplots(1, len(pictures) + 1, width_ratios=(*[1] * len(pictures), 1.15))
    for axes, (name, picture) in zip(left, pictures.items(), strict=True):
        axes.imshow(np.asarray(picture))
        axes.set_title(name, fontsize=9, parse_math=False)
        axes.axis("off")
    if prediction.none_of_these:
        right.set_title("probably none of these", fontsize=9)
    labels = [candidate.label for candidate in prediction.top]
    shares = [candidate.probability * 100 for candidate in prediction.top]
    places = np.arange(len(labels))
    colours = [_VALID, *["#a9c7c3"] * (len(labels) - 1)]
    right.barh(places, shares, color=colours, height=0.6)
    right.set_yticks(places, labels, parse_math=False)
    right.invert_yaxis()
    right.set_xlim(0, 112)
    right.set_xticks([0, 50, 100])
    right.set_xlabel("probability (%)")
    for place, share in zip(places, shares, strict=True):
        right.text(share + 1.5, place, f"{share:.1f}", va="center", fontsize=9, color=_INK)
    right.spines[["top", "right"]].set_visible(False)
    return _png(figure)
