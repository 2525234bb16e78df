"""Metrics: pure functions of logits and labels."""

from typing import Any

import numpy as np
from sklearn.metrics import confusion_matrix

from model.head import cross_entropy


def softmax(logits: np.ndarray) -> np.ndarray:
    """Turn logits into probabilities along the last axis."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)


def topk_accuracy(logits: np.ndarray, labels: np.ndarray, k: int) -> float:
    """Return the share of photographs whose label is among the k highest logits.

    Args:
        logits: `[N, C]`.
        labels: int64 `[N]`.
        k: How many; more than C counts as C.

    Returns:
        Accuracy, 0-1.
    """
    best = np.argsort(-logits, axis=1, kind="stable")[:, :k]  # among equals the first, as argmax
    return float((best == labels[:, None]).any(axis=1).mean())


def metrics(logits: np.ndarray, labels: np.ndarray, class_ids: list[str]) -> dict[str, Any]:
    """Measure a split.

    Args:
        logits: `[N, C]`.
        labels: int64 `[N]`.
        class_ids: C class ids.

    Returns:
        `photographs`, `top1`, `top5`, `macro_f1` (0-1), `loss` (nats), `per_class` (one of
        `class_id`, `precision`, `recall`, `f1`, `support` each) and `confusion_matrix`
        (`[true][predicted]` counts).
    """
    indices = np.arange(len(class_ids))
    predicted = logits.argmax(axis=1)
    confusion = confusion_matrix(labels, predicted, labels=indices)
    right, support = np.diag(confusion), confusion.sum(axis=1)
    precision = right / np.maximum(confusion.sum(axis=0), 1)
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
        "photographs": len(labels),
        "top1": topk_accuracy(logits, labels, 1),
        "top5": topk_accuracy(logits, labels, 5),
        "loss": cross_entropy(logits, labels),
        "macro_f1": float(f1[support > 0].mean()),
        "per_class": per_class,
        "confusion_matrix": confusion.tolist(),
    }


def most_confused(
    confusion: list[list[int]], names: list[str], limit: int = 10
) -> list[tuple[str, str, int]]:
    """List the pairs of classes taken for one another most often.

    Args:
        confusion: `[true][predicted]` counts.
        names: C class names.
        limit: How many pairs.

    Returns:
        (true class, predicted class, photographs), most photographs first.
    """
    pairs = [
        (names[true], names[predicted], count)
        for true, row in enumerate(confusion)
        for predicted, count in enumerate(row)
        if true != predicted and count
    ]
    return sorted(pairs, key=lambda pair: (-pair[2], pair[0], pair[1]))[:limit]
