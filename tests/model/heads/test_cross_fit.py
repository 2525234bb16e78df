"""Each validation photograph gets the logits of the epoch that the others chose."""

import numpy as np

from model.heads.cross_fit import CrossFit


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
