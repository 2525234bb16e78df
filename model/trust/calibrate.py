"""Temperature, prediction sets and "none of these": fitted once, and applied the same everywhere.

Training calls `fit_calibration`. Everything that answers calls `assess`: the classifier,
evaluation, and training when it measures `test`.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from model.cache import Scratch, row_blocks
from model.heads.cross_fit import fold_numbers
from model.heads.head import Head
from model.trust.levels import Levels
from model.trust.metrics import (
    classification_metrics,
    expected_calibration_error,
    reliability,
    softmax,
)
from model.trust.sets import conformal_quantile, prediction_sets, set_scores
from model.trust.temperature import fit_temperature
from model.trust.unknown import Detector, Embedding, fit_detector


@dataclass(frozen=True)
class Trust:
    """The values that are fitted on the validation photographs after the head.

    Attributes:
        temperature: Divisor of the head's logits.
        coverage: Promised share of known photographs whose set holds the right class, 0-1.
        margin: A class is in the set if its logit, divided by the temperature, is at most this far
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
        """Check the values, because someone may have edited the checkpoint they come from.

        Raises:
            ValueError: A value is out of range.
        """
        if not 1e-3 <= self.temperature <= 1e3:
            raise ValueError(f"temperature {self.temperature} is outside 0.001-1000")
        for name in ("coverage", "known_pass_rate"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)} is outside 0-1")
        if not self.margin >= 0:
            raise ValueError(f"margin {self.margin} is below 0")
        if not math.isfinite(self.unknown_threshold):
            raise ValueError(f"unknown_threshold {self.unknown_threshold} is not a number")


@dataclass(frozen=True)
class Calibration:
    """Everything that is fitted after the head and stored with it.

    Attributes:
        trust: Temperature, margin and threshold.
        detector: The scales of doubt and distance.
        embedding: The space in which distances are measured; None for the classic recipe.
        background: The class of the head's last output, which is never shown; "" if there is none.
            C counts only the classes that are shown.
    """

    trust: Trust
    detector: Detector
    embedding: Embedding | None
    background: str = ""


@dataclass(frozen=True)
class Assessment:
    """The calibrated answers of a checkpoint for N photographs.

    Attributes:
        logits: float32 `[N, C]`, divided by the temperature. Their softmax gives the probabilities,
            under the condition that the photograph shows one of the classes.
        sets: bool `[N, C]`, the prediction sets.
        unknown_scores: `[N]`; the higher, the less a photograph resembles the known ones.
        none_of_these: bool `[N]`, whether the score is above the threshold.
        embedded: float32 `[N, R]`, the photographs in the embedding; None for the classic recipe.
    """

    logits: np.ndarray
    sets: np.ndarray
    unknown_scores: np.ndarray
    none_of_these: np.ndarray
    embedded: np.ndarray | None


def shown(logits: np.ndarray, background: str) -> np.ndarray:
    """Return the logits of the classes that are shown, `[N, C]`: without the background, if any."""
    return logits[:, :-1] if background else logits


def doubt(logits: np.ndarray, background: str = "") -> np.ndarray:
    """Return minus the log of the highest probability of a class that is shown, in nats.

    A more probable background makes the doubt greater.

    Args:
        logits: `[N, C]`, or `[N, C + 1]` with a background.
        background: Name of the background class; "" if there is none.

    Returns:
        The doubt about each photograph, `[N]`.
    """
    result = np.empty(len(logits), np.result_type(logits, np.float32))
    for rows in row_blocks(*logits.shape):
        block = logits[rows]
        highest = block.max(axis=1, keepdims=True)
        log_sum = np.log(np.exp(block - highest).sum(axis=1))
        result[rows] = log_sum + (highest[:, 0] - shown(block, background).max(axis=1))
    return result


def assess(
    calibration: Calibration, head: Head, features: np.ndarray, scratch: Scratch | None = None
) -> Assessment:
    """Turn features into calibrated answers.

    Args:
        calibration: The checkpoint's calibration.
        head: The checkpoint's head.
        features: `[N, V, D]`, of the views that prediction averages; they are read in blocks.
        scratch: Creates the arrays of the answers.

    Returns:
        The answers.

    Raises:
        OSError: The disk has no room for a large array.
    """
    scratch = scratch or Scratch()
    settings, embedding = calibration.trust, calibration.embedding
    scored = scratch.array((len(features), head.num_classes), np.float32)
    head.view_logits(features, out=scored)
    scored /= np.float32(settings.temperature)
    logits = shown(scored, calibration.background)
    embedded = None
    if embedding:
        embedded = scratch.array((len(features), embedding.basis.shape[1]), np.float32)
        embedding.project(head, features, out=embedded)
    distances = embedding.distances(embedded) if embedding and embedded is not None else None
    scores = calibration.detector.score(doubt(scored, calibration.background), distances)
    sets = _sets(logits, settings.margin, scratch)
    return Assessment(logits, sets, scores, scores > settings.unknown_threshold, embedded)


def _sets(logits: np.ndarray, margin: float, scratch: Scratch) -> np.ndarray:
    """Return the prediction sets, computed in blocks."""
    sets = scratch.array(logits.shape, np.bool_)
    for rows in row_blocks(*logits.shape):
        sets[rows] = prediction_sets(logits[rows], margin)
    return sets


def fit_calibration(
    logits: np.ndarray,
    labels: np.ndarray,
    distances: np.ndarray | None,
    embedding: Embedding | None,
    *,
    coverage: float,
    known_pass_rate: float,
    background: str = "",
) -> Calibration:
    """Fit the calibration on photographs that the head was not fitted to.

    All photographs belong to classes that are shown.

    Args:
        logits: Cross-fitted logits of the head (`cross_fit.CrossFit`), `[M, C]`, or `[M, C + 1]`
            with a background; they are read in blocks.
        labels: int64 `[M]`, below C.
        distances: `[M]`, from `Embedding.distances`; None for the classic recipe.
        embedding: The embedding of the checkpoint; None for the classic recipe.
        coverage: Wanted share of photographs whose set holds the right class, 0-1.
        known_pass_rate: Wanted share of photographs that are not "none of these", 0-1.
        background: Name of the background class; "" if there is none.

    Returns:
        The calibration. If M is too small, it promises less than what was wanted.
    """
    temperature = fit_temperature(logits, labels)
    below, doubts = (np.empty(len(labels), np.result_type(logits, np.float32)) for _ in range(2))
    for rows in row_blocks(*logits.shape):
        calibrated = logits[rows] / temperature
        below[rows] = set_scores(shown(calibrated, background), labels[rows])
        doubts[rows] = doubt(calibrated, background)
    margin, promised = conformal_quantile(below, coverage)
    detector = fit_detector(doubts, distances)
    scores = detector.score(doubts, distances)
    threshold, passing = conformal_quantile(scores, known_pass_rate)
    # A score below 1 is ordinary, even if very few photographs suggest a lower threshold.
    settings = Trust(temperature, promised, margin, passing, max(threshold, 1.0))
    return Calibration(settings, detector, embedding, background)


def cross_fitted_figures(
    logits: np.ndarray,
    labels: np.ndarray,
    distances: np.ndarray | None,
    *,
    coverage: float,
    known_pass_rate: float,
    seed: int,
    groups: np.ndarray | None = None,
    background: str = "",
    levels: Levels | None = None,
    scratch: Scratch | None = None,
) -> dict[str, Any]:
    """Measure calibration on `valid` by cross-fitting: each part is calibrated on the other parts.

    Args:
        logits: `[M, C]` or `[M, C + 1]`, as in `fit_calibration`.
        labels: int64 `[M]`, below C.
        distances: `[M]`, as in `fit_calibration`; None for the classic recipe.
        coverage: Wanted share of photographs whose set holds the right class, 0-1.
        known_pass_rate: Wanted share of photographs that are not "none of these", 0-1.
        seed: Seed of the parts.
        groups: int64 `[M]`: photographs with the same number are in the same part; None if every
            photograph is a group of its own.
        background: Name of the background class; "" if there is none.
        levels: The classes and their parents; None to leave out their figures.
        scratch: Creates the arrays of calibrated logits and of sets.

    Returns:
        The result of `figures`, and of `Levels.measure` if classes have parents.

    Raises:
        OSError: The disk has no room for a large array.
    """
    scratch = scratch or Scratch()
    folds = fold_numbers(len(labels), seed, groups)
    calibrated = scratch.array(shown(logits, background).shape, logits.dtype.type)
    sets = scratch.array(calibrated.shape, np.bool_)
    unknown = np.empty(len(labels), bool)
    for fold in np.unique(folds):
        inside = folds == fold
        others = ~inside if not inside.all() else inside
        found = fit_calibration(
            scratch.take(logits, others),
            labels[others],
            None if distances is None else distances[others],
            None,
            coverage=coverage,
            known_pass_rate=known_pass_rate,
            background=background,
        )
        chosen = np.flatnonzero(inside)
        for block in row_blocks(len(chosen), logits.shape[1]):
            rows = chosen[block]
            scaled = logits[rows] / found.trust.temperature
            calibrated[rows] = shown(scaled, background)
            sets[rows] = prediction_sets(shown(scaled, background), found.trust.margin)
            far = None if distances is None else distances[rows]
            scores = found.detector.score(doubt(scaled, background), far)
            unknown[rows] = scores > found.trust.unknown_threshold
    measured = figures(calibrated, sets, unknown, labels)
    return measured | _level_figures(calibrated, labels, levels, scratch)


def figures(
    logits: np.ndarray, sets: np.ndarray, none_of_these: np.ndarray, labels: np.ndarray
) -> dict[str, Any]:
    """Measure how well a calibration keeps its promises.

    Args:
        logits: `[N, C]`, divided by the temperature.
        sets: bool `[N, C]`.
        none_of_these: bool `[N]`.
        labels: int64 `[N]`.

    Returns:
        `ece`, `reliability` (from `metrics.reliability`), `coverage`, `mean_set_size` and
        `known_pass_rate`, the share of photographs not called "none of these".
    """
    bins = reliability(logits, labels)
    return {
        "ece": expected_calibration_error(bins),
        "reliability": bins,
        "coverage": float(sets[np.arange(len(labels)), labels].mean()),
        "mean_set_size": float(sets.sum(axis=1).mean()),
        "known_pass_rate": float(1 - none_of_these.mean()),
    }


def measure(
    assessment: Assessment, labels: np.ndarray, levels: Levels, scratch: Scratch | None = None
) -> dict[str, Any]:
    """Measure a checkpoint on a split.

    Args:
        assessment: The answers for the N photographs of the split.
        labels: int64 `[N]`.
        levels: The classes and their parents.
        scratch: Creates the array of probabilities if classes have parents.

    Returns:
        The results of `classification_metrics` and `figures`, and of `Levels.measure` if classes
        have parents.

    Raises:
        OSError: The disk has no room for a large array.
    """
    return {
        **classification_metrics(assessment.logits, labels, levels.class_ids),
        **figures(assessment.logits, assessment.sets, assessment.none_of_these, labels),
        **_level_figures(assessment.logits, labels, levels, scratch or Scratch()),
    }


def _level_figures(
    logits: np.ndarray, labels: np.ndarray, levels: Levels | None, scratch: Scratch
) -> dict[str, Any]:
    """Return the result of `Levels.measure`; an empty dict if no class has a parent."""
    if not levels:
        return {}
    probabilities = scratch.array(logits.shape, logits.dtype.type)
    for rows in row_blocks(*logits.shape):
        probabilities[rows] = softmax(logits[rows])
    return levels.measure(probabilities, labels)
