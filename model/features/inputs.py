"""What an answer is made from, computed by this process or by a worker of a cluster."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from model.backbones.backbone import Backbone
from model.features.signatures import both_ways


class PredictionInputs(NamedTuple):
    """What a classifier needs of N photographs to answer.

    Attributes:
        features: float32 `[N * V, D]`, the views of each photograph side by side.
        signatures: As `signatures.both_ways`, N of them; None where there is no evidence to compare
            them with.
    """

    features: np.ndarray
    signatures: list[np.ndarray] | None


def frame(backbone: Backbone, views: Sequence[str], images: Sequence[Image.Image]) -> np.ndarray:
    """Frame decoded photographs: uint8 `[N * V, S, S, 3]`, the views of each side by side."""
    render = backbone.transforms.views
    return np.stack([view for image in images for view in render(image, views)])


def prediction_inputs(
    backbone: Backbone, views: Sequence[str], images: Sequence[Image.Image], *, signatures: bool
) -> PredictionInputs:
    """Compute what the answers need, in one call of the backbone.

    Args:
        backbone: The backbone.
        views: Names of V views.
        images: N decoded photographs, RGB.
        signatures: Compute signatures, too.

    Returns:
        Features, and signatures.
    """
    features = backbone.features(frame(backbone, views, images))
    return PredictionInputs(features, list(map(both_ways, images)) if signatures else None)
