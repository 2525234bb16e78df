"""examples/onnx_predict.py answers as the classifier whose export it reads."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from drawing import drawn_photograph
from PIL import Image

from examples import onnx_predict
from model.backbones.backbone import Backbone
from model.backbones.transforms import Transforms
from model.commands import console
from model.commands import main as cli

ROOT = Path(__file__).resolve().parent.parent


def command(*arguments: str) -> int:
    """Runs `python -m model` in this process."""
    options = cli.parse(list(arguments))
    return console.run(f"python -m model {arguments[0]}", lambda: options.run(options))


@pytest.fixture
def places(trained: Path, tiny_backbone: Callable[..., Backbone], cache_dir: Path) -> list[str]:
    """Options that name a checkpoint with a tiny backbone; while in use, commands can open it."""
    return ["--checkpoint", str(trained), "--cache-dir", str(cache_dir)]


@pytest.fixture
def exported(places: list[str], tmp_path: Path) -> Path:
    path = tmp_path / "flowers.onnx"
    assert command("export", "--onnx", str(path), *places) == 0
    return path


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, str(ROOT / "examples" / "onnx_predict.py"), *map(str, arguments)]
    return subprocess.run(program, capture_output=True, text=True, check=False)


def photographs(folder: Path) -> list[Path]:
    """A large JPEG that a camera has turned, a PNG with transparent places, a grey one."""
    upright = drawn_photograph(1 / 3, 7, (1700, 1300))
    exif = Image.Exif()
    exif[0x0112] = 6
    upright.transpose(Image.Transpose.ROTATE_90).save(folder / "turned.jpg", exif=exif)
    clear = drawn_photograph(2 / 3, 8, (97, 60)).convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize(clear.size))
    clear.save(folder / "clear.png")
    drawn_photograph(0.1, 9, (60, 90)).convert("L").save(folder / "grey.webp", lossless=True)
    return [folder / name for name in ("turned.jpg", "clear.png", "grey.webp")]


def rows(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def without_numbers(row: dict) -> dict:
    top = [one["label"] for one in row["top"]]
    return {key: row[key] for key in ("path", "set", "coverage", "none_of_these")} | {"top": top}


def test_it_answers_as_predict_does(exported: Path, places: list[str], tmp_path: Path, capsys):
    paths = list(map(str, photographs(tmp_path)))
    capsys.readouterr()
    assert command("predict", *paths, "--json", *places) == 0
    expected = rows(capsys.readouterr().out)
    done = run(exported, *paths, "--json")
    assert done.returncode == 0, done.stderr
    found = rows(done.stdout)
    assert [without_numbers(row) for row in found] == [without_numbers(row) for row in expected]
    for ours, theirs in zip(found, expected, strict=True):
        assert len(ours["top"]) == 3
        for one, other in zip(ours["top"], theirs["top"], strict=True):
            assert one["probability"] == pytest.approx(other["probability"], abs=1e-4)
        assert ours["unknown_score"] == pytest.approx(theirs["unknown_score"], rel=1e-3, abs=1e-3)


@pytest.mark.slow
def test_the_shipped_classifier_gives_the_same_five_classes(tmp_path: Path, flower: Path):
    def model(*arguments: object) -> str:
        program = [sys.executable, "-m", "model", *map(str, arguments)]
        return subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    model("export", "--onnx", tmp_path / "flowers.onnx")
    (expected,) = rows(model("predict", flower, "--json"))
    (found,) = rows(run(tmp_path / "flowers.onnx", flower, "--json").stdout)
    assert len(found["top"]) == 5
    assert without_numbers(found) == without_numbers(expected)


def test_a_file_that_is_no_photograph_does_not_stop_the_others(exported: Path, tmp_path: Path):
    (tmp_path / "notes.jpg").write_text("no photograph")
    done = run(exported, tmp_path / "notes.jpg", *photographs(tmp_path), "--top", "2")
    assert done.returncode == 1
    assert done.stderr.startswith(f"{tmp_path / 'notes.jpg'} cannot be read: ")
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout.count("%") == 6


def test_it_says_when_a_photograph_is_none_of_the_classes(exported: Path, tmp_path: Path):
    path = str(photographs(tmp_path)[0])
    classifier = onnx_predict.OnnxClassifier(str(exported))
    for threshold, said in ((-1e9, True), (1e9, False)):
        classifier.thresholds["unknown_threshold"] = threshold
        text = onnx_predict.in_words(classifier.predict(path))
        assert ("Probably none of these." in text) == said


@pytest.mark.parametrize("framing", ["crop", "pad", "squash"])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_it_frames_as_the_classifier_does(framing: str, interpolation: str):
    transforms = Transforms(48, framing, 0.9, interpolation)  # pyrefly: ignore
    stored: dict[str, Any] = {"size": 48, "framing": framing, "crop_pct": 0.9}
    stored |= {"interpolation": interpolation, "fill": [124, 116, 104]}
    sizes: Sequence[tuple[int, int]] = ((97, 60), (60, 97), (33, 31), (1, 80), (64, 64), (301, 87))
    for number, size in enumerate(sizes):
        photo = drawn_photograph(0.2, number, size)
        assert np.array_equal(onnx_predict.frame(photo, stored), transforms.center(photo)), size


def test_it_imports_nothing_of_frostflower_and_reads_only_what_export_writes(exported: Path):
    program = (
        "import sys; sys.argv = ['x', '--help']; import runpy\n"
        "try: runpy.run_path(sys.orig_argv[-1], run_name='__main__')\n"
        "except SystemExit: pass\n"
        "assert not {'model', 'torch', 'timm', 'gradio', 'pandas'} & set(sys.modules)"
    )
    path = ROOT / "examples" / "onnx_predict.py"
    subprocess.run([sys.executable, "-c", program, path], check=True, capture_output=True)
    stored = {prop.key for prop in onnx.load(exported).metadata_props}
    assert stored == {"class_names", "transforms", "thresholds"}
