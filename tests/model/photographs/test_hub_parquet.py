"""Parquet files of photographs, as data sets on a stand-in for the Hub hold them."""

import io
import sys
from pathlib import Path
from typing import Any

import hub_stand_in
import pytest
from hub_listing import KIND, NAME, REPO, listed, rows
from hub_stand_in import IMAGE, cells, class_label, flowers, parquet, picture

from model.photographs import hub_parquet, images
from model.photographs.tables import Columns


def both(split: str, count: int = 2) -> list[tuple[str, str]]:
    return [(split, "rose")] * count + [(split, "tulip")] * count


def test_parquet_files_are_unpacked_with_the_names_of_their_classes(
    standin: hub_stand_in.Hub, tmp_path: Path
):
    files = {
        "data/train-00000-of-00002.parquet": flowers(4),
        "data/train-00001-of-00002.parquet": flowers(2),
        "data/validation-00000-of-00001-0123456789abcdef.parquet": flowers(2),
        "data/extra-00000-of-00001.parquet": flowers(2),
        "assets/logo.gif": picture(0, "GIF")[:40],
    }
    head = standin.add(REPO, files, KIND).head
    found = listed(tmp_path)
    assert rows(found) == both("train", 3) + both("valid", 1)
    assert not found.skipped
    assert all(entry.path.is_relative_to(tmp_path) for entry in found.entries)
    assert (
        found.notes[0] == f"{REPO} is at commit {head}. To use this version again: hf:{REPO}@{head}"
    )
    assert found.notes[1].endswith("not train, valid or test: extra.")
    assert "data/extra-00000-of-00001.parquet" not in standin.downloaded
    labels = [(entry.split, entry.class_id) for entry in found.entries]
    assert labels == sorted(labels, key=lambda pair: (pair[0] != "train", pair))
    alone = listed(tmp_path, f"{NAME}:extra")
    assert rows(alone) == both("", 1)


def test_a_column_may_hold_the_splits(standin: hub_stand_in.Hub, tmp_path: Path):
    parts = ["train", "train", "val", "test"]
    standin.add(REPO, {"data/photos.parquet": flowers(split=parts, part=parts[::-1])}, KIND)
    found = listed(tmp_path)
    expected = [("test", "tulip"), ("train", "rose"), ("train", "tulip"), ("valid", "rose")]
    assert rows(found) == expected
    assert listed(tmp_path) == found
    assert rows(listed(tmp_path, columns=Columns(split="part")))[0] == ("test", "rose")
    assert rows(listed(tmp_path, f"{NAME}:photos")) == both("", 2)
    with pytest.raises(ValueError, match=r"no column 'fold'.*--split-column"):
        listed(tmp_path, columns=Columns(split="fold"))


def test_splits_of_file_names_come_before_those_of_a_column(
    standin: hub_stand_in.Hub, tmp_path: Path
):
    standin.add(REPO, {"train.parquet": flowers(2, split=["test", "nonsense"])}, KIND)
    assert rows(listed(tmp_path)) == both("train", 1)


@pytest.mark.parametrize("parts", [["train", "fold 1"], ["train", None], [0, 1]])
def test_a_column_that_holds_no_splits_is_not_used(
    standin: hub_stand_in.Hub, tmp_path: Path, parts: list[Any]
):
    standin.add(REPO, {"photos.parquet": flowers(2, split=parts, part=parts)}, KIND)
    found = listed(tmp_path)
    assert rows(found) == both("", 1)
    assert found.notes[1].startswith("The column 'split' is not used: ")
    with pytest.raises(ValueError, match=r"in the column 'part'.*--split-column"):
        listed(tmp_path, columns=Columns(split="part"))


def test_without_pyarrow_the_remedy_is_named(
    standin: hub_stand_in.Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    standin.add(REPO, {"data/train-00000-of-00001.parquet": flowers()}, KIND)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(ValueError, match="pip install pyarrow"):
        listed(tmp_path)
    assert not standin.downloaded


def test_columns_are_chosen_by_name_or_by_kind(standin: hub_stand_in.Hub, tmp_path: Path):
    content = parquet(
        {
            "photo": cells([picture(0), picture(1)]),
            "coarse": [1, 0],
            "fine": [0, 1],
            "species": ["rose", " tulip "],
            "plant": [7, None],
        },
        {"photo": IMAGE, "coarse": class_label("a", "b"), "fine": class_label("c", "d")},
    )
    standin.add(REPO, {"train.parquet": content}, KIND)
    first = listed(tmp_path)
    assert rows(first) == [("train", "a"), ("train", "b")]
    assert (
        "The labels come from the column coarse. To use another: --label-column fine"
        in (first.notes[1])
    )
    flagged = listed(tmp_path, columns=Columns(label="species", group="plant"))
    assert [(e.class_id, e.group) for e in flagged.entries] == [("rose", "7"), ("tulip", "")]
    assert rows(listed(tmp_path, columns=Columns(label="fine"))) == [("train", "c"), ("train", "d")]
    with pytest.raises(ValueError, match=r"no column 'kind'.*species \(.*--label-column"):
        listed(tmp_path, columns=Columns(label="kind"))
    with pytest.raises(ValueError, match=r"no column 'farm'.*--group-column"):
        listed(tmp_path, columns=Columns(group="farm"))


def test_files_of_other_programs_need_no_description(standin: hub_stand_in.Hub, tmp_path: Path):
    contents = [picture(0), picture(1)]
    standin.add(
        REPO,
        {
            "default/train/0000.parquet": parquet({"image": contents, "labels": [3, 4]}),
            "default/test/0000.parquet": parquet({"image": cells(contents), "label": ["3", "4"]}),
        },
        KIND,
    )
    assert rows(listed(tmp_path)) == [(s, c) for s in ("test", "train") for c in ("3", "4")]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"left": cells([b"x"]), "right": cells([b"x"]), "label": [1]},
            "has 2 columns of pictures",
        ),
        ({"url": ["http://x"], "label": [1]}, "has no columns of pictures"),
        ({"image": cells([b"x"]), "caption": ["x"]}, r"no column 'label'.*caption \(string\)"),
        ({"image": cells([b"x"]), "label": [[1, 2]]}, "with texts or whole numbers"),
    ],
)
def test_columns_that_cannot_be_chosen_are_named(
    standin: hub_stand_in.Hub, tmp_path: Path, columns: dict[str, Any], message: str
):
    standin.add(REPO, {"train.parquet": parquet(columns)}, KIND)
    with pytest.raises(ValueError, match=message):
        listed(tmp_path)


def test_rows_that_cannot_be_used_are_skipped_each_with_its_reason(
    standin: hub_stand_in.Hub, tmp_path: Path
):
    contents = [picture(0), None, b"", b"<html>", picture(1), picture(2), picture(3)[:30]]
    content = parquet(
        {"image": cells(contents), "label": [0, 0, 0, 0, -1, 9, 1]},
        {"image": IMAGE, "label": class_label("rose", "tulip")},
    )
    standin.add(REPO, {"data/train-00000-of-00001.parquet": content}, KIND)
    found = listed(tmp_path)
    assert [entry.class_id for entry in found.entries] == ["rose", "tulip"]
    reasons = {bad.path.name: bad.reason for bad in found.skipped}
    assert reasons == {
        "row 2": "holds no picture",
        "row 3": "holds no picture",
        "row 4": f"is not one of {images.FORMATS_TEXT}",
        "row 5": "has no label",
        "row 6": "has no label",
    }


def test_the_ending_follows_the_first_bytes(standin: hub_stand_in.Hub, tmp_path: Path):
    forms = ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"]
    contents = [*(picture(0, form) for form in forms), b"\0\0\0\x18ftypheic" + bytes(12)]
    standin.add(
        REPO, {"train.parquet": parquet({"image": cells(contents), "label": ["x"] * 8})}, KIND
    )
    endings = [entry.path.suffix for entry in listed(tmp_path).entries]
    assert endings == [".jpg", ".png", ".webp", ".gif", ".bmp", ".tif", ".avif", ".heic"]


@pytest.mark.parametrize("label", ["../../../evil", "/etc/evil", "..", "a/b", "C:\\evil"])
def test_a_label_leads_to_no_other_folder(standin: hub_stand_in.Hub, tmp_path: Path, label: str):
    content = parquet({"image": cells([picture()]), "label": [label]})
    standin.add(REPO, {"data/a..b-00000-of-00001.parquet": content}, KIND)
    (entry,) = listed(cache := tmp_path / "deep" / "cache").entries
    assert entry.class_id == label
    assert entry.path.resolve().is_relative_to(cache.resolve())
    assert not list(tmp_path.rglob("*evil*"))


def test_a_label_that_cannot_name_a_class_is_refused(standin: hub_stand_in.Hub, tmp_path: Path):
    content = parquet({"image": cells([picture()]), "label": ["rose\x1b[2J"]})
    standin.add(REPO, {"train.parquet": content}, KIND)
    with pytest.raises(ValueError, match=r"unprintable character U\+001B"):
        listed(tmp_path)
    assert not list(tmp_path.rglob("listing.json"))


def test_a_damaged_parquet_file_is_one_sentence(standin: hub_stand_in.Hub, tmp_path: Path):
    content = flowers(40)
    middle = len(content) // 2
    damaged = content[:200] + bytes(middle) + content[200 + middle :]
    for number, poison in enumerate([b"PAR1", b"\0" * 100, damaged, content[:-20]]):
        standin.add(f"alice/bad{number}", {"train.parquet": poison}, KIND)
        with pytest.raises(ValueError, match=r"train\.parquet of .* cannot be read") as error:
            listed(tmp_path, f"hf:alice/bad{number}")
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("noted", [b"[", b"[]", b'{"info": {"features": [1]}}', b"[" * 100_000])
def test_a_damaged_description_is_as_good_as_none(
    standin: hub_stand_in.Hub, tmp_path: Path, noted: bytes
):
    pa = pytest.importorskip("pyarrow")
    table = pa.table({"image": cells([picture()]), "label": [5]})
    buffer = io.BytesIO()
    pytest.importorskip("pyarrow.parquet").write_table(
        table.replace_schema_metadata({"huggingface": noted}), buffer
    )
    standin.add(REPO, {"train.parquet": buffer.getvalue()}, KIND)
    assert [entry.class_id for entry in listed(tmp_path).entries] == ["5"]


def test_splits_that_are_not_clear_are_asked_for(standin: hub_stand_in.Hub, tmp_path: Path):
    files = {
        f"{config}/{split}-00000-of-00001.parquet": flowers(2)
        for config in ("small", "large")
        for split in ("train", "test")
    }
    standin.add(REPO, {**files, "small/part-00000.parquet": flowers(2)}, KIND)
    with pytest.raises(ValueError, match=rf"it is not clear .*\. Choose one: {NAME}:large/test"):
        listed(tmp_path)
    assert rows(listed(tmp_path, f"{NAME}:small/train")) == both("", 1)
    with pytest.raises(ValueError, match=r"Splits: large/test, large/train, small/part"):
        listed(tmp_path, f"{NAME}:none")


def test_an_interrupted_run_leaves_nothing(
    standin: hub_stand_in.Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    head = standin.add(REPO, {"train.parquet": flowers(4)}, KIND).head

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(hub_parquet, "require_name", interrupt)
        with pytest.raises(KeyboardInterrupt):
            listed(tmp_path)
    place = tmp_path / "datasets" / "hub" / "alice--roses" / head
    assert [path.name for path in place.iterdir()] == ["files.json"]
    assert rows(listed(tmp_path)) == both("train")
