"""Classes with parents from train.py to an answer: nested folders, tables, evaluation, predict."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny
from drawing import draw_class
from safetensors.numpy import load_file, save_file

import train
from model.backbones.backbone import Backbone
from model.checkpoints.checkpoint import load, write_hashes
from model.classifier import Classifier
from model.commands import console
from model.commands import main as cli
from model.photographs import images
from model.trust import calibrate

Run = Callable[..., int]
CLASSES = ("iris/bearded", "iris/yellow", "rose", "tulip")


def draw(folder: Path, count: int) -> Path:
    for number, name in enumerate(CLASSES):
        draw_class(folder / name, number, len(CLASSES), count)
    return folder


@pytest.fixture(scope="module")
def garden(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that was trained on nested folders, and its data in `garden/` beside it."""
    home = tmp_path_factory.mktemp("parents")
    data = draw(home / "garden", 8)
    with pytest.MonkeyPatch.context() as patch:
        tiny.install(patch)
        words = [str(data), "--nested", "--backbone", "test_resnet", "--epochs", "12"]
        words += ["--device", "cpu", "--out", str(home / "out"), "--cache-dir", str(home / "cache")]
        assert train.main(train.parse(words)) == 0
    return home / "out"


@pytest.fixture
def run(garden: Path, tiny_backbone: Callable[..., Backbone], cache_dir: Path) -> Run:
    """Runs a command on that checkpoint; returns the exit status."""

    def run_command(command: str, *arguments: object, checkpoint: Path = garden) -> int:
        places = ["--checkpoint", str(checkpoint), "--cache-dir", str(cache_dir), "--device", "cpu"]
        options = cli.parse([command, *map(str, arguments), *places])
        return console.run(f"python -m model {command}", lambda: options.run(options))

    return run_command


@pytest.fixture
def unsure(garden: Path, tmp_path: Path) -> Path:
    """The checkpoint at a temperature at which no class is sure."""
    folder = Path(shutil.copytree(garden, tmp_path / "unsure"))
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["trust"] |= {"temperature": 1000.0, "unknown_threshold": 1e6}
    config["parents"] = [["plants"]] * 3 + [[]]
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    tensors = load_file(folder / "head.safetensors")
    tensors["layers.0.bias"][3] = -1e6  # never yellow
    save_file(tensors, folder / "head.safetensors")
    edit_levels(folder, None)
    return folder


def edit_levels(folder: Path, levels: list[dict] | None) -> None:
    """Replace the figures of the levels, or take them out."""
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    valid = metrics["splits"]["valid"]
    if levels is None:
        del valid["levels"], valid["answered"], valid["answered_right"]
    else:
        valid["levels"] = levels
    (folder / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
    write_hashes(folder)


def photograph(garden: Path, class_id: str) -> Path:
    return garden.parent / "garden" / class_id / "000.jpg"


def test_a_checkpoint_keeps_the_parents_and_their_figures(garden: Path):
    made = load(garden)
    assert made.class_ids == ["bearded", "rose", "tulip", "yellow"]
    assert made.parents == [("iris",), (), (), ("iris",)]
    valid = made.metrics["splits"]["valid"]
    assert [row["nodes"] for row in valid["levels"]] == [3, 4]
    assert valid["answered"] == pytest.approx(sum(row["answered"] for row in valid["levels"]))


def test_the_model_card_has_a_table_by_level(garden: Path):
    card = (garden / "README.md").read_text(encoding="utf-8")
    assert "\n\nBy level, on valid:\n\n| Level | Groups |" in card
    assert "\n| level 1 | 3 | " in card and "\n| classes | 4 | " in card
    assert "The answer is the lowest class or parent with a probability of at least 80 %: " in card
    assert "answers are correct.\n\n## Use" in card


def test_a_sure_class_is_answered_by_its_path(
    garden: Path, run: Run, tiny_backbone: Callable[..., Backbone], cache_dir: Path, capsys
):
    path = photograph(garden, "iris/yellow")
    classifier = Classifier(garden, device="cpu", cache_dir=cache_dir)
    (found,) = classifier.predict([images.decode(path)])
    assert found.answer
    assert (found.answer.class_id, found.answer.path) == ("yellow", ["iris", "yellow"])
    assert found.to_json()["answer"] == found.answer.to_json()
    assert found.answer.probability == pytest.approx(found.top[0].probability)
    assert run("predict", path) == 0
    assert "  Answer: iris > yellow, " in capsys.readouterr().out


def test_a_parent_is_the_answer_where_its_classes_are_unsure(
    unsure: Path, garden: Path, run: Run, tmp_path: Path, capsys
):
    path, bad = photograph(garden, "rose"), tmp_path / "bad.jpg"
    bad.write_text("text")
    assert run("predict", path, checkpoint=unsure) == 0
    shown = capsys.readouterr().out
    assert "  Answer: plants, 100.0%; but it is not clear which one: rose 33." in shown
    assert run("predict", path, "--json", checkpoint=unsure) == 0
    answer = json.loads(capsys.readouterr().out)["answer"]
    assert answer.pop("probability") == pytest.approx(1)
    assert answer == {"name": "plants", "class_id": None, "level": 1, "path": ["plants"]}
    out = tmp_path / "answers.csv"
    assert run("predict", path, bad, "--csv", out, "--top", "2", checkpoint=unsure) == 1
    with out.open(newline="", encoding="utf-8") as file:
        header, good_row, bad_row = csv.reader(file)
    assert header[-4:] == ["error", "answer", "answer_level", "answer_probability"]
    assert good_row[-4:] == ["", "plants", "1", "1.000000"]
    assert bad_row[-3:] == ["", "", ""] and len(bad_row) == len(header)


def test_nothing_sure_is_said_and_is_null_in_json(
    unsure: Path, garden: Path, run: Run, tmp_path: Path, capsys
):
    config = json.loads((unsure / "config.json").read_text(encoding="utf-8"))
    config["parents"] = [["iris"], [], [], ["iris"]]
    (unsure / "config.json").write_text(json.dumps(config), encoding="utf-8")
    write_hashes(unsure)
    path, out = photograph(garden, "rose"), tmp_path / "answers.csv"
    assert run("predict", path, checkpoint=unsure) == 0
    assert "  Answer: none is sure enough (80% or more)\n" in capsys.readouterr().out
    assert run("predict", path, "--json", checkpoint=unsure) == 0
    assert json.loads(capsys.readouterr().out)["answer"] is None
    assert run("predict", path, "--csv", out, checkpoint=unsure) == 0
    assert out.read_text(encoding="utf-8").splitlines()[1].endswith(",,,,")


@pytest.mark.parametrize("layout", ["nested", "flat"])
def test_evaluation_reads_nested_folders_and_flat_ones(
    layout: str, garden: Path, run: Run, tmp_path: Path, capsys
):
    data = garden.parent / "garden"
    if layout == "flat":
        for name in CLASSES:
            shutil.copytree(data / name, tmp_path / "flat" / Path(name).name / "shoot")
        data = tmp_path / "flat"
    assert run("evaluate", data, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["photographs"] == 32
    assert [(row["level"], row["nodes"]) for row in found["levels"]] == [(1, 3), (2, 4)]
    assert found["levels"][1]["top1"] == found["top1"] > 0.8
    assert found["levels"][0]["top1"] >= found["top1"]


def test_evaluation_says_why_it_reads_folders_as_nested(
    garden: Path, run: Run, tmp_path: Path, capsys
):
    data = Path(shutil.copytree(garden.parent / "garden", tmp_path / "mixed"))
    draw_class(data / "iris", 1, 5, 1)
    assert run("evaluate", data) == 2
    said = capsys.readouterr().err
    assert f"Folders in {data} hold class folders, like the checkpoint's parents. " in said
    assert said.endswith("/iris/other iris.\n")


def test_figures_that_do_not_fit_the_parents_are_refused(unsure: Path, garden: Path):
    metrics = json.loads((garden / "metrics.json").read_text(encoding="utf-8"))
    shutil.copy(garden / "metrics.json", unsure / "metrics.json")
    first, last = metrics["splits"]["valid"]["levels"]
    for wrong in ([first, last], [last, {**first, "nodes": 2}], [first, last, last]):
        edit_levels(unsure, wrong)
        with pytest.raises(ValueError, match=r"valid.levels: expected the nodes of .*: 2, 4"):
            load(unsure)
    edit_levels(unsure, [{**first, "nodes": 2}, last])
    assert load(unsure).levels.nodes == [2, 4]


def test_a_parent_of_all_classes_that_an_earlier_version_kept_is_ignored(unsure: Path):
    config = json.loads((unsure / "config.json").read_text(encoding="utf-8"))
    config["parents"] = [["images"]] * 4
    (unsure / "config.json").write_text(json.dumps(config), encoding="utf-8")
    metrics = json.loads((unsure / "metrics.json").read_text(encoding="utf-8"))
    figures = {"top1": 1.0, "answered": 1.0, "answered_right": 1.0}
    levels = [{"level": 1, "nodes": 1, **figures}, {"level": 2, "nodes": 4, **figures}]
    metrics["splits"]["valid"] |= {"levels": levels, **figures}
    (unsure / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
    write_hashes(unsure)
    made = load(unsure)
    assert made.parents == [] and not made.levels
    assert "levels" not in made.metrics["splits"]["valid"]


def test_a_folder_above_all_classes_is_no_parent_and_parents_have_display_names(
    tiny_backbone: Callable[..., Backbone], cache_dir: Path, tmp_path: Path, capsys, monkeypatch
):
    measured, original = [], calibrate.cross_fitted_figures

    def spy(*arguments: Any, **options: Any) -> dict[str, Any]:
        measured.append(original(*arguments, **options))
        measured[-1]["answered"] = 0.375
        return measured[-1]

    monkeypatch.setattr(calibrate, "cross_fitted_figures", spy)
    data = tmp_path / "data"
    for number, name in enumerate(("3/1", "3/2", "rose")):
        draw_class(data / "images" / name, number, 3, 4)
    (data / "cat_to_name.json").write_text('{"3": "iris", "1": "bearded", "2": "yellow"}')
    words = [data, "--nested", "--backbone", "test_resnet", "--epochs", "2", "--device", "cpu"]
    words += ["--out", tmp_path / "out", "--cache-dir", cache_dir]
    assert train.main(train.parse([*map(str, words)])) == 0
    made = load(tmp_path / "out")
    assert made.parents == [("iris",), ("iris",), ()]
    valid = made.metrics["splits"]["valid"]
    assert (valid["levels"], valid["answered"]) == (measured[0]["levels"], 0.375), "cross-fitted"
    shown = capsys.readouterr().out
    assert "Note: All classes have the parent 'images'. It does not distinguish any of " in shown


def test_evaluation_prints_a_table_by_level(garden: Path, run: Run, capsys):
    assert run("evaluate", garden.parent / "garden") == 0
    shown = capsys.readouterr().out
    assert "\nLevel    Groups " in shown and " Answers  Correct answers\n" in shown
    assert "The answer is the lowest class or parent with a probability of at least 80 %: " in shown


def test_a_table_with_parents_and_photographs_without_any_are_trained_together(
    tiny_backbone: Callable[..., Backbone], cache_dir: Path, tmp_path: Path, capsys
):
    data, more = draw(tmp_path / "data", 6), draw_class(tmp_path / "more" / "rose", 2, 4, 4)
    with (tmp_path / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("path", "label", "parent"))
        for name in CLASSES:
            parent, _, label = name.rpartition("/")
            rows.writerows((path, label, parent) for path in sorted((data / name).iterdir()))
    words = [tmp_path / "labels.csv", "--add", more[0].parents[1], "--background", "tulip"]
    words += ["--backbone", "test_resnet", "--epochs", "2", "--device", "cpu"]
    words += ["--out", tmp_path / "out", "--cache-dir", cache_dir]
    assert train.main(train.parse([*map(str, words)])) == 0
    made = load(tmp_path / "out")
    assert dict(zip(made.class_ids, made.parents, strict=True)) == {
        "bearded": ("iris",),
        "rose": (),
        "yellow": ("iris",),
    }
    assert "Parents: 'iris' (1 at the top; 1 class has none)\n" in capsys.readouterr().out


def test_a_class_that_is_a_parent_stops_the_run_with_one_sentence(
    tiny_backbone: Callable[..., Backbone], cache_dir: Path, tmp_path: Path, capsys
):
    data = draw(tmp_path / "data", 4)
    draw_class(data / "iris", 1, 5, 2)
    options = train.parse([str(data), "--nested", "--cache-dir", str(cache_dir)])
    assert console.run("train.py", lambda: train.main(options)) == 2
    said = capsys.readouterr().err
    assert said.startswith(
        f"train.py: error: {data}/iris holds photographs and also the folder bearded, so"
    )
    assert said.count("\n") == 1
