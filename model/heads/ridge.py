"""A ridge head on features, and what it says of each photograph when that one is left out.

The features X `[N, D]` have zero mean, Y `[N, C]` is one-hot, and the head minimises
`|Y - 1 b' - X B|² + λ |B|²` over B `[D, C]` and the intercept b `[C]`, which is not shrunk. With
the eigendecomposition `X'X = V diag(s) V'`, where V is `[D, R]` and R the rank, and with `Z = X V`,

    F = H Y,    H = 1/N + Z diag(1 / (s + λ)) Z'    [N, N], of which only parts are ever computed.

Leave a group g of m photographs out, fit again, and call what that head says of them F₋g. It is
also the fit to all N when the group's targets are replaced by F₋g itself, as those residuals are
then zero and change nothing. H does not depend on targets, so `F₋g = F_g + H_gg (F₋g - Y_g)`, and

    F₋g = Y_g - (I - H_gg)⁻¹ (Y_g - F_g),    for one photograph (F_i - h_i Y_i) / (1 - h_i).

One decomposition therefore gives, for every λ, what N fits without one photograph (or one group of
copies) each would give, exactly.

Source: R. D. Cook and S. Weisberg, Residuals and Influence in Regression, 1982, chapter 2.
"""

from dataclasses import dataclass

import numpy as np

PENALTIES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
"""The λ tried, in units of the mean eigenvalue."""

_BLOCK = 1024  # photographs whose projections are in memory at a time


def standardise(features: np.ndarray) -> np.ndarray:
    """Shift and scale each feature to mean 0 and standard deviation 1; a constant one to 0.

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
        values: float64 `[R]`, above 0, ascending.
        vectors: float64 `[D, R]`.
    """

    values: np.ndarray
    vectors: np.ndarray

    @classmethod
    def of(cls, features: np.ndarray) -> "Spectrum":
        """Decompose on the smaller side: `X'X`, or with fewer photographs than features `X X'`.

        Args:
            features: float32 `[N, D]` with zero mean.
        """
        count, dim = features.shape
        if count < dim:
            wide = features.astype(np.float64)
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
            dim: How many, at most R.

        Returns:
            float32 `[N, min(dim, R)]`.
        """
        return features @ self.vectors[:, -dim:].astype(np.float32)


@dataclass(frozen=True)
class LeftOut:
    """What the head says of each photograph when its group is left out.

    Attributes:
        scores: float32 `[N, C]`.
        scores_alone: float32 `[N, C]`; only the photograph itself is left out, its copies stay.
        log_probabilities: float32 `[N, C]`, of `scores`, at the temperature that fits best.
        penalty: The λ with the best accuracy.
    """

    scores: np.ndarray
    scores_alone: np.ndarray
    log_probabilities: np.ndarray
    penalty: float


def leave_out(
    features: np.ndarray,
    labels: np.ndarray,
    num_classes: int,
    spectrum: Spectrum,
    groups: list[np.ndarray],
) -> LeftOut:
    """Score every photograph by the head fitted without it and its copies.

    Args:
        features: float32 `[N, D]` with zero mean.
        labels: int64 `[N]`.
        num_classes: C.
        spectrum: Of the features.
        groups: Indices of photographs to be left out together, each int64 `[m]`, m at least 2.

    Returns:
        The scores for the λ of `PENALTIES` with the best accuracy.
    """
    count = len(features)
    targets = np.eye(num_classes, dtype=np.float32)[labels]
    unit = float(spectrum.values.mean()) if len(spectrum.values) else 1.0
    penalties = unit * np.array(PENALTIES)
    inverses = 1 / (spectrum.values[:, None] + penalties)  # [R, L]
    leverages = np.empty((count, len(penalties)))
    for start in range(0, count, _BLOCK):
        block = features[start : start + _BLOCK].astype(np.float64) @ spectrum.vectors
        leverages[start : start + _BLOCK] = 1 / count + block**2 @ inverses
    projected = [features[group].astype(np.float64) @ spectrum.vectors for group in groups]
    moments = spectrum.vectors.T @ (features.T @ targets).astype(np.float64)  # [R, C]

    def left_out(column: int) -> tuple[float, np.ndarray, np.ndarray, float]:
        """Return accuracy, scores, scores alone and λ."""
        weights = spectrum.vectors @ (inverses[:, column, None] * moments)
        fitted = targets.mean(axis=0) + features @ weights.astype(np.float32)
        own = leverages[:, column, None]
        alone = ((fitted - own * targets) / (1 - own)).astype(np.float32)
        scores = alone.copy()
        for group, rows in zip(groups, projected, strict=True):
            hat = 1 / count + (rows * inverses[:, column]) @ rows.T
            residuals = (targets[group] - fitted[group]).astype(np.float64)
            scores[group] = targets[group] - np.linalg.solve(np.eye(len(group)) - hat, residuals)
        accuracy = float((scores.argmax(axis=1) == labels).mean())
        return accuracy, scores, alone, float(penalties[column])

    # Among equals the strongest; two columns' scores are in memory at a time.
    strongest_first = range(len(penalties) - 1, -1, -1)
    best = max(map(left_out, strongest_first), key=lambda found: found[0])
    _, scores, alone, penalty = best
    return LeftOut(scores, alone, _log_probabilities(scores, labels), penalty)


def _log_probabilities(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Turn scores into log-probabilities at the temperature with the least mean surprise."""
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    rows = np.arange(len(labels))

    def surprise(log_scale: float) -> float:
        return -float(log_softmax(scores * np.exp(log_scale), axis=1)[rows, labels].mean())

    found = minimize_scalar(surprise, bounds=(-3, 6), method="bounded", options={"xatol": 0.05})
    return log_softmax(scores * np.float32(np.exp(found.x)), axis=1)


def fit_and_score(
    features: np.ndarray, labels: np.ndarray, num_classes: int, penalty: float, others: np.ndarray
) -> np.ndarray:
    """Fit the head to photographs and score others.

    Args:
        features: float32 `[N, D]`.
        labels: int64 `[N]`.
        num_classes: C.
        penalty: λ, above 0.
        others: float32 `[M, D]`.

    Returns:
        float32 `[M, C]`.
    """
    mean = features.mean(axis=0, dtype=np.float64).astype(np.float32)
    targets = np.eye(num_classes, dtype=np.float32)[labels]
    intercept = targets.mean(axis=0)
    dim = features.shape[1]
    gram, moments = np.zeros((dim, dim)), np.zeros((dim, num_classes))
    for start in range(0, len(features), _BLOCK):
        block = features[start : start + _BLOCK] - mean
        gram += block.T @ block
        moments += block.T @ (targets[start : start + _BLOCK] - intercept)
    gram[np.diag_indices(dim)] += penalty
    weights = np.linalg.solve(gram, moments)
    return intercept + (others - mean) @ weights.astype(np.float32)
