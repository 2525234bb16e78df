"""Which classes are confused with one another, and an order that puts them side by side."""

from collections.abc import Mapping

import numpy as np

MAX_SHOWN = 40
"""The most classes in a matrix that a person can still read."""


def blocks(confused: Mapping[tuple[int, int], int], limit: int = MAX_SHOWN) -> list[list[int]]:
    """Group the classes that were mistaken for one another; the most confused group comes first.

    A block is a connected component of the graph of confusions. Within a block, classes that are
    confused more often are closer together; a hierarchical clustering with optimal leaf order
    arranges them.

    Args:
        confused: Photographs for each (true, predicted) pair, from `metrics.confused_pairs`.
        limit: The most classes; those of the most frequent confusions are taken.

    Returns:
        Blocks of class indices.
    """
    chosen = sorted(_most(confused, limit))
    place = {label: index for index, label in enumerate(chosen)}
    likeness = np.zeros((len(chosen), len(chosen)))
    for (true, predicted), count in confused.items():
        if true in place and predicted in place:
            likeness[place[true], place[predicted]] += count
            likeness[place[predicted], place[true]] += count
    parts = sorted(_parts(likeness), key=lambda part: -likeness[np.ix_(part, part)].sum())
    return [[chosen[index] for index in _side_by_side(part, likeness)] for part in parts]


def _most(confused: Mapping[tuple[int, int], int], limit: int) -> set[int]:
    chosen: set[int] = set()
    for pair in sorted(confused, key=lambda pair: (-confused[pair], pair)):
        if len(chosen | {*pair}) <= limit:
            chosen |= {*pair}
        if len(chosen) == limit:
            break
    return chosen


def _parts(likeness: np.ndarray) -> list[np.ndarray]:
    if not len(likeness):
        return []
    from scipy.sparse.csgraph import connected_components  # not needed to predict

    count, part_of = connected_components(likeness, directed=False)
    return [np.flatnonzero(part_of == part) for part in range(count)]


def _side_by_side(part: np.ndarray, likeness: np.ndarray) -> list[int]:
    if len(part) < 3:
        return part.tolist()
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    distance = 1 / (1 + likeness[np.ix_(part, part)])
    tree = linkage(squareform(distance, checks=False), "average", optimal_ordering=True)
    return part[leaves_list(tree)].tolist()
