"""Maps: the activations from which features come, position by position."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


class MapInfo(NamedTuple):
    """Which features come from a map, and how.

    Attributes:
        offset: Index of the first of these features, 0 to D - 1.
        width: Number of these features, d.
        member: Index of the network whose tail computes the features (`Backbone.attribute_tail`);
            None if they are plain means over positions.
        order: 1 for means; 2 for second moments of the projected map, see `pooling`.
    """

    offset: int
    width: int
    member: int | None = None
    order: int = 1


DIRECTIONS = 64
"""Most directions to which a map is projected before its second moments are taken."""

SMOOTHING = 0.1
"""The value of e in `pooling`, relative to the mean of G's diagonal."""


@dataclass(frozen=True)
class Maps:
    """The activations from which some of the features come.

    Attributes:
        info: Which features.
        values: float32 `[N, d, h, w]` if the features are means over positions, `[N, k, h, w]` if
            they are second moments; for a tail, the activations in its network's own layout.
    """

    info: MapInfo
    values: np.ndarray
