"""Draws a photograph with its heat map and its top classes, for `predict --figure`."""

import numpy as np
from PIL import Image

from model.backbones.transforms import Transforms
from model.checkpoints.plots import INK, VALID, new_figure, to_png
from model.classifier import Prediction
from model.explain.heat_map import overlay


def prediction_png(
    image: Image.Image, prediction: Prediction, transforms: Transforms, title: str
) -> bytes:
    """Draw a photograph, its heat map, and bars for the most probable classes.

    Args:
        image: The decoded photograph.
        prediction: The prediction, including its heat map.
        transforms: The framing of the photograph for the classifier.
        title: A line above the photograph, such as its file name.

    Returns:
        A PNG file.
    """
    pictures = {title: image}
    if prediction.heat:
        pictures[f"heat map for {prediction.top[0].label}"] = overlay(
            image, prediction.heat, transforms
        )
    figure = new_figure(6 + 3.2 * len(pictures), 3.6)
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
    colours = [VALID, *["#a9c7c3"] * (len(labels) - 1)]
    right.barh(places, shares, color=colours, height=0.6)
    right.set_yticks(places, labels, parse_math=False)
    right.invert_yaxis()
    right.set_xlim(0, 112)
    right.set_xticks([0, 50, 100])
    right.set_xlabel("probability (%)")
    for place, share in zip(places, shares, strict=True):
        right.text(share + 1.5, place, f"{share:.1f}", va="center", fontsize=9, color=INK)
    right.spines[["top", "right"]].set_visible(False)
    return to_png(figure)
