"""What a probability is worth: temperature, and prediction sets with a promise."""

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Trust:
    """What is fitted on the validation photographs once the head is, and stored beside it.

    Attributes:
        temperature: The head's logits are divided by it.
        coverage: Share of known photographs whose set holds the right class, as promised, 0-1.
        margin: A class is in the set when its logit, divided by the temperature, is at most this
            below the highest; in nats.
        known_pass_rate: Share of known photographs that are not called "none of these", 0-1.
        unknown_threshold: The highest `unknown.Detector` score that passes.
    """

    temperature: float
    coverage: float
    margin: float
    known_pass_rate: float
    unknown_threshold: float

    def __post_init__(self) -> None:
        """Check the values, which may come from a checkpoint somebody edited."""
        if not 1e-3 <= self.temperature <= 1e3:
            raise ValueError(f"temperature {self.temperature} is outside 0.001-1000")
        for name in ("coverage", "known_pass_rate"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)} is outside 0-1")
        if not self.margin >= 0:
            raise ValueError(f"margin {self.margin} is below 0")
        if not math.isfinite(self.unknown_threshold):
            raise ValueError(f"unknown_threshold {self.unknown_threshold} is not a number")


def conformal_quantile(scores: np.ndarray, share: float) -> tuple[float, float]:
    """Find the bound that a new photograph's score stays under with a given probability.

    With M scores the k-th smallest is such a bound for the share k / (M + 1), whatever the
    distribution, as long as the new photograph is drawn like the others. Too few photographs cannot
    promise a high share: then the largest score is the bound, and M / (M + 1) is what it promises.

    Args:
        scores: `[M]`.
        share: Wanted probability, 0-1.

    Returns:
        The bound, and the probability promised.

    Source: Vovk, Gammerman and Shafer, "Algorithmic learning in a random world", 2005.
    """
    count = len(scores)
    rank = math.ceil((count + 1) * share - 1e-9)
    promised = share if rank <= count else count / (count + 1)
    return float(np.sort(scores)[min(rank, count) - 1]), promised


def set_scores(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return how far each right class's logit is below the highest: `[M]`, 0 when it is first."""
    return logits.max(axis=1) - logits[np.arange(len(labels)), labels]


def prediction_sets(logits: np.ndarray, margin: float) -> np.ndarray:
    """Tell which classes are in each photograph's set.

    Split conformal prediction with the score `max logit - logit of the class`, that is the log of
    the ratio of probabilities. The first answer's score is 0, so no set is ever empty and nothing
    needs patching, unlike sets bounded by the probability itself (which are empty just where
    the classifier is least sure); and temperature does not change the sets' order.

    Args:
        logits: `[N, C]`, divided by the temperature.
        margin: From `conformal_quantile` of `set_scores`.

    Returns:
        bool `[N, C]`.

    Source: Sadinle, Lei and Wasserman, "Least ambiguous set-valued classifiers with bounded error
    levels", 2019 (split conformal sets); the ratio instead of the probability is ours.
    """
    return logits >= logits.max(axis=1, keepdims=True) - margin
