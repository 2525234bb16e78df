"""The temperature under which the head's probabilities mean what they say."""

import math

import numpy as np


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
    from scipy.special import log_softmax

    def objective(log_t: float) -> float:
        log_p = log_softmax(logits / math.exp(log_t), axis=1)
        return float(-log_p[np.arange(len(labels)), labels].sum() + log_t**2 / 2)

    return math.exp(minimize_scalar(objective, bounds=(-4, 4), method="bounded").x)
