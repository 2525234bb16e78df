"""--only: the file of classes that may be answered."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from drawing import drawn_photograph

from model.backbones.backbone import Backbone
from model.commands import console, only
from model.commands import main as cli
from model.photographs import class_names

Run = Callable[..., int]


@pytest.fixture
def run(trained: Path, tiny_backbone: Callable[..., Backbone], cache_dir: Path) -> Run:
    def run_command(*arguments: object) -> int:
        places = ["--checkpoint", str(trained), "--cache-dir", str(cache_dir), "--device", "cpu"]
        options = cli.parse(["predict", *map(str, arguments), *places])
        return console.run("python -m model predict", lambda: options.run(options))

    return run_command


@pytest.fixture
def rose(trained: Path) -> Path:
    return trained.parent / "photographs" / "rose" / "000.jpg"


@pytest.fixture
def listed(tmp_path: Path) -> Callable[[str | bytes], Path]:
    def write(text: str | bytes) -> Path:
        file = tmp_path / "classes.txt"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return file

    return write


def test_comments_empty_lines_and_a_byte_order_mark_are_left_out(
    listed: Callable[[str | bytes], Path],
):
    file = listed("\ufeff# my garden\r\nrose\r\n\r\n  # more\r\n  Garden tulip\u2028 \r\n")
    assert only.read(file) == [(2, "rose"), (5, "  Garden tulip\u2028 ")]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("# nothing\n\n", "classes.txt names no class. Write an id or name on each line."),
        (b"rose\n\xff\xfe", "classes.txt, line 2, is not UTF-8 text."),
        ("\n#\nrose\nros", "classes.txt, line 4: none of the 3 classes has the id or name 'ros' "),
    ],
)
def test_what_is_wrong_is_said_with_the_file_and_the_line(
    text: str | bytes,
    says: str,
    listed: Callable[[str | bytes], Path],
    run: Run,
    rose: Path,
    capsys,
):
    assert run(rose, "--only", listed(text)) == 2
    assert says in capsys.readouterr().err


def test_a_missing_file_and_a_folder_are_errors(run: Run, rose: Path, tmp_path: Path, capsys):
    assert run(rose, "--only", tmp_path / "none.txt") == 2
    assert run(rose, "--only", tmp_path) == 2
    missing, folder = capsys.readouterr().err.splitlines()
    assert missing.endswith("none.txt does not exist.")
    assert folder.endswith("is not a text file.")


def test_a_file_of_more_lines_than_classes_is_refused_at_its_line(
    listed: Callable[[str | bytes], Path],
):
    text = "# all\n" + "rose\n" * class_names.MAX_CLASSES
    assert len(only.read(listed(text))) == class_names.MAX_CLASSES
    with pytest.raises(ValueError, match=r"line 25002: more than 25,000 lines"):
        only.read(listed(text + "tulip"))


def test_text_json_and_csv_say_what_was_set_aside(
    run: Run, rose: Path, listed: Callable[[str | bytes], Path], tmp_path: Path, capsys
):
    bad, out = tmp_path / "bad.jpg", tmp_path / "out.csv"
    bad.write_text("text")
    few = ["--only", listed("daisy\nGarden tulip\n")]
    assert run(rose, *few) == 0
    shown = capsys.readouterr().out
    assert "Only 2 of 3 classes were allowed; " in shown
    assert "holds the right class" not in shown, "the right one is probably not allowed"
    assert "of the probability went to others" in shown and "% to Dog rose." in shown
    assert run(rose, *few, "--json") == 0
    row = json.loads(capsys.readouterr().out)
    assert sorted(one["class_id"] for one in row["top"]) == ["daisy", "tulip"]
    assert sum(one["probability"] for one in row["top"]) == pytest.approx(1, abs=1e-6)
    assert 0.5 < row["set_aside"] <= 1 and row["best_set_aside"]["class_id"] == "rose"
    assert run(rose, bad, *few, "--csv", out) == 1
    with out.open(newline="", encoding="utf-8") as file:
        good_row, bad_row = csv.DictReader(file)
    assert float(good_row["set_aside"]) == pytest.approx(row["set_aside"], abs=1e-5)
    assert "label_2" in good_row and "label_3" not in good_row
    assert bad_row["error"].startswith("is not a photograph") and bad_row["set_aside"] == ""


def test_a_promise_is_about_the_classes_that_are_allowed(
    run: Run, rose: Path, listed: Callable[[str | bytes], Path], capsys
):
    assert run(rose, "--only", listed("rose\n")) == 0
    shown = capsys.readouterr().out
    assert "% of photographs, if it is one of those allowed)\n" in shown
    assert "Only 1 of 3 classes was allowed; " in shown


def test_all_classes_are_no_restriction(
    run: Run, listed: Callable[[str | bytes], Path], tmp_path: Path, capsys
):
    drawn_photograph(0.4, 3).save(tmp_path / "p.png")
    assert run(tmp_path / "p.png", "--json") == 0
    assert run(tmp_path / "p.png", "--json", "--only", listed("daisy\nrose\ntulip\nrose\n")) == 0
    without, with_all = capsys.readouterr().out.splitlines()
    assert without == with_all and "set_aside" not in without
