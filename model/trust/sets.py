"""What a probability is worth: temperature, and prediction sets with a promise."""

import math
from dataclasses import dataclass

import numpy as np

FOLDS = 5
"""Parts of the validation photographs in cross-fitting."""


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


def fold_numbers(count: int, seed: int) -> np.ndarray:
    """Deal photographs into `FOLDS` parts: int64 `[count]`, as equal as can be."""
    return np.random.default_rng(seed).permutation(count) % min(FOLDS, max(1, count))


class CrossFit:
    """Logits of photographs from the epoch that the *other* photographs chose.

    The best epoch is chosen on `valid`, so its logits there are too good to calibrate with. Each
    part of `valid` is given the logits of the epoch that is best on the other parts. Kept are one
    epoch's logits, not all epochs'.
    """

    def __init__(self, labels: np.ndarray, num_classes: int, seed: int) -> None:
        """Start before the first epoch.

        Args:
            labels: int64 `[M]`.
            num_classes: C.
            seed: Seed of the parts.
        """
        self.labels = labels
        self.folds = fold_numbers(len(labels), seed)
        self.logits = np.zeros((len(labels), num_classes), np.float32)
        self._best: list[tuple[float, float]] = [(-1.0, 0.0)] * (int(self.folds.max()) + 1)

    def add(self, logits: np.ndarray) -> None:
        """Take an epoch's logits `[M, C]`."""
        from scipy.special import log_softmax

        right = logits.argmax(axis=1) == self.labels
        losses = -log_softmax(logits, axis=1)[np.arange(len(self.labels)), self.labels]
        for fold, best in enumerate(self._best):
            inside = self.folds == fold
            others = ~inside if len(self._best) > 1 else inside
            score = (float(right[others].mean()), -float(losses[others].mean()))
            if score > best:
                self._best[fold] = score
                self.logits[inside] = logits[inside]


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
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    def objective(log_t: float) -> float:
        log_p = log_softmax(logits / math.exp(log_t), axis=1)
        return float(-log_p[np.arange(len(labels)), labels].sum() + log_t**2 / 2)

    return math.exp(minimize_scalar(objective, bounds=(-4, 4), method="bounded").x)


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
