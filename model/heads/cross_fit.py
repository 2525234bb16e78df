"""Logits of validation photographs from epochs that were chosen without these photographs."""

import numpy as np

from model.cache import Scratch
from model.heads.head import surprises

FOLDS = 5
"""Parts of the validation photographs in cross-fitting."""


def fold_numbers(count: int, seed: int, groups: np.ndarray | None = None) -> np.ndarray:
    """Divide photographs into `FOLDS` random parts that hold about equally many groups.

    Args:
        count: Photographs.
        seed: Seed of the random division.
        groups: int64 `[count]`: photographs with the same number go into the same part; None if
            every photograph is a group of its own.

    Returns:
        int64 `[count]`, the part of each photograph, from 0.
    """
    units = np.arange(count) if groups is None else np.unique(groups, return_inverse=True)[1]
    dealt = int(units.max()) + 1 if count else 0
    return (np.random.default_rng(seed).permutation(dealt) % min(FOLDS, max(1, dealt)))[units]


class CrossFit:
    """Collects, for each photograph, the logits of the epoch that is best on *other* photographs.

    The best epoch is chosen on `valid`, so its logits on `valid` are too good to calibrate with.
    Therefore each part of `valid` gets the logits of the epoch that is best on the other parts.
    Only one set of logits is kept, not one for each epoch.
    """

    def __init__(
        self,
        labels: np.ndarray,
        num_classes: int,
        seed: int,
        groups: np.ndarray | None = None,
        scratch: Scratch | None = None,
    ) -> None:
        """Start before the first epoch.

        Args:
            labels: int64 `[M]`.
            num_classes: C.
            seed: Seed of the parts.
            groups: int64 `[M]`, groups of photographs that stay together, as in `fold_numbers`.
            scratch: Creates the array of logits.

        Raises:
            OSError: The disk has no room for the array.
        """
        self.labels = labels
        self.folds = fold_numbers(len(labels), seed, groups)
        self.logits = (scratch or Scratch()).array((len(labels), num_classes), np.float32)
        self._best: list[tuple[float, float]] = [(-1.0, 0.0)] * (int(self.folds.max()) + 1)

    def add(self, logits: np.ndarray) -> tuple[float, float]:
        """Compare an epoch with the best so far, and keep its logits where it is better.

        Args:
            logits: float32 `[M, C]`.

        Returns:
            Their mean cross-entropy in nats, and their accuracy, 0-1.
        """
        right = logits.argmax(axis=1) == self.labels
        losses = surprises(logits, self.labels)
        better = []
        for fold, best in enumerate(self._best):
            inside = self.folds == fold
            others = ~inside if len(self._best) > 1 else inside
            score = (float(right[others].mean()), -float(losses[others].mean()))
            if score > best:
                self._best[fold] = score
                better.append(fold)
        np.copyto(self.logits, logits, where=np.isin(self.folds, better)[:, None])
        return float(losses.mean()), float(right.mean())
