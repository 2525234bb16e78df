from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model import cache
from model.cache import Scratch
from model.heads.head import Head
from model.trust import calibrate
from model.trust.levels import Levels
from model.trust.metrics import expected_calibration_error, reliability, softmax
from model.trust.unknown import fit_embedding


def sharp(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits three times too sharp for how often they are right."""
    rng = np.random.default_rng(seed)
    honest = rng.normal(0, 2, (count, 4))
    labels = np.array([rng.choice(4, p=row) for row in softmax(honest)])
    return 3 * honest, labels


def test_calibration_lowers_the_error_of_probabilities():
    logits, labels = sharp(2000, 0)
    before = expected_calibration_error(reliability(logits, labels))
    figures = calibrate.cross_fitted_figures(
        logits, labels, None, coverage=0.9, known_pass_rate=0.95, seed=0
    )
    assert before > 0.15
    assert figures["ece"] < 0.04


def test_what_is_promised_holds_on_photographs_that_were_not_used():
    (logits, labels), (fresh, fresh_labels) = sharp(2000, 0), sharp(2000, 1)
    found = calibrate.fit_calibration(
        logits, labels, None, None, coverage=0.9, known_pass_rate=0.95
    )
    calibrated = fresh / found.trust.temperature
    scores = found.detector.score(calibrate.doubt(calibrated), None)
    sets = calibrate.prediction_sets(calibrated, found.trust.margin)
    figures = calibrate.figures(
        calibrated, sets, scores > found.trust.unknown_threshold, fresh_labels
    )
    assert figures["coverage"] == pytest.approx(0.9, abs=0.025)
    assert figures["known_pass_rate"] == pytest.approx(0.95, abs=0.02)
    assert 1 <= figures["mean_set_size"] <= 4


def test_cross_fitted_figures_do_not_flatter_a_threshold_fitted_on_the_same_photographs():
    logits, labels = sharp(20, 2)
    figures = calibrate.cross_fitted_figures(
        logits, labels, None, coverage=0.5, known_pass_rate=0.5, seed=0
    )
    assert 0 < figures["coverage"] <= 1
    assert sum(group["photographs"] for group in figures["reliability"]) == 20


def test_figures_of_levels_are_cross_fitted_as_the_others_are():
    logits, labels = sharp(300, 4)
    levels = Levels(list("abcd"), list("abcd"), [("x",), ("x",), (), ()])
    options: dict[str, Any] = {"coverage": 0.9, "known_pass_rate": 0.95}
    found = calibrate.cross_fitted_figures(logits, labels, None, **options, seed=0, levels=levels)
    before = levels.measure(softmax(logits), labels)
    assert [row["nodes"] for row in found["levels"]] == [3, 4]
    assert before["answered_right"] < 0.75 < 0.85 < found["answered_right"]
    together = np.zeros(300, np.int64)  # one part, which can but calibrate itself
    in_sample = calibrate.cross_fitted_figures(
        logits, labels, None, **options, seed=0, levels=levels, groups=together
    )
    temperature = calibrate.fit_calibration(logits, labels, None, None, **options).trust.temperature
    assert in_sample["levels"] == levels.measure(softmax(logits / temperature), labels)["levels"]


def test_one_validation_photograph_is_enough_to_go_on():
    logits, labels = sharp(1, 3)
    found = calibrate.fit_calibration(
        logits, labels, np.ones(1), None, coverage=0.99, known_pass_rate=0.99
    )
    assert found.trust.coverage == 0.5
    figures = calibrate.cross_fitted_figures(
        logits, labels, np.ones(1), coverage=0.99, known_pass_rate=0.99, seed=0
    )
    assert figures["coverage"] == 1


@pytest.mark.parametrize(
    "change",
    [
        {"temperature": 0.0},
        {"temperature": float("nan")},
        {"coverage": 1.0},
        {"margin": -1.0},
        {"unknown_threshold": float("inf")},
    ],
)
def test_edited_values_are_refused(change):
    values = {
        "temperature": 1.0,
        "coverage": 0.99,
        "margin": 1.0,
        "known_pass_rate": 0.99,
        "unknown_threshold": 2.0,
    }
    calibrate.Trust(**values)
    with pytest.raises(ValueError, match=next(iter(change))):
        calibrate.Trust(**{**values, **change})


def test_a_probable_background_is_doubt_and_is_not_shown():
    known, other = np.array([[4.0, 0, 0, -4]]), np.array([[4.0, 0, 0, 8]])
    assert calibrate.shown(other, "other").tolist() == [[4.0, 0, 0]]
    assert calibrate.doubt(known, "other")[0] < 0.1
    assert calibrate.doubt(other, "other")[0] > 4
    assert calibrate.doubt(other) < 0.1, "without a background it would be the answer"
    assert calibrate.doubt(known, "other") == pytest.approx(calibrate.doubt(known), abs=1e-9)


def test_figures_with_a_background_are_those_of_the_classes_that_are_shown():
    logits, labels = sharp(1000, 0)
    background = np.full((1000, 1), -3.0)
    wanted = {"coverage": 0.9, "known_pass_rate": 0.95}
    both = np.concatenate([logits, background], axis=1)
    found = calibrate.fit_calibration(both, labels, None, None, background="other", **wanted)
    assert found.background == "other"
    figures = calibrate.cross_fitted_figures(
        both, labels, None, seed=0, background="other", **wanted
    )
    assert figures["coverage"] == pytest.approx(0.9, abs=0.03)
    assert figures["known_pass_rate"] == pytest.approx(0.95, abs=0.03)
    assert figures["mean_set_size"] <= 4


def answers(scratch: Scratch) -> tuple[Any, ...]:
    """All that is calibrated, answered and measured, with a background, distances and parents."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 300)
    features = (np.eye(12)[labels] * 4 + rng.normal(size=(300, 12)))[:, None].repeat(2, axis=1)
    mean, std = np.zeros(12, np.float32), np.ones(12, np.float32)
    head = Head(mean, std, [(np.eye(5, 12, dtype=np.float32), np.zeros(5, np.float32))])
    logits, embedding = head.view_logits(features), fit_embedding(head, features, labels)
    distances = embedding.distances(embedding.project(head, features))
    wanted: dict[str, Any] = {"coverage": 0.9, "known_pass_rate": 0.95, "background": "other"}
    levels = Levels(list("abcd"), list("abcd"), [("x",), ("x",), (), ()])
    found = calibrate.fit_calibration(logits, labels, distances, embedding, **wanted)
    cross = calibrate.cross_fitted_figures(
        logits, labels, distances, seed=0, levels=levels, scratch=scratch, **wanted
    )
    assessed = calibrate.assess(found, head, features, scratch)
    measured = calibrate.measure(assessed, labels, levels, scratch)
    return found.trust, found.detector, cross, measured, assessed


def test_answers_in_files_read_in_blocks_are_the_same(tmp_path: Path, monkeypatch):
    *whole, in_memory = answers(Scratch())
    monkeypatch.setattr(cache, "BLOCK_VALUES", 100)
    *blocks, in_files = answers(Scratch(tmp_path, 0))
    assert blocks == whole
    for name in ("logits", "sets", "embedded"):
        assert np.array_equal(getattr(in_files, name), getattr(in_memory, name))
        assert isinstance(getattr(in_files, name), np.memmap)
