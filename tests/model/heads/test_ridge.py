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


def scores(features: np.ndarray, labels: np.ndarray, groups: list[np.ndarray]) -> tuple:
    """The chosen λ, and the scores with the group and with the photograph alone left out."""
    spectrum = ridge.Spectrum.of(features)
    penalty = ridge.leave_out(features, labels, CLASSES, spectrum, groups).penalty
    heads = ridge.LeaveOut(features, labels, CLASSES, spectrum, groups)
    column = int(np.flatnonzero(heads.penalties == penalty)[0])
    return penalty, *heads.scores(column, heads.weights(column), np.arange(len(labels)))


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
    penalty, found, alone = scores(features, labels, [])
    for i in range(count):
        expected = fitted_without(features, labels, np.array([i]), penalty)
        assert found[i] == pytest.approx(expected[0], abs=1e-4)
    assert np.array_equal(found, alone)


@pytest.mark.parametrize(("count", "dim"), [(40, 7), (20, 50)], ids=["tall", "wide"])
def test_a_group_is_left_out_together(count: int, dim: int):
    features, labels = made(count, dim)
    features[5], features[9] = features[2], features[2]
    features = ridge.standardise(features)
    group = np.array([2, 5, 9])
    penalty, found, alone = scores(features, labels, [group])
    expected = fitted_without(features, labels, group, penalty)
    assert found[group] == pytest.approx(expected, abs=1e-4)
    assert np.abs(found[group] - alone[group]).max() > 0.01
    assert found[3] == pytest.approx(alone[3])


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


def test_probabilities_are_normalised_and_keep_the_order():
    features, labels = made(30, 5)
    two = labels % 2
    found = ridge.leave_out(features, two, 2, ridge.Spectrum.of(features), [])
    assert np.exp(-found.surprise) + np.exp(found.rival) == pytest.approx(np.ones(30), abs=1e-5)
    assert np.array_equal(found.preferred == two, -found.surprise > found.rival)


def test_fit_and_score_is_the_same_head():
    features, labels = made(40, 7)
    out = np.arange(10)
    blocks = ridge.fit_and_score(features, labels, CLASSES, 3.0, np.arange(10, 40), out)
    found = np.concatenate(list(blocks))
    assert found == pytest.approx(fitted_without(features, labels, out, 3.0), abs=1e-4)


def test_constant_features_stay_finite():
    features = ridge.standardise(np.full((6, 4), 7.0))
    assert not features.any()
    labels = np.array([0, 0, 0, 1, 1, 1])
    found = ridge.leave_out(features, labels, 2, ridge.Spectrum.of(features), [])
    assert np.isfinite(found.surprise).all() and np.isfinite(found.rival).all()


def test_of_very_many_scores_a_part_chooses_the_penalty():
    features, labels = made(60, 7)
    spectrum = ridge.Spectrum.of(features)
    whole = ridge.leave_out(features, labels, CLASSES, spectrum, [])
    part = ridge.leave_out(features, labels, CLASSES, spectrum, [], most=30 * CLASSES)
    assert len(part.surprise) == 60
    assert (part.preferred == whole.preferred).mean() > 0.9
