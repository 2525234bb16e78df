"""The activations behind features, place by place, and what each of them is."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


class MapInfo(NamedTuple):
    """Which features come from some activations.

    Attributes:
        offset: The first of the features, 0 to D - 1.
        width: Their number, d.
        member: Number of the network whose tail makes features of them, not being a plain mean
            (`Backbone.attribute_tail`); None where they are means over places.
        order: 1, or 2 where they are second moments of the map, as `pooling` has them; the map
            is the projected one then.
    """

    offset: int
    width: int
    member: int | None = None
    order: int = 1


DIRECTIONS = 64
"""Directions that a map is projected to before its second moments are taken, at most."""

SMOOTHING = 0.1
"""See `pooling`."""


@dataclass(frozen=True)
class Maps:
    """The activations behind some of the features.

    Attributes:
        info: Which features.
        values: float32 `[N, d, h, w]`, whose means over places are the features, or `[N, k, h, w]`,
            whose second moments are; for a tail, the activations as its network lays them out.
    """

    info: MapInfo
    values: np.ndarray
