"""Which training photographs stand for a confusion."""

import numpy as np

from model.explain.evidence import Evidence
from model.explain.look_alikes import look_alikes


def evidence(embedding: list[list[float]], labels: list[int]) -> Evidence:
    count = len(labels)
    signatures = np.zeros((count, 32), np.uint8)
    names = [f"{number}.jpg" for number in range(count)]
    return Evidence.build(
        np.array(embedding, float), np.array(labels), ["ab" * 32] * count, names, signatures
    )


def test_those_nearest_to_the_other_class_come_first():
    kept = evidence([[1, 0], [1, 1], [1, 3], [0, 1], [0.1, 1]], [0, 0, 0, 1, 1])
    assert look_alikes(kept, 0, 1, 2) == [2, 1]
    assert look_alikes(kept, 1, 0, 5) == [4, 3]


def test_a_class_without_training_photographs_has_none_and_orders_none():
    kept = evidence([[1, 0], [1, 1]], [0, 0])
    assert look_alikes(kept, 1, 0, 3) == []
    assert look_alikes(kept, 0, 1, 3) == [0, 1]
