"""Scanning folders, checking files, display names, and what makes data unusable."""

import json
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from drawing import CLASSES, draw_class, drawn_photograph

from model import class_names, data
from model.data import DataSet, load_folder


def sizes(loaded: DataSet) -> dict[str, int]:
    return {split: len(photos) for split, photos in loaded.splits.items()}


def reasons(loaded: DataSet) -> dict[str, str]:
    return {bad.path.name: bad.reason for bad in loaded.skipped}


# Layout


def test_a_folder_of_class_folders_is_split(photos_dir: Callable, cache_dir: Path):
    loaded = load_folder(photos_dir(count=5), cache_dir=cache_dir)
    assert loaded.class_ids == loaded.class_names == list(CLASSES)
    assert sizes(loaded) == {"train": 12, "valid": 3}
    assert loaded.skipped == []
    assert loaded.notes == ["Split by class with seed 0: 20% for valid, the rest for train."]


@pytest.mark.parametrize("valid", ["valid", "val", "validation", "Valid"])
def test_split_folders_are_honoured(valid: str, photos_dir: Callable, cache_dir: Path):
    folder = photos_dir(count=3, splits=("train", valid, "test"))
    loaded = load_folder(folder, cache_dir=cache_dir, valid_fraction=0.4, test_fraction=0.4)
    assert sizes(loaded) == {"train": 9, "valid": 9, "test": 9}
    assert loaded.notes == []
    for split, above in (("train", "train"), ("valid", valid), ("test", "test")):
        assert {path.parents[1].name for path in loaded.splits[split].paths} == {above}


def test_train_alone_gives_up_a_valid_split(photos_dir: Callable, cache_dir: Path):
    loaded = load_folder(photos_dir(count=5, splits=("train",)), cache_dir=cache_dir)
    assert sizes(loaded) == {"train": 12, "valid": 3}


def test_train_and_test_give_up_a_valid_split_and_keep_test(photos_dir: Callable, cache_dir: Path):
    folder = photos_dir(count=5, splits=("train", "test"))
    loaded = load_folder(folder, cache_dir=cache_dir)
    assert sizes(loaded) == {"train": 12, "valid": 3, "test": 15}
    assert {path.parents[1].name for path in loaded.splits["valid"].paths} == {"train"}


def test_valid_without_train_is_an_error(photos_dir: Callable, cache_dir: Path):
    folder = photos_dir(splits=("valid", "test"))
    with pytest.raises(ValueError, match=r"has test and valid but no train folder\. Add .*train"):
        load_folder(folder, cache_dir=cache_dir)


def test_two_folders_for_one_split_are_an_error(photos_dir: Callable, cache_dir: Path):
    folder = photos_dir(splits=("train", "val", "valid"))
    with pytest.raises(ValueError, match=r"both 'val' and 'valid' for the valid split\. Keep one"):
        load_folder(folder, cache_dir=cache_dir)


def test_a_class_may_be_called_test(photos_dir: Callable, cache_dir: Path):
    folder = photos_dir(classes=("test", "practice"))
    assert load_folder(folder, cache_dir=cache_dir).class_ids == ["practice", "test"]


def test_nested_folders_belong_to_their_class(photos_dir: Callable, cache_dir: Path):
    folder = photos_dir(count=3)
    draw_class(folder / "rose" / "garden" / "2024", 1, 3, 2)
    loaded = load_folder(folder, cache_dir=cache_dir)
    assert (
        sum(label.startswith("rose/") for s in loaded.splits for label in names_in(loaded, s)) == 5
    )


def test_a_missing_folder_says_what_was_expected(tmp_path: Path, cache_dir: Path):
    with pytest.raises(FileNotFoundError, match="is not a folder, nor 'digits' or 'flowers102'"):
        load_folder(tmp_path / "none", cache_dir=cache_dir)


# Names of files and folders


def test_two_unicode_spellings_are_one_class(photos_dir: Callable, cache_dir: Path):
    nfc, nfd = (unicodedata.normalize(form, "Löwenzahn") for form in ("NFC", "NFD"))
    assert nfc != nfd
    folder = photos_dir(classes=(nfc, "Klee"), count=3)
    draw_class(folder / nfd, 0, 2, 2)
    if len(list(folder.iterdir())) == 2:
        pytest.skip("This file system folds Unicode spellings itself.")
    draw_class(folder / nfd / "more", 0, 2, 3)
    (folder / "cat_to_name.json").write_text(json.dumps({nfd: "Dandelion"}))
    loaded = load_folder(folder, cache_dir=cache_dir)
    assert loaded.class_ids == ["Klee", nfc]
    assert loaded.class_names == ["Klee", "Dandelion"]
    assert sum(sizes(loaded).values()) == 3 + 3 + 2 + 3


def test_spaces_and_other_scripts_are_ordinary_names(photos_dir: Callable, cache_dir: Path):
    classes = ("red rose", "白い花", " 'quoted' ")
    loaded = load_folder(photos_dir("my photographs", classes), cache_dir=cache_dir)
    assert sorted(loaded.class_ids) == sorted(classes)


def test_upper_case_endings_are_photographs(photos_dir: Callable, cache_dir: Path):
    folder = photos_dir(count=3)
    (folder / "rose" / "000.jpg").rename(folder / "rose" / "IMG_0001.JPG")
    loaded = load_folder(folder, cache_dir=cache_dir)
    assert sum(sizes(loaded).values()) == 9
    assert loaded.skipped == []


def test_what_systems_leave_behind_is_passed_over_in_silence(photos_dir: Callable, cache_dir: Path):
    folder = photos_dir(count=3)
    for junk in (".DS_Store", "Thumbs.db", "desktop.ini", "._000.jpg", ".hidden/000.jpg"):
        path = folder / "rose" / junk
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"junk")
    for junk in ("__MACOSX", ".git"):
        draw_class(folder / junk, 0, 1, 2)
    loaded = load_folder(folder, cache_dir=cache_dir)
    assert loaded.class_ids == list(CLASSES)
    assert loaded.skipped == []
    assert sum(sizes(loaded).values()) == 9


def test_other_files_are_left_out_and_named(photos_dir: Callable, cache_dir: Path):
    folder = photos_dir(count=3)
    (folder / "rose" / "notes.txt").write_text("notes")
    (folder / "rose" / "README").write_text("notes")
    drawn_photograph(0.1, 1).save(folder / "lost.png")
    found = reasons(load_folder(folder, cache_dir=cache_dir))
    assert found == {
        "notes.txt": "has the ending '.txt', not that of a photograph",
        "README": "has no ending, not that of a photograph",
        "lost.png": "is not in a class folder",
    }


def test_a_link_inside_a_class_that_leads_back_to_the_data_adds_nothing(
    photos_dir: Callable, cache_dir: Path
):
    folder = photos_dir(count=3)
    (folder / "rose" / "loop").symlink_to(folder, target_is_directory=True)
    (folder / "rose" / "self").symlink_to(folder / "rose", target_is_directory=True)
    loaded = load_folder(folder, cache_dir=cache_dir)
    assert sizes(loaded) == {"train": 6, "valid": 3}
    labels = np.concatenate([photos.labels for photos in loaded.splits.values()])
    assert np.bincount(labels).tolist() == [3, 3, 3]


def test_a_link_beside_the_classes_that_leads_back_to_the_data_is_no_class(
    photos_dir: Callable, cache_dir: Path
):
    folder = photos_dir(count=3)
    (folder / "loop").symlink_to(folder, target_is_directory=True)
    assert load_folder(folder, cache_dir=cache_dir).class_ids == list(CLASSES)


def test_links_to_photographs_elsewhere_are_followed(
    photos_dir: Callable, cache_dir: Path, tmp_path: Path
):
    folder = photos_dir(classes=("a", "b"), count=3)
    draw_class(tmp_path / "elsewhere" / "c", 2, 3, 3)
    (folder / "c").symlink_to(tmp_path / "elsewhere" / "c", target_is_directory=True)
    (folder / "a" / "dangling.jpg").symlink_to(tmp_path / "gone.jpg")
    loaded = load_folder(folder, cache_dir=cache_dir)
    assert loaded.class_ids == ["a", "b", "c"]
    assert reasons(loaded) == {"dangling.jpg": "no such file or directory"}


def test_an_empty_class_folder_is_no_class(photos_dir: Callable, cache_dir: Path):
    folder = photos_dir(count=3)
    (folder / "empty").mkdir()
    assert load_folder(folder, cache_dir=cache_dir).class_ids == list(CLASSES)


# Bad files


def with_bad_files(folder: Path) -> Path:
    photograph = (folder / "rose" / "000.jpg").read_bytes()
    (folder / "rose" / "empty.jpg").touch()
    (folder / "rose" / "cut.jpg").write_bytes(photograph[:-40])
    (folder / "tulip" / "text.jpg").write_text("a text called .jpg")
    return folder


def test_bad_files_are_left_out_with_path_and_reason(photos_dir: Callable, cache_dir: Path):
    folder = with_bad_files(photos_dir(count=3))
    for _ in range(2):  # the second time, what is sound is known; what is bad is still named
        loaded = load_folder(folder, cache_dir=cache_dir)
        assert sum(sizes(loaded).values()) == 9
        found = reasons(loaded)
        assert found["empty.jpg"] == "is empty (0 bytes)"
        assert found["cut.jpg"].startswith("is damaged or truncated")
        assert found["text.jpg"].startswith("is not a photograph")
        assert len(found) == 3


def test_strict_stops_at_bad_files_and_names_them(photos_dir: Callable, cache_dir: Path):
    folder = with_bad_files(photos_dir(count=3))
    with pytest.raises(ValueError, match=r"3 files cannot be used and --strict is set") as error:
        load_folder(folder, cache_dir=cache_dir, strict=True)
    assert all(name in str(error.value) for name in ("empty.jpg", "cut.jpg", "text.jpg"))


def test_a_sound_file_is_decoded_once(photos_dir: Callable, cache_dir: Path, monkeypatch):
    folder = photos_dir(count=3)
    load_folder(folder, cache_dir=cache_dir)

    def check(_content: bytes) -> None:
        raise AssertionError("checked again")

    monkeypatch.setattr(data.images, "check", check)
    assert sum(sizes(load_folder(folder, cache_dir=cache_dir)).values()) == 9


def test_a_damaged_list_of_sound_files_is_made_anew(photos_dir: Callable, cache_dir: Path):
    folder = photos_dir(count=3)
    load_folder(folder, cache_dir=cache_dir)
    (database,) = cache_dir.glob("sound-files-*.sqlite")
    database.write_bytes(b"this is not a database " * 50)
    assert sum(sizes(load_folder(folder, cache_dir=cache_dir)).values()) == 9


def test_a_class_of_bad_files_only_is_left_out_with_a_note(photos_dir: Callable, cache_dir: Path):
    folder = photos_dir(count=3)
    (folder / "bad").mkdir()
    (folder / "bad" / "empty.jpg").touch()
    loaded = load_folder(folder, cache_dir=cache_dir)
    assert loaded.class_ids == list(CLASSES)
    assert "Class 'bad' has no usable photograph and is left out." in loaded.notes


# Too little


def test_too_few_photographs_is_an_error_with_the_numbers(photos_dir: Callable, cache_dir: Path):
    folder = photos_dir(count=3)
    (folder / "rose" / "000.jpg").unlink()
    expected = r"Class 'rose' in .* has 2 usable photographs .* train/valid split needs at least 3"
    with pytest.raises(ValueError, match=expected):
        load_folder(folder, cache_dir=cache_dir)


def test_a_test_split_needs_one_photograph_more(photos_dir: Callable, cache_dir: Path):
    folder = photos_dir(count=3)
    with pytest.raises(ValueError, match="train/valid/test split needs at least 4"):
        load_folder(folder, cache_dir=cache_dir, test_fraction=0.2)


def test_one_class_is_an_error(photos_dir: Callable, cache_dir: Path):
    with pytest.raises(ValueError, match=r"in 1 class folders \(rose\); .* needs at least 2"):
        load_folder(photos_dir(classes=("rose",)), cache_dir=cache_dir)


def test_no_photographs_is_an_error(tmp_path: Path, cache_dir: Path):
    (tmp_path / "nothing" / "rose").mkdir(parents=True)
    with pytest.raises(ValueError, match="no photographs in class folders"):
        load_folder(tmp_path / "nothing", cache_dir=cache_dir)


def test_bad_photographs_only_is_an_error(tmp_path: Path, cache_dir: Path):
    for class_id in CLASSES:
        path = tmp_path / "bad" / class_id / "a.jpg"
        path.parent.mkdir(parents=True)
        path.touch()
    with pytest.raises(ValueError, match="usable photographs in 0 class folders"):
        load_folder(tmp_path / "bad", cache_dir=cache_dir)


def test_a_split_that_lacks_a_class_is_an_error_with_its_name(
    photos_dir: Callable, cache_dir: Path
):
    folder = photos_dir(count=3, splits=("train", "valid"))
    for path in (folder / "valid" / "tulip").iterdir():
        path.unlink()
    expected = "The valid split of .* has no usable photograph of class 'tulip'"
    with pytest.raises(ValueError, match=expected):
        load_folder(folder, cache_dir=cache_dir)


# Display names

NAMES = {"daisy": "Oxeye daisy", "rose": "Dog rose"}


@pytest.mark.parametrize("place", [".", "..", "train"])
def test_display_names_are_found_near_the_data(place: str, photos_dir: Callable, cache_dir: Path):
    folder = photos_dir("above/photographs", count=3, splits=("train", "valid"))
    (folder / place / "cat_to_name.json").write_text(json.dumps(NAMES))
    loaded = load_folder(folder, cache_dir=cache_dir)
    assert loaded.class_names == ["Oxeye daisy", "Dog rose", "tulip"]
    assert loaded.class_ids == list(CLASSES)


def test_class_names_of_the_command_line_come_first(
    photos_dir: Callable, cache_dir: Path, tmp_path: Path
):
    folder = photos_dir(count=3)
    (folder / "cat_to_name.json").write_text(json.dumps(NAMES))
    (tmp_path / "mine.json").write_text(json.dumps({"rose": "Rosa canina"}))
    loaded = load_folder(folder, cache_dir=cache_dir, class_names=tmp_path / "mine.json")
    assert loaded.class_names == ["daisy", "Rosa canina", "tulip"]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ({"a": "lily", "b": "lily"}, ["lily (a)", "lily (b)", "c"]),
        ({"a": "c"}, ["c (a)", "b", "c (c)"]),
        ({"a": "", "b": "  "}, ["a", "b", "c"]),
    ],
)
def test_display_names_become_different(names: dict, expected: list, tmp_path: Path):
    (tmp_path / "names.json").write_text(json.dumps(names))
    read = class_names.read_class_names(tmp_path / "names.json")
    assert class_names.display_names(["a", "b", "c"], read) == expected


def test_a_name_that_looks_like_a_made_one_stays_different():
    names = class_names.display_names(["1", "2", "3"], {"1": "lily", "2": "lily", "3": "lily (1)"})
    assert len(set(names)) == 3


@pytest.mark.parametrize("text", ['{"a": ', '["a"]', '{"a": 3}', "", '{"a": {"b": "c"}}'])
def test_a_malformed_names_file_is_an_error_with_its_path(text: str, tmp_path: Path):
    path = tmp_path / "names.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"Class names file .*names\.json"):
        class_names.read_class_names(path)


def test_a_names_file_in_another_encoding_is_an_error_with_its_path(tmp_path: Path):
    path = tmp_path / "names.json"
    path.write_bytes('{"a": "Gänseblümchen"}'.encode("latin-1"))
    with pytest.raises(ValueError, match=r"Class names file .*names\.json"):
        class_names.read_class_names(path)


def test_a_missing_names_file_is_an_error(photos_dir: Callable, cache_dir: Path, tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=r"none\.json does not exist"):
        load_folder(photos_dir(), cache_dir=cache_dir, class_names=tmp_path / "none.json")


# Fingerprint


def test_the_fingerprint_is_of_labels_and_contents_not_of_file_names(
    photos_dir: Callable, cache_dir: Path
):
    folder = photos_dir(count=3, splits=("train", "valid"))
    before = load_folder(folder, cache_dir=cache_dir).fingerprint

    (folder / "train" / "rose" / "000.jpg").rename(folder / "train" / "rose" / "zzz.jpg")
    assert load_folder(folder, cache_dir=cache_dir).fingerprint == before

    moved = folder / "train" / "tulip" / "moved.jpg"
    (folder / "train" / "rose" / "zzz.jpg").rename(moved)
    relabelled = load_folder(folder, cache_dir=cache_dir).fingerprint
    assert relabelled != before

    moved.rename(folder / "train" / "rose" / "000.jpg")
    assert load_folder(folder, cache_dir=cache_dir).fingerprint == before
    drawn_photograph(0.5, 999).save(folder / "train" / "rose" / "000.jpg")
    assert load_folder(folder, cache_dir=cache_dir).fingerprint not in (before, relabelled)
