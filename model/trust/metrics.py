"""Metrics: pure functions of logits and labels."""

from collections import Counter
from typing import Any

import numpy as np

from model.cache import row_blocks
from model.heads.head import cross_entropy

MAX_MATRIX = 1000
"""The most classes for which the whole confusion matrix is kept. A cell takes 8 bytes in JSON, so
1,000 classes take 8 MB, but 10,000 classes would take 800 MB of nearly nothing but zeros."""

MAX_PAIRS = 50_000
"""The most confused pairs of classes that are kept for a split. A pair takes up to 35 bytes in
JSON, and metrics.json may hold only a limited number of lists when it is read."""


def softmax(logits: np.ndarray) -> np.ndarray:
    """Turn logits into probabilities along the last axis."""
    # scipy.special's gives the same values, but its import adds a fifth to the time of `predict`.
    shares = logits - logits.max(axis=-1, keepdims=True)
    np.exp(shares, out=shares)
    shares /= shares.sum(axis=-1, keepdims=True)
    return shares


def topk_accuracy(logits: np.ndarray, labels: np.ndarray, k: int) -> float:
    """Return the share of photographs whose label is among the k highest logits.

    Args:
        logits: `[N, C]`.
        labels: int64 `[N]`.
        k: Number of logits; values above C count as C.

    Returns:
        Accuracy, 0-1.
    """
    # Counting the classes ahead of the label is twenty times as fast as sorting all classes.
    ranks = np.empty(len(labels), np.int64)
    for rows in row_blocks(*logits.shape):
        ranks[rows] = _ranks(logits[rows], labels[rows])
    return float((ranks < k).mean())


def _ranks(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Count the classes ahead of each label, int `[N]`; of equal logits, the first is ahead."""
    logits = np.where(np.isnan(logits), np.inf, logits)  # argmax also treats NaN as the highest
    own = logits[np.arange(len(labels)), labels][:, None]
    before = np.arange(logits.shape[1]) < labels[:, None]
    return ((logits > own) | ((logits == own) & before)).sum(axis=1)


def classification_metrics(
    logits: np.ndarray, labels: np.ndarray, class_ids: list[str]
) -> dict[str, Any]:
    """Measure the accuracy and loss of a split, as a whole and by class.

    Args:
        logits: `[N, C]`.
        labels: int64 `[N]`.
        class_ids: C class ids.

    Returns:
        `photographs`, `top1`, `top5` (0-1), `loss` (nats), and the results of `class_figures`.
    """
    return {
        "photographs": len(labels),
        "top1": topk_accuracy(logits, labels, 1),
        "top5": topk_accuracy(logits, labels, 5),
        "loss": cross_entropy(logits, labels),
        **class_figures(labels, logits.argmax(axis=1), class_ids),
    }


def class_figures(
    labels: np.ndarray, predicted: np.ndarray, class_ids: list[str]
) -> dict[str, Any]:
    """Measure each class of a split, and count the confusions between classes.

    Args:
        labels: int64 `[N]`.
        predicted: int64 `[N]`, the most probable classes.
        class_ids: C class ids.

    Returns:
        `macro_f1` (0-1), `per_class` (`class_id`, `precision`, `recall`, `f1` and `support` of each
        class) and `confusion_matrix` (counts, `[true][predicted]`). With more than `MAX_MATRIX`
        classes, `confusions` replaces the matrix: `[true, predicted, photographs]` for each
        confused pair, or for the `MAX_PAIRS` most frequent ones.
    """
    classes = len(class_ids)
    right = np.bincount(labels[predicted == labels], minlength=classes)
    support = np.bincount(labels, minlength=classes)
    precision = right / np.maximum(np.bincount(predicted, minlength=classes), 1)
    recall = right / np.maximum(support, 1)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    per_class = [
        {
            "class_id": class_id,
            "precision": float(precision[i]),
            "recall": float(recall[i]),
            "f1": float(f1[i]),
            "support": int(support[i]),
        }
        for i, class_id in enumerate(class_ids)
    ]
    return {
        "macro_f1": float(f1[support > 0].mean()),
        "per_class": per_class,
        **_confusions(labels, predicted, classes),
    }


def _confusions(labels: np.ndarray, predicted: np.ndarray, classes: int) -> dict[str, Any]:
    pairs, counts = np.unique(np.stack([labels, predicted]), axis=1, return_counts=True)
    if classes > MAX_MATRIX:
        confused = np.stack([*pairs, counts])[:, pairs[0] != pairs[1]]
        kept = np.sort(np.argsort(-confused[2], kind="stable")[:MAX_PAIRS])
        return {"confusions": confused[:, kept].T.tolist()}
    matrix = np.zeros((classes, classes), np.int64)
    matrix[pairs[0], pairs[1]] = counts
    return {"confusion_matrix": matrix.tolist()}


def reliability(logits: np.ndarray, labels: np.ndarray, bins: int = 15) -> list[dict[str, float]]:
    """Compare the probability of the first answer with the share of first answers that are right.

    Args:
        logits: `[N, C]`; their softmax gives the probabilities.
        labels: int64 `[N]`.
        bins: Number of groups of equal size, ordered by probability; at most N.

    Returns:
        `confidence` and `accuracy` (means, 0-1) and `photographs` of each group.
    """
    confidence = np.empty(len(labels), np.result_type(logits, np.float32))
    for rows in row_blocks(*logits.shape):
        confidence[rows] = softmax(logits[rows]).max(axis=1)
    right = logits.argmax(axis=1) == labels
    groups = np.array_split(np.argsort(confidence, kind="stable"), min(bins, len(labels)))
    return [
        {
            "confidence": float(confidence[group].mean()),
            "accuracy": float(right[group].mean()),
            "photographs": len(group),
        }
        for group in groups
    ]


def expected_calibration_error(bins: list[dict[str, float]]) -> float:
    """Return the mean absolute difference between confidence and accuracy, 0-1.

    Args:
        bins: From `reliability`; groups of equal size are less biased than bins of equal width.

    Source: Naeini, Cooper and Hauskrecht, "Obtaining well calibrated probabilities using Bayesian
    binning", 2015; Nixon et al., "Measuring calibration in deep learning", 2019 (equal mass).
    """
    total = sum(group["photographs"] for group in bins)
    return sum(g["photographs"] * abs(g["confidence"] - g["accuracy"]) for g in bins) / total


def confused_pairs(figures: dict[str, Any]) -> dict[tuple[int, int], int]:
    """Count the photographs of each class that were mistaken for each other class.

    Args:
        figures: Result of `classification_metrics` for a split, with a matrix, pairs or neither.

    Returns:
        (true class, predicted class) -> photographs, without pairs that did not occur.
    """
    pairs = figures.get("confusions") or (
        (true, predicted, count)
        for true, row in enumerate(figures.get("confusion_matrix", ()))
        for predicted, count in enumerate(row)
        if count
    )
    found: Counter[tuple[int, int]] = Counter()
    for true, predicted, count in pairs:
        if true != predicted and count:
            found[true, predicted] += count
    return dict(found)


def most_confused(
    figures: dict[str, Any], names: list[str], limit: int = 10
) -> list[tuple[str, str, int]]:
    """List the pairs of classes that are confused most often.

    Args:
        figures: Result of `classification_metrics` for a split.
        names: C class names.
        limit: The most pairs.

    Returns:
        (true class, predicted class, photographs), most photographs first.
    """
    pairs = [
        (names[true], names[predicted], count)
        for (true, predicted), count in confused_pairs(figures).items()
    ]
    return sorted(pairs, key=lambda pair: (-pair[2], pair[0], pair[1]))[:limit]
