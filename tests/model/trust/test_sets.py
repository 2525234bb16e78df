import numpy as np
import pytest
from scipy.special import softmax

from model.heads.cross_fit import CrossFit
from model.trust import sets
from model.trust.temperature import fit_temperature


def overconfident(count: int, temperature: float, seed: int = 0, classes: int = 6):
    """Logits whose calibrated temperature is known: labels are drawn from softmax(logits / T)."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 3, (count, classes))
    chances = softmax(logits / temperature, axis=1)
    labels = np.array([rng.choice(classes, p=row) for row in chances])
    return logits, labels


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_temperature_is_found_again(temperature):
    logits, labels = overconfident(4000, temperature)
    assert fit_temperature(logits, labels) == pytest.approx(temperature, rel=0.1)


def test_temperature_of_a_few_photographs_that_are_all_right_stays_near_one():
    logits = np.array([[4.0, 0.0], [0.0, 4.0], [4.0, 0.0]])
    assert 0.3 < fit_temperature(logits, np.array([0, 1, 0])) <= 1.0


def test_the_conformal_quantile_keeps_its_promise_on_new_photographs():
    rng = np.random.default_rng(1)
    kept = []
    for _ in range(300):
        scores = rng.exponential(size=2 * 199)
        bound, promised = sets.conformal_quantile(scores[:199], 0.9)
        assert promised == 0.9
        kept.append((scores[199:] <= bound).mean())
    assert np.mean(kept) == pytest.approx(0.9, abs=0.01)


def test_too_few_photographs_promise_less():
    bound, promised = sets.conformal_quantile(np.arange(9.0), 0.99)
    assert (bound, promised) == (8.0, 0.9)


def test_just_enough_photographs_promise_all():
    bound, promised = sets.conformal_quantile(np.arange(99.0), 0.99)
    assert (bound, promised) == (98.0, 0.99)


def test_sets_are_never_empty_and_grow_with_the_margin():
    logits = np.random.default_rng(2).normal(size=(200, 5))
    none, some, all_ = (sets.prediction_sets(logits, margin) for margin in (0.0, 1.0, 99.0))
    assert (none.sum(axis=1) == 1).all()
    assert (none.argmax(axis=1) == logits.argmax(axis=1)).all()
    assert (some >= none).all() and some.sum() > none.sum()
    assert all_.all()


def test_sets_cover_the_right_class_as_promised():
    logits, labels = overconfident(4000, 1.0, seed=3)
    margin, _ = sets.conformal_quantile(sets.set_scores(logits[:2000], labels[:2000]), 0.9)
    found = sets.prediction_sets(logits[2000:], margin)
    assert found[np.arange(2000), labels[2000:]].mean() == pytest.approx(0.9, abs=0.02)


def test_cross_fit_gives_each_photograph_the_epoch_that_the_others_chose():
    labels = np.zeros(10, np.int64)
    cross = CrossFit(labels, 2, seed=0)
    part = cross.folds == cross.folds[0]
    right, wrong = np.array([2.0, 0.0], np.float32), np.array([0.0, 2.0], np.float32)
    first = np.where(part[:, None], wrong, right)  # best on the others, bad on this part
    second = np.where(part[:, None], right, wrong)
    cross.add(first)
    cross.add(second)
    assert (cross.logits[part] == wrong).all()


def test_cross_fit_of_one_photograph_uses_it():
    cross = CrossFit(np.zeros(1, np.int64), 2, seed=0)
    cross.add(np.array([[1.0, 0.0]], np.float32))
    assert cross.logits[0, 0] == 1.0


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
    sets.Trust(**values)
    with pytest.raises(ValueError, match=next(iter(change))):
        sets.Trust(**{**values, **change})
