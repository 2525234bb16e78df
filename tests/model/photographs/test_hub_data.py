"""Data sets on the Hub: a stand-in takes its place (see hub_stand_in)."""

import sys
from collections.abc import Sequence
from pathlib import Path

import hub_stand_in
import pytest
from hub_listing import KIND, NAME, REPO, listed, rows
from hub_stand_in import flowers, picture
from huggingface_hub import constants

from model.hub import HubError
from model.photographs import hub_files
from model.photographs.tables import Columns


def folder_files(splits: Sequence[str] = ("",), classes: Sequence[str] = ("rose", "tulip")):
    return {
        f"{split}{'/' if split else ''}{name}/{number}.{ending}": picture(number, form)
        for split in splits
        for name in classes
        for number, (ending, form) in enumerate([("png", "PNG"), ("JPG", "JPEG")])
    }


def both(split: str, count: int = 2) -> list[tuple[str, str]]:
    return [(split, "rose")] * count + [(split, "tulip")] * count


def test_a_folder_of_class_folders_is_listed(standin: hub_stand_in.Hub, tmp_path: Path):
    files = folder_files() | {"README.md": b"# Roses", "run.py": b"evil", "w.bin": b"1"}
    head = standin.add(REPO, files, KIND).head
    found = listed(tmp_path)
    assert rows(found) == both("")
    assert found.name == NAME
    assert found.notes == [
        f"{REPO} is at commit {head}. To use this version again: hf:{REPO}@{head}"
    ]
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
    with pytest.raises(ValueError, match=r"no split 'extra'\. Splits: test, train\."):
        listed(tmp_path, f"{NAME}:extra")


def test_names_given_by_the_user_are_used(standin: hub_stand_in.Hub, tmp_path: Path):
    (names := tmp_path / "names.json").write_text('{"rose": "Mine"}')
    standin.add(REPO, folder_files() | {"cat_to_name.json": b'{"rose": "Theirs"}'}, KIND)
    assert listed(tmp_path, class_names=names).names == {"rose": "Mine"}
    standin.add("alice/other", {"data/train-00000-of-00001.parquet": flowers()}, KIND)
    assert listed(tmp_path, "hf:alice/other", class_names=names).names == {"rose": "Mine"}


def metadata(split: str = "", header: str = "file_name,label", **labels: str) -> dict[str, bytes]:
    """Photographs side by side in a folder, and the table of their labels."""
    rows = [f"{name}.png,{label}" for name, label in labels.items()]
    files = {f"{split}{name}.png": picture(number) for number, name in enumerate(labels)}
    return files | {f"{split}metadata.csv": "\n".join([header, *rows]).encode()}


@pytest.mark.parametrize("above", ["", "data/", "images/"])
def test_labels_may_be_in_a_table(standin: hub_stand_in.Hub, tmp_path: Path, above: str):
    names = {"cat_to_name.json": b'{"rose": "A rose"}'}
    files = metadata(above, a="rose", b="tulip") | {f"{above}c.png": picture()} | names
    standin.add(REPO, files, KIND)
    found = listed(tmp_path)
    assert rows(found) == both("", 1)
    assert found.names == {"rose": "A rose"}
    assert found.notes[1:] == ["Photographs that are not in metadata.csv are left out (1)."]
    standin.requests.clear()
    assert listed(tmp_path) == found
    assert standin.requests == {"info": 1}


@pytest.mark.parametrize("above", ["", "data/"])
def test_each_split_may_have_a_table(standin: hub_stand_in.Hub, tmp_path: Path, above: str):
    train = metadata(f"{above}train/", a="rose", b="tulip")
    test = metadata(f"{above}test/", a="tulip", b="rose", gone="rose")
    del test[f"{above}test/gone.png"]
    standin.add(REPO, train | test, KIND)
    alone = listed(tmp_path, f"{NAME}:test")
    assert rows(alone) == both("", 1)
    assert f"{above}train/a.png" not in standin.downloaded
    found = listed(tmp_path)
    assert rows(found) == both("test", 1) + both("train", 1)
    assert [bad.path.name for bad in found.skipped] == ["gone.png"]
    with pytest.raises(ValueError, match=r"no split 'extra'\. Splits: test, train\."):
        listed(tmp_path, f"{NAME}:extra")


def test_a_split_whose_table_has_no_labels_is_left_out(standin: hub_stand_in.Hub, tmp_path: Path):
    train = metadata("train/", a="rose", b="tulip")
    standin.add(REPO, train | metadata("test/", "file_name,text", a="no", b="no"), KIND)
    found = listed(tmp_path)
    assert rows(found) == both("train", 1)
    assert "metadata.csv is not used: " in found.notes[1]
    assert found.notes[2] == "Photographs that are not in metadata.csv are left out (2)."


def test_one_table_may_list_the_splits(standin: hub_stand_in.Hub, tmp_path: Path):
    pictures = {f"{folder}/{name}.png": picture() for folder in ("train", "test") for name in "ab"}
    lines = ["file_name,label", "train/a.png,rose", "train/b.png,tulip"]
    lines += ["test/a.png,rose", "test/b.png,tulip"]
    standin.add(REPO, pictures | {"metadata.csv": "\n".join(lines).encode()}, KIND)
    assert rows(listed(tmp_path)) == both("test", 1) + both("train", 1)
    assert rows(listed(tmp_path, f"{NAME}:train")) == both("", 1)
    table = b"path,kind,part\na.png,rose,val\nb.png,tulip,train\n"
    files = {"a.png": picture(0), "b.png": picture(1), "metadata.csv": table}
    standin.add("alice/columns", files, KIND)
    columns = Columns(label="kind", split="part")
    found = listed(tmp_path, "hf:alice/columns", columns=columns)
    assert rows(found) == [("train", "tulip"), ("valid", "rose")]
    alone = listed(tmp_path, "hf:alice/columns:validation", columns=columns)
    assert rows(alone) == [("", "rose")]
    with pytest.raises(ValueError, match=r"no split 'test'\. Splits: train, valid\."):
        listed(tmp_path, "hf:alice/columns:test", columns=columns)


@pytest.mark.parametrize("table", [b"file_name,text\nrose/0.png,pretty\n", b"", b"\xff\xfe\0"])
def test_a_table_without_labels_leaves_the_class_folders(
    standin: hub_stand_in.Hub, tmp_path: Path, table: bytes
):
    standin.add(REPO, folder_files(["train", "test"]) | {"metadata.csv": table}, KIND)
    found = listed(tmp_path)
    assert rows(found) == both("test") + both("train")
    assert found.notes[1].startswith("metadata.csv is not used: ")


@pytest.mark.parametrize("above", ["", "images/", "train/"])
def test_photographs_without_any_labels_are_refused(
    standin: hub_stand_in.Hub, tmp_path: Path, above: str
):
    standin.add(REPO, metadata(above, "file_name,kind", a="rose", b="tulip"), KIND)
    with pytest.raises(ValueError, match=r"no class folders\. .*'kind'.*--label-column") as error:
        listed(tmp_path)
    assert "\n" not in str(error.value)
    assert standin.downloaded == [f"{above}metadata.csv"]


@pytest.mark.parametrize("climb", ["../" * 30, "/", "train/../../"])
def test_a_table_names_no_file_of_this_computer(
    standin: hub_stand_in.Hub, tmp_path: Path, climb: str
):
    secret = tmp_path / "secret.png"
    secret.write_bytes(picture())
    files = metadata(a="rose", b="tulip")
    snapshots = Path(constants.HF_HUB_CACHE) / "datasets--alice--roses" / "snapshots"
    if climb.startswith("train"):
        snapshots.mkdir(parents=True)
        (snapshots / "secret.png").write_bytes(picture())
        path = f"{climb}secret.png"
    else:
        path = climb + str(secret).lstrip("/")
    files["metadata.csv"] += f"\n{path},rose".encode()
    standin.add(REPO, files, KIND)
    with pytest.raises(ValueError, match=r"secret\.png, which is not in the data set"):
        listed(tmp_path)


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
    assert f"as last cached, {head}" in found.notes[0]
    with pytest.raises(HubError, match="cannot be reached"):
        listed(tmp_path, "hf:alice/other")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert listed(tmp_path).entries == first.entries
    assert listed(tmp_path).notes[0].startswith("HF_HUB_OFFLINE is set")
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


def test_what_is_too_much_is_refused(
    standin: hub_stand_in.Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    standin.add(REPO, {"train.parquet": flowers(4)}, KIND)
    standin.add("alice/folder", folder_files(), KIND)
    with monkeypatch.context() as patch:
        patch.setattr(hub_files, "MAX_FILES", 3)
        with pytest.raises(ValueError, match="more than 3 photographs"):
            listed(tmp_path)
        with pytest.raises(ValueError, match="more than 3 files"):
            listed(tmp_path, "hf:alice/folder")
    monkeypatch.setattr(hub_files, "SPARE_BYTES", 10**18)
    with pytest.raises(ValueError, match="Free some space"):
        listed(tmp_path / "other", "hf:alice/folder")
    with pytest.raises(ValueError, match=r"needs .* GB must remain"):
        listed(tmp_path)
    assert not list(tmp_path.rglob("listing.json"))


def test_folders_of_a_data_set_may_be_nested(standin: hub_stand_in.Hub, tmp_path: Path):
    splits, classes = ("train", "test"), ("iris/bearded", "iris/yellow", "rose")
    standin.add(REPO, folder_files(splits, classes), KIND)
    found = listed(tmp_path, nested=True)
    assert found.parents == {"bearded": ("iris",), "yellow": ("iris",)}
    assert {class_id for _, class_id in rows(found)} == {"bearded", "yellow", "rose"}


def test_a_table_of_a_data_set_may_give_parents(standin: hub_stand_in.Hub, tmp_path: Path):
    table = b"file_name,label,parent\na.png,bearded,iris\nb.png,rose,\n"
    files = {"a.png": picture(0), "b.png": picture(1), "metadata.csv": table}
    standin.add(REPO, files, KIND)
    assert listed(tmp_path).parents == {"bearded": ("iris",)}
