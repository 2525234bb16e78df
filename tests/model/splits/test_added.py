"""--add: more photographs, new classes, labels that changed, and classes still too small."""

from pathlib import Path

import pytest
from drawing import draw_class, drawn_photograph, same_photograph
from loading import load_source

from model.photographs.dataset import DataSet, Entry, Listing
from model.splits.added import join


def classes(folder: Path, *names: str, count: int = 6, first: int = 0) -> Path:
    """Class folders of drawn photographs, all different from those of another `first`."""
    for number, name in enumerate(names):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            seed = 1000 * first + 100 * number + index
            drawn_photograph(number / 5, seed).save(folder / name / f"{first}-{index}.jpg")
    return folder


def members(data: DataSet, class_id: str) -> dict[str, set[str]]:
    label = data.class_ids.index(class_id)
    return {
        split: {p.name for p, y in zip(photos.paths, photos.labels, strict=True) if y == label}
        for split, photos in data.splits.items()
    }


def test_more_photographs_and_a_new_class_are_trained_on_and_measured(tmp_path: Path):
    data = classes(tmp_path / "data", "rose", "daisy")
    more = classes(tmp_path / "more", "rose", "tulip", first=1)
    loaded = load_source(data, cache_dir=tmp_path / "cache", added=(more,))
    assert loaded.class_ids == ["daisy", "rose", "tulip"]
    assert sum(map(len, loaded.splits.values())) == 24
    assert members(loaded, "tulip")["valid"]


def test_a_later_label_of_the_same_photograph_counts_and_is_named(tmp_path: Path):
    data = classes(tmp_path / "data", "rose", "daisy")
    (tmp_path / "fixes" / "daisy").mkdir(parents=True)
    same_photograph(data / "rose" / "0-2.jpg", tmp_path / "fixes" / "daisy" / "fixed.jpg")
    (tmp_path / "again" / "rose").mkdir(parents=True)
    first = load_source(data, cache_dir=tmp_path / "cache", added=(tmp_path / "fixes",))
    assert "fixed.jpg" in set().union(*members(first, "daisy").values())
    assert "0-2.jpg" not in set().union(*members(first, "rose").values())
    (note,) = (note for note in first.notes if "was 'rose' and is now 'daisy'" in note)
    assert str(data / "rose" / "0-2.jpg") in note and "fixed.jpg" in note
    same_photograph(data / "rose" / "0-2.jpg", tmp_path / "again" / "rose" / "back.jpg")
    both = (tmp_path / "fixes", tmp_path / "again")
    second = load_source(data, cache_dir=tmp_path / "cache", added=both)
    kept = set().union(*members(second, "rose").values())
    assert kept & {"0-2.jpg", "back.jpg"} and len(kept) == 6


def test_a_photograph_that_was_there_already_stays_in_its_split(tmp_path: Path):
    for split in ("train", "valid"):
        for number, name in enumerate(("rose", "daisy")):
            draw_class(tmp_path / "data" / split / name, number, 2, 4)
    (tmp_path / "more" / "rose").mkdir(parents=True)
    same_photograph(
        tmp_path / "data" / "valid" / "rose" / "001.jpg", tmp_path / "more" / "rose" / "x.jpg"
    )
    loaded = load_source(
        tmp_path / "data", cache_dir=tmp_path / "cache", added=(tmp_path / "more",)
    )
    assert members(loaded, "rose")["train"] == {"000.jpg", "001.jpg", "002.jpg", "003.jpg"}
    assert "1 added photograph was already in the data set." in loaded.notes


def test_a_photograph_with_a_new_label_stays_in_its_split(tmp_path: Path):
    for split in ("train", "valid", "test"):
        for number, name in enumerate(("rose", "daisy")):
            draw_class(tmp_path / "data" / split / name, number, 2, 4)
    (tmp_path / "fixes" / "daisy").mkdir(parents=True)
    same_photograph(
        tmp_path / "data" / "test" / "rose" / "001.jpg", tmp_path / "fixes" / "daisy" / "x.jpg"
    )
    loaded = load_source(
        tmp_path / "data", cache_dir=tmp_path / "cache", added=(tmp_path / "fixes",)
    )
    assert "x.jpg" in members(loaded, "daisy")["test"]


def test_half_of_a_new_class_is_trained_on_whatever_share_is_held_out(tmp_path: Path):
    for split in ("train", "valid", "test"):
        for number, name in enumerate(("rose", "daisy")):
            draw_class(tmp_path / "data" / split / name, number, 2, 4)
    more = classes(tmp_path / "more", "rose", "tulip", count=20, first=1)
    loaded = load_source(
        tmp_path / "data", cache_dir=tmp_path / "cache", added=(more,), valid_fraction=0.5
    )
    counts = {split: len(names) for split, names in members(loaded, "tulip").items()}
    assert counts == {"train": 10, "valid": 5, "test": 5}


def test_a_new_class_that_is_too_small_is_named_and_left_out_until_it_has_enough(tmp_path: Path):
    data = classes(tmp_path / "data", "rose", "daisy")
    more = classes(tmp_path / "more", "tulip", count=2, first=1)
    loaded = load_source(data, cache_dir=tmp_path / "cache", added=(more,))
    assert loaded.class_ids == ["daisy", "rose"]
    (note,) = (note for note in loaded.notes if "tulip" in note)
    assert note.startswith("The added class 'tulip' is left out until it has more")
    assert "it has 2 in 2 groups, and a train/valid split needs at least 3 in 2 groups." in note
    classes(tmp_path / "more", "tulip", count=3, first=1)
    enough = load_source(data, cache_dir=tmp_path / "cache", added=(more,))
    assert enough.class_ids == ["daisy", "rose", "tulip"]


def test_a_small_class_of_the_data_itself_stays_an_error(tmp_path: Path):
    data = classes(tmp_path / "data", "rose", "daisy")
    classes(data, "tulip", count=2)
    more = classes(tmp_path / "more", "rose", first=1)
    with pytest.raises(ValueError, match=r"Class 'tulip' .* needs at least 3"):
        load_source(data, cache_dir=tmp_path / "cache", added=(more,))


def test_a_new_class_gets_a_share_of_splits_that_the_data_brought(tmp_path: Path):
    for split in ("train", "valid", "test"):
        for number, name in enumerate(("rose", "daisy")):
            draw_class(tmp_path / "data" / split / name, number, 2, 4)
    more = classes(tmp_path / "more", "rose", "tulip", first=1)
    loaded = load_source(tmp_path / "data", cache_dir=tmp_path / "cache", added=(more,))
    assert {split: len(names) for split, names in members(loaded, "tulip").items()} == {
        "train": 4,
        "valid": 1,
        "test": 1,
    }
    assert len(members(loaded, "rose")["valid"]) == 4  # what is measured stays what it was


def test_an_added_folder_named_as_a_class_is_called_is_that_class(tmp_path: Path):
    data = classes(tmp_path / "data", "1", "2")
    (data / "cat_to_name.json").write_text('{"1": "Pink primrose", "2": "rose"}')
    more = classes(tmp_path / "more", "pink primrose", first=1)
    loaded = load_source(data, cache_dir=tmp_path / "cache", added=(more,))
    assert loaded.class_ids == ["1", "2"]
    assert sum(map(len, members(loaded, "1").values())) == 12


def listed(name: str, classes: dict[str, tuple[str, ...]]) -> Listing:
    """A listing of one photograph a class, whose parents are given."""
    entries = [Entry(Path(name, class_id, "1.jpg"), class_id) for class_id in classes]
    parents = {class_id: names for class_id, names in classes.items() if names}
    return Listing(name, Path(name), entries, {"y": "Yellow iris"}, parents=parents)


def test_added_classes_keep_or_bring_their_parents():
    first = listed("data", {"y": ("iris",), "rose": ()})
    more = listed("more", {"yellow IRIS": (), "bearded": ("iris",), "rose": ("shrubs",)})
    assert join(first, [more]).parents == {
        "y": ("iris",),
        "bearded": ("iris",),
        "rose": ("shrubs",),
    }


def test_sources_that_disagree_on_a_parent_are_refused():
    first, more = listed("data", {"y": ("iris",)}), listed("more", {"Yellow iris": ("lily",)})
    with pytest.raises(ValueError) as error:
        join(first, [more])
    assert str(error.value) == (
        "Class 'y' has the parent 'iris' in data and has the parent 'lily' in more. Give the "
        "class the same parents in all sources."
    )


def test_an_added_label_that_is_a_parent_is_left_out_with_a_note():
    first = listed("data", {"y": ("7",)})
    first.names["7"] = "Irises"
    joined = join(first, [listed("more", {"7": (), "irises": (), "yellow iris": (), "tulip": ()})])
    assert [entry.class_id for entry in joined.entries] == ["y", "y", "tulip"]
    assert joined.notes == [
        f"more: the photographs labelled '{name}' (1) are left out, because '{name}' is a group of "
        "classes. Label them with one of its classes."
        for name in ("7", "irises")
    ]


def test_a_class_that_is_a_parent_of_added_ones_is_refused():
    with pytest.raises(ValueError, match="'iris' is both a class and a parent of class 'y'"):
        join(listed("data", {"iris": ()}), [listed("more", {"y": ("iris",)})])
