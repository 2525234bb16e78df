"""Photographs that are far from every class."""

import numpy as np

from model.cache import row_blocks
from model.heads.rows import Features

LIMIT = 3.5
"""A photograph with at least this robust z-score is an outlier (Iglewicz and Hoaglin, 1993)."""


def scores(features: Features, labels: np.ndarray) -> np.ndarray:
    """Measure how far each photograph is from every class.

    The distance to a class is the Euclidean distance to the mean of the class, with each feature
    divided by its standard deviation within classes. (A full covariance would adapt to outliers
    that resemble one another.) The mean of a photograph's own class is computed without the
    photograph. The smallest distance counts.

    Args:
        features: float32 `[N, D]`; they are read in blocks.
        labels: int64 `[N]`.

    Returns:
        float64 `[N]`, robust z-scores: (distance - median) / (1.4826 median absolute deviation).
    """
    counts = np.bincount(labels)
    present = np.flatnonzero(counts)
    own = np.searchsorted(present, labels)
    members = np.split(np.argsort(labels, kind="stable"), np.cumsum(counts[present])[:-1])
    means = np.zeros((len(present), features.shape[1]), np.float32)
    within = np.zeros(features.shape[1])
    for mean, rows in zip(means, members, strict=True):
        for block in row_blocks(len(rows), len(mean)):
            mean += features[rows[block]].sum(axis=0)
        mean /= len(rows)
        for block in row_blocks(len(rows), len(mean)):
            within += ((features[rows[block]] - mean) ** 2).sum(axis=0, dtype=np.float64)
    scale = np.sqrt(within / len(features)).astype(np.float32)
    scale = np.where(scale > 1e-3, scale, np.float32(np.inf))
    means = means / scale
    nearest = np.empty(len(features))
    for start in range(0, len(features), 1024):
        rows = slice(start, start + 1024)
        block, mine = features[rows] / scale, own[rows]
        squares = (block**2).sum(1)[:, None] - 2 * block @ means.T + (means**2).sum(1)
        size = counts[present[mine]]
        with np.errstate(divide="ignore"):  # a class of one photograph has no mean without it
            squares[np.arange(len(block)), mine] *= np.where(size > 1, (size / (size - 1)) ** 2, 1)
        squares[np.arange(len(block))[size == 1], mine[size == 1]] = np.inf
        nearest[rows] = np.sqrt(np.maximum(squares.min(axis=1), 0))
    if not np.isfinite(nearest).all():  # every class has one photograph
        return np.zeros(len(features))
    median = np.median(nearest)
    spread = 1.4826 * np.median(np.abs(nearest - median))
    return (nearest - median) / max(spread, 1e-6 * max(median, 1e-6))
