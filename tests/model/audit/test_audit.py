"""python -m model audit: what is planted in drawn photographs is found, listed and saved."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from drawing import CLASSES, draw_class, drawn_photograph, same_photograph
from PIL import Image, ImageOps

from demo.tabs.data import data_panels
from model import cache
from model.audit.audit import audit, compare, outliers
from model.audit.findings import PROBLEMS, leak_text
from model.backbones.backbone import Backbone, open_backbone
from model.checkpoints import checkpoint
from model.commands import console, main
from model.features.read import read_photos
from model.photographs.scan import list_folder

Run = Callable[..., int]


@pytest.fixture
def run(trained: Path, tiny_backbone: Callable[..., Backbone], cache_dir: Path) -> Run:
    """Runs `audit` in this process with the trained checkpoint's tiny backbone."""

    def run_command(*arguments: object) -> int:
        places = ["--checkpoint", str(trained), "--cache-dir", str(cache_dir), "--device", "cpu"]
        options = main.parse(["audit", *places, *map(str, arguments)])
        return console.run("python -m model audit", lambda: options.run(options))

    return run_command


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """Splits with one wrong label, one exact copy across splits, one mirrored copy, one outlier."""
    folder = tmp_path / "album"
    for split, count in (("train", 8), ("valid", 3)):
        for number, class_id in enumerate(CLASSES):
            draw_class(folder / split / class_id, number, len(CLASSES), count, ".png")
    drawn_photograph(1 / 3, 777).save(folder / "train" / "daisy" / "wrong.png")  # a rose
    same_photograph(folder / "train/tulip/001.png", folder / "valid/tulip/same.png")
    mirrored = ImageOps.mirror(Image.open(folder / "train/rose/002.png"))
    mirrored.save(folder / "train/rose/mirrored.jpg", quality=100)
    Image.effect_mandelbrot((48, 40), (-2, -1.2, 1, 1.2), 90).save(folder / "train/rose/zoo.png")
    (folder / "train" / "rose" / "broken.jpg").write_bytes(b"no photograph")
    return folder


def table(path: Path) -> dict[str, list[dict[str, str]]]:
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["path", "problem", "score", "suggested_label", "other_path"]
    return {problem: [row for row in rows if row["problem"] == problem] for problem in PROBLEMS}


def test_what_is_planted_is_in_the_table(run: Run, planted: Path, tmp_path: Path, capsys):
    assert run(planted, "--csv", tmp_path / "found.csv") == 0
    found = table(tmp_path / "found.csv")
    exact, near = found["exact_duplicate"], found["near_duplicate"]
    assert [(row["path"], row["other_path"]) for row in exact] == [
        (str(planted / "valid/tulip/same.png"), str(planted / "train/tulip/001.png"))
    ]
    assert {(row["path"], row["other_path"]) for row in near} == {
        (str(planted / "train/rose/mirrored.jpg"), str(planted / "train/rose/002.png"))
    }
    assert found["label_error"][0]["path"] == str(planted / "train/daisy/wrong.png")
    assert found["label_error"][0]["suggested_label"] == "rose"
    assert str(planted / "train/rose/zoo.png") == found["outlier"][0]["path"]
    error = capsys.readouterr().err
    assert f"{planted / 'train/rose/broken.jpg'} is not a photograph" in error


def test_the_ranking_holds_every_photograph_once_and_descends(
    run: Run, planted: Path, tmp_path: Path
):
    assert run(planted, "--csv", tmp_path / "found.csv") == 0
    rows = table(tmp_path / "found.csv")["label_error"]
    usable = {str(path) for path in planted.rglob("*.*") if path.name != "broken.jpg"}
    assert sorted(row["path"] for row in rows) == sorted(usable)
    scores = [float(row["score"]) for row in rows]
    assert scores == sorted(scores, reverse=True)
    assert {row["suggested_label"] for row in rows} == set(CLASSES)


def test_json_is_one_object_with_relative_paths(run: Run, planted: Path, capsys):
    assert run(planted, "--json", "--top", 2) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["data"] == "album"
    assert (found["photographs"], found["num_classes"], found["skipped"]) == (37, 3, 1)
    assert found["counts"]["exact_duplicate"] == found["counts"]["near_duplicate"] == 1
    assert found["across_splits"] == 1
    assert found["findings"]["exact_duplicate"][0]["path"] == "valid/tulip/same.png"
    assert found["findings"]["label_error"][0]["label"] == "daisy"
    assert all(len(rows) <= 2 for rows in found["findings"].values())
    pairs = {(label, suggested): count for label, suggested, count in found["label_pairs"]}
    assert pairs["daisy", "rose"] >= 1
    assert sum(pairs.values()) == found["counts"]["label_error"], "all of them, not the first two"
    (leak,) = found["leaks"]
    assert (leak["split"], leak["photographs"], leak["copies"]) == ("valid", 10, 1)


def test_the_screen_shows_every_kind_of_problem(run: Run, planted: Path, capsys):
    assert run(planted, "--top", 3) == 0
    text = capsys.readouterr().out
    for part in ("Likely label errors: ", "Exact duplicates: 1 pairs", "Near duplicates: 1 pairs"):
        assert part in text
    assert "1 of them have a copy in train; without them" in text
    assert "Outliers: " in text


def test_a_copy_with_the_same_wrong_label_does_not_confirm_it(
    run: Run, planted: Path, tmp_path: Path
):
    wrong = planted / "train/daisy/wrong.png"
    copies = [planted / f"train/daisy/wrong{number}.png" for number in range(3)]
    same_photograph(wrong, *copies)
    assert run(planted, "--csv", tmp_path / "found.csv") == 0
    first = table(tmp_path / "found.csv")["label_error"][:4]
    assert {row["path"] for row in first} == {str(path) for path in (wrong, *copies)}


def test_a_class_of_one_photograph_and_no_splits_are_no_error(
    run: Run, photos_dir: Callable[..., Path], tmp_path: Path
):
    folder = photos_dir(count=5)
    drawn_photograph(0.8, 4).save(folder / "daisy" / "a.png")
    (folder / "lily").mkdir()
    shutil.move(folder / "daisy" / "a.png", folder / "lily" / "a.png")
    assert run(folder, "--csv", tmp_path / "found.csv") == 0
    rows = table(tmp_path / "found.csv")["label_error"]
    lily = next(row for row in rows if row["path"].endswith("lily/a.png"))
    assert (float(lily["score"]), lily["suggested_label"]) == (0, "lily")


def test_classes_need_not_be_those_of_the_checkpoint_and_one_is_enough(run: Run, tmp_path: Path):
    draw_class(tmp_path / "album" / "orchid", 0, 1, 2)
    assert run(tmp_path / "album") == 0


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_photographs_are_an_error_of_one_line(count: int, run: Run, tmp_path: Path, capsys):
    draw_class(tmp_path / "album" / "orchid", 0, 1, count)
    assert run(tmp_path / "album") == 2
    message = capsys.readouterr().err.splitlines()[-1]
    assert f"has {count} usable photographs in class folders" in message


def test_a_missing_folder_is_an_error(run: Run, tmp_path: Path, capsys):
    assert run(tmp_path / "nowhere") == 2
    assert "nowhere is not a folder" in capsys.readouterr().err


def test_save_needs_a_checkpoint(tmp_path: Path, capsys):
    options = main.parse(["audit", str(tmp_path), "--save"])
    assert console.run("audit", lambda: options.run(options)) == 2
    assert "Name it with --checkpoint DIR" in capsys.readouterr().err


def test_other_commands_keep_the_shipped_checkpoint():
    assert main.parse(["audit", "x"]).checkpoint is None
    assert main.parse(["predict", "x"]).checkpoint == checkpoint.SHIPPED
    assert main.parse(["evaluate", "x"]).checkpoint == checkpoint.SHIPPED


def test_save_is_loaded_shown_and_overwritten(
    run: Run, planted: Path, trained: Path, tmp_path: Path
):
    folder = Path(shutil.copytree(trained, tmp_path / "checkpoint"))
    (planted / "cat_to_name.json").write_text('{"daisy": "Oxeye daisy"}')
    assert checkpoint.load(folder).audit is None
    assert run(planted, "--checkpoint", folder, "--save") == 0
    loaded = checkpoint.load(folder)
    assert loaded.audit is not None
    shown = data_panels(loaded)
    assert "37 photographs" in shown
    assert "of training photographs" in shown
    assert "same.png" not in shown, "nobody can open it: the checkpoint was not trained on it"
    checkpoint.require_empty(folder, overwrite=True)
    checkpoint.save(loaded, folder, overwrite=True)
    assert checkpoint.load(folder).audit is None, "another head, so the audit is no longer its own"


def test_file_and_folder_names_are_escaped_and_odd_files_reported(
    run: Run, planted: Path, trained: Path, tmp_path: Path
):
    (planted / "train/daisy").rename(planted / "train/<b>daisy")
    folder = Path(shutil.copytree(trained, tmp_path / "checkpoint"))
    assert run(planted, "--checkpoint", folder, "--save") == 0
    shown = data_panels(checkpoint.load(folder))
    assert "<b>" not in shown
    assert "&lt;b&gt;daisy" in shown


# The parts


def test_outliers_of_one_kind_do_not_hide_one_another():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(10), 30)
    features = rng.normal(size=(10, 20))[labels] * 3 + rng.normal(size=(300, 20))
    foreign = np.arange(5) * 60  # in five classes, alike
    features[foreign] = 12 + 0.1 * rng.normal(size=(5, 20))
    scores = outliers.scores(features.astype(np.float32), labels)
    assert set(np.argsort(-scores)[:5]) == set(foreign)
    assert (scores[foreign] > outliers.LIMIT).all()


def test_a_wrong_label_is_no_outlier():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(4), 25)
    features = rng.normal(size=(4, 20))[labels] * 4 + rng.normal(size=(100, 20))
    labels[0] = 3
    assert outliers.scores(features.astype(np.float32), labels)[0] < outliers.LIMIT


def test_classes_of_one_photograph_have_no_outliers():
    features = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    assert not outliers.scores(features, np.arange(5)).any()


def test_leaks_are_told_in_words():
    leak = {"split": "valid", "photographs": 10, "accuracy": 0.9, "copies": 4}
    assert "+6.67 points" in leak_text(leak | {"accuracy_without": 0.9 - 1 / 15})
    assert "no other photograph is left" in leak_text(
        leak | {"copies": 10, "accuracy_without": None}
    )
    assert "none has a copy" in leak_text(leak | {"copies": 0, "accuracy_without": 0.9})


def test_features_in_a_file_are_compared_as_those_in_memory(monkeypatch):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 5, 120)
    views = (np.eye(20)[labels] * 3 + rng.normal(size=(120, 20)))[:, None].astype(np.float16)
    splits, unit = np.where(np.arange(120) % 4, "train", "valid"), np.arange(120) // 2
    whole = compare(views, labels, 5, splits, unit)
    monkeypatch.setattr(cache, "BLOCK_VALUES", 70)  # groups lie in two blocks, too
    blocks = compare(views, labels, 5, splits, unit, in_memory=0)
    assert blocks.distances == pytest.approx(whole.distances, abs=1e-4)
    assert blocks.leaks == whole.leaks
    for name in ("preferred", "preferred_alone"):
        assert np.array_equal(getattr(blocks.left_out, name), getattr(whole.left_out, name))
    for name in ("surprise", "rival", "penalty"):
        found, expected = getattr(blocks.left_out, name), getattr(whole.left_out, name)
        assert found == pytest.approx(expected, rel=1e-3, abs=1e-4)


@pytest.mark.slow
def test_flipped_labels_of_real_flowers_lead_the_ranking(
    flowers102_dir: Path, tmp_path: Path, cache_dir: Path
):
    rng = np.random.default_rng(0)
    rows = [(path, label) for label in range(1, 21) for path in flower_paths(flowers102_dir, label)]
    flipped = set(rng.choice(len(rows), round(0.03 * len(rows)), replace=False).tolist())
    for i, (path, label) in enumerate(rows):
        wrong = (label + rng.integers(0, 19)) % 20 + 1 if i in flipped else label
        (tmp_path / "album" / str(wrong)).mkdir(parents=True, exist_ok=True)
        (tmp_path / "album" / str(wrong) / f"{i:04}.jpg").symlink_to(path.resolve())
    data = read_photos(list_folder(tmp_path / "album"), cache_dir=cache_dir)
    found = audit(data, open_backbone(cache_dir=cache_dir), cache_dir=cache_dir)
    first = found.findings["label_error"][: round(0.06 * len(rows))]
    assert len({int(row.path.stem) for row in first} & flipped) >= 0.8 * len(flipped)


def flower_paths(folder: Path, label: int) -> list[Path]:
    return sorted((folder / "train" / str(label)).glob("*.jpg"))[:20]
