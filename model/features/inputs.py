"""The inputs of an answer, computed by this process or by a worker of a cluster."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from model.backbones.backbone import Backbone
from model.features.signatures import both_ways


class PredictionInputs(NamedTuple):
    """Everything a classifier needs to answer for N photographs.

    Attributes:
        features: float32 `[N * V, D]`; the V views of a photograph are consecutive rows.
        signatures: The result of `signatures.both_ways` for each photograph; None if there is no
            evidence to compare them with.
    """

    features: np.ndarray
    signatures: list[np.ndarray] | None


def frame(backbone: Backbone, views: Sequence[str], images: Sequence[Image.Image]) -> np.ndarray:
    """Render V views of each photograph, uint8 `[N * V, S, S, 3]`, photograph by photograph."""
    render = backbone.transforms.views
    return np.stack([view for image in images for view in render(image, views)])


def prediction_inputs(
    backbone: Backbone, views: Sequence[str], images: Sequence[Image.Image], *, signatures: bool
) -> PredictionInputs:
    """Compute the inputs of N answers, in one call of the backbone.

    Args:
        backbone: The backbone.
        views: Names of V views.
        images: N decoded photographs, RGB.
        signatures: Compute signatures as well.

    Returns:
        The features and signatures.
    """
    features = backbone.features(frame(backbone, views, images))
    return PredictionInputs(features, list(map(both_ways, images)) if signatures else None)
