"""Training photographs that show why two classes are confused."""

import numpy as np

from model.explain.evidence import ROWS, Evidence


def look_alikes(evidence: Evidence, label: int, other: int, count: int) -> list[int]:
    """Find the training photographs of a class that most resemble another class.

    Args:
        evidence: The training photographs.
        label: The class of the photographs, as an index.
        other: The class whose mean embedding they are compared with.
        count: The most photographs.

    Returns:
        Indices of the photographs, the most similar first. Only the first `ROWS` photographs of
        each class are considered.
    """
    numbers, others = (np.flatnonzero(evidence.labels == one)[:ROWS] for one in (label, other))
    if not len(others):
        return numbers[:count].tolist()
    mean = _embeddings(evidence, others).mean(axis=0)
    likeness = _embeddings(evidence, numbers) @ mean
    return numbers[np.argsort(-likeness, kind="stable")[:count]].tolist()


def _embeddings(evidence: Evidence, numbers: np.ndarray) -> np.ndarray:
    return evidence.vectors[numbers].astype(np.float32) * evidence.scales[numbers, None]
