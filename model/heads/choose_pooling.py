"""Decides, on the training photographs alone, whether second moments improve the accuracy."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from model.backbones.spec import Pooling
from model.heads import ridge
from model.splits.groups import members

MOST = 2000
"""The most photographs that are used; a decomposition for this many takes a few seconds."""


@dataclass(frozen=True)
class PoolingChoice:
    """The accuracy of each pooling on left-out photographs, and which pooling is chosen.

    Attributes:
        pooling: The more accurate one. If both are equally accurate, the one with the lower mean
            surprise; if that is equal too, `mean`, which has fewer features.
        accuracies: Accuracy with `mean` and with `second-order`, 0-1.
        photographs: How many photographs were left out, one after the other.
    """

    pooling: Pooling
    accuracies: tuple[float, float]
    photographs: int

    def render(self) -> str:
        """Describe the choice and both accuracies in a sentence."""
        mean, second = self.accuracies
        return (
            f"Pooling: {self.pooling}. Of {self.photographs:,} training photographs, each left out "
            f"with its group, {mean:.2%} are recognised with means alone and {second:.2%} with "
            "second moments as well."
        )


def choose_pooling(
    features: np.ndarray,
    mean_width: int,
    labels: np.ndarray,
    groups: np.ndarray,
    *,
    seed: int,
) -> PoolingChoice:
    """Leave each training photograph out of a ridge head, with and without second moments.

    Args:
        features: `[N, D]`, one view of each photograph.
        mean_width: The first this many features are means; the others are second moments.
        labels: int64 `[N]`.
        groups: int64 `[N]`: photographs with the same number are left out together.
        seed: Seed of the random subset, if there are more than `MOST` photographs.

    Returns:
        The choice, based on the exact leave-one-out scores of `ridge`.
    """
    count = len(labels)
    drawn = np.sort(np.random.default_rng(seed).permutation(count)[:MOST])
    together = members(groups[drawn])
    classes, truth = np.unique(labels[drawn], return_inverse=True)

    def left_out(width: int) -> tuple[float, float]:
        return _left_out(ridge.standardise(features[drawn, :width]), truth, len(classes), together)

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(left_out, (mean_width, features.shape[1])))
    (mean, _), (second, _) = found
    pooling: Pooling = "second-order" if found[1] > found[0] else "mean"
    return PoolingChoice(pooling, (mean, second), len(drawn))


def _left_out(
    features: np.ndarray, labels: np.ndarray, num_classes: int, groups: list[np.ndarray]
) -> tuple[float, float]:
    """Return the accuracy on left-out photographs, and minus their mean surprise."""
    # The result depends only on the photographs' inner products, so N coordinates replace D.
    values, vectors = np.linalg.eigh((features @ features.T).astype(np.float64))
    kept = values > values[-1] * 1e-9
    if not kept.any():  # all photographs are the same
        return 0.0, 0.0
    values = values[kept]
    turned = (vectors[:, kept] * np.sqrt(values)).astype(np.float32)
    spectrum = ridge.Spectrum(values, np.eye(len(values)))
    left_out = ridge.leave_out(turned, labels, num_classes, spectrum, groups)
    right = float((left_out.preferred == labels).mean())
    return right, -float(left_out.surprise.mean())
