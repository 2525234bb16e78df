"""Data sets on the Hub: a stand-in takes its place (see hub_stand_in)."""

import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hub_stand_in
import pytest
from drawing import drawn_photograph
from huggingface_hub import constants

from model.hub import HubError
from model.photographs import hub_data, hub_parquet, images
from model.photographs.dataset import Listing
from model.photographs.hub_data import list_hub
from model.photographs.tables import DEFAULT_COLUMNS, Columns

REPO = "alice/roses"
NAME = f"hf:{REPO}"
KIND = "dataset"


def picture(number: int = 0, form: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    drawn_photograph(number % 3 / 3, number).save(buffer, form)
    return buffer.getvalue()


def folder_files(splits: Sequence[str] = ("",), classes: Sequence[str] = ("rose", "tulip")):
    return {
        f"{split}{'/' if split else ''}{name}/{number}.{ending}": picture(number, form)
        for split in splits
        for name in classes
        for number, (ending, form) in enumerate([("png", "PNG"), ("JPG", "JPEG")])
    }


def parquet(
    columns: dict[str, list[Any]], features: dict[str, Any] | None = None, **options: Any
) -> bytes:
    """A Parquet file as `datasets` writes them: pictures are bytes and a path."""
    pa = pytest.importorskip("pyarrow")
    table = pa.table(columns)
    if features is not None:
        table = table.replace_schema_metadata(
            {"huggingface": json.dumps({"info": {"features": features}})}
        )
    buffer = io.BytesIO()
    pytest.importorskip("pyarrow.parquet").write_table(table, buffer, **options)
    return buffer.getvalue()


def cells(contents: Sequence[bytes | None]) -> list[dict[str, Any]]:
    return [{"bytes": content, "path": "../../evil.png"} for content in contents]


IMAGE = {"_type": "Image"}


def class_label(*names: str) -> dict[str, Any]:
    return {"_type": "ClassLabel", "names": list(names)}


def flowers(count: int = 4, **more: list[Any]) -> bytes:
    features = {"image": IMAGE, "label": class_label("rose", "tulip")}
    contents = [picture(number) for number in range(count)]
    labels = [number % 2 for number in range(count)]
    return parquet({"image": cells(contents), "label": labels, **more}, features)


def listed(cache: Path, name: str = NAME, **options: Any) -> Listing:
    return list_hub(
        name, **{"columns": DEFAULT_COLUMNS, "class_names": None, "cache_dir": cache, **options}
    )


def rows(listing: Listing) -> list[tuple[str, str]]:
    """Split and class of each photograph, all of which can be decoded."""
    for entry in listing.entries:
        images.decode(entry.path)
    return sorted((entry.split, entry.class_id) for entry in listing.entries)


def both(split: str, count: int = 2) -> list[tuple[str, str]]:
    return [(split, "rose")] * count + [(split, "tulip")] * count


def test_a_folder_of_class_folders_is_listed(standin: hub_stand_in.Hub, tmp_path: Path):
    files = folder_files() | {"README.md": b"# Roses", "run.py": b"evil", "w.bin": b"1"}
    head = standin.add(REPO, files, KIND).head
    found = listed(tmp_path)
    assert rows(found) == both("")
    assert found.name == NAME
    assert found.notes == [f"{REPO} is at {head}. The same again: hf:{REPO}@{head}"]
    assert not {"run.py", "w.bin"} & set(standin.downloaded)


@pytest.mark.parametrize("above", ["", "data/", "images/data/"])
def test_splits_may_lie_below_other_folders(standin: hub_stand_in.Hub, tmp_path: Path, above: str):
    splits = [f"{above}train", f"{above}validation"]
    standin.add(REPO, folder_files(splits) | {"logo.png": picture()}, KIND)
    found = listed(tmp_path)
    assert rows(found) == both("train") + both("valid")
    assert any("left out" in note for note in found.notes)  # the logo


def test_one_split_of_a_folder_alone_is_downloaded(standin: hub_stand_in.Hub, tmp_path: Path):
    names = {"cat_to_name.json": b'{"rose": "A rose"}'}
    standin.add(REPO, folder_files(["data/train", "data/test"]) | names, KIND)
    found = listed(tmp_path, f"{NAME}:test")
    assert rows(found) == both("")
    assert found.names == {"rose": "A rose"}
    assert not [path for path in standin.downloaded if path.startswith("data/train")]
    assert f"@{standin.repositories[KIND, REPO].head}:test" in found.notes[0]
    with pytest.raises(ValueError, match=r"no split 'extra'\. There are: test, train\."):
        listed(tmp_path, f"{NAME}:extra")


def test_names_given_by_the_user_are_used(standin: hub_stand_in.Hub, tmp_path: Path):
    (names := tmp_path / "names.json").write_text('{"rose": "Mine"}')
    standin.add(REPO, folder_files() | {"cat_to_name.json": b'{"rose": "Theirs"}'}, KIND)
    assert listed(tmp_path, class_names=names).names == {"rose": "Mine"}
    standin.add("alice/other", {"data/train-00000-of-00001.parquet": flowers()}, KIND)
    assert listed(tmp_path, "hf:alice/other", class_names=names).names == {"rose": "Mine"}


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
    assert found.notes[0] == f"{REPO} is at {head}. The same again: hf:{REPO}@{head}"
    assert found.notes[1].endswith("not train, valid or test: extra.")
    assert "data/extra-00000-of-00001.parquet" not in standin.downloaded
    labels = [(entry.split, entry.class_id) for entry in found.entries]
    assert labels == sorted(labels, key=lambda pair: (pair[0] != "train", pair))
    alone = listed(tmp_path, f"{NAME}:extra")
    assert rows(alone) == both("", 1)


def test_the_second_run_asks_for_no_file_and_needs_no_pyarrow(
    standin: hub_stand_in.Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    head = standin.add(REPO, {"train/0000.parquet": flowers()}, KIND).head
    standin.add("alice/folder", folder_files(), KIND)
    first, folder = listed(tmp_path), listed(tmp_path, "hf:alice/folder")
    standin.requests.clear()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    assert listed(tmp_path) == first
    assert listed(tmp_path, "hf:alice/folder") == folder
    assert standin.requests == {"info": 2}
    standin.requests.clear()
    pinned = listed(tmp_path, f"{NAME}@{head}")
    assert (pinned.entries, pinned.notes) == (first.entries, [])
    assert not standin.requests


def test_a_pinned_revision_stays(standin: hub_stand_in.Hub, tmp_path: Path):
    repository = standin.add(REPO, folder_files(), KIND)
    old = repository.head
    repository.commit(folder_files(classes=("iris", "lily")))
    assert rows(listed(tmp_path, f"{NAME}@{old}")) == both("")
    assert {entry.class_id for entry in listed(tmp_path).entries} == {"iris", "lily"}


@pytest.mark.parametrize("is_table", [False, True])
def test_without_the_hub_the_cache_is_used_and_said(
    server: hub_stand_in.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_table: bool
):
    files = {"data/train-00000-of-00001.parquet": flowers()} if is_table else folder_files()
    head = server.hub.add(REPO, files, KIND).head
    first = listed(tmp_path)
    server.stop()
    found = listed(tmp_path)
    assert found.entries == first.entries
    assert "cannot be reached" in found.notes[0]
    assert f"as it was cached last, {head}" in found.notes[0]
    with pytest.raises(HubError, match="cannot be reached"):
        listed(tmp_path, "hf:alice/other")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert listed(tmp_path).entries == first.entries
    assert listed(tmp_path).notes[0].startswith("HF_HUB_OFFLINE: ")
    assert listed(tmp_path, f"{NAME}@{head}").entries == first.entries
    with pytest.raises(HubError, match=r"is not in the cache\. Unset HF_HUB_OFFLINE"):
        listed(tmp_path, "hf:alice/other")


def test_half_a_data_set_is_not_taken_for_a_whole_one(server: hub_stand_in.Server, tmp_path: Path):
    server.hub.add(REPO, folder_files(["train", "test"]), KIND)
    listed(tmp_path, f"{NAME}:train")
    server.stop()
    assert rows(listed(tmp_path, f"{NAME}:train")) == both("")
    with pytest.raises(HubError, match="cannot be reached"):
        listed(tmp_path)


def test_a_hub_that_fails_is_as_good_as_none(standin: hub_stand_in.Hub, tmp_path: Path):
    standin.add(REPO, folder_files(), KIND)
    listed(tmp_path)
    standin.refuse["info"] = [503] * 9
    assert "failed (503)" in listed(tmp_path).notes[0]


def test_what_may_not_be_seen_says_so(
    standin: hub_stand_in.Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with pytest.raises(HubError, match=r"has no alice/roses .*\(404\)"):
        listed(tmp_path)
    standin.refuse["info"] = [401]
    with pytest.raises(HubError, match=r"\(401\).* hf auth login"):
        listed(tmp_path)
    standin.add(REPO, folder_files(), KIND).private = True
    assert rows(listed(tmp_path)) == both("")
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(HubError, match="hf auth login") as error:
        listed(tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "name",
    ["hf:roses", "hf:a/b/c", "hf:../x", "hf:alice/roses@", "hf:alice/roses:", "hf:a/b@-x", "a/b"],
)
def test_a_malformed_name_is_refused(standin: hub_stand_in.Hub, tmp_path: Path, name: str):
    with pytest.raises(ValueError, match=r"Expected hf:USER/NAME\[@REVISION\]\[:SPLIT\]"):
        listed(tmp_path, name)
    assert not standin.requests


def test_a_data_set_of_a_loading_script_is_refused(standin: hub_stand_in.Hub, tmp_path: Path):
    standin.add(REPO, {"roses.py": b"evil", "roses.zip": b"PK", "README.md": b""}, KIND)
    with pytest.raises(ValueError, match=r"1 x \.py.*loading scripts are not run"):
        listed(tmp_path)


def test_photographs_without_class_folders_are_refused(standin: hub_stand_in.Hub, tmp_path: Path):
    standin.add(REPO, {"a.png": picture(), "b.png": picture()}, KIND)
    with pytest.raises(ValueError, match="2 photographs and no class folders"):
        listed(tmp_path)


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
        "The labels are the column coarse. To choose another: --label-column fine"
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
        ({"image": cells([b"x"]), "label": [[1, 2]]}, "of texts or whole numbers"),
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
        "row 4": f"is none of {images.FORMATS_TEXT}",
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
    with pytest.raises(ValueError, match=rf"is not clear\. Choose one: {NAME}:large/test"):
        listed(tmp_path)
    assert rows(listed(tmp_path, f"{NAME}:small/train")) == both("", 1)
    with pytest.raises(ValueError, match=r"There are: large/test, large/train, small/part"):
        listed(tmp_path, f"{NAME}:none")


def test_what_is_too_much_is_refused(
    standin: hub_stand_in.Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    standin.add(REPO, {"train.parquet": flowers(4)}, KIND)
    standin.add("alice/folder", folder_files(), KIND)
    with monkeypatch.context() as patch:
        patch.setattr(hub_data, "MAX_FILES", 3)
        with pytest.raises(ValueError, match="more than 3 photographs"):
            listed(tmp_path)
        with pytest.raises(ValueError, match="more than 3 files"):
            listed(tmp_path, "hf:alice/folder")
    monkeypatch.setattr(hub_parquet, "SPARE_BYTES", 10**18)
    with pytest.raises(ValueError, match="Free some space"):
        listed(tmp_path / "other", "hf:alice/folder")
    with pytest.raises(ValueError, match=r"needs .* GB must remain"):
        listed(tmp_path)
    assert not list(tmp_path.rglob("listing.json"))


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
