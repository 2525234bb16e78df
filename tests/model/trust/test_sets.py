"""Prediction sets hold the right class as often as they promise."""

import numpy as np
import pytest
from scipy.special import softmax

from model.trust import sets


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
    rng = np.random.default_rng(3)
    logits = rng.normal(0, 3, (4000, 6))
    labels = np.array([rng.choice(6, p=row) for row in softmax(logits, axis=1)])
    margin, _ = sets.conformal_quantile(sets.set_scores(logits[:2000], labels[:2000]), 0.9)
    found = sets.prediction_sets(logits[2000:], margin)
    assert found[np.arange(2000), labels[2000:]].mean() == pytest.approx(0.9, abs=0.02)
