"""Corrections: kept whole or not at all, by several at once, and taken by train.py --add."""

import csv
import errno
import io
import os
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pillow_heif
import pytest
import tiny
from drawing import drawn_photograph
from gradio.components.image import ImageData
from loading import load_source
from PIL import Image

from demo import collect, labels
from demo.__main__ import parse
from demo.collect import PHOTOGRAPHS, Change, Corrections
from demo.labels import NONE_OF_THESE, TABLE, Classes, NotKept, Row, new_name
from demo.page import build
from demo.photo import Photo
from demo.tabs.correct import kept_text, train_command
from model.checkpoints.checkpoint import load
from model.photographs import images
from model.photographs.sources import list_source

ROOT = Path(__file__).resolve().parents[2]

WRITER = """
import io, sys
from pathlib import Path
sys.path.insert(0, "tests")
from drawing import drawn_photograph
from demo.collect import Corrections
corrections = Corrections(Path(sys.argv[1]))
for seed in range(int(sys.argv[2]), int(sys.argv[3])):
    buffer = io.BytesIO()
    drawn_photograph(0.3, seed).save(buffer, "JPEG")
    corrections.keep("me", buffer.getvalue(), "rose", "tulip")
    print(seed, flush=True)
"""


def photograph(seed: int = 0, kind: str = "JPEG", **options: object) -> bytes:
    buffer = io.BytesIO()
    drawn_photograph(0.3, seed).save(buffer, kind, **options)
    return buffer.getvalue()


def table(folder: Path) -> list[list[str]]:
    with (folder / TABLE).open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def listed(folder: Path) -> dict[str, str]:
    """What train.py makes of the folder: file name -> class."""
    found = list_source(str(folder), data_dir=folder, cache_dir=folder)
    assert not found.skipped
    return {entry.path.name: entry.class_id for entry in found.entries}


def writer(folder: Path, first: int, last: int) -> subprocess.Popen:
    command = [sys.executable, "-c", WRITER, str(folder), str(first), str(last)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


@pytest.fixture
def corrections(tmp_path: Path) -> Corrections:
    return Corrections(tmp_path / "corrections")


def test_a_correction_is_the_file_as_it_was_sent_and_a_row(corrections: Corrections):
    exif = Image.Exif()
    exif[0x8825] = {1: "N", 2: (52.0, 30.0, 0.0)}  # where it was taken
    content = photograph(exif=exif)
    kept = corrections.keep("me", content, "rose", "tulip")
    file = corrections.folder / kept.row.path
    assert file.read_bytes() == content
    assert file.parent.name == PHOTOGRAPHS and len(file.stem) == 16
    assert table(corrections.folder) == [[*Row._fields], [*kept.row]]
    assert kept.row[1:3] == ("rose", "tulip") and kept.row.time.endswith("+00:00")
    assert listed(corrections.folder) == {file.name: "rose"}


def test_names_with_separators_and_quotation_marks_survive_the_table(corrections: Corrections):
    names = ['5" nail, bent', "it's", "Ä ö", "1"]
    for seed, name in enumerate(names):
        corrections.keep("me", photograph(seed), new_name(name), "tulip")
    corrections.keep("me", photograph(9), "a;b", "tulip")  # a class of the checkpoint may have it
    names.append("a;b")
    assert sorted(listed(corrections.folder).values()) == sorted(names)


@pytest.mark.parametrize(
    ("kind", "ending"),
    [("PNG", ".png"), ("WEBP", ".webp"), ("GIF", ".gif"), ("TIFF", ".tif"), ("MPO", ".jpg")],
)
def test_the_ending_is_that_of_the_bytes(corrections: Corrections, kind: str, ending: str):
    content = photograph(kind=kind)
    assert corrections.keep("me", content, "rose", "tulip").row.path.endswith(ending)


def test_the_ending_of_a_telephones_photograph(corrections: Corrections):
    pillow_heif.register_heif_opener()
    content = photograph(kind="HEIF")
    images.decode(content)
    assert corrections.keep("me", content, "rose", "tulip").row.path.endswith(".heic")
    assert set(listed(corrections.folder).values()) == {"rose"}


def test_a_photograph_has_one_label_the_later_one(corrections: Corrections):
    corrections.keep("me", photograph(1), "rose", "tulip")
    corrections.keep("me", photograph(2), "rose", "tulip")
    later = corrections.keep("you", photograph(1), "daisy", "tulip")
    assert later.earlier and later.earlier.label == "rose"
    assert later.labels == Counter(rose=1, daisy=1)
    again = corrections.keep("you", photograph(1), "daisy", "tulip")
    assert again.row == again.earlier == later.row
    assert sorted(listed(corrections.folder).values()) == ["daisy", "rose"]


def test_undo_takes_the_last_ones_back_one_after_the_other(corrections: Corrections):
    first = corrections.keep("me", photograph(1), "rose", "tulip")
    corrections.keep("me", photograph(1), "daisy", "tulip")
    corrections.keep("me", photograph(2), "daisy", "tulip")
    assert corrections.undo("me").row.label == "daisy"
    assert len(list((corrections.folder / PHOTOGRAPHS).iterdir())) == 1
    assert corrections.undo("me").earlier == first.row
    assert table(corrections.folder)[1:] == [[*first.row]]
    assert corrections.can_undo("me")
    corrections.undo("me")
    assert not list((corrections.folder / PHOTOGRAPHS).iterdir())
    assert table(corrections.folder) == [[*Row._fields]]
    assert not corrections.can_undo("me")
    with pytest.raises(NotKept, match="no correction to undo"):
        corrections.undo("me")


def test_undo_leaves_what_somebody_else_has_kept_as_well(corrections: Corrections):
    mine = corrections.keep("me", photograph(1), "rose", "tulip")
    yours = corrections.keep("you", photograph(1), "rose", "tulip")
    assert yours.earlier == mine.row and yours.row.label == "rose"
    with pytest.raises(NotKept, match="stays: somebody else has since kept it, too"):
        corrections.undo("me")
    assert not corrections.can_undo("me")
    assert set(listed(corrections.folder).values()) == {"rose"}
    assert corrections.undo("you").earlier is None  # the last who kept it takes it back
    assert not list((corrections.folder / PHOTOGRAPHS).iterdir())
    assert table(corrections.folder) == [[*Row._fields]]


def test_the_later_of_two_who_kept_the_same_takes_only_its_own_back(corrections: Corrections):
    mine = corrections.keep("me", photograph(1), "rose", "tulip")
    other = Corrections(corrections.folder)  # another program that serves the same folder
    other.keep("you", photograph(1), "rose", "tulip")
    assert other.undo("you").earlier == mine.row
    assert table(corrections.folder)[1:] == [[*mine.row]]
    assert corrections.undo("me").earlier is None
    assert table(corrections.folder) == [[*Row._fields]]


def test_what_was_taken_back_below_another_label_does_not_return(corrections: Corrections):
    corrections.keep("me", photograph(1), "rose", "tulip")
    corrections.keep("you", photograph(1), "daisy", "tulip")
    with pytest.raises(NotKept, match="somebody else has since changed it"):
        corrections.undo("me")
    assert corrections.undo("you").earlier is None
    assert not list((corrections.folder / PHOTOGRAPHS).iterdir())


def test_little_is_remembered_of_each_correction(corrections: Corrections):
    for seed in range(3):
        corrections.keep("me", photograph(seed), f"class {seed}", "tulip")
    remembered = [part for change in corrections._changes["me"] for part in change]
    assert all(part is None or type(part) is Row for part in remembered)


def test_undo_leaves_what_somebody_else_has_said(corrections: Corrections):
    corrections.keep("me", photograph(1), "rose", "tulip")
    corrections.keep("you", photograph(1), "daisy", "tulip")
    with pytest.raises(NotKept, match="somebody else has since changed it"):
        corrections.undo("me")
    with pytest.raises(NotKept, match="no correction to undo"):
        corrections.undo("stranger")
    assert set(listed(corrections.folder).values()) == {"daisy"}


@pytest.mark.parametrize("cut", [1, 20, 40, 60])
def test_half_a_row_is_removed_with_a_message(
    corrections: Corrections, capsys: pytest.CaptureFixture, cut: int
):
    corrections.keep("me", photograph(1), "rose", "tulip")
    whole = (corrections.folder / TABLE).read_bytes()
    corrections.keep("me", photograph(2), 'a "b", ö', "tulip")
    torn = (corrections.folder / TABLE).read_bytes()
    (corrections.folder / TABLE).write_bytes(torn[: len(whole) + cut])
    assert Corrections(corrections.folder).count == 1
    assert "was incomplete, and was removed" in capsys.readouterr().err
    assert (corrections.folder / TABLE).read_bytes() == whole


def test_a_row_that_lacks_only_its_line_end_is_kept(corrections: Corrections):
    corrections.keep("me", photograph(1), "rose", "tulip")
    whole = (corrections.folder / TABLE).read_bytes()
    (corrections.folder / TABLE).write_bytes(whole[:-1])
    corrections.keep("me", photograph(2), "daisy", "tulip")
    assert sorted(listed(corrections.folder).values()) == ["daisy", "rose"]


def test_a_table_that_was_saved_by_a_spreadsheet_is_read(corrections: Corrections):
    corrections.keep("me", photograph(1), "rose", "tulip")
    file = corrections.folder / TABLE
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
    corrections.keep("me", photograph(2), "daisy", "tulip")
    assert sorted(listed(corrections.folder).values()) == ["daisy", "rose"]


def test_many_visitors_at_once_lose_nothing(corrections: Corrections):
    def work(number: int) -> None:
        for seed in range(5):
            content = photograph(10 * number + seed)
            corrections.keep(str(number), content, f"class {number}", "tulip")
        corrections.undo(str(number))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert Counter(listed(corrections.folder).values()) == {f"class {n}": 4 for n in range(8)}


def test_two_programs_may_write_one_folder(corrections: Corrections):
    programs = [writer(corrections.folder, first, first + 15) for first in (0, 100)]
    assert [program.wait(60) for program in programs] == [0, 0]
    assert len(listed(corrections.folder)) == 30


def test_a_killed_program_has_kept_all_that_it_confirmed(corrections: Corrections):
    program = writer(corrections.folder, 0, 10_000)
    assert program.stdout
    confirmed = [program.stdout.readline() for _ in range(12)]
    program.kill()
    confirmed += program.stdout.readlines()
    program.wait(20)
    started = time.monotonic()
    again = Corrections(corrections.folder)
    assert time.monotonic() - started < 5  # the lock has died with it
    assert again.count >= len(confirmed)
    rows = listed(corrections.folder)
    assert len(rows) == again.count
    for name in rows:
        images.decode(corrections.folder / PHOTOGRAPHS / name)


def test_the_folder_and_each_visitor_have_their_limits(
    corrections: Corrections, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(collect, "MAX_EACH", 2)
    for seed in range(2):
        corrections.keep("me", photograph(seed), "rose", "tulip")
    with pytest.raises(NotKept, match="made 2 corrections, the most for one visit"):
        corrections.keep("me", photograph(2), "rose", "tulip")
    monkeypatch.setattr(collect, "MAX_PHOTOGRAPHS", 2)
    with pytest.raises(NotKept, match="no room for more corrections: 2 photographs"):
        corrections.keep("you", photograph(2), "rose", "tulip")
    monkeypatch.setattr(collect, "MAX_PHOTOGRAPHS", 3)
    monkeypatch.setattr(collect, "MAX_BYTES", 100)
    with pytest.raises(NotKept, match="no room"):
        corrections.keep("you", photograph(2), "rose", "tulip")
    corrections.keep("you", photograph(1), "daisy", "tulip")  # which takes no more room
    assert sorted(listed(corrections.folder).values()) == ["daisy", "rose"]


@pytest.mark.parametrize("fails_at", [1, 2, 3])
def test_a_full_disk_loses_nothing_else(
    corrections: Corrections,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
    fails_at: int,
):
    corrections.keep("me", photograph(1), "rose", "tulip")
    before = (corrections.folder / TABLE).read_bytes()
    calls, fsync = [0], os.fsync

    def full(handle: int) -> None:
        calls[0] += 1
        if calls[0] == fails_at:  # of the photograph, its folder, the table
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(NotKept, match="not kept \\(no space left on device\\)"):
        corrections.keep("me", photograph(2), "rose", "tulip")
    assert "a correction was not kept" in capsys.readouterr().err
    assert (corrections.folder / TABLE).read_bytes() == before
    assert len(list((corrections.folder / PHOTOGRAPHS).iterdir())) == 1
    corrections.keep("me", photograph(2), "rose", "tulip")
    assert len(listed(corrections.folder)) == 2


def test_a_folder_that_cannot_be_written_any_more_is_a_sentence(
    corrections: Corrections, monkeypatch: pytest.MonkeyPatch
):
    def refuse(path: Path, content: bytes) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(labels, "write_whole", refuse)
    with pytest.raises(NotKept, match="not kept \\(permission denied\\)") as error:
        corrections.keep("me", photograph(2), "rose", "tulip")
    assert str(corrections.folder) not in str(error.value)


def test_a_folder_of_something_else_is_refused(tmp_path: Path):
    (tmp_path / "data" / "rose").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"something other than corrections \('rose'\)"):
        Corrections(tmp_path / "data")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / TABLE).write_text("path,label\na.jpg,rose\n")
    with pytest.raises(ValueError, match="expected path,label,answer,time, found 'path,label'"):
        Corrections(tmp_path / "other")
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="file cannot be used"):
        Corrections(tmp_path / "file")
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["rose"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a\0b", r"unprintable character U\+0000"),
        ("a\nb", r"unprintable character U\+000A"),
        ("a\u202eb", "unprintable"),
        ("../a", "separates folders"),
        ("a\\b", "separates folders"),
        ("x" * 256, "256 characters; at most 255"),
        ("a;=HYPERLINK(1)", "contains ;, which separates columns of a table"),
        ("a\t=HYPERLINK(1)", r"unprintable character U\+0009"),
        ("=HYPERLINK(1)", "must begin with a letter or a digit"),
        ("..", "must begin"),
        ("", "must begin"),
    ],
)
def test_what_cannot_name_a_class_is_refused(name: str, message: str):
    with pytest.raises(NotKept, match=message):
        new_name(name)


def test_what_is_said_is_a_known_class_where_there_is_one(trained: Path):
    classes = Classes(load(trained))
    assert classes.choices() == [NONE_OF_THESE, "Dog rose", "Garden tulip", "Oxeye daisy"]
    for said in ("Dog rose", " dog ROSE ", "rose", "Rose"):
        assert classes.label(said) == "rose"
    assert classes.label("none of these") == classes.label("None of these") == NONE_OF_THESE
    assert classes.label("cafe\u0301") == "caf\u00e9"
    for nothing in ("", "  ", None, ["rose"], 3):
        with pytest.raises(NotKept, match="First choose what it is"):
            classes.label(nothing)


def test_a_parent_of_classes_is_no_label(trained: Path):
    checkpoint = load(trained)
    classes = Classes(replace(checkpoint, parents=[(), ("Shrubs", "roses"), ()]))
    assert classes.label("Dog rose") == "rose"
    for said in ("roses", " shrubs "):
        with pytest.raises(
            NotKept, match=f"'{said.strip()}' is a group of classes; please name the class"
        ):
            classes.label(said)


def test_the_background_of_the_checkpoint_is_none_of_these(trained: Path):
    checkpoint = load(trained)
    calibration = replace(checkpoint.calibration, background="other")
    classes = Classes(replace(checkpoint, calibration=calibration))
    assert classes.label("none of these") == "other"
    assert classes.shown("other") == "none of these"
    command = train_command(classes, "kept", Counter(other=1))
    assert command == "python train.py photographs --add kept --background other"


def test_the_command_is_one_that_works(trained: Path):
    classes = Classes(load(trained))
    few, enough = Counter({NONE_OF_THESE: 2, "rose": 3}), Counter({NONE_OF_THESE: 3})
    command = "python train.py photographs --add 'my kept'"
    assert train_command(classes, "my kept", few) == command
    assert train_command(classes, "my kept", enough) == f"{command} --background 'none of these'"


def test_what_was_kept_is_said_and_escaped(trained: Path):
    classes = Classes(load(trained))
    row = Row("photographs/a.jpg", "rose", "tulip", "2026-01-01T00:00:00+00:00")
    text = kept_text(Change(row, None, Counter(rose=1)), classes, "kept")
    assert "“Dog rose”" in text and "so far (1):" in text and "new class" not in text
    evil = row._replace(label="a<img src=x onerror=alert(1)>")
    text = kept_text(Change(evil, row, Counter([evil.label, evil.label])), classes, "<b>")
    assert "<img" not in text and "<b>&" not in text
    assert "in place of “Dog rose”" in text
    assert "a new class with 2 photographs. Training ignores it until it has 3." in text
    assert "Did you mean" not in text
    typo = row._replace(label="Dogg rose")
    text = kept_text(Change(typo, None, Counter([typo.label])), classes, "kept")
    assert "Did you mean “Dog rose”? Choose “Undo” and name it again." in text
    later = row._replace(time="2026-01-02T00:00:00+00:00")
    for now in (row, later):
        text = kept_text(Change(now, row, Counter(rose=1)), classes, "kept")
        assert "Already kept" in text and "--add kept" in text
    text = kept_text(Change(row, None, Counter(rose=1)), classes, None)  # for visitors
    assert "“Dog rose”" in text and "train" not in text.lower()


def test_a_correction_is_what_training_learns_next(
    trained: Path, corrections: Corrections, monkeypatch: pytest.MonkeyPatch
):
    tiny.install(monkeypatch)
    data, classes = trained.parent / "photographs", Classes(load(trained))
    wrong = sorted((data / "tulip").glob("*.jpg"))[0]
    kept = corrections.keep("me", wrong.read_bytes(), classes.label("Dog rose"), "tulip")
    for seed in range(4):
        corrections.keep("me", photograph(seed), classes.label("none of these"), "tulip")
    loaded = load_source(
        data,
        cache_dir=trained.parent / "cache",
        added=(corrections.folder,),
        background=classes.background,
        class_names=data / "cat_to_name.json",
    )
    found = {
        Path(path).name: loaded.class_ids[label] if label < len(loaded.class_ids) else "background"
        for photos in loaded.splits.values()
        for path, label in zip(photos.paths, photos.labels, strict=True)
        if corrections.folder in Path(path).parents
    }
    assert found.pop(Path(kept.row.path).name) == "rose"
    assert list(found.values()) == ["background"] * 4
    paths = [Path(path) for photos in loaded.splits.values() for path in photos.paths]
    assert wrong not in paths  # its wrong label is gone
    assert any("was 'tulip' and is now 'rose'" in note for note in loaded.notes)


def test_an_upload_names_its_file(tmp_path: Path):
    photo = Photo(type="pil")
    photo.GRADIO_CACHE = str(tmp_path)
    (tmp_path / "a.jpg").write_bytes(photograph())
    sent = photo.preprocess(ImageData(path=str(tmp_path / "a.jpg")))
    assert sent and sent.path and sent.path.read_bytes() == photograph()


def test_without_the_option_there_is_no_such_part(shipped, corrections: Corrections):
    assert parse([]).collect is None
    assert parse(["--collect", "kept"]).collect == Path("kept")
    ids = {block.elem_id for block in build(shipped).blocks.values()}
    assert not ids & {"correct", "right-class", "keep", "undo"}
    page = build(shipped, corrections=corrections)
    assert {"correct", "right-class", "keep", "undo"} <= {b.elem_id for b in page.blocks.values()}
    assert list(page.get_api_info()["named_endpoints"]) == ["/predict", "/predict_only"]
