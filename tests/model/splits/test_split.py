"""The split made for folders that bring none, and copies of a photograph across splits."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from drawing import draw_class, same_photograph
from loading import load_source

from model.photographs.dataset import DataSet


def sizes(loaded: DataSet) -> dict[str, int]:
    return {split: len(photos) for split, photos in loaded.splits.items()}


def names_in(loaded: DataSet, split: str) -> list[str]:
    photos = loaded.splits[split]
    return [
        f"{loaded.class_ids[label]}/{path.name}"
        for path, label in zip(photos.paths, photos.labels, strict=True)
    ]


def test_the_same_seed_makes_the_same_split_and_another_seed_another(
    photos_dir: Callable, cache_dir: Path
):
    folder = photos_dir(count=12)
    first, again, other = (
        load_source(folder, cache_dir=cache_dir, seed=seed) for seed in (3, 3, 4)
    )
    assert names_in(first, "valid") == names_in(again, "valid")
    assert first.fingerprint == again.fingerprint
    assert names_in(first, "valid") != names_in(other, "valid")


def test_fractions_are_shares_of_every_class(photos_dir: Callable, cache_dir: Path):
    folder = photos_dir(classes=("a", "b"), count=10)
    draw_class(folder / "b" / "more", 1, 2, 10)
    loaded = load_source(folder, cache_dir=cache_dir, valid_fraction=0.3, test_fraction=0.1)
    counts = {s: np.bincount(photos.labels).tolist() for s, photos in loaded.splits.items()}
    assert counts == {"train": [6, 12], "valid": [3, 6], "test": [1, 2]}
    everything = [path for photos in loaded.splits.values() for path in photos.paths]
    assert len(set(everything)) == 30


def test_every_split_gets_a_photograph_of_a_small_class(photos_dir: Callable, cache_dir: Path):
    loaded = load_source(
        photos_dir(count=4), cache_dir=cache_dir, valid_fraction=0.7, test_fraction=0.2
    )
    assert all(set(photos.labels.tolist()) == {0, 1, 2} for photos in loaded.splits.values())
    assert set(loaded.splits) == {"train", "valid", "test"}


@pytest.mark.parametrize(("valid", "test"), [(0, 0), (1, 0), (-0.1, 0), (0.5, 0.5), (0.2, -0.1)])
def test_fractions_that_leave_nothing_are_an_error(
    valid: float, test: float, photos_dir: Callable, cache_dir: Path
):
    with pytest.raises(ValueError, match="--valid-fraction"):
        load_source(photos_dir(), cache_dir=cache_dir, valid_fraction=valid, test_fraction=test)


def test_copies_of_a_photograph_stay_together_in_a_made_split(
    photos_dir: Callable, cache_dir: Path
):
    folder = photos_dir(classes=("a", "b"), count=6)
    for number in range(4):
        original = folder / "a" / f"{number:03}.jpg"
        same_photograph(original, *(folder / "a" / f"copy-{number}-{k}.jpg" for k in range(3)))
    same_photograph(folder / "a" / "005.jpg", folder / "b" / "also.jpg")
    for seed in range(5):
        loaded = load_source(folder, cache_dir=cache_dir, valid_fraction=0.4, seed=seed)
        digests = {split: set(photos.digests) for split, photos in loaded.splits.items()}
        assert not digests["train"] & digests["valid"]
        assert not [note for note in loaded.notes if "same photograph" in note]
        assert sum(sizes(loaded).values()) == 25


def test_copies_in_given_splits_are_a_warning_that_names_both(
    photos_dir: Callable, cache_dir: Path
):
    folder = photos_dir(count=3, splits=("train", "valid"))
    original, copy = folder / "train" / "rose" / "001.jpg", folder / "valid" / "rose" / "copy.jpg"
    same_photograph(original, copy)
    loaded = load_source(folder, cache_dir=cache_dir)
    _, note, count = loaded.notes
    assert "1 of the 10 photographs of valid have a copy" in count
    assert str(original) in note
    assert str(copy) in note
    assert "(train)" in note
    assert "(valid)" in note
    assert sizes(loaded) == {"train": 9, "valid": 10}
