"""The ridge head's leave-one-out scores against heads really fitted without the photograph."""

import numpy as np
import pytest

from model.heads import ridge

CLASSES = 3


def made(count: int, dim: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(count + dim)
    labels = np.arange(count) % CLASSES
    centres = rng.normal(size=(CLASSES, dim))
    return ridge.standardise(centres[labels] + rng.normal(size=(count, dim))), labels


def fitted_without(
    features: np.ndarray, labels: np.ndarray, out: np.ndarray, penalty: float
) -> np.ndarray:
    """Scores of photographs by a head fitted to all others, from the normal equations."""
    kept = np.setdiff1d(np.arange(len(labels)), out)
    mean, targets = features[kept].mean(axis=0), np.eye(CLASSES)[labels[kept]]
    centred = (features[kept] - mean).astype(np.float64)
    gram = centred.T @ centred + penalty * np.eye(features.shape[1])
    weights = np.linalg.solve(gram, centred.T @ (targets - targets.mean(axis=0)))
    return targets.mean(axis=0) + (features[out] - mean) @ weights


@pytest.mark.parametrize(("count", "dim"), [(40, 7), (20, 50)], ids=["tall", "wide"])
def test_leave_one_out_is_what_a_fit_without_it_says(count: int, dim: int):
    features, labels = made(count, dim)
    found = ridge.leave_out(features, labels, CLASSES, ridge.Spectrum.of(features), [])
    for i in range(count):
        expected = fitted_without(features, labels, np.array([i]), found.penalty)
        assert found.scores[i] == pytest.approx(expected[0], abs=1e-4)
    assert np.array_equal(found.scores, found.scores_alone)


@pytest.mark.parametrize(("count", "dim"), [(40, 7), (20, 50)], ids=["tall", "wide"])
def test_a_group_is_left_out_together(count: int, dim: int):
    features, labels = made(count, dim)
    features[5], features[9] = features[2], features[2]
    features = ridge.standardise(features)
    group = np.array([2, 5, 9])
    found = ridge.leave_out(features, labels, CLASSES, ridge.Spectrum.of(features), [group])
    expected = fitted_without(features, labels, group, found.penalty)
    assert found.scores[group] == pytest.approx(expected, abs=1e-4)
    assert np.abs(found.scores[group] - found.scores_alone[group]).max() > 0.01
    assert found.scores[3] == pytest.approx(found.scores_alone[3])


def test_the_penalty_with_the_best_accuracy_is_taken():
    features, labels = made(60, 100)
    spectrum = ridge.Spectrum.of(features)
    found = ridge.leave_out(features, labels, CLASSES, spectrum, [])
    unit = spectrum.values.mean()

    def accuracy(penalty: float) -> float:
        rows = [fitted_without(features, labels, np.array([i]), penalty)[0] for i in range(60)]
        return float((np.argmax(rows, axis=1) == labels).mean())

    measured = {share: accuracy(share * unit) for share in ridge.PENALTIES}
    assert measured[found.penalty / unit] == max(measured.values())


def test_log_probabilities_are_normalised_and_keep_the_order():
    features, labels = made(30, 5)
    found = ridge.leave_out(features, labels, CLASSES, ridge.Spectrum.of(features), [])
    assert np.exp(found.log_probabilities).sum(axis=1) == pytest.approx(np.ones(30), abs=1e-5)
    assert np.array_equal(found.log_probabilities.argmax(axis=1), found.scores.argmax(axis=1))


def test_fit_and_score_is_the_same_head():
    features, labels = made(40, 7)
    out = np.arange(10)
    found = ridge.fit_and_score(features[10:], labels[10:], CLASSES, 3.0, features[:10])
    assert found == pytest.approx(fitted_without(features, labels, out, 3.0), abs=1e-4)


def test_constant_features_stay_finite():
    features = ridge.standardise(np.full((6, 4), 7.0))
    assert not features.any()
    labels = np.array([0, 0, 0, 1, 1, 1])
    found = ridge.leave_out(features, labels, 2, ridge.Spectrum.of(features), [])
    assert np.isfinite(found.log_probabilities).all()
