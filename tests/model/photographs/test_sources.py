"""What DATA may be, and how it is told apart."""

import sys
import types
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from drawing import CLASSES, drawn_photograph

from model.photographs.dataset import Entry, Listing
from model.photographs.sources import list_source, list_unlabelled
from model.photographs.tables import Columns


@pytest.fixture
def source(tmp_path: Path, cache_dir: Path) -> Callable[..., Listing]:
    def read(name: object, **options: object) -> Listing:
        return list_source(str(name), data_dir=tmp_path, cache_dir=cache_dir, **options)  # type: ignore[arg-type]

    return read


@pytest.fixture
def unlabelled(tmp_path: Path, cache_dir: Path) -> Callable[..., Listing]:
    def read(name: str | Path, **options: object) -> Listing:
        return list_unlabelled(name, data_dir=tmp_path, cache_dir=cache_dir, **options)  # type: ignore[arg-type]

    return read


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a.jpg, b.jpg and c.jpg."""
    draw(tmp_path / "data", "a.jpg", "b.jpg", "c.jpg")
    return tmp_path / "data"


def draw(folder: Path, *names: str) -> None:
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        drawn_photograph(number / 9, number, (8, 8)).save(folder / name)


def pack(folder: Path, archive: Path) -> Path:
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(folder.rglob("*.*")):
            file.write(path, path.relative_to(folder.parent))
    return archive


def labels(listing: Listing) -> dict[str, str]:
    return {e.path.relative_to(listing.folder).as_posix(): e.class_id for e in listing.entries}


def test_a_folder_of_class_folders_is_listed(source: Callable, photos_dir: Callable):
    path = photos_dir(count=2)
    listing = source(path)
    assert (listing.name, listing.folder) == (str(path), path)
    assert {entry.class_id for entry in listing.entries} == set(CLASSES)


def test_a_table_is_listed(source: Callable, folder: Path):
    (folder / "own.tsv").write_text("path\tlabel\na.jpg\tx\n")
    listing = source(folder / "own.tsv")
    assert listing.name == str(folder / "own.tsv")
    assert (labels(listing), listing.notes) == ({"a.jpg": "x"}, [])


@pytest.mark.parametrize(("name", "separator"), [("labels.csv", ","), ("labels.tsv", "\t")])
def test_a_folder_with_a_table_is_read_by_it(
    source: Callable, folder: Path, name: str, separator: str
):
    draw(folder, "x/d.jpg", ".cache/e.jpg")
    rows = ("path", "label"), ("a.jpg", "x"), ("gone.jpg", "x"), ("b.jpg", "")
    (folder / name).write_text("\n".join(map(separator.join, rows)))
    listing = source(folder)
    assert (listing.name, listing.folder) == (str(folder), folder)
    assert labels(listing) == {"a.jpg": "x"}
    assert [bad.path.name for bad in listing.skipped] == ["gone.jpg", "b.jpg"]
    assert listing.notes == [f"2 photographs in {folder} are not in {name} and are left out."]


def test_columns_apply_to_the_table_of_a_folder(source: Callable, folder: Path):
    (folder / "labels.csv").write_text("file,kind,who\na.jpg,x,p\nb.jpg,y,q\nc.jpg,y,q\n")
    listing = source(folder, columns=Columns("file", "kind", group="who"))
    assert listing.entries[0] == Entry(folder / "a.jpg", "x", "", "p")
    assert listing.notes == []


def test_a_table_of_something_else_is_not_used_where_there_are_class_folders(
    source: Callable, photos_dir: Callable
):
    path = photos_dir(count=2)
    for text, reason in (("file,x\na.jpg,1\n", "no column 'path'"), ("", "is empty")):
        (path / "labels.csv").write_text(text)
        listing = source(path)
        assert {entry.class_id for entry in listing.entries} == set(CLASSES)
        (note,) = listing.notes
        assert note.startswith("labels.csv is not used: ")
        assert reason in note


def test_a_table_of_something_else_is_an_error_without_class_folders(
    source: Callable, folder: Path
):
    draw(folder, "images/d.jpg")
    (folder / "labels.csv").write_text("file,x\na.jpg,1\n")
    with pytest.raises(ValueError, match="no column 'path'"):
        source(folder)
    (folder / "labels.csv").write_text("")
    with pytest.raises(ValueError, match="is empty"):
        source(folder)


def test_a_damaged_table_is_an_error_though_there_are_class_folders(
    source: Callable, photos_dir: Callable
):
    path = photos_dir(count=2)
    (path / "labels.csv").write_text("path,label\na.jpg\n")
    with pytest.raises(ValueError, match="line 2 has 1 cells"):
        source(path)


def test_an_archive_of_class_folders_is_listed(
    source: Callable, photos_dir: Callable, tmp_path: Path, cache_dir: Path
):
    path = photos_dir(count=2, splits=("train", "valid"))
    (path / "notes.txt").touch()
    archive = pack(path, tmp_path / "all.zip")
    listing = source(archive)
    assert listing.name == str(archive)
    assert listing.folder.is_relative_to(cache_dir / "archives")
    assert len(listing.entries) == 12
    assert {entry.split for entry in listing.entries} == {"train", "valid"}
    assert "notes.txt" in listing.notes[0]
    listing = source(pack(path / "train", tmp_path / "train.zip"), splits=False)
    assert {entry.class_id for entry in listing.entries} == set(CLASSES)


def test_a_table_in_an_archive_applies(source: Callable, folder: Path, tmp_path: Path):
    (folder / "labels.csv").write_text("path,label\na.jpg,x\nb.jpg,y\n")
    listing = source(pack(folder, tmp_path / "all.zip"))
    assert labels(listing) == {"a.jpg": "x", "b.jpg": "y"}
    assert listing.notes[0].startswith("1 photograph in ")


def test_a_table_in_an_archive_names_no_files_elsewhere(
    source: Callable, folder: Path, tmp_path: Path
):
    draw(tmp_path, "private.jpg")
    (folder / "labels.csv").write_text(f"path,label\na.jpg,x\n{tmp_path}/private.jpg,y\n")
    archive = pack(folder, tmp_path / "all.zip")
    with pytest.raises(ValueError, match=r"private\.jpg, which is not in the archive"):
        source(archive)


def test_a_tables_splits_stay_where_folders_are_not_taken_for_splits(
    source: Callable, folder: Path
):
    text = "path,label,split\na.jpg,y,train\nb.jpg,x,test\nc.jpg,y,test\n"
    (folder / "labels.csv").write_text(text)
    assert [entry.split for entry in source(folder).entries] == ["train", "test", "test"]
    assert source(folder, splits=False).entries == source(folder).entries


def test_names_of_the_hub_go_to_the_hub(source: Callable, unlabelled: Callable, monkeypatch):
    asked = []

    def list_hub(name: str, **options: object) -> Listing:
        asked.append((name, options))
        return Listing(name, Path("there"), [Entry(Path("there/a.jpg"), "x", "train", "p")])

    module = types.ModuleType("hub_data")
    module.list_hub = list_hub  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "model.photographs.hub_data", module)
    assert source("hf:me/flowers").entries[0].class_id == "x"
    assert unlabelled("hf:me/flowers").entries == [Entry(Path("there/a.jpg"), "")]
    assert [name for name, _ in asked] == ["hf:me/flowers"] * 2
    assert set(asked[0][1]) == {"columns", "class_names", "cache_dir", "nested"}


@pytest.mark.parametrize("name", ["nowhere", "photo.jpg", "gone.csv", "gone.zip"])
def test_what_is_not_there_says_what_data_may_be(
    source: Callable, unlabelled: Callable, tmp_path: Path, name: str
):
    draw(tmp_path, "photo.jpg")
    for read in (source, unlabelled):
        with pytest.raises(FileNotFoundError, match="is not a folder, a table") as error:
            read(tmp_path / name)
        for kind in (str(tmp_path / name), ".parquet", ".tar.gz", "hf:", "digits", "flowers102"):
            assert kind in str(error.value)


def test_unlabelled_photographs_may_lie_anywhere(
    unlabelled: Callable, folder: Path, tmp_path: Path
):
    draw(folder, "deep/er/d.jpg")
    (folder / "labels.csv").write_text("path,label,split,group\na.jpg,x,train,p\n")
    everything = dict.fromkeys(("a.jpg", "b.jpg", "c.jpg", "deep/er/d.jpg"), "")
    assert labels(unlabelled(folder)) == everything
    archive = pack(folder, tmp_path / "all.zip")
    listing = unlabelled(archive)
    assert (listing.name, labels(listing)) == (str(archive), everything)
    assert unlabelled(folder / "labels.csv").entries == [Entry(folder / "a.jpg", "")]


def test_named_sets_can_be_read_without_labels(unlabelled: Callable):
    listing = unlabelled("digits")
    assert len(listing.entries) == 1797
    assert {entry[1:4] for entry in listing.entries} == {("", "", "")}


def test_an_archive_may_hold_nested_folders(source: Callable, photos_dir: Callable, tmp_path: Path):
    folder = photos_dir(classes=("iris/yellow", "iris/bearded", "rose"), count=2)
    listing = source(pack(folder, tmp_path / "garden.zip"), nested=True)
    assert listing.parents == {"yellow": ("iris",), "bearded": ("iris",)}


def test_nested_says_where_it_has_no_effect(source: Callable, photos_dir: Callable):
    folder = photos_dir(count=2)
    (note,) = source(folder, nested=True).notes
    assert (
        note == f"--nested has no effect on {folder}: no folder in it holds folders of photographs."
    )
    assert source(folder).notes == []
