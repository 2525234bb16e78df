"""The choice of the pooling: by photographs that are left out together with their copies."""

import numpy as np

from model.heads.choose_pooling import MOST, choose_pooling


def some_data(seed: int, count: int = 120) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means that say nothing, second moments that tell 3 classes; labels, groups."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    means, moments = rng.normal(size=(count, 8)), rng.normal(size=(count, 40))
    moments[np.arange(count), labels] += 6
    return np.concatenate([means, moments], axis=1).astype(np.float16), labels, np.arange(count)


def test_second_moments_are_taken_where_they_recognise_more():
    features, labels, groups = some_data(0)
    found = choose_pooling(features, 8, labels, groups, seed=0)
    assert found.pooling == "second-order"
    mean, second = found.accuracies
    assert mean < 0.6 and second > 0.95
    assert f"{second:.2%}" in found.render() and "120 training photographs" in found.render()


def test_means_are_taken_where_second_moments_are_noise():
    features, labels, groups = some_data(1)
    turned = np.concatenate([features[:, 8:], features[:, :8]], axis=1)
    noise = np.random.default_rng(2).normal(size=(len(labels), 400)).astype(np.float16)
    wide = np.concatenate([turned, noise], axis=1)
    found = choose_pooling(wide, 40, labels, groups, seed=0)
    assert found.pooling == "mean"
    assert found.accuracies[0] > found.accuracies[1]


def test_a_copy_does_not_vouch_for_its_photograph():
    features, *_ = some_data(3)
    labels = np.random.default_rng(4).integers(0, 3, 60).repeat(2)  # only copies can tell
    features = features[::2].repeat(2, axis=0)
    alone = choose_pooling(features, 8, labels, np.arange(60).repeat(2), seed=0)
    assert max(alone.accuracies) < 0.6
    torn = choose_pooling(features, 8, labels, np.arange(120), seed=0)
    assert max(torn.accuracies) > 0.9


def test_of_many_photographs_a_part_is_asked():
    features, labels, groups = some_data(6, MOST + 100)
    found = choose_pooling(features, 8, labels, groups, seed=0)
    assert found.photographs == MOST
    assert found.pooling == "second-order"


def test_photographs_that_are_all_the_same_need_no_second_moments():
    features, labels, groups = some_data(7)
    found = choose_pooling(np.ones_like(features), 8, labels, groups, seed=0)
    assert found.pooling == "mean"
