"""A ridge head on features, and its exact scores for each photograph when that one is left out.

The features X `[N, D]` have zero mean, Y `[N, C]` is one-hot, and the head minimises
`|Y - 1 b' - X B|² + λ |B|²` over B `[D, C]` and the intercept b `[C]`, which is not shrunk. With
the eigendecomposition `X'X = V diag(s) V'`, where V is `[D, R]` and R the rank, and with `Z = X V`,

    F = H Y,    H = 1/N + Z diag(1 / (s + λ)) Z'    [N, N], of which only parts are ever computed.

Leave out a group g of m photographs, fit the head again, and let F₋g be its scores for the group.
A fit to all N photographs gives the same head if the group's targets are replaced by F₋g, because
the group's residuals are then zero and contribute nothing. H does not depend on the targets, so
`F₋g = F_g + H_gg (F₋g - Y_g)`, and

    F₋g = Y_g - (I - H_gg)⁻¹ (Y_g - F_g),    for one photograph (F_i - h_i Y_i) / (1 - h_i).

One decomposition therefore gives, for every λ, exactly the scores that would otherwise need N fits,
each without one photograph or one group of copies.

Source: R. D. Cook and S. Weisberg, Residuals and Influence in Regression, 1982, chapter 2.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from model.cache import IN_MEMORY, row_blocks
from model.heads.rows import Features

PENALTIES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
"""The values of λ that are tried, in units of the mean eigenvalue."""

MOST = 2**25
"""The most scores that are used to choose λ and the temperature: 128 MB of float32, the scores of
33,000 photographs and 1,000 classes."""

_BLOCK = 1024  # photographs whose projections are in memory at a time


def standardise(features: np.ndarray) -> np.ndarray:
    """Shift and scale each feature to mean 0 and standard deviation 1; constant features become 0.

    Args:
        features: `[N, D]`.

    Returns:
        float32 `[N, D]`.
    """
    features = features.astype(np.float32)
    features -= features.mean(axis=0, dtype=np.float64).astype(np.float32)
    deviation = features.std(axis=0, dtype=np.float64).astype(np.float32)
    features /= np.where(deviation > 1e-6, deviation, np.float32(np.inf))
    return features


@dataclass(frozen=True)
class Spectrum:
    """The eigendecomposition of `X'X`.

    Attributes:
        values: Eigenvalues above 0 in ascending order, float64 `[R]`.
        vectors: Eigenvectors, float64 `[D, R]`.
    """

    values: np.ndarray
    vectors: np.ndarray

    @classmethod
    def of(cls, features: Features) -> "Spectrum":
        """Decompose the smaller matrix: `X X'` if there are fewer photographs than features.

        Args:
            features: float32 `[N, D]` with zero mean.

        Returns:
            The decomposition of `X'X`.
        """
        count, dim = features.shape
        if count < dim:
            wide = features[:].astype(np.float64)
            values, left = np.linalg.eigh(wide @ wide.T)
            kept = values > values[-1] * 1e-9
            return cls(values[kept], wide.T @ (left[:, kept] / np.sqrt(values[kept])))
        gram = np.zeros((dim, dim))
        for start in range(0, count, _BLOCK):
            block = features[start : start + _BLOCK].astype(np.float64)
            gram += block.T @ block
        values, vectors = np.linalg.eigh(gram)
        kept = values > values[-1] * 1e-9
        return cls(values[kept], vectors[:, kept])

    def project(self, features: np.ndarray, dim: int) -> np.ndarray:
        """Return the photographs' first principal components.

        Args:
            features: `[N, D]`.
            dim: Number of components, at most R.

        Returns:
            float32 `[N, min(dim, R)]`.
        """
        return features @ self.vectors[:, -dim:].astype(np.float32)


@dataclass(frozen=True)
class LeftOut:
    """The head's answer for each photograph when it is fitted without the photograph's group.

    Attributes:
        preferred: int64 `[N]`, the class with the highest score.
        preferred_alone: int64 `[N]`, the same if only the photograph is left out and its copies
            stay.
        surprise: float32 `[N]`, minus the log of the label's probability, at the temperature that
            fits best.
        rival: float32 `[N]`, the log of the highest probability of any other class.
        penalty: The λ with the best accuracy.
    """

    preferred: np.ndarray
    preferred_alone: np.ndarray
    surprise: np.ndarray
    rival: np.ndarray
    penalty: float


class LeaveOut:
    """All heads that are fitted without one photograph or one group."""

    def __init__(
        self,
        features: Features,
        labels: np.ndarray,
        num_classes: int,
        spectrum: Spectrum,
        groups: list[np.ndarray],
    ) -> None:
        """Compute what all values of λ share; the arguments are those of `leave_out`."""
        count = len(features)
        self._features, self._labels, self._num_classes = features, labels, num_classes
        self._vectors, self._groups = spectrum.vectors, groups
        unit = float(spectrum.values.mean()) if len(spectrum.values) else 1.0
        self.penalties = unit * np.array(PENALTIES)
        self._inverses = 1 / (spectrum.values[:, None] + self.penalties)  # [R, L]
        self._leverages = np.empty((count, len(self.penalties)))
        for start in range(0, count, _BLOCK):
            block = features[start : start + _BLOCK].astype(np.float64) @ spectrum.vectors
            self._leverages[start : start + _BLOCK] = 1 / count + block**2 @ self._inverses
        self._group_of = np.full(count, -1)
        for number, group in enumerate(groups):
            self._group_of[group] = number
        in_groups = 8 * sum(map(len, groups)) * len(spectrum.values)
        self._projected = list(map(self._project, groups)) if in_groups <= IN_MEMORY else None
        self._shares = np.bincount(labels, minlength=num_classes).astype(np.float32)
        self._shares /= np.float32(count)
        self._moments = spectrum.vectors.T @ self._sums().astype(np.float64)  # [R, C]

    def _project(self, group: np.ndarray) -> np.ndarray:
        return self._features[group].astype(np.float64) @ self._vectors

    def _sums(self) -> np.ndarray:
        """Sum the features of each class, float32 `[D, C]`."""
        sums = np.zeros((self._features.shape[1], self._num_classes), np.float32)
        for rows in row_blocks(len(self._labels), self._num_classes):
            present = np.arange(self._num_classes)
            if rows != slice(0, len(self._labels)):  # a block may hold few of the classes
                present = np.unique(self._labels[rows])
            inside = self._labels[rows, None] == present
            sums[:, present] += self._features[rows].T @ inside.astype(np.float32)
        return sums

    def weights(self, column: int) -> np.ndarray:
        """Return the head that is fitted to all photographs, float32 `[D, C]`.

        Args:
            column: Index of the penalty in `penalties`.
        """
        weights = self._vectors @ (self._inverses[:, column, None] * self._moments)
        return weights.astype(np.float32)

    def scores(
        self, column: int, weights: np.ndarray, rows: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Score photographs by the heads that are fitted without them.

        Args:
            column: Index of the penalty in `penalties`.
            weights: The result of `weights` for this column.
            rows: The photographs' numbers in ascending order, int64 `[n]`.

        Returns:
            Scores with the whole group left out, and with the photograph alone left out, float32
            `[n, C]` each.
        """
        targets = _one_hot(self._labels[rows], self._num_classes)
        fitted = self._shares + self._features[rows] @ weights
        own = self._leverages[rows, column, None]
        alone = ((fitted - own * targets) / (1 - own)).astype(np.float32)
        scores = alone.copy()
        for number in np.unique(self._group_of[rows]):
            if number < 0:
                continue
            group = self._groups[number]
            places = np.minimum(np.searchsorted(rows, group), len(rows) - 1)
            inside = rows[places] == group
            of_group = fitted[places]
            if not inside.all():
                of_group = self._shares + self._features[group] @ weights
            projected = self._projected[number] if self._projected else self._project(group)
            hat = 1 / len(self._labels) + (projected * self._inverses[:, column]) @ projected.T
            truth = _one_hot(self._labels[group], self._num_classes)
            residuals = (truth - of_group).astype(np.float64)
            found = truth - np.linalg.solve(np.eye(len(group)) - hat, residuals)
            scores[places[inside]] = found[inside]
        return scores, alone


def _one_hot(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Return targets, float32 `[n, C]`."""
    targets = np.zeros((len(labels), num_classes), np.float32)
    targets[np.arange(len(labels)), labels] = 1
    return targets


def leave_out(
    features: Features,
    labels: np.ndarray,
    num_classes: int,
    spectrum: Spectrum,
    groups: list[np.ndarray],
    *,
    most: int = MOST,
) -> LeftOut:
    """Score every photograph by the head fitted without it and its copies.

    Args:
        features: float32 `[N, D]` with zero mean; they are read in blocks.
        labels: int64 `[N]`.
        num_classes: C.
        spectrum: Eigendecomposition of the features.
        groups: Indices of photographs that are left out together, each int64 `[m]`, m at least 2.
        most: The most scores (photographs times classes) used to choose λ and the temperature.

    Returns:
        The answers for the λ of `PENALTIES` with the best accuracy. If there are more than `most`
        scores, λ and the temperature are chosen on a random subset of the photographs.
    """
    heads, count = LeaveOut(features, labels, num_classes, spectrum, groups), len(labels)
    drawn = np.arange(count)
    if count * num_classes > most:
        asked = max(1, most // num_classes)
        drawn = np.sort(np.random.default_rng(0).permutation(count)[:asked])

    def tried(column: int) -> tuple[float, int, np.ndarray, np.ndarray]:
        """Return the accuracy with a penalty, its column, and both results of `scores`."""
        weights = heads.weights(column)
        blocks = row_blocks(len(drawn), num_classes)
        found = [heads.scores(column, weights, drawn[block]) for block in blocks]
        scores, alone = (np.concatenate(part) for part in zip(*found, strict=True))
        return float((scores.argmax(axis=1) == labels[drawn]).mean()), column, scores, alone

    # `max` prefers the first, strongest of equally accurate penalties, and holds two at a time.
    strongest_first = range(len(PENALTIES) - 1, -1, -1)
    _, best, scores, alone = max(map(tried, strongest_first), key=lambda found: found[0])
    scale = _scale(scores, labels[drawn])
    parts, weights = [], heads.weights(best)
    for block in row_blocks(count, num_classes):
        if len(drawn) == count:
            of_block = scores[block], alone[block]
        else:
            of_block = heads.scores(best, weights, np.arange(block.start, block.stop))
        surprise, rival = _surprise(of_block[0] * scale, labels[block])
        parts.append((*(found.argmax(axis=1) for found in of_block), surprise, rival))
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    return LeftOut(*columns, penalty=float(heads.penalties[best]))


def _scale(scores: np.ndarray, labels: np.ndarray) -> np.float32:
    """Find the factor that turns scores into logits with the least mean surprise."""
    from scipy.optimize import minimize_scalar

    def surprise(log_scale: float) -> float:
        scale = np.exp(log_scale)
        found = [
            _surprise(scores[rows] * scale, labels[rows])[0] for rows in row_blocks(*scores.shape)
        ]
        return float(np.concatenate(found).mean())

    found = minimize_scalar(surprise, bounds=(-3, 6), method="bounded", options={"xatol": 0.05})
    return np.float32(np.exp(found.x))


def _surprise(logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return minus each label's log-probability, and the highest of the other classes."""
    from scipy.special import log_softmax

    found, rows = log_softmax(logits, axis=1), np.arange(len(labels))
    surprise = -found[rows, labels]
    found[rows, labels] = -np.inf
    return surprise, found.max(axis=1)


def fit_and_score(
    features: Features,
    labels: np.ndarray,
    num_classes: int,
    penalty: float,
    train: np.ndarray,
    others: np.ndarray,
) -> Iterator[np.ndarray]:
    """Fit the head to some photographs and score others.

    Args:
        features: float32 `[N, D]`; they are read in blocks.
        labels: int64 `[N]`.
        num_classes: C.
        penalty: λ, above 0.
        train: Row numbers of the photographs that the head is fitted to.
        others: Row numbers of the M photographs that are scored.

    Yields:
        Scores of `others`, in their order, in blocks of float32 `[m, C]`.
    """
    count, dim = len(train), features.shape[1]
    total = np.zeros(dim)
    for rows in row_blocks(count, dim):
        total += features[train[rows]].sum(axis=0, dtype=np.float64)
    mean = (total / count).astype(np.float32)
    intercept = np.bincount(labels[train], minlength=num_classes).astype(np.float32)
    intercept /= np.float32(count)
    gram, moments = np.zeros((dim, dim)), np.zeros((dim, num_classes))
    for start in range(0, count, _BLOCK):
        chosen = train[start : start + _BLOCK]
        block = features[chosen] - mean
        gram += block.T @ block
        moments += block.T @ (_one_hot(labels[chosen], num_classes) - intercept)
    gram[np.diag_indices(dim)] += penalty
    weights = np.linalg.solve(gram, moments).astype(np.float32)
    for rows in row_blocks(len(others), max(num_classes, dim)):
        yield intercept + (features[others[rows]] - mean) @ weights
