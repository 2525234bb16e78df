"""The temperature that calibrates the head's probabilities."""

import math

import numpy as np

from model.cache import row_blocks


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Find the temperature that makes the right classes most probable.

    log T has a normal prior around 0, which matters only if there are few photographs: without it,
    T would tend to 0 if all of them are classified correctly.

    Args:
        logits: `[M, C]`, of photographs that the head was not fitted to.
        labels: int64 `[M]`.

    Returns:
        T.

    Source: Guo et al., "On calibration of modern neural networks", 2017.
    """
    from scipy.optimize import minimize_scalar  # imported late, because prediction does not need it

    highest = logits.max(axis=1)
    behind = (highest - logits[np.arange(len(labels)), labels]).astype(np.float64)

    def log_sums(t: float) -> np.ndarray:
        """Return the log-sum-exp of each photograph's logits, shifted so that the highest is 0."""
        sums = np.empty(len(logits))
        for rows in row_blocks(*logits.shape):
            scaled = logits[rows] - highest[rows, None]
            scaled /= t
            sums[rows] = np.log(np.exp(scaled, out=scaled).sum(axis=1))
        return sums

    def objective(log_t: float) -> float:
        t = math.exp(log_t)
        return float((log_sums(t) + behind / t).sum() + log_t**2 / 2)

    return math.exp(minimize_scalar(objective, bounds=(-4, 4), method="bounded").x)
