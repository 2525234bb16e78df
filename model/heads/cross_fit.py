"""Logits of validation photographs that none of them had a say in."""

import numpy as np

from model.cache import Scratch
from model.heads.head import surprises

FOLDS = 5
"""Parts of the validation photographs in cross-fitting."""


def fold_numbers(count: int, seed: int, groups: np.ndarray | None = None) -> np.ndarray:
    """Deal photographs into `FOLDS` parts, with as many groups in each as can be.

    Args:
        count: Photographs.
        seed: Seed of the deal.
        groups: int64 `[count]`: photographs with one number come into one part; None where each
            stands alone.

    Returns:
        int64 `[count]`, the numbers of the parts.
    """
    units = np.arange(count) if groups is None else np.unique(groups, return_inverse=True)[1]
    dealt = int(units.max()) + 1 if count else 0
    return (np.random.default_rng(seed).permutation(dealt) % min(FOLDS, max(1, dealt)))[units]


class CrossFit:
    """Logits of photographs from the epoch that the *other* photographs chose.

    The best epoch is chosen on `valid`, so its logits there are too good to calibrate with. Each
    part of `valid` is given the logits of the epoch that is best on the other parts. Kept are one
    epoch's logits, not all epochs'.
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
            groups: As `fold_numbers`.
            scratch: Makes the array of logits.

        Raises:
            OSError: As `Scratch.array`.
        """
        self.labels = labels
        self.folds = fold_numbers(len(labels), seed, groups)
        self.logits = (scratch or Scratch()).array((len(labels), num_classes), np.float32)
        self._best: list[tuple[float, float]] = [(-1.0, 0.0)] * (int(self.folds.max()) + 1)

    def add(self, logits: np.ndarray) -> tuple[float, float]:
        """Take an epoch's logits.

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
