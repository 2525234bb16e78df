"""Each validation photograph gets the logits of the epoch that the others chose."""

from pathlib import Path

import numpy as np
from scipy.special import log_softmax

from model import cache
from model.cache import Scratch
from model.heads.cross_fit import FOLDS, CrossFit, fold_numbers


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


def test_photographs_of_one_group_are_in_one_part():
    groups = np.random.default_rng(0).integers(0, 40, 200)
    folds = fold_numbers(200, 3, groups)
    assert all(len(set(folds[groups == group])) == 1 for group in set(groups))
    assert set(folds) == set(range(FOLDS))
    assert (fold_numbers(200, 3) == fold_numbers(200, 3, np.arange(200))).all()


def test_fewer_groups_than_parts_make_as_many_parts():
    assert set(fold_numbers(9, 0, np.repeat([7, 8, 9], 3))) == {0, 1, 2}
    assert len(fold_numbers(0, 0, np.empty(0, np.int64))) == 0


def test_logits_in_a_file_read_in_blocks_are_the_same(tmp_path: Path, monkeypatch):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 7, 90)
    epochs = rng.normal(size=(4, 90, 7)).astype(np.float32)
    whole, small = CrossFit(labels, 7, 0), CrossFit(labels, 7, 0, scratch=Scratch(tmp_path, 0))
    found = [whole.add(logits) for logits in epochs]
    monkeypatch.setattr(cache, "BLOCK_VALUES", 50)
    assert [small.add(logits) for logits in epochs] == found
    assert isinstance(small.logits, np.memmap)
    assert np.array_equal(small.logits, whole.logits)
    losses = -log_softmax(epochs[0], axis=1)[np.arange(90), labels]
    assert found[0] == (float(losses.mean()), float((epochs[0].argmax(axis=1) == labels).mean()))
