"""Each validation photograph gets the logits of the epoch that the others chose."""

import numpy as np

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
