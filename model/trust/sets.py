"""Prediction sets, which hold the right class with the promised probability."""

import math

import numpy as np


def conformal_quantile(scores: np.ndarray, share: float) -> tuple[float, float]:
    """Find the bound that a new photograph's score stays under with a given probability.

    The k-th smallest of M scores is such a bound for the share k / (M + 1), whatever the
    distribution, as long as the new photograph is drawn like the others. If there are too few
    photographs for the wanted share, the bound is the largest score, and the share M / (M + 1).

    Args:
        scores: `[M]`.
        share: Wanted probability, 0-1.

    Returns:
        The bound, and the promised probability.

    Source: Vovk, Gammerman and Shafer, "Algorithmic learning in a random world", 2005.
    """
    count = len(scores)
    rank = math.ceil((count + 1) * share - 1e-9)
    promised = share if rank <= count else count / (count + 1)
    return float(np.sort(scores)[min(rank, count) - 1]), promised


def set_scores(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return how far the right class's logit is below the highest: `[M]`, 0 if it is highest."""
    return logits.max(axis=1) - logits[np.arange(len(labels)), labels]


def prediction_sets(logits: np.ndarray, margin: float) -> np.ndarray:
    """Tell which classes are in each photograph's set.

    This is split conformal prediction with the score `max logit - logit of the class`, which is the
    log of the ratio of two probabilities. The first answer's score is 0, so no set is ever empty.
    Sets bounded by the probability itself are empty exactly when the classifier is least sure. The
    temperature does not change the order of the classes.

    Args:
        logits: `[N, C]`, divided by the temperature.
        margin: From `conformal_quantile` of `set_scores`.

    Returns:
        bool `[N, C]`.

    Source: Sadinle, Lei and Wasserman, "Least ambiguous set-valued classifiers with bounded error
    levels", 2019 (split conformal sets); the ratio instead of the probability is ours.
    """
    return logits >= logits.max(axis=1, keepdims=True) - margin
