"""Which files are photographs: names, links, what systems leave behind, and bad files."""

import json
import os
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from drawing import CLASSES, draw_class, drawn_photograph
from loading import load_source

from model.features import store
from model.photographs import images
from model.photographs.dataset import DataSet
from model.photographs.scan import list_folder


def sizes(loaded: DataSet) -> dict[str, int]:
    return {split: len(photos) for split, photos in loaded.splits.items()}


def reasons(loaded: DataSet) -> dict[str, str]:
    return {bad.path.name: bad.reason for bad in loaded.skipped}


def test_two_unicode_spellings_are_one_class(photos_dir: Callable, cache_dir: Path):
    nfc, nfd = (unicodedata.normalize(form, "Löwenzahn") for form in ("NFC", "NFD"))
    assert nfc != nfd
    folder = photos_dir(classes=(nfc, "Klee"), count=3)
    draw_class(folder / nfd, 0, 2, 2)
    if len(list(folder.iterdir())) == 2:
        pytest.skip("This file system folds Unicode spellings itself.")
    draw_class(folder / nfd / "more", 0, 2, 3)
    (folder / "cat_to_name.json").write_text(json.dumps({nfd: "Dandelion"}))
    loaded = load_source(folder, cache_dir=cache_dir)
    assert loaded.class_ids == ["Klee", nfc]
    assert loaded.class_names == ["Klee", "Dandelion"]
    assert sum(sizes(loaded).values()) == 3 + 3 + 2 + 3


def test_spaces_and_other_scripts_are_ordinary_names(photos_dir: Callable, cache_dir: Path):
    classes = ("red rose", "白い花", " 'quoted' ")
    loaded = load_source(photos_dir("my photographs", classes), cache_dir=cache_dir)
    assert sorted(loaded.class_ids) == sorted(classes)


def test_upper_case_endings_are_photographs(photos_dir: Callable, cache_dir: Path):
    folder = photos_dir(count=3)
    (folder / "rose" / "000.jpg").rename(folder / "rose" / "IMG_0001.JPG")
    loaded = load_source(folder, cache_dir=cache_dir)
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
    loaded = load_source(folder, cache_dir=cache_dir)
    assert loaded.class_ids == list(CLASSES)
    assert loaded.skipped == []
    assert sum(sizes(loaded).values()) == 9


def test_other_files_are_left_out_and_named(photos_dir: Callable, cache_dir: Path):
    folder = photos_dir(count=3)
    (folder / "rose" / "notes.txt").write_text("notes")
    (folder / "rose" / "README").write_text("notes")
    drawn_photograph(0.1, 1).save(folder / "lost.png")
    found = reasons(load_source(folder, cache_dir=cache_dir))
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
    loaded = load_source(folder, cache_dir=cache_dir)
    assert sizes(loaded) == {"train": 6, "valid": 3}
    labels = np.concatenate([photos.labels for photos in loaded.splits.values()])
    assert np.bincount(labels).tolist() == [3, 3, 3]


def test_a_link_beside_the_classes_that_leads_back_to_the_data_is_no_class(
    photos_dir: Callable, cache_dir: Path
):
    folder = photos_dir(count=3)
    (folder / "loop").symlink_to(folder, target_is_directory=True)
    assert load_source(folder, cache_dir=cache_dir).class_ids == list(CLASSES)


def test_links_to_photographs_elsewhere_are_followed(
    photos_dir: Callable, cache_dir: Path, tmp_path: Path
):
    folder = photos_dir(classes=("a", "b"), count=3)
    draw_class(tmp_path / "elsewhere" / "c", 2, 3, 3)
    (folder / "c").symlink_to(tmp_path / "elsewhere" / "c", target_is_directory=True)
    (folder / "a" / "dangling.jpg").symlink_to(tmp_path / "gone.jpg")
    loaded = load_source(folder, cache_dir=cache_dir)
    assert loaded.class_ids == ["a", "b", "c"]
    assert reasons(loaded) == {"dangling.jpg": "no such file or directory"}


def test_an_empty_class_folder_is_no_class(photos_dir: Callable, cache_dir: Path):
    folder = photos_dir(count=3)
    (folder / "empty").mkdir()
    assert load_source(folder, cache_dir=cache_dir).class_ids == list(CLASSES)


def with_bad_files(folder: Path) -> Path:
    photograph = (folder / "rose" / "000.jpg").read_bytes()
    (folder / "rose" / "empty.jpg").touch()
    (folder / "rose" / "cut.jpg").write_bytes(photograph[:-40])
    (folder / "tulip" / "text.jpg").write_text("a text called .jpg")
    return folder


def test_bad_files_are_left_out_with_path_and_reason(photos_dir: Callable, cache_dir: Path):
    folder = with_bad_files(photos_dir(count=3))
    for _ in range(2):  # the second time, what is sound is known; what is bad is still named
        loaded = load_source(folder, cache_dir=cache_dir)
        assert sum(sizes(loaded).values()) == 9
        found = reasons(loaded)
        assert found["empty.jpg"] == "is empty (0 bytes)"
        assert found["cut.jpg"].startswith("is damaged or truncated")
        assert found["text.jpg"].startswith("is not a photograph")
        assert len(found) == 3


def test_strict_stops_at_bad_files_and_names_them(photos_dir: Callable, cache_dir: Path):
    folder = with_bad_files(photos_dir(count=3))
    with pytest.raises(ValueError, match=r"3 files cannot be used and --strict is set") as error:
        load_source(folder, cache_dir=cache_dir, strict=True)
    assert all(name in str(error.value) for name in ("empty.jpg", "cut.jpg", "text.jpg"))


def test_a_sound_file_is_decoded_once(photos_dir: Callable, cache_dir: Path, monkeypatch):
    folder = photos_dir(count=3)
    load_source(folder, cache_dir=cache_dir)

    def check(_content: bytes) -> None:
        raise AssertionError("checked again")

    monkeypatch.setattr(images, "check", check)
    assert sum(sizes(load_source(folder, cache_dir=cache_dir)).values()) == 9


def reading(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """List the names of the files that are read from now on."""
    names: list[str] = []
    real = images.read

    def read(path: Path) -> bytes:
        names.append(path.name)
        return real(path)

    monkeypatch.setattr(images, "read", read)
    return names


def test_a_file_is_read_again_only_when_it_has_changed(
    photos_dir: Callable, cache_dir: Path, monkeypatch
):
    folder = photos_dir(count=3)
    later = time.time_ns() + 60 * 10**9
    monkeypatch.setattr(store.time, "time_ns", lambda: later)  # the files were written long ago
    first = load_source(folder, cache_dir=cache_dir)
    changed, times = folder / "rose" / "001.jpg", (folder / "rose" / "001.jpg").stat()
    content = bytearray(changed.read_bytes())
    content[-30] ^= 1  # in the picture's data: the size stays, and so does the stated time
    changed.write_bytes(content)
    os.utime(changed, ns=(times.st_atime_ns, times.st_mtime_ns))
    names = reading(monkeypatch)
    second = load_source(folder, cache_dir=cache_dir)
    assert names == ["001.jpg"]
    assert second.fingerprint != first.fingerprint
    assert load_source(folder, cache_dir=cache_dir).fingerprint == second.fingerprint


def test_a_file_written_a_moment_ago_is_read_again(
    photos_dir: Callable, cache_dir: Path, monkeypatch
):
    folder = photos_dir(count=3)
    load_source(folder, cache_dir=cache_dir)
    names = reading(monkeypatch)
    load_source(folder, cache_dir=cache_dir)
    assert len(names) == 9


def test_a_damaged_store_is_made_anew(photos_dir: Callable, cache_dir: Path):
    folder = photos_dir(count=3)
    first = load_source(folder, cache_dir=cache_dir)
    (database,) = cache_dir.glob("photographs-*.sqlite")
    database.write_bytes(b"this is not a database " * 50)
    assert load_source(folder, cache_dir=cache_dir).fingerprint == first.fingerprint


def test_a_store_that_is_damaged_inside_is_named_and_made_anew(
    photos_dir: Callable, cache_dir: Path, caplog: pytest.LogCaptureFixture
):
    folder = photos_dir(count=3)
    first = load_source(folder, cache_dir=cache_dir, summaries=True)
    (database,) = cache_dir.glob("photographs-*.sqlite")
    content = bytearray(database.read_bytes())
    content[5000:] = b"\x05" * (len(content) - 5000)  # its header and the list of tables are sound
    database.write_bytes(content)
    assert load_source(folder, cache_dir=cache_dir, summaries=True).fingerprint == first.fingerprint
    assert f"{database} is damaged" in caplog.text


def test_a_class_of_bad_files_only_is_left_out_with_a_note(photos_dir: Callable, cache_dir: Path):
    folder = photos_dir(count=3)
    (folder / "bad").mkdir()
    (folder / "bad" / "empty.jpg").touch()
    loaded = load_source(folder, cache_dir=cache_dir)
    assert loaded.class_ids == list(CLASSES)
    assert "Class 'bad' has no usable photograph and is left out." in loaded.notes


# nested class folders


def nested(folder: Path, *classes: str, count: int = 3) -> Path:
    for number, name in enumerate(classes):
        draw_class(folder / name, number, len(classes), count)
    return folder


def test_the_lowest_folders_are_classes_and_those_above_their_parents(tmp_path: Path):
    folder = nested(tmp_path / "garden", "bulbs/iris/yellow", "bulbs/iris/bearded", "rose")
    listing = list_folder(folder, nested=True)
    assert listing.parents == {"yellow": ("bulbs", "iris"), "bearded": ("bulbs", "iris")}
    assert [entry.class_id for entry in listing.entries] == ["bearded"] * 3 + ["rose"] * 3 + [
        "yellow"
    ] * 3
    assert listing.notes == [] and listing.skipped == []


def test_without_nested_the_upper_folders_are_classes(tmp_path: Path):
    listing = list_folder(nested(tmp_path / "garden", "iris/yellow", "iris/bearded", "rose"))
    assert {entry.class_id for entry in listing.entries} == {"iris", "rose"}
    assert listing.parents == {}
    assert any("add --nested" in note for note in listing.notes)


def test_nested_classes_lie_below_splits(tmp_path: Path):
    nested(tmp_path / "garden" / "train", "iris/yellow", "rose")
    listing = list_folder(
        nested(tmp_path / "garden" / "valid", "iris/yellow", "rose").parent, nested=True
    )
    assert {(entry.split, entry.class_id) for entry in listing.entries} == {
        (split, class_id) for split in ("train", "valid") for class_id in ("yellow", "rose")
    }
    assert listing.parents == {"yellow": ("iris",)}


def test_folders_without_photographs_make_no_parent(tmp_path: Path):
    folder = nested(tmp_path / "garden", "rose", "tulip")
    (folder / "rose" / "notes").mkdir()
    (folder / "rose" / "notes" / "read.txt").write_text("red")
    listing = list_folder(folder, nested=True)
    assert {entry.class_id for entry in listing.entries} == {"rose", "tulip"}
    assert [bad.path.name for bad in listing.skipped] == ["read.txt"]


def test_a_class_is_no_parent(tmp_path: Path):
    folder = nested(tmp_path / "garden", "iris", "iris/yellow", "rose")
    with pytest.raises(ValueError) as error:
        list_folder(folder, nested=True)
    assert str(error.value) == (
        f"{folder}/iris holds photographs and also the folder yellow, so it would be both a "
        f"class and a parent. Move its photographs into a folder of their own, such as "
        f"{folder}/iris/other iris."
    )


@pytest.mark.parametrize("other", ["rose/yellow", "yellow"])
def test_a_class_has_one_parent(other: str, tmp_path: Path):
    folder = nested(tmp_path / "garden", "iris/yellow", other)
    with pytest.raises(ValueError) as error:
        list_folder(folder, nested=True)
    message = str(error.value)
    assert message.startswith("Class 'yellow' has ")
    assert "'iris'" in message and str(folder / other) in message
    assert message.endswith("A class can be in one place only. Rename one of the folders.")


def test_a_parent_has_one_place(tmp_path: Path):
    folder = nested(tmp_path / "garden", "bulbs/small/crocus", "herbs/small/thyme")
    with pytest.raises(ValueError, match="The parent 'small' is both below 'bulbs' and below"):
        list_folder(folder, nested=True)


def test_folders_nested_too_deep_are_refused(tmp_path: Path):
    assert list_folder(nested(tmp_path / "four", "a/b/c/d/e"), nested=True).parents == {
        "e": ("a", "b", "c", "d")
    }
    with pytest.raises(ValueError, match="is more than 5 levels deep"):
        list_folder(nested(tmp_path / "five", "a/b/c/d/e/f"), nested=True)


def test_a_link_back_is_no_class(tmp_path: Path):
    folder = nested(tmp_path / "garden", "iris/yellow", "iris/bearded")
    (folder / "iris" / "back").symlink_to(folder, target_is_directory=True)
    assert set(list_folder(folder, nested=True).parents) == {"yellow", "bearded"}
