"""From a folder to a data set: layout, what is too little to train on, the fingerprint."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from drawing import CLASSES, draw_class, drawn_photograph
from loading import load_source

from model.photographs import images
from model.photographs.dataset import DataSet


def sizes(loaded: DataSet) -> dict[str, int]:
    return {split: len(photos) for split, photos in loaded.splits.items()}


def test_a_folder_of_class_folders_is_split(photos_dir: Callable, cache_dir: Path):
    loaded = load_source(photos_dir(count=5), cache_dir=cache_dir)
    assert loaded.class_ids == loaded.class_names == list(CLASSES)
    assert sizes(loaded) == {"train": 12, "valid": 3}
    assert loaded.skipped == []
    assert loaded.notes == ["Split by class with seed 0: 3 (20.0%) for valid, the rest for train."]


@pytest.mark.parametrize("valid", ["valid", "val", "validation", "Valid"])
def test_split_folders_are_honoured(valid: str, photos_dir: Callable, cache_dir: Path):
    folder = photos_dir(count=3, splits=("train", valid, "test"))
    loaded = load_source(folder, cache_dir=cache_dir, valid_fraction=0.4, test_fraction=0.4)
    assert sizes(loaded) == {"train": 9, "valid": 9, "test": 9}
    assert loaded.notes == []
    for split, above in (("train", "train"), ("valid", valid), ("test", "test")):
        assert {path.parents[1].name for path in loaded.splits[split].paths} == {above}


def test_train_alone_gives_up_a_valid_split(photos_dir: Callable, cache_dir: Path):
    loaded = load_source(photos_dir(count=5, splits=("train",)), cache_dir=cache_dir)
    assert sizes(loaded) == {"train": 12, "valid": 3}


def test_train_and_test_give_up_a_valid_split_and_keep_test(photos_dir: Callable, cache_dir: Path):
    folder = photos_dir(count=5, splits=("train", "test"))
    loaded = load_source(folder, cache_dir=cache_dir)
    assert sizes(loaded) == {"train": 12, "valid": 3, "test": 15}
    assert {path.parents[1].name for path in loaded.splits["valid"].paths} == {"train"}


def test_valid_without_train_is_an_error(photos_dir: Callable, cache_dir: Path):
    folder = photos_dir(splits=("valid", "test"))
    with pytest.raises(ValueError, match=r"has test and valid but no train folder\. Add .*train"):
        load_source(folder, cache_dir=cache_dir)


def test_two_folders_for_one_split_are_an_error(photos_dir: Callable, cache_dir: Path):
    folder = photos_dir(splits=("train", "val", "valid"))
    with pytest.raises(ValueError, match=r"has 'val' and 'valid', both for .* Keep one of them"):
        load_source(folder, cache_dir=cache_dir)


def test_a_class_may_be_called_test(photos_dir: Callable, cache_dir: Path):
    folder = photos_dir(classes=("test", "practice"))
    assert load_source(folder, cache_dir=cache_dir).class_ids == ["practice", "test"]


def test_nested_folders_belong_to_their_class(photos_dir: Callable, cache_dir: Path):
    folder = photos_dir(count=3)
    draw_class(folder / "rose" / "garden" / "2024", 1, 3, 2)
    loaded = load_source(folder, cache_dir=cache_dir)
    labels = np.concatenate([photos.labels for photos in loaded.splits.values()])
    assert np.bincount(labels).tolist() == [3, 5, 3]


def test_a_missing_folder_says_what_was_expected(tmp_path: Path, cache_dir: Path):
    with pytest.raises(
        FileNotFoundError, match=r"is not a folder, a table .*, 'digits' or 'flowers102'"
    ):
        load_source(tmp_path / "none", cache_dir=cache_dir)


def test_too_few_photographs_is_an_error_with_the_numbers(photos_dir: Callable, cache_dir: Path):
    folder = photos_dir(count=3)
    (folder / "rose" / "000.jpg").unlink()
    expected = r"Class 'rose' in .* has 2 usable photographs .* train/valid split needs at least 3"
    with pytest.raises(ValueError, match=expected):
        load_source(folder, cache_dir=cache_dir)


def test_a_test_split_needs_one_photograph_more(photos_dir: Callable, cache_dir: Path):
    folder = photos_dir(count=3)
    with pytest.raises(ValueError, match="train/valid/test split needs at least 4"):
        load_source(folder, cache_dir=cache_dir, test_fraction=0.2)


def test_one_class_is_an_error(photos_dir: Callable, cache_dir: Path):
    with pytest.raises(ValueError, match=r"of 1 class \(rose\); .* needs at least 2"):
        load_source(photos_dir(classes=("rose",)), cache_dir=cache_dir)


def test_no_photographs_is_an_error(tmp_path: Path, cache_dir: Path):
    (tmp_path / "nothing" / "rose").mkdir(parents=True)
    with pytest.raises(ValueError, match="no photographs in class folders"):
        load_source(tmp_path / "nothing", cache_dir=cache_dir)


def test_bad_photographs_only_is_an_error(tmp_path: Path, cache_dir: Path):
    for class_id in CLASSES:
        path = tmp_path / "bad" / class_id / "a.jpg"
        path.parent.mkdir(parents=True)
        path.touch()
    with pytest.raises(ValueError, match="usable photographs of 0 classes"):
        load_source(tmp_path / "bad", cache_dir=cache_dir)


def test_a_split_that_lacks_a_class_is_an_error_with_its_name(
    photos_dir: Callable, cache_dir: Path
):
    folder = photos_dir(count=3, splits=("train", "valid"))
    for path in (folder / "valid" / "tulip").iterdir():
        path.unlink()
    expected = "The valid split of .* has no usable photograph of class 'tulip'"
    with pytest.raises(ValueError, match=expected):
        load_source(folder, cache_dir=cache_dir)


def test_the_fingerprint_is_of_labels_and_contents_not_of_file_names(
    photos_dir: Callable, cache_dir: Path
):
    folder = photos_dir(count=3, splits=("train", "valid"))
    before = load_source(folder, cache_dir=cache_dir).fingerprint

    (folder / "train" / "rose" / "000.jpg").rename(folder / "train" / "rose" / "zzz.jpg")
    assert load_source(folder, cache_dir=cache_dir).fingerprint == before

    moved = folder / "train" / "tulip" / "moved.jpg"
    (folder / "train" / "rose" / "zzz.jpg").rename(moved)
    relabelled = load_source(folder, cache_dir=cache_dir).fingerprint
    assert relabelled != before

    moved.rename(folder / "train" / "rose" / "000.jpg")
    assert load_source(folder, cache_dir=cache_dir).fingerprint == before
    drawn_photograph(0.5, 999).save(folder / "train" / "rose" / "000.jpg")
    assert load_source(folder, cache_dir=cache_dir).fingerprint not in (before, relabelled)


def test_a_class_with_too_few_is_named_before_the_others_are_read(
    photos_dir: Callable[..., Path], cache_dir: Path, monkeypatch
):
    folder = photos_dir(count=5)
    for path in sorted((folder / "rose").iterdir())[2:]:
        path.unlink()
    read = []
    real = images.read
    monkeypatch.setattr(images, "read", lambda path: read.append(path.parent.name) or real(path))
    with pytest.raises(ValueError, match=r"Class 'rose' .* has 2 usable photographs"):
        load_source(folder, cache_dir=cache_dir)
    assert set(read) == {"rose"}
