"""Metrics against values worked out by hand."""

import json

import numpy as np
import pytest
import scipy.special

from model.trust.metrics import (
    MAX_MATRIX,
    MAX_PAIRS,
    class_figures,
    classification_metrics,
    confused_pairs,
    expected_calibration_error,
    most_confused,
    reliability,
    softmax,
    topk_accuracy,
)

# Six photographs, three classes. Predictions: 0 0 1 | 1 | 2 0
LABELS = np.array([0, 0, 0, 1, 2, 2])
LOGITS = np.log(
    np.array(
        [
            [0.7, 0.2, 0.1],
            [0.6, 0.1, 0.3],
            [0.2, 0.5, 0.3],
            [0.1, 0.8, 0.1],
            [0.1, 0.1, 0.8],
            [0.5, 0.4, 0.1],
        ]
    )
)


def test_metrics_are_those_worked_out_by_hand():
    found = classification_metrics(LOGITS, LABELS, ["a", "b", "c"])
    assert found["photographs"] == 6
    assert found["top1"] == pytest.approx(4 / 6)
    assert found["top5"] == 1
    assert found["confusion_matrix"] == [[2, 1, 0], [0, 1, 0], [1, 0, 1]]
    assert found["loss"] == pytest.approx(-np.log([0.7, 0.6, 0.2, 0.8, 0.8, 0.1]).mean())
    a, b, c = found["per_class"]
    assert [entry["class_id"] for entry in (a, b, c)] == ["a", "b", "c"]
    assert [entry["support"] for entry in (a, b, c)] == [3, 1, 2]
    assert (a["precision"], a["recall"]) == pytest.approx((2 / 3, 2 / 3))
    assert (b["precision"], b["recall"]) == pytest.approx((1 / 2, 1))
    assert (c["precision"], c["recall"]) == pytest.approx((1, 1 / 2))
    assert [entry["f1"] for entry in (a, b, c)] == pytest.approx([2 / 3] * 3)
    assert found["macro_f1"] == pytest.approx(2 / 3)


def test_metrics_are_plain_json_values():
    import json

    found = classification_metrics(LOGITS.astype(np.float32), LABELS, ["a", "b", "c"])
    assert json.loads(json.dumps(found)) == found


def test_a_class_without_photographs_counts_for_nothing():
    found = classification_metrics(np.eye(3)[[0, 1]] * 5, np.array([0, 1]), ["a", "b", "never"])
    assert found["macro_f1"] == 1
    never = found["per_class"][2]
    assert (never["precision"], never["recall"], never["support"]) == (0, 0, 0)


def test_topk_counts_the_k_highest():
    logits = np.array([[5, 4, 3, 2, 1, 0]] * 3)
    labels = np.array([0, 2, 5])
    found = [topk_accuracy(logits, labels, k) for k in (1, 2, 3, 5, 6, 99)]
    assert found == pytest.approx([1 / 3, 1 / 3, 2 / 3, 2 / 3, 1, 1])


def test_a_head_that_says_the_same_of_all_classes_is_not_right():
    # All logits equal, or not numbers at all: top-1 is what the confusion matrix shows.
    labels = np.array([0, 1, 2, 3])
    for value in (0.0, np.nan):
        found = classification_metrics(np.full((4, 4), value), labels, list("abcd"))
        diagonal = np.trace(np.array(found["confusion_matrix"]))
        assert found["top1"] == diagonal / 4 == 0.25


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_softmax_is_scipys_and_does_not_overflow(dtype: type):
    logits = (8 * np.random.default_rng(0).normal(size=(500, 102))).astype(dtype)
    logits[0, 0], logits[1] = 1e4, -1e4
    expected = scipy.special.softmax(logits, axis=-1)
    np.testing.assert_allclose(softmax(logits), expected, rtol=1e-6)
    np.testing.assert_allclose(softmax(logits[2]), expected[2], rtol=1e-6)
    assert np.isfinite(softmax(logits)).all()


def test_confused_pairs_are_the_same_from_a_matrix_and_from_a_list():
    pairs = {(0, 1): 2, (2, 0): 1}
    assert confused_pairs({"confusion_matrix": [[5, 2, 0], [0, 4, 0], [1, 0, 3]]}) == pairs
    assert confused_pairs({"confusions": [[0, 1, 2], [2, 0, 1], [1, 1, 9], [1, 2, 0]]}) == pairs
    assert confused_pairs({}) == {}


def test_most_confused_pairs_come_first_and_diagonals_never():
    figures = {"confusion_matrix": [[9, 2, 0], [5, 9, 1], [0, 2, 9]]}
    names = ["a", "b", "c"]
    assert most_confused(figures, names) == [
        ("b", "a", 5),
        ("a", "b", 2),
        ("c", "b", 2),
        ("b", "c", 1),
    ]
    assert most_confused(figures, names, limit=1) == [("b", "a", 5)]
    assert most_confused({"confusion_matrix": [[3, 0], [0, 3]]}, ["a", "b"]) == []


def test_of_very_many_classes_only_the_pairs_that_were_confused_are_kept():
    classes = MAX_MATRIX + 1
    labels, predicted = np.array([0, 0, 0, 7, 7, 1000]), np.array([3, 3, 0, 7, 1, 1000])
    found = classification_metrics(
        np.eye(classes)[predicted], labels, [str(number) for number in range(classes)]
    )
    assert "confusion_matrix" not in found
    assert found["confusions"] == [[0, 3, 2], [7, 1, 1]]
    names = [f"class {number}" for number in range(classes)]
    assert most_confused(found, names) == [("class 0", "class 3", 2), ("class 7", "class 1", 1)]
    assert len(json.dumps(found)) < 150 * classes
    assert [found["per_class"][label]["recall"] for label in (0, 7, 1000)] == [1 / 3, 1 / 2, 1]


def test_reliability_has_bins_of_equally_many_photographs():
    logits = np.random.default_rng(0).normal(size=(150, 4))
    bins = reliability(logits, np.zeros(150, np.int64))
    assert [group["photographs"] for group in bins] == [10] * 15
    assert [g["confidence"] for g in bins] == sorted(g["confidence"] for g in bins)


def test_calibration_error_is_the_gap_between_confidence_and_accuracy():
    logits = np.log(np.array([[0.8, 0.2]] * 10))
    labels = np.array([0] * 6 + [1] * 4)
    bins = reliability(logits, labels, bins=1)
    assert expected_calibration_error(bins) == pytest.approx(0.2)


def test_topk_counts_as_a_stable_sort_does():
    rng = np.random.default_rng(0)
    logits, labels = rng.integers(0, 4, (3000, 12)).astype(np.float32), rng.integers(0, 12, 3000)
    order = np.argsort(-logits, axis=1, kind="stable")
    for k in (1, 3, 5):
        assert topk_accuracy(logits, labels, k) == (order[:, :k] == labels[:, None]).any(1).mean()


def test_the_figures_of_10_000_classes_are_a_few_megabytes():
    labels = np.repeat(np.arange(10_000), 2)
    predicted = np.where(np.arange(20_000) % 2, labels, (labels + 7) % 10_000)
    found = class_figures(labels, predicted, [f"class {number}" for number in range(10_000)])
    assert len(found["confusions"]) == 10_000 and "confusion_matrix" not in found
    assert len(json.dumps(found, indent=1)) < 3_000_000


def test_of_very_many_confused_pairs_those_with_most_photographs_are_kept():
    classes, others = MAX_MATRIX + 1, 60
    labels = np.repeat(np.arange(classes), others)
    predicted = (labels + np.tile(np.arange(1, others + 1), classes)) % classes
    labels, predicted = np.append(labels, classes - 1), np.append(predicted, 3)
    found = class_figures(labels, predicted, [str(number) for number in range(classes)])
    pairs = found["confusions"]
    assert classes * others > len(pairs) == MAX_PAIRS
    assert [classes - 1, 3, 2] in pairs and pairs == sorted(pairs)
