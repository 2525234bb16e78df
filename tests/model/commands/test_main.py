"""python -m model: predict and evaluate."""

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from drawing import CLASSES, drawn_photograph, lossless_jpeg
from PIL import Image
from systems import ANY_NAME

from model.backbones.backbone import Backbone
from model.checkpoints.checkpoint import load
from model.commands import console
from model.commands import main as cli
from model.features.extract import FeatureCache

ROOT = Path(__file__).resolve().parents[3]
Run = Callable[..., int]
NAMES = {"daisy": "Oxeye daisy", "rose": "Dog rose", "tulip": "Garden tulip"}


@pytest.fixture
def run(trained: Path, tiny_backbone: Callable[..., Backbone], cache_dir: Path) -> Run:
    """Runs a command in this process on the trained checkpoint; returns the exit status."""

    def run_command(command: str, *arguments: object) -> int:
        places = ["--checkpoint", str(trained), "--cache-dir", str(cache_dir), "--device", "cpu"]
        options = cli.parse([command, *map(str, arguments), *places])
        return console.run(f"python -m model {command}", lambda: options.run(options))

    return run_command


@pytest.fixture
def rose(tmp_path: Path, trained: Path) -> Path:
    return Path(
        shutil.copy(trained.parent / "photographs" / "rose" / "000.jpg", tmp_path / "r.jpg")
    )


# predict


def test_predict_prints_a_table_with_bars(run: Run, rose: Path, capsys):
    assert run("predict", rose) == 0
    shown = capsys.readouterr().out
    first, *rows = shown.splitlines()
    assert first == str(rose)
    rows = [row for row in rows if row.endswith("%")]
    assert len(rows) == 3
    assert rows[0].startswith("  Dog rose ")
    assert "█" in rows[0]
    shares = [float(row.split()[-1].removesuffix("%")) for row in rows]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(100, abs=0.2)
    assert rows[0].count("█") > rows[2].count("█")
    assert "  Set: Dog rose" in shown and "of photographs)" in shown


def test_predict_says_that_it_is_none_of_these(run: Run, tmp_path: Path, capsys):
    noise = np.random.default_rng(0).integers(0, 256, (50, 60, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    assert run("predict", tmp_path / "noise.png") == 0
    text = capsys.readouterr().out
    assert "Probably none of these" in text
    assert "Set:" not in text


@ANY_NAME
def test_names_that_are_not_utf8_survive_in_json_and_remain_two(
    run: Run, trained: Path, tmp_path: Path, capfdbinary
):
    for name in (b"\xff.png", b"\xfe.png"):
        path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
        drawn_photograph(0.3, 1).save(path)
    assert run("predict", tmp_path, "--json") == 0
    rows = [json.loads(line) for line in capfdbinary.readouterr().out.decode().splitlines()]
    assert {Path(row["path"]).name for row in rows} == {r"\xff.png", r"\xfe.png"}


@ANY_NAME
def test_control_characters_of_file_names_never_reach_a_terminal(
    run: Run, trained: Path, tmp_path: Path, capsys
):
    good, bad = tmp_path / "good\x1b[2J.png", tmp_path / "bad\x9b\u202e.png"
    drawn_photograph(0.3, 1).save(good)
    bad.write_text("no photograph")
    assert run("predict", good, bad) == 1
    captured = capsys.readouterr()
    shown = captured.out + captured.err
    assert "\\u001b[2J" in shown and "\\u202e" in shown
    assert all(line.isprintable() for line in shown.splitlines())


def test_predict_recognises_a_training_photograph(run: Run, trained: Path, capsys):
    evidence = load(trained).evidence
    assert evidence
    names = evidence.names
    known = trained.parent / "photographs" / names[0]
    assert run("predict", known, "--json") == 0
    evidence = json.loads(capsys.readouterr().out)["evidence"]
    assert evidence["training_photograph"] in names
    assert evidence["similar"][0]["name"] == names[0]
    assert evidence["similar"][0]["distance"] < 0.1
    assert run("predict", known) == 0
    assert "It is the training photograph" in capsys.readouterr().out


def test_predict_json_is_one_object_a_line(run: Run, rose: Path, tmp_path: Path, capsys):
    other = tmp_path / "weiße Blüte.png"
    drawn_photograph(0.0, 4).save(other)
    assert run("predict", rose, other, "--json", "--top", "2") == 0
    captured = capsys.readouterr()
    first, second = map(json.loads, captured.out.splitlines())
    trust = {"set", "coverage", "none_of_these", "unknown_score", "evidence"}
    assert set(first) == {"path", "top"} | trust
    assert [entry["path"] for entry in (first, second)] == [str(rose), str(other)]
    assert len(first["top"]) == len(second["top"]) == 2
    assert set(first["top"][0]) == {"label", "class_id", "probability"}
    assert (first["top"][0]["label"], first["top"][0]["class_id"]) == ("Dog rose", "rose")
    assert 1 >= first["top"][0]["probability"] >= first["top"][1]["probability"] >= 0
    assert second["top"][0]["class_id"] == "daisy"
    assert "weiße Blüte" in captured.out


def test_predict_csv_is_a_table_for_spreadsheets(run: Run, rose: Path, tmp_path: Path, capsys):
    bad = tmp_path / "bad.jpg"
    bad.write_text("text")
    out = tmp_path / "predictions.csv"
    assert run("predict", rose, bad, "--csv", out, "--top", "2") == 1
    with out.open(newline="", encoding="utf-8") as file:
        good_row, bad_row = csv.DictReader(file)
    assert good_row["path"] == str(rose)
    assert (good_row["label_1"], good_row["class_id_1"]) == ("Dog rose", "rose")
    assert 0.5 < float(good_row["probability_1"]) <= 1
    assert set(good_row) == {
        *("path", "label_1", "class_id_1", "probability_1"),
        *("label_2", "class_id_2", "probability_2"),
        *("set", "none_of_these", "unknown_score", "error"),
    }
    assert good_row["set"].startswith("Dog rose")
    assert good_row["none_of_these"] == "False"
    assert float(good_row["unknown_score"]) < 3
    assert good_row["error"] == ""
    assert bad_row["label_1"] == ""
    assert bad_row["error"].startswith("is not a photograph")
    assert capsys.readouterr().out == ""


def test_predict_figure_draws_the_photograph_beside_its_bars(
    run: Run, rose: Path, tmp_path: Path, capsys
):
    figure = tmp_path / "figure.png"
    assert run("predict", rose, "--figure", figure) == 0
    with Image.open(figure) as drawn:
        assert drawn.format == "PNG"
        assert drawn.width > drawn.height > 300
        colours = drawn.convert("RGB").getcolors(1_000_000)
    assert colours is not None
    assert len(colours) > 500  # the photograph is in it, not the bars alone


def test_names_with_dollar_signs_are_drawn_as_they_are(tmp_path: Path):
    from model.backbones.transforms import Transforms
    from model.classifier import Candidate, Prediction
    from model.commands.figure import prediction_png
    from model.explain.heat_map import HeatMap

    top = [Candidate("US $5 $bill", "a", 0.9), Candidate("_x^y$", "b", 0.1)]
    heat = HeatMap(np.eye(4, dtype=np.float32), 0.0, 4.0, 0)
    predicted = Prediction(top, ["_x^y$"], 0.99, True, 0.0, 0.1, heat=heat)
    png = prediction_png(drawn_photograph(0.2, 1), predicted, Transforms(64), "a$b_c$d.jpg")
    assert png.startswith(b"\x89PNG")


def test_predict_searches_folders(run: Run, tmp_path: Path, capsys):
    folder = tmp_path / "album"
    for name in ("a.JPG", "nested/deeper/b.png", "c.webp"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        drawn_photograph(0.3, len(name)).save(folder / name, "PNG")
    for name in ("notes.txt", ".DS_Store", ".hidden.jpg", "nested/Thumbs.db"):
        (folder / name).write_text("no photograph")
    (folder / "loop").symlink_to(folder, target_is_directory=True)
    assert run("predict", folder, "--json") == 0
    paths = [json.loads(line)["path"] for line in capsys.readouterr().out.splitlines()]
    assert sorted(paths) == sorted(
        str(folder / n) for n in ("a.JPG", "nested/deeper/b.png", "c.webp")
    )


def test_many_photographs_keep_their_order(run: Run, tmp_path: Path, capsys):
    paths = [tmp_path / f"{(k * 7) % 20:02}.png" for k in range(20)]
    for number, path in enumerate(paths):
        drawn_photograph((number % 3) / 3, number).save(path)
    paths[9].write_bytes(b"bad")
    assert run("predict", *paths, "--json") == 1
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [entry["path"] for entry in found] == list(map(str, paths))
    assert [number for number, entry in enumerate(found) if "error" in entry] == [9]
    right = [
        entry["top"][0]["class_id"] == CLASSES[number % 3]
        for number, entry in enumerate(found)
        if "top" in entry
    ]
    assert sum(right) >= 16


def test_a_bad_file_is_a_line_of_stderr_and_the_others_go_through(
    run: Run, rose: Path, tmp_path: Path, capsys
):
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(rose.read_bytes()[:-60])
    missing = tmp_path / "missing.jpg"
    assert run("predict", bad, rose, missing, "--json") == 1
    captured = capsys.readouterr()
    first, second, third = map(json.loads, captured.out.splitlines())
    assert set(first) == {"path", "error"}
    assert first["path"] == str(bad)
    assert first["error"].startswith("is damaged or truncated")
    assert second["top"][0]["class_id"] == "rose"
    assert third == {"path": str(missing), "error": "no such file or directory"}
    assert [line.split()[0] for line in captured.err.splitlines()] == [str(bad), str(missing)]

    assert run("predict", bad, rose) == 1
    captured = capsys.readouterr()
    assert captured.out.startswith(str(rose))
    assert captured.err.startswith(str(bad))


def test_bad_files_only_still_end_with_status_1(run: Run, tmp_path: Path, capsys):
    (tmp_path / "bad.jpg").touch()
    assert run("predict", tmp_path / "bad.jpg", "--figure", tmp_path / "f.png") == 1
    assert "is empty (0 bytes)" in capsys.readouterr().err
    assert not (tmp_path / "f.png").exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["{empty}"], "No photographs in"),
        (["{rose}", "{rose}", "--figure", "f.png"], "--figure draws one photograph; 2 were given"),
        (["{rose}", "--top", "0"], "--top 0 must be 1 or more"),
        (["{rose}", "--csv", "{empty}"], "empty"),
    ],
)
def test_a_predict_that_cannot_be_done_is_one_line_and_status_2(
    arguments: list[str], expected: str, run: Run, rose: Path, tmp_path: Path, capsys
):
    (tmp_path / "empty").mkdir()
    places = {"rose": rose, "empty": tmp_path / "empty"}
    assert run("predict", *(argument.format(**places) for argument in arguments)) == 2
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    assert line.startswith("python -m model predict: error: ")
    assert expected in line


def test_a_missing_checkpoint_is_one_line_and_status_2(tmp_path: Path, rose: Path):
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "model",
            "predict",
            str(rose),
            "--checkpoint",
            str(tmp_path / "none"),
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("python -m model predict: error: ")
    assert "is not a checkpoint folder" in line


def test_help_is_there_for_every_command(capsys):
    for arguments in (["--help"], ["predict", "--help"], ["evaluate", "--help"]):
        with pytest.raises(SystemExit) as stopped:
            cli.parse(arguments)
        assert stopped.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "--figure" in text
    assert "the shipped flowers" in text


# evaluate


def test_evaluate_measures_what_is_promised(run: Run, trained: Path, capsys):
    assert run("evaluate", trained.parent / "photographs", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert 0 <= found["ece"] <= 0.5
    assert 0.8 <= found["coverage"] <= 1
    assert 1 <= found["mean_set_size"] <= 3
    assert 0.8 <= found["known_pass_rate"] <= 1
    assert "unknown_auroc" not in found


def test_evaluate_recognises_what_is_none_of_the_classes(
    run: Run, trained: Path, tmp_path: Path, capsys
):
    deep = tmp_path / "unknown" / "some" / "where"
    deep.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(6):
        noise = rng.integers(0, 256, (50, 60, 3), np.uint8)
        Image.fromarray(noise).save(deep / f"{number}.png")
    (deep / "bad.jpg").write_text("text")
    known = trained.parent / "photographs"
    assert run("evaluate", known, "--unknown", tmp_path / "unknown", "--json") == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert found["unknown_photographs"] == 6
    assert found["unknown_auroc"] > 0.95
    assert found["unknown_rejected"] == 1
    assert "bad.jpg is not a photograph" in captured.err
    assert run("evaluate", known, "--unknown", tmp_path / "unknown") == 0
    assert "6 unknown photographs: AUROC " in capsys.readouterr().out


def test_a_folder_of_unknown_photographs_must_be_there(
    run: Run, trained: Path, tmp_path: Path, capsys
):
    known = trained.parent / "photographs"
    assert run("evaluate", known, "--unknown", tmp_path / "none") == 2
    assert "none is not a folder" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert run("evaluate", known, "--unknown", tmp_path / "empty") == 2
    assert "empty has no usable photographs" in capsys.readouterr().err


def test_evaluate_matches_folders_by_class_id(run: Run, trained: Path, capsys):
    assert run("evaluate", trained.parent / "photographs", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["photographs"] == 24
    assert found["top1"] > 0.9
    assert found["top5"] == 1
    assert [entry["class_id"] for entry in found["per_class"]] == list(CLASSES)


@pytest.mark.parametrize("spelling", [str, str.upper])
def test_evaluate_matches_folders_by_class_name(
    spelling: Callable[[str], str], run: Run, trained: Path, tmp_path: Path, capsys
):
    for class_id, name in NAMES.items():
        source = trained.parent / "photographs" / class_id
        shutil.copytree(source, tmp_path / "named" / spelling(name))
    assert run("evaluate", tmp_path / "named", "--json") == 0
    by_name = json.loads(capsys.readouterr().out)
    assert run("evaluate", trained.parent / "photographs", "--json") == 0
    by_id = json.loads(capsys.readouterr().out)
    assert by_name["confusion_matrix"] == by_id["confusion_matrix"]


def test_evaluate_measures_some_of_the_classes(run: Run, trained: Path, tmp_path: Path, capsys):
    shutil.copytree(trained.parent / "photographs" / "rose", tmp_path / "some" / "rose")
    assert run("evaluate", tmp_path / "some", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["photographs"] == 8
    assert found["per_class"][1]["support"] == 8
    assert found["macro_f1"] > 0.9


def test_evaluate_prints_a_table_and_the_confusions(
    run: Run, trained: Path, tmp_path: Path, capsys
):
    shutil.copytree(trained.parent / "photographs" / "rose", tmp_path / "wrong" / "tulip")
    assert run("evaluate", tmp_path / "wrong") == 0
    lines = capsys.readouterr().out.splitlines()
    columns = ["Photographs", "Top-1", "Top-5", "Macro F1", "Loss"]
    columns += ["ECE", "Coverage", "Set size", "Known pass"]
    assert lines[0].split() == " ".join(columns).split()
    assert lines[2].split()[0] == "8"
    assert lines[3].endswith("x Garden tulip classified as Dog rose")


def test_evaluate_names_bad_files_and_measures_the_others(
    run: Run, trained: Path, tmp_path: Path, capsys
):
    folder = tmp_path / "album"
    shutil.copytree(trained.parent / "photographs", folder)
    (folder / "rose" / "000.jpg").write_text("text")
    assert run("evaluate", folder, "--json") == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert found["photographs"] == 23
    (bad,) = (entry for entry in found["skipped"] if entry["path"].endswith(".jpg"))
    assert bad["path"] == str(folder / "rose" / "000.jpg")
    assert bad["reason"].startswith("is not a photograph")
    assert f"{folder / 'rose' / '000.jpg'} is not a photograph" in captured.err


def test_evaluate_says_nothing_of_the_file_of_class_names(run: Run, trained: Path, capsys):
    assert (trained.parent / "photographs" / "cat_to_name.json").is_file()
    assert run("evaluate", trained.parent / "photographs", "--json") == 0
    assert json.loads(capsys.readouterr().out)["skipped"] == []


def test_evaluate_json_stays_json_when_the_cache_is_damaged(
    run: Run,
    trained: Path,
    tiny_backbone: Callable[..., Backbone],
    cache_dir: Path,
    capsys,
):
    assert run("evaluate", trained.parent / "photographs", "--json") == 0
    first = json.loads(capsys.readouterr().out)
    for shard in FeatureCache(cache_dir, tiny_backbone()).folder.glob("*.npy"):
        shard.write_bytes(b"damaged")
    assert run("evaluate", trained.parent / "photographs", "--json") == 0
    assert json.loads(capsys.readouterr().out) == first


def test_folders_of_splits_are_an_error_that_names_them(
    run: Run, photos_dir: Callable[..., Path], capsys
):
    folder = photos_dir(count=3, splits=("train", "valid"))
    assert run("evaluate", folder) == 2
    message = capsys.readouterr().err
    assert f"Name one of them: {folder / 'train'} or {folder / 'valid'}." in message
    assert run("evaluate", folder / "valid", "--json") == 0


@pytest.mark.parametrize("make", ["unknown", "twice", "nothing", "missing"])
def test_folders_that_cannot_be_measured_are_one_line_and_status_2(
    make: str, run: Run, trained: Path, tmp_path: Path, capsys
):
    folder = tmp_path / "album"
    expected = {
        "unknown": "'orchid' is neither a class id nor a class name",
        "twice": "Folders 'Dog rose' and 'rose' are the same class. Join them.",
        "nothing": "has no usable photographs in class folders",
        "missing": "is not a folder",
    }
    if make != "missing":
        (folder / "rose").mkdir(parents=True)
    if make in ("unknown", "twice"):
        drawn_photograph(0.3, 1).save(folder / "rose" / "a.jpg")
        other = folder / {"unknown": "orchid", "twice": "Dog rose"}[make]
        shutil.copytree(folder / "rose", other)
    assert run("evaluate", folder) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("python -m model evaluate: error: ")
    assert expected[make] in line


def test_a_lossless_jpeg_is_classified_and_does_not_end_the_command(tmp_path: Path):
    (tmp_path / "lossless.jpg").write_bytes(lossless_jpeg(1400, 1300))
    done = subprocess.run(
        [sys.executable, "-m", "model", "predict", str(tmp_path / "lossless.jpg"), "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["top"]
