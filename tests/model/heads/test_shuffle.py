"""The order of photographs whose features do not fit in memory."""

from pathlib import Path

import numpy as np
import pytest

from model.cache import Scratch
from model.heads import shuffle
from model.heads.fit import Examples, FittedHead, fit_head
from model.heads.head import HeadConfig
from model.heads.shuffle import Shuffle, piece_length, spread

CLASSES, EACH, WIDTH = 40, 100, 32
BUFFER = 2 * WIDTH * 400  # bytes of a tenth of the photographs


def stored_by_class(each: int, seed: int) -> Examples:
    """Features [N, 2, D] of classes that overlap, one class after the other."""
    centres = np.random.default_rng(99).normal(0, 1, (CLASSES, WIDTH))
    labels = np.repeat(np.arange(CLASSES), each)
    noise = np.random.default_rng(seed).normal(0, 1.6, (len(labels), 2, WIDTH))
    return Examples((centres[labels][:, None] + noise).astype(np.float16), labels)


def on_disk(examples: Examples, folder: Path) -> Examples:
    features = Scratch(folder, 0).array(examples.features.shape, np.float16)
    features[:] = examples.features
    return Examples(features, examples.labels)


@pytest.mark.parametrize("buffer", [BUFFER, 10**9])
def test_every_photograph_is_drawn_once_an_epoch_with_features_of_its_own(buffer: int):
    examples = stored_by_class(EACH, 0)
    order = Shuffle(examples.features, CLASSES, 64, np.random.default_rng(0), buffer=buffer)
    orders = []
    for _ in range(2):
        batches = list(order.epoch())
        numbers = np.concatenate([batch.numbers for batch in batches])
        assert sorted(numbers) == list(range(len(examples.labels)))
        assert {len(batch.numbers) for batch in batches[:-1]} == {64}
        values = np.concatenate([batch.features for batch in batches])
        views = (values[:, None] == examples.features[numbers]).all(axis=2)
        assert views.any(axis=1).all()
        assert 0.4 < views[:, 0].mean() < 0.6, "both views are drawn"
        orders.append(numbers)
    assert not np.array_equal(orders[0], orders[1])


def test_no_more_than_the_buffer_is_mixed_at_a_time():
    order = Shuffle(
        stored_by_class(EACH, 0).features, CLASSES, 64, np.random.default_rng(0), buffer=BUFFER
    )
    assert 0.8 < 2 * WIDTH * order.buffered / BUFFER <= 1
    small = stored_by_class(5, 0).features
    order = Shuffle(small, CLASSES, 64, np.random.default_rng(0), buffer=small.nbytes // 4)
    assert order.buffered == len(small), "few buffers are not worth it"


def test_every_buffer_has_pieces_of_every_class():
    count, buffered = 4000, 400
    piece = piece_length(count, buffered, CLASSES)
    assert piece == 5, "two pieces a class for each of ten buffers"
    order = spread(np.random.default_rng(0), count, buffered, piece)
    assert sorted(order) == list(range(count))
    for start in range(0, count, buffered):
        rows = np.sort(order[start : start + buffered])
        assert len(set(rows // EACH)) == CLASSES
        assert (np.diff(rows) > 1).sum() <= buffered / piece + 1, "it is read piece by piece"


@pytest.mark.parametrize("each", [100, 103, 110, 121])
def test_the_last_buffer_has_photographs_of_all_classes_like_the_others(each: int):
    count, labels = CLASSES * each, np.repeat(np.arange(CLASSES), each)
    features = np.zeros((count, 1, WIDTH), np.float16)
    order = Shuffle(features, CLASSES, 64, np.random.default_rng(0), buffer=2 * WIDTH * 900)
    drawn = labels[np.concatenate([batch.numbers for batch in order.epoch()])]
    assert 4 * order.buffered < count
    for start in range(0, count, order.buffered):
        assert len(set(drawn[start : start + order.buffered])) == CLASSES


def fit(train: Examples, scratch: Scratch) -> FittedHead:
    config = HeadConfig(head="linear", epochs=2, batch_size=32)
    return fit_head(train, stored_by_class(20, 1), CLASSES, config, scratch=scratch)


def test_classes_stored_one_after_the_other_are_learnt_as_well_as_mixed_ones(
    tmp_path: Path, monkeypatch
):
    train, scratch = on_disk(stored_by_class(EACH, 0), tmp_path), Scratch(tmp_path, BUFFER)
    whole = fit(train, Scratch()).history[-1]["valid_accuracy"]
    mixed = fit(train, scratch).history[-1]["valid_accuracy"]
    monkeypatch.setattr(shuffle, "spread", lambda rng, count, buffered, piece: np.arange(count))
    in_order = fit(train, scratch).history[-1]["valid_accuracy"]
    assert whole > 0.75
    assert mixed > whole - 0.03
    assert in_order < whole - 0.2, "or this test shows nothing"
