"""Display names: where they are found, and that they are all different."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from drawing import CLASSES
from loading import load_source

from model.photographs import class_names

NAMES = {"daisy": "Oxeye daisy", "rose": "Dog rose"}


@pytest.mark.parametrize("place", [".", "..", "train"])
def test_display_names_are_found_near_the_data(place: str, photos_dir: Callable, cache_dir: Path):
    folder = photos_dir("above/photographs", count=3, splits=("train", "valid"))
    (folder / place / "cat_to_name.json").write_text(json.dumps(NAMES))
    loaded = load_source(folder, cache_dir=cache_dir)
    assert loaded.class_names == ["Oxeye daisy", "Dog rose", "tulip"]
    assert loaded.class_ids == list(CLASSES)


def test_class_names_of_the_command_line_come_first(
    photos_dir: Callable, cache_dir: Path, tmp_path: Path
):
    folder = photos_dir(count=3)
    (folder / "cat_to_name.json").write_text(json.dumps(NAMES))
    (tmp_path / "mine.json").write_text(json.dumps({"rose": "Rosa canina"}))
    loaded = load_source(folder, cache_dir=cache_dir, class_names=tmp_path / "mine.json")
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
        load_source(photos_dir(), cache_dir=cache_dir, class_names=tmp_path / "none.json")
