"""train.py: what it prints and writes, what it refuses, and that it learns real flowers."""

import csv
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from drawing import CLASSES, same_photograph
from PIL import Image
from safetensors.numpy import load_file
from systems import SIGNALS

import train
from model import training
from model.backbones.backbone import Backbone
from model.checkpoints import checkpoint
from model.checkpoints.checkpoint import load
from model.classifier import Classifier
from model.commands import console
from model.commands import main as cli
from model.features import extract as features
from model.heads import classic
from model.heads.head import HISTORY_COLUMNS
from model.photographs import images

ROOT = Path(__file__).resolve().parent.parent
Run = Callable[..., int]


@pytest.fixture
def run(tiny_backbone: Callable[..., Backbone], cache_dir: Path, tmp_path: Path) -> Run:
    """Runs train.py in this process with the tiny backbone; returns the exit status."""

    def run_train(data: Path | str, *arguments: str, out: str = "out", epochs: int = 3) -> int:
        options = train.parse(
            [
                *(str(data), "--backbone", "test_resnet", "--device", "cpu"),
                *("--out", str(tmp_path / out), "--cache-dir", str(cache_dir)),
                *("--epochs", str(epochs), *arguments),
            ]
        )
        return console.run("train.py", lambda: train.main(options))

    return run_train


def head_of(folder: Path) -> dict[str, np.ndarray]:
    return load_file(folder / "head.safetensors")


def same_head(first: Path, second: Path) -> bool:
    one, two = head_of(first), head_of(second)
    return one.keys() == two.keys() and all(np.array_equal(one[key], two[key]) for key in one)


# What it prints and writes


def test_it_prints_splits_epochs_results_and_the_serving_command(
    run: Run, photos_dir: Callable[..., Path], tmp_path: Path, capsys
):
    folder = photos_dir(count=6)
    (folder / "rose" / "empty.jpg").touch()
    assert run(folder, "--test-fraction", "0.2", epochs=4) == 0
    printed = capsys.readouterr().out
    lines = [line.split() for line in printed.splitlines()]
    assert ["Split", "Photographs", "Classes"] in lines
    assert ["train", "12", "3"] in lines
    assert ["valid", "3", "3"] in lines
    assert ["test", "3", "3"] in lines
    assert "1 file is left out:" in printed
    assert f"{folder / 'rose' / 'empty.jpg'} is empty (0 bytes)" in printed
    moments = 48 * 49 // 2 + 64 * 65 // 2  # of its stages of 48 and 96 channels
    width = f"{432 + moments:,} features"
    assert f"Backbone: test_resnet, {width}, 48 px, on CPU (ONNX Runtime)" in printed
    assert "Pooling: " in printed and "Of 12 training photographs, each left out" in printed
    epochs = [line for line in lines if len(line) == 7 and line[0].isdigit()]
    assert [line[0] for line in epochs] == ["1", "2", "3", "4"]
    results = printed[printed.index("Best epoch") :].splitlines()
    assert results[2].split() == ["Split", "Photographs", "Top-1", "Top-5", "Macro", "F1", "Loss"]
    assert [line.split()[:2] for line in results[4:6]] == [["valid", "3"], ["test", "3"]]
    assert results[-1] == f"  python -m demo --checkpoint {tmp_path / 'out'}"


def test_the_checkpoint_holds_everything(
    run: Run, photos_dir: Callable[..., Path], tmp_path: Path, monkeypatch
):
    folder = photos_dir("my flowers", count=6)
    (folder / "rose" / "text.jpg").write_text("text")
    monkeypatch.setattr(sys, "argv", ["train.py", "my flowers", "--epochs", "3"])
    assert run(folder, "--test-fraction", "0.2", "--seed", "5") == 0
    out = tmp_path / "out"
    assert {path.name for path in out.iterdir()} == {
        "config.json",
        "head.safetensors",
        "history.csv",
        "history.png",
        "metrics.json",
        "skipped.csv",
        "README.md",
        "evidence.safetensors",
        "golden.json",
        "hashes.json",
    }
    saved = load(out)
    assert saved.class_ids == list(CLASSES)
    assert saved.views == ["center", "mirror"]
    assert saved.training["recipe"] == "default"
    assert saved.training["options"]["epochs"] == 3
    assert [tuple(row) for row in saved.history] == [HISTORY_COLUMNS] * 3
    assert saved.training["best_epoch"] in (1, 2, 3)

    metrics = json.loads((out / "metrics.json").read_text())
    assert set(metrics["splits"]) == {"valid", "test"}
    for split in metrics["splits"].values():
        assert split["photographs"] == 3
        assert {"top1", "top5", "loss", "macro_f1", "per_class", "confusion_matrix"} <= set(split)
    assert metrics["seed"] == 5
    assert len(metrics["data"]["fingerprint"]) == 64
    assert metrics["data"]["photographs"] == {"train": 12, "valid": 3, "test": 3}
    assert {"torch", "timm", "numpy", "python"} <= set(metrics["versions"])
    assert metrics["seconds"]["total"] > 0

    with Image.open(out / "history.png") as plot:
        assert plot.size[0] > 500
    with (out / "skipped.csv").open(newline="") as file:
        (bad,) = csv.DictReader(file)
    assert bad["path"] == str(folder / "rose" / "text.jpg")
    assert bad["reason"].startswith("is not a photograph")
    card = (out / "README.md").read_text()
    assert yaml.safe_load(card.split("---\n")[1])["title"] == "Image classifier: my flowers"
    assert "python train.py 'my flowers' --epochs 3" in card
    assert "Limits" in card
    best = metrics["splits"]["valid"]["top1"]
    assert f"| valid | 3 | {best:.1%}".replace("%", " %") in card


def test_title_and_link_are_stored_and_refused_before_anything_is_read(
    run: Run, photos_dir: Callable[..., Path], tmp_path: Path, capsys
):
    texts = ["--title", "Which flower is it?", "--link", "https://example.org/{label}"]
    assert run("no such folder", *texts[:-1], "javascript:{label}") == 2
    assert "--link 'javascript:{label}' must be a link" in capsys.readouterr().err
    assert run(photos_dir(count=6), *texts, epochs=1) == 0
    page = load(tmp_path / "out").page
    assert (page.title, page.link) == ("Which flower is it?", "https://example.org/{label}")
    assert "# Which flower is it?" in (tmp_path / "out" / "README.md").read_text()


def test_the_measured_figures_are_those_of_the_saved_head(
    run: Run, photos_dir: Callable[..., Path], tmp_path: Path, cache_dir: Path, capsys
):
    folder = photos_dir(count=6, splits=("train", "valid", "test"))
    assert run(folder, epochs=6) == 0
    measured = load(tmp_path / "out").metrics["splits"]
    assert measured["valid"]["loss"] != measured["test"]["loss"]
    for split in ("valid", "test"):
        capsys.readouterr()
        places = ["--checkpoint", str(tmp_path / "out"), "--cache-dir", str(cache_dir)]
        options = cli.parse(["evaluate", str(folder / split), *places, "--json"])
        assert options.run(options) == 0
        found = json.loads(capsys.readouterr().out)
        for measure in ("photographs", "top1", "top5", "macro_f1", "confusion_matrix"):
            assert found[measure] == measured[split][measure]
        assert found["loss"] == pytest.approx(measured[split]["loss"], abs=1e-4)


def test_drawn_photographs_are_learnt(run: Run, photos_dir: Callable[..., Path], tmp_path: Path):
    assert run(photos_dir(count=12), epochs=15) == 0
    assert load(tmp_path / "out").metrics["splits"]["valid"]["top1"] > 0.8


def test_an_mlp_is_trained_saved_and_loaded(
    run: Run, photos_dir: Callable[..., Path], tmp_path: Path, cache_dir: Path
):
    folder = photos_dir(count=8)
    assert run(folder, "--head", "mlp", "--hidden", "32", "16", "--balance", epochs=10) == 0
    classifier = Classifier(tmp_path / "out", device="cpu", cache_dir=cache_dir)
    widths = [len(bias) for _, bias in classifier.checkpoint.head.layers]
    assert widths == [32, 16, 3]
    (prediction,) = classifier.predict([images.decode(folder / "rose" / "000.jpg")])
    assert prediction.top[0].class_id == "rose"
    assert "MLP (32, 16 hidden units)" in (tmp_path / "out" / "README.md").read_text()


def test_views_and_framing_reach_the_checkpoint(
    run: Run, photos_dir: Callable[..., Path], tmp_path: Path
):
    folder = photos_dir(count=4)
    assert (
        run(folder, "--views", "2", "--framing", "pad", "--image-size", "64", "--stages", "1") == 0
    )
    saved = load(tmp_path / "out")
    assert saved.backbone.transforms.framing == "pad"
    assert saved.backbone.transforms.image_size == 64
    assert saved.backbone.stages == 1
    assert saved.views == ["center", "mirror"]  # prediction takes no random views
    assert saved.training["options"]["views"] == 2


def test_patience_stops_early(run: Run, photos_dir: Callable[..., Path], tmp_path: Path):
    folder = photos_dir(count=3, splits=("train", "valid"))
    (folder / "valid" / "rose").rename(folder / "valid" / "swap")  # wrong labels on valid
    (folder / "valid" / "tulip").rename(folder / "valid" / "rose")
    (folder / "valid" / "swap").rename(folder / "valid" / "tulip")
    assert run(folder, "--patience", "2", epochs=60) == 0
    assert len(load(tmp_path / "out").history) < 60


# Cache, seeds, splits


def test_a_second_run_does_not_compute_features(
    run: Run, photos_dir: Callable[..., Path], tmp_path: Path, monkeypatch
):
    folder = photos_dir(count=4)
    assert run(folder) == 0

    def frame(*_arguments: object) -> None:
        raise AssertionError("a photograph was decoded again")

    monkeypatch.setattr(features, "frame", frame)
    assert run(folder, out="again") == 0
    assert same_head(tmp_path / "out", tmp_path / "again")


def test_the_same_seed_gives_the_same_head_and_another_seed_another(
    run: Run, photos_dir: Callable[..., Path], tmp_path: Path
):
    folder = photos_dir(count=4, splits=("train", "valid"))
    options = ["--views", "1", "--head", "mlp", "--hidden", "32"]
    assert run(folder, *options, out="a") == 0
    assert run(folder, *options, "--workers", "1", out="b") == 0
    assert run(folder, *options, "--seed", "1", out="c") == 0
    assert same_head(tmp_path / "a", tmp_path / "b")
    assert not same_head(tmp_path / "a", tmp_path / "c")


def test_the_test_split_has_no_say_in_training(
    run: Run, photos_dir: Callable[..., Path], tmp_path: Path
):
    folder = photos_dir(count=4, splits=("train", "valid", "test"))
    assert run(folder, out="with") == 0
    shutil.rmtree(folder / "test")
    assert run(folder, out="without") == 0
    assert same_head(tmp_path / "with", tmp_path / "without")
    assert set(load(tmp_path / "without").metrics["splits"]) == {"valid"}


def test_a_photograph_in_two_splits_is_a_note_on_the_screen(
    run: Run, photos_dir: Callable[..., Path], capsys
):
    folder = photos_dir(count=3, splits=("train", "valid"))
    copy = folder / "valid" / "rose" / "copy.jpg"
    same_photograph(folder / "train" / "rose" / "000.jpg", copy)
    assert run(folder) == 0
    printed = capsys.readouterr().out
    assert "Note: The same photograph is in two splits" in printed
    assert str(copy) in printed


def test_digits_train_without_a_folder_or_a_network(run: Run, tmp_path: Path, monkeypatch):
    assert train.parse([]).data == "digits"
    assert train.parse([]).out == Path("runs/digits")
    assert run("digits", "--image-size", "32", "--stages", "2", epochs=6) == 0
    saved = load(tmp_path / "out")
    assert saved.class_ids == [str(digit) for digit in range(10)]
    assert saved.metrics["splits"]["valid"]["top1"] > 0.7


# Options


def test_defaults_are_those_promised():
    options = train.parse(["photographs"])
    config = train.configure(options)
    assert (config.backbone, config.stages, config.views) == ("efficientnet_lite0", 3, 0)
    assert (config.head.head, config.framing, config.image_size) == ("auto", None, None)
    assert (options.valid_fraction, options.test_fraction, options.seed) == (0.2, 0.0, 0)
    assert config.device == "auto"
    assert config.head == training.HeadConfig()


def test_out_is_named_after_the_data(photos_dir: Callable[..., Path], tmp_path: Path, monkeypatch):
    folder = photos_dir("my flowers")
    assert train.parse([str(folder)]).out == Path("runs/my-flowers")
    assert train.parse([f"{folder}/"]).out == Path("runs/my-flowers")
    monkeypatch.chdir(folder)
    assert train.parse(["."]).out == Path("runs/my-flowers")


def test_help_shows_defaults(capsys):
    with pytest.raises(SystemExit) as stopped:
        train.parse(["--help"])
    assert stopped.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "(default: efficientnet_lite0; best: efficientnet_lite0+efficientnet_lite2)" in text
    assert "(default: 0.2)" in text
    assert "(default: 30; best: 60; classic recipe: 20)" in text


# Errors: one line of stderr, exit status 2


def error_line(capsys: pytest.CaptureFixture[str]) -> str:
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1].startswith("train.py: error: ")
    assert not [line for line in lines if "Traceback" in line]
    return lines[-1]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--backbone", "test_resnot"], "Did you mean test_resnet"),
        (["--valid-fraction", "2"], "--valid-fraction 2.0"),
        (["--views", "-1"], "--views -1"),
        (["--workers", "0"], "--workers 0"),
        (["--epochs", "0"], "--epochs 0"),
        (["--head", "mlp", "--hidden", "0"], "--hidden (0,)"),
        (["--image-size", "8"], "Image size 8 px"),
        (["--stages", "-1"], "--stages -1"),
        (["--class-names", "none.json"], "none.json does not exist"),
        (["--test-fraction", "0.9"], "--test-fraction 0.9"),
    ],
)
def test_an_error_is_one_line_and_status_2(
    arguments: list[str], expected: str, run: Run, photos_dir: Callable[..., Path], tmp_path, capsys
):
    assert run(photos_dir(), *arguments) == 2
    assert expected in error_line(capsys)
    assert not (tmp_path / "out").exists()


def test_bad_files_stop_a_strict_run(run: Run, photos_dir: Callable[..., Path], capsys):
    folder = photos_dir()
    (folder / "rose" / "empty.jpg").touch()
    assert run(folder, "--strict") == 2
    assert "empty.jpg is empty (0 bytes)" in error_line(capsys)


def test_a_filled_out_folder_is_refused_before_any_work(
    run: Run, photos_dir: Callable[..., Path], tmp_path: Path, capsys
):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    folder = photos_dir()
    assert run(folder) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1
    assert "is not empty. Choose another --out" in captured.err
    assert run(folder, "--overwrite") == 2
    assert (tmp_path / "out" / "mine.txt").read_text() == "mine"


def test_overwrite_replaces_an_earlier_checkpoint(
    run: Run, photos_dir: Callable[..., Path], tmp_path: Path
):
    folder = photos_dir()
    assert run(folder) == 0
    assert run(folder) == 2
    assert run(folder, "--overwrite", epochs=5) == 0
    assert len(load(tmp_path / "out").history) == 5


def test_ctrl_c_says_that_nothing_is_lost(capsys):
    def interrupted() -> int:
        raise KeyboardInterrupt

    assert console.run("train.py", interrupted, train.INTERRUPTED) == 130
    assert "the same command resumes" in capsys.readouterr().err


def test_an_error_of_the_program_itself_is_not_hidden():
    def broken() -> int:
        raise AttributeError("a mistake in the code")

    with pytest.raises(AttributeError):
        console.run("train.py", broken)


def test_the_command_ends_with_status_2_and_one_line(tmp_path: Path):
    done = subprocess.run(
        [
            sys.executable,
            str(ROOT / "train.py"),
            str(tmp_path / "none"),
            "--out",
            str(tmp_path / "o"),
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"train.py: error: {tmp_path / 'none'} is not a folder")
    assert list(tmp_path.iterdir()) == []


# The classic recipe


@pytest.mark.parametrize(
    "arguments",
    [
        ["--views", "2"],
        ["--stages", "3"],
        ["--image-size", "128"],
        ["--framing", "pad"],
        ["--framing", "crop"],
        ["--balance"],
        ["--patience", "3"],
        ["--cluster", "auto"],
    ],
)
def test_the_classic_recipe_refuses_what_is_no_part_of_it(arguments: list[str], capsys):
    with pytest.raises(SystemExit) as stopped:
        train.parse(["photographs", "--recipe", "classic", *arguments])
    assert stopped.value.code == 2
    assert f"{arguments[0]} cannot be used with --recipe classic" in capsys.readouterr().err


def test_the_classic_recipe_has_the_tutorials_figures():
    options = train.parse(["photographs", "--recipe", "classic"])
    config = train.configure(options)
    assert config.recipe == "classic"
    assert config.stages == 0
    assert config.head == classic.CONFIG
    assert config.workers is None  # the recipe's own 4
    assert train.parse(["p", "--recipe", "classic", "--stages", "0"]).stages == 0
    other = train.parse(["p", "--recipe", "classic", "--epochs", "2", "--lr", "0.01"])
    assert (other.epochs, other.lr, other.batch_size) == (2, 0.01, 32)


def test_the_classic_recipe_trains_to_a_checkpoint_that_serves(
    run: Run,
    photos_dir: Callable[..., Path],
    tmp_path: Path,
    cache_dir: Path,
    capsys,
    monkeypatch,
):
    monkeypatch.setattr(classic, "IMAGE_SIZE", 64)
    folder = photos_dir(count=5)
    arguments = ["--recipe", "classic", "--hidden", "16", "8", "--workers", "0"]
    assert run(folder, *arguments, epochs=2) == 0
    printed = capsys.readouterr().out
    assert len([s for s in printed.splitlines() if s.strip().startswith(("1 ", "2 "))]) == 2
    saved = load(tmp_path / "out")
    assert saved.training["recipe"] == "classic"
    assert saved.views == ["center"]
    assert saved.backbone.stages == 0
    assert saved.backbone.transforms.framing == "squash"
    assert saved.backbone.transforms.interpolation == "bilinear"
    assert not (cache_dir / "features").exists()

    valid = saved.metrics["splits"]["valid"]
    classifier = Classifier(tmp_path / "out", device="cpu", cache_dir=cache_dir)
    (prediction,) = classifier.predict([images.decode(folder / "rose" / "000.jpg")])
    assert {candidate.class_id for candidate in prediction.top} == set(CLASSES)
    assert valid["photographs"] == 3


# The real thing


def test_real_flowers_are_learnt_and_measured_again(
    flowers102_dir: Path, cache_dir: Path, tmp_path: Path, capsys
):
    """Six kinds of flowers, 20 photographs each to train on and 6 unseen ones to measure on."""
    folders = [f for f in sorted((flowers102_dir / "train").iterdir()) if f.is_dir()]
    kinds = [f for f in folders if len(list(f.iterdir())) >= 26][:6]
    assert len(kinds) == 6
    for folder in kinds:
        for number, path in enumerate(sorted(folder.iterdir())[:26]):
            part = "photographs" if number < 20 else "unseen"
            same_photograph(path, tmp_path / part / folder.name / path.name)
    names = flowers102_dir / "cat_to_name.json"
    places = ["--out", str(tmp_path / "out"), "--cache-dir", str(cache_dir)]
    options = train.parse(
        [str(tmp_path / "photographs"), "--class-names", str(names), *places, "--device", "cpu"]
    )
    assert console.run("train.py", lambda: train.main(options)) == 0
    saved = load(tmp_path / "out")
    valid = saved.metrics["splits"]["valid"]
    assert valid["photographs"] == 24
    assert valid["top1"] >= 0.85  # chance is 0.17
    assert saved.class_names != saved.class_ids

    capsys.readouterr()
    places = ["--checkpoint", str(tmp_path / "out"), "--cache-dir", str(cache_dir)]
    evaluation = cli.parse(["evaluate", str(tmp_path / "unseen"), *places, "--json"])
    assert console.run("python -m model evaluate", lambda: evaluation.run(evaluation)) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["photographs"] == 36
    assert found["top1"] >= 0.85
    assert found["top5"] >= found["top1"]


@pytest.mark.parametrize(
    ("given", "published"),
    [
        (["--add=/home/me/a=b/c"], "--add=path/to/c"),
        (["--add", "hf:me/more", "--add=hf:me/more"], "--add hf:me/more --add=hf:me/more"),
        (["--group-by", "/(ann|bob)/"], "--group-by '/(ann|bob)/'"),
        (["--add", "C:\\Users\\me\\roses"], "--add path/to/roses"),
        (["--background=wild/weeds"], "--background=wild/weeds"),
        (
            ["--title", "a/b", "--link=https://a.b/{label}"],
            "--title a/b '--link=https://a.b/{label}'",
        ),
    ],
)
def test_published_options_are_shortened_where_they_are_paths(given: list[str], published: str):
    assert train.published_command(["x", *given]) == f"python train.py x {published}"


def test_the_published_command_says_nothing_of_where_files_are():
    arguments = ["/home/me/my photos/roses", "--cache-dir", "/secret/c", "--out=/home/me/a"]
    options = ["--cache-dir=/secret/d", "--lr", "1e-3", "--overwrite", "--backbone", "resnet18"]
    options += ["--cluster", "10.0.0.1:6379", "--actors=2"]
    assert train.published_command([*arguments, *options]) == (
        "python train.py path/to/roses --out=path/to/a --lr 1e-3 --backbone resnet18"
    )


@pytest.mark.parametrize("arguments", [["--hidden", "7"], ["--dropout", "0.5"]])
def test_options_of_the_mlp_are_refused_for_a_linear_head(arguments: list[str], capsys):
    with pytest.raises(SystemExit):
        train.parse(["photographs", *arguments])
    assert f"{arguments[0]} needs --head mlp" in capsys.readouterr().err


def start_training(photos_dir: Callable[..., Path], tmp_path: Path) -> "subprocess.Popen[str]":
    """Start training in a process of its own that takes some seconds."""
    command = [sys.executable, "train.py", str(photos_dir(count=30)), "--out", str(tmp_path / "o")]
    command += ["--cache-dir", str(tmp_path / "cache"), "--epochs", "3000", "--device", "cpu"]
    command += ["--patience", "0"]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@SIGNALS
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_stopping_is_one_sentence_and_features_are_kept(
    end: signal.Signals, photos_dir: Callable[..., Path], tmp_path: Path
):
    process = start_training(photos_dir, tmp_path)
    assert process.stdout is not None
    while not process.stdout.readline().startswith("Epoch"):
        assert process.poll() is None
    process.send_signal(end)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    lines = [line for line in said.splitlines() if line and "img/s" not in line]
    assert lines == [f"train.py: {train.INTERRUPTED}"]
    assert list((tmp_path / "cache" / "features").rglob("*.npy"))
    assert not (tmp_path / "o").exists()
    assert [path for path in tmp_path.rglob(".frostflower-*")] == []


def catches(status: Path, number: signal.Signals) -> bool:
    """Tell from /proc whether a process has a handler for a signal."""
    lines = status.read_text().splitlines()
    caught = next(int(line.split()[1], 16) for line in lines if line.startswith("SigCgt"))
    return bool(caught >> (number - 1) & 1)


@SIGNALS
@pytest.mark.parametrize("seconds", [0.1, 0.4, 0.8])
@pytest.mark.parametrize("program", ["train.py", "-m model --help", "-m demo --help"])
def test_stopping_at_the_very_start_is_no_traceback(program: str, seconds: float):
    process = subprocess.Popen(
        [sys.executable, *program.split()],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    own = Path(f"/proc/{process.pid}/status")
    while sys.platform == "linux" and not catches(own, signal.SIGTERM):  # Python itself does not
        assert process.poll() is None
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert "Traceback" not in said
    at_the_very_end = -signal.SIGINT  # Python has taken its handlers away, and the help is printed
    assert process.returncode in (130, 0, at_the_very_end)


def test_a_checkpoint_that_finds_no_room_is_kept_elsewhere(
    photos_dir: Callable[..., Path], tiny_backbone, cache_dir: Path, tmp_path: Path, monkeypatch
):
    out, real = tmp_path / "full" / "o'ut", checkpoint.save

    def save(trained: checkpoint.Checkpoint, folder: Path, **options: Any) -> None:
        if folder.is_relative_to(tmp_path / "full"):
            raise OSError(28, "No space left on device", str(folder))
        real(trained, folder, **options)

    monkeypatch.setattr(checkpoint, "save", save)
    arguments = [str(photos_dir(count=6)), "--out", str(out), "--cache-dir", str(cache_dir)]
    options = train.parse([*arguments, "--backbone", "test_resnet", "--epochs", "2"])
    with pytest.raises(OSError, match="No space left on device") as error:
        train.main(options)
    monkeypatch.undo()
    subprocess.run(str(error.value).partition("run: ")[2], shell=True, check=False)
    assert checkpoint.load(out).training["best_epoch"]
