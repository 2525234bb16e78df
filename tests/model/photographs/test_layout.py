"""Folders as people have them: splits by other names, leftovers of systems, copies, two levels."""

import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest
from drawing import drawn_photograph
from loading import load_source

from model.photographs import layout
from model.photographs.scan import list_folder


def fill(folder: Path, classes: Iterable[str] = "ab", count: int = 6, start: int = 0) -> Path:
    """Draw a folder of class folders."""
    for kind, name in enumerate(classes):
        for seed in range(start, start + count):
            path = folder / name / f"{seed}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            drawn_photograph(kind / 3, 100 * kind + seed).save(path)
    return folder


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train", "train"),
        ("Training", "train"),
        ("training_set", "train"),
        ("TRAIN-images", "train"),
        ("trainset", "train"),
        ("val", "valid"),
        ("Validation Set", "valid"),
        ("dev", "valid"),
        ("eval", "valid"),
        ("Testing", "test"),
        ("test_set", "test"),
        ("tests", None),
        ("trainers", None),
        ("roses", None),
    ],
)
def test_splits_have_many_names(name: str, split: str | None):
    assert layout.split_of(name) == split


@pytest.mark.parametrize("names", [("Training", "Testing"), ("training_set", "test_set")])
def test_splits_by_other_names_are_no_classes(names: tuple[str, str], tmp_path: Path):
    for name, start in zip(names, (0, 50), strict=True):
        fill(tmp_path / name, start=start)
    loaded = load_source(tmp_path, cache_dir=tmp_path / "cache")
    assert loaded.class_ids == ["a", "b"]
    assert set(loaded.splits) == {"train", "valid", "test"}


def test_splits_without_class_folders_are_an_error_that_says_what_to_do(tmp_path: Path):
    for name in ("train", "test"):
        fill(tmp_path, (name,))
    with pytest.raises(ValueError, match=r"hold photographs but no class folders\. Put .*CLASS"):
        list_folder(tmp_path)
    assert {entry.class_id for entry in list_folder(tmp_path, splits=False).entries} == {
        "train",
        "test",
    }


def test_what_lies_beside_the_splits_is_named(tmp_path: Path):
    fill(tmp_path / "train")
    fill(tmp_path / "valid", start=50)
    fill(tmp_path, ("unsorted",))
    fill(tmp_path / "unsorted", ("@eaDir",), 2)
    drawn_photograph(0.1, 1).save(tmp_path / "alone.png")
    notes = list_folder(tmp_path).notes
    said = "beside train, valid are left out: alone.png, unsorted, with 7 photographs."
    assert any(note.endswith(said) for note in notes)


def test_leftovers_of_systems_are_no_classes_and_no_photographs(tmp_path: Path):
    fill(tmp_path)
    for left in ("@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", "lost+found"):
        fill(tmp_path, (left,), 2)
    fill(tmp_path / "a" / "@eaDir", ("0.png",), 2)
    listing = list_folder(tmp_path)
    assert {entry.class_id for entry in listing.entries} == {"a", "b"}
    assert len(listing.entries) == 12
    assert sum("belongs to the system" in note for note in listing.notes) == 5


def test_checkpoints_inside_the_data_are_no_class(trained: Path, tmp_path: Path):
    fill(tmp_path)
    shutil.copytree(trained, tmp_path / "out")
    shutil.copytree(trained, tmp_path / "runs" / "roses")
    (tmp_path / "runs" / "train.log").write_text("what a run said")
    listing = list_folder(tmp_path)
    assert {entry.class_id for entry in listing.entries} == {"a", "b"}
    assert [note for note in listing.notes if "it holds checkpoints" in note] == [
        f"{tmp_path / name} is left out: it holds checkpoints." for name in ("out", "runs")
    ]


def test_a_file_of_names_is_named(tmp_path: Path):
    fill(tmp_path / "photographs")
    names = tmp_path / "cat_to_name.json"
    names.write_text('{"a": "aster", "b": "begonia"}')
    listing = list_folder(tmp_path / "photographs")
    assert listing.names["a"] == "aster"
    assert f"The class names come from {names.resolve()}." in listing.notes


def test_two_levels_of_folders_are_named(tmp_path: Path):
    for parent in ("iris", "rose"):
        fill(tmp_path / parent, ("blue", "pale"), 3)
    (note,) = list_folder(tmp_path).notes
    assert "2 of the class folders hold 4 folders, such as iris/blue" in note
    assert f"move them directly into {tmp_path}" in note


def test_a_photograph_in_two_classes_is_named(tmp_path: Path):
    fill(tmp_path)
    for number in range(3):
        shutil.copy(tmp_path / "a" / f"{number}.png", tmp_path / "b" / f"copy{number}.png")
    notes = load_source(tmp_path, cache_dir=tmp_path / "cache").notes
    said = "3 photographs are in more than one class, such as 'a' and 'b'; python -m model audit"
    assert any(note.startswith(said) for note in notes)


@pytest.mark.parametrize("classes", ["ab", "b"])
def test_copies_are_one_photograph(classes: str, tmp_path: Path):
    fill(tmp_path, "ab", 1)
    if classes == "b":
        fill(tmp_path, "a", 8)
    for name in classes:
        for number in range(6):
            shutil.copy(tmp_path / name / "0.png", tmp_path / name / f"copy{number}.png")
    with pytest.raises(
        ValueError, match=r"has 1 different photographs \(and 6 copies\) .* at least 3"
    ):
        load_source(tmp_path, cache_dir=tmp_path / "cache")


def test_shares_are_those_that_came_out(tmp_path: Path):
    fill(tmp_path, count=7)
    notes = load_source(tmp_path, cache_dir=tmp_path / "cache").notes
    assert any("seed 0: 2 (14.3%) for valid, the rest for train" in note for note in notes)


def test_when_everything_is_refused_the_reason_is_named(tmp_path: Path):
    for name in "ab":
        (tmp_path / name).mkdir()
        for number in range(4):
            (tmp_path / name / f"{number}.png").write_bytes(b"no photograph")
    with pytest.raises(
        ValueError, match=r"8 files are left out\. .* \(8 files\): .*is not a photograph"
    ):
        load_source(tmp_path, cache_dir=tmp_path / "cache")
