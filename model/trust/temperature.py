"""The temperature under which the head's probabilities mean what they say."""

import math

import numpy as np

_BLOCK = 1024  # photographs whose logits are copied at a time


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Find the temperature under which the right classes are most probable.

    log T has a normal prior around 0, which matters only for a few photographs: without it T would
    go to 0 where all of them are right.

    Args:
        logits: `[M, C]`, of photographs that the head was not fitted on.
        labels: int64 `[M]`.

    Returns:
        T.

    Source: Guo et al., "On calibration of modern neural networks", 2017.
    """
    from scipy.optimize import minimize_scalar  # who only predicts need not wait for scipy

    highest = logits.max(axis=1)
    behind = (highest - logits[np.arange(len(labels)), labels]).astype(np.float64)

    def log_sums(t: float) -> np.ndarray:
        """Return the log of each photograph's sum of exponentials, the highest logit being 0."""
        sums = np.empty(len(logits))
        for start in range(0, len(logits), _BLOCK):
            rows = slice(start, start + _BLOCK)
            scaled = logits[rows] - highest[rows, None]
            scaled /= t
            sums[rows] = np.log(np.exp(scaled, out=scaled).sum(axis=1))
        return sums

    def objective(log_t: float) -> float:
        t = math.exp(log_t)
        return float((log_sums(t) + behind / t).sum() + log_t**2 / 2)

    return math.exp(minimize_scalar(objective, bounds=(-4, 4), method="bounded").x)
