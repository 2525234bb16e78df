"""train.py on what people have: a background, a table, an archive, more photographs, own splits."""

import csv
import io
import json
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from drawing import draw_class, drawn_photograph, same_photograph
from PIL import Image
from scenes import frames

import train
from model.backbones.backbone import Backbone
from model.checkpoints.checkpoint import load
from model.classifier import Classifier
from model.commands import console
from model.commands import main as cli

Run = Callable[..., int]


@pytest.fixture
def run(tiny_backbone: Callable[..., Backbone], cache_dir: Path, tmp_path: Path) -> Run:
    """Runs train.py (or, with a command's name first, `python -m model`) with a tiny backbone."""

    def run_command(*arguments: object) -> int:
        places = ["--cache-dir", str(cache_dir), "--device", "cpu"]
        words = [*map(str, arguments), *places]
        if words[0] in ("evaluate", "predict", "audit", "race"):
            options = cli.parse(words)
            return console.run(f"python -m model {words[0]}", lambda: options.run(options))
        words += ["--backbone", "test_resnet", "--epochs", "12", "--out", str(tmp_path / "out")]
        options = train.parse([*words, "--overwrite"])
        return console.run("train.py", lambda: train.main(options))

    return run_command


def album(folder: Path, *names: str, count: int = 8) -> Path:
    for number, name in enumerate(names):
        draw_class(folder / name, number, max(len(names), 4), count)
    return folder


def metrics(folder: Path) -> dict:
    return json.loads((folder / "metrics.json").read_text(encoding="utf-8"))


def table(path: Path, rows: Sequence[tuple[str, ...]], header: tuple[str, ...]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def test_a_background_is_trained_against_and_never_shown(run: Run, tmp_path: Path, cache_dir: Path):
    data = album(tmp_path / "data", "daisy", "other", "rose", "tulip")
    assert run(data, "--background", "other") == 0
    made = load(tmp_path / "out")
    assert made.class_ids == ["daisy", "rose", "tulip"]
    assert made.calibration.background == "other"
    assert made.head.num_classes == 4
    assert made.evidence and not any(name.startswith("other/") for name in made.evidence.names)
    valid = metrics(tmp_path / "out")["splits"]["valid"]
    assert valid["background"] == 2 and valid["photographs"] == 6
    classifier = Classifier(tmp_path / "out", device="cpu", cache_dir=cache_dir)
    others = [Image.open(path) for path in sorted((data / "other").iterdir())]
    roses = [Image.open(path) for path in sorted((data / "rose").iterdir())]
    found = classifier.predict([*others, *roses], top=9)
    assert all({c.label for c in one.top} == {"daisy", "rose", "tulip"} for one in found)
    assert all(sum(c.probability for c in one.top) == pytest.approx(1) for one in found)
    scores = np.array([one.unknown_score for one in found])
    assert scores[:8].min() > scores[8:].max(), "its probability is part of the unknown score"
    explained = classifier.predict(others[:1], explain=True)[0]
    assert explained.heat and explained.heat.label < 3


def test_the_background_is_measured_apart(run: Run, tmp_path: Path, capsys):
    data = album(tmp_path / "data", "daisy", "other", "rose")
    assert run(data, "--background", "other") == 0
    assert "photographs of the background 'other'" in capsys.readouterr().out
    assert run("evaluate", data, "--checkpoint", tmp_path / "out", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["photographs"] == 16 and found["background"] == 8
    assert 0 <= found["background_rejected"] <= 1
    assert {row["class_id"] for row in found["per_class"]} == {"daisy", "rose"}


def test_a_background_that_is_not_there_is_one_sentence(run: Run, tmp_path: Path, capsys):
    data = album(tmp_path / "data", "daisy", "rose")
    assert run(data, "--background", "othr") == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert "--background othr: " in said and "Its classes: 'daisy', 'rose'." in said


def test_a_background_beside_one_class_is_no_classifier(run: Run, tmp_path: Path, capsys):
    data = album(tmp_path / "data", "daisy", "other")
    assert run(data, "--background", "other") == 2
    assert "needs at least 2" in capsys.readouterr().err


def test_a_checkpoint_with_a_background_exports_and_answers_alike(run: Run, tmp_path: Path):
    pytest.importorskip("onnxruntime")
    data = album(tmp_path / "data", "daisy", "other", "rose")
    assert run(data, "--background", "other") == 0
    options = cli.parse(
        ["export", "--checkpoint", str(tmp_path / "out"), "--onnx", str(tmp_path / "a.onnx")]
    )
    assert options.run(options) == 0  # it compares itself with the classifier before it is kept


def test_a_table_with_splits_and_other_names_trains_and_is_measured(
    run: Run, tmp_path: Path, capsys
):
    data = album(tmp_path / "data", "daisy", "rose", count=9)
    rows = [
        (f"data/{path.parent.name}/{path.name}", path.parent.name.upper(), split)
        for folder in sorted(data.iterdir())
        for path, split in zip(
            sorted(folder.iterdir()), ["train"] * 5 + ["val"] * 2 + ["test"] * 2, strict=True
        )
    ]
    rows.append(("data/daisy/gone.jpg", "DAISY", "train"))
    labels = table(tmp_path / "labels.csv", rows, ("file", "species", "part"))
    flags = ("--path-column", "file", "--label-column", "species", "--split-column", "part")
    assert run(labels, *flags) == 0
    made = metrics(tmp_path / "out")
    assert made["data"]["photographs"] == {"train": 10, "valid": 4, "test": 4}
    assert load(tmp_path / "out").class_ids == ["DAISY", "ROSE"]
    skipped = (tmp_path / "out" / "skipped.csv").read_text(encoding="utf-8")
    assert "gone.jpg" in skipped and "line 20" in skipped
    capsys.readouterr()
    where = ("--checkpoint", tmp_path / "out", *flags)
    assert run("evaluate", labels, "--split", "test", "--json", *where) == 0
    assert json.loads(capsys.readouterr().out)["photographs"] == 4


def test_a_listed_folder_with_splits_says_that_train_is_measured_too(
    run: Run, tmp_path: Path, trained: Path, capsys
):
    data = album(tmp_path / "data", "daisy", "rose", "tulip")
    rows = [
        (f"{path.parent.name}/{path.name}", path.parent.name, "train" if number else "test")
        for folder in sorted(data.iterdir())
        for number, path in enumerate(sorted(folder.iterdir()))
    ]
    table(data / "labels.csv", rows, ("path", "label", "split"))
    assert run("evaluate", data, "--checkpoint", trained, "--json") == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["photographs"] == 24
    assert "including train" in captured.err
    assert run("evaluate", data, "--split", "test", "--checkpoint", trained, "--json") == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["photographs"] == 3
    assert "including train" not in captured.err


def test_a_wrong_background_stops_before_photographs_are_read(run: Run, tmp_path: Path, capsys):
    data = album(tmp_path / "data", "daisy", "rose")
    assert run(data, "--background", "othr") == 2
    assert "Reading files" not in capsys.readouterr().err


def test_a_column_named_by_group_by_keeps_its_photographs_together(run: Run, tmp_path: Path):
    data = album(tmp_path / "data", "daisy", "rose", count=12)
    rows = [
        (f"data/{path.parent.name}/{path.name}", path.parent.name, f"person {number % 4}")
        for folder in sorted(data.iterdir())
        for number, path in enumerate(sorted(folder.iterdir()))
    ]
    labels = table(tmp_path / "labels.csv", rows, ("path", "label", "who"))
    assert run(labels, "--group-by", "who") == 0
    data_of_run = metrics(tmp_path / "out")["data"]
    assert data_of_run["groups"] == 4 and data_of_run["grouped_by"] == "who"


def test_photographs_in_two_splits_are_counted_and_left_out_of_a_second_figure(
    run: Run, tmp_path: Path, capsys
):
    for number, name in enumerate(("daisy", "rose")):
        for split, count in (("train", 8), ("valid", 4)):
            draw_class(tmp_path / "data" / split / name, number, 2, count)
    burst = frames(5, 2)
    burst[0].save(tmp_path / "data/train/rose/a.jpg", quality=95)
    burst[1].save(tmp_path / "data/valid/rose/b.jpg", quality=95)
    same_photograph(tmp_path / "data/train/daisy/001.jpg", tmp_path / "data/valid/daisy/copy.jpg")
    assert run(tmp_path / "data") == 0
    said = "2 of the 10 validation photographs have a copy or another photograph of their group"
    assert said in capsys.readouterr().out
    valid = metrics(tmp_path / "out")["splits"]["valid"]
    assert valid["in_train"] == 2 and 0 <= valid["top1_without"] <= 1
    assert said in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("command", ["train", "evaluate", "audit", "race", "predict"])
def test_every_command_takes_an_archive(
    command: str, run: Run, tmp_path: Path, trained: Path, capsys
):
    data = album(tmp_path / "data", "daisy", "rose", "tulip")
    archive = tmp_path / "album.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(data.rglob("*.jpg")):
            file.write(path, path.relative_to(tmp_path).as_posix())
    arguments: dict[str, tuple[object, ...]] = {
        "train": (archive,),
        "evaluate": ("evaluate", archive, "--checkpoint", trained),
        "audit": ("audit", archive, "--checkpoint", trained),
        "race": ("race", archive, "--backbones", "test_resnet", "--photographs", 12),
        "predict": ("predict", archive, "--checkpoint", trained, "--json"),
    }
    assert run(*arguments[command]) == 0
    out = capsys.readouterr().out
    if command == "predict":
        assert len(out.splitlines()) == 24
    if command == "evaluate":
        assert "24" in out


def test_a_bad_archive_leaves_nothing_and_is_one_sentence(run: Run, tmp_path: Path, capsys):
    archive = tmp_path / "evil.zip"
    content = io.BytesIO()
    drawn_photograph(0.3, 0).save(content, "JPEG")
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("/etc/rose/1.jpg", content.getvalue())
    assert run(archive) == 2
    said = capsys.readouterr().err.splitlines()
    assert "absolute path" in said[-1] and not (tmp_path / "out").exists()


def test_add_may_be_repeated_and_names_what_it_changes(run: Run, tmp_path: Path, capsys):
    data = album(tmp_path / "data", "daisy", "rose")
    more = album(tmp_path / "more", "a", "b", "c", "tulip")
    for name in ("a", "b", "c"):
        for path in (more / name).iterdir():
            path.unlink()
    fixes = tmp_path / "fixes" / "rose"
    fixes.mkdir(parents=True)
    same_photograph(data / "daisy" / "003.jpg", fixes / "was-a-daisy.jpg")
    assert run(data, "--add", more, "--add", tmp_path / "fixes") == 0
    assert load(tmp_path / "out").class_ids == ["daisy", "rose", "tulip"]
    assert "was 'daisy' and is now 'rose'" in capsys.readouterr().out


def test_a_source_that_is_not_there_is_one_sentence(run: Run, tmp_path: Path, capsys):
    data = album(tmp_path / "data", "daisy", "rose")
    assert run(data, "--add", tmp_path / "none") == 2
    assert "none is not a folder, a table" in capsys.readouterr().err.splitlines()[-1]
