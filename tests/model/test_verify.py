"""A checkpoint that checks itself: files by their hashes, answers by golden patterns."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_checkpoint import audited

from demo.page import build
from model import verify
from model.backbones.backbone import Backbone
from model.checkpoints import checkpoint as checkpoints
from model.checkpoints import golden
from model.classifier import Classifier
from model.commands import console
from model.commands import main as cli
from model.verify import Drift

Run = Callable[..., int]


@pytest.fixture
def folder(trained: Path, tiny_backbone: Callable[..., Backbone], tmp_path: Path) -> Path:
    """A copy of the trained checkpoint that a test may spoil."""
    return Path(shutil.copytree(trained, tmp_path / "copy"))


@pytest.fixture
def run(folder: Path, cache_dir: Path) -> Run:
    """Runs `python -m model verify` in this process; returns the exit status."""

    def run_command(*arguments: str) -> int:
        places = ["--checkpoint", str(folder), "--cache-dir", str(cache_dir), "--device", "cpu"]
        options = cli.parse(["verify", *arguments, *places])
        return console.run("python -m model verify", lambda: options.run(options))

    return run_command


@pytest.fixture
def classifier(folder: Path, cache_dir: Path) -> Classifier:
    return Classifier(folder, device="cpu", cache_dir=cache_dir)


def edit(folder: Path, name: str, change: Callable[[dict], object], *, hide: bool) -> None:
    """Edit a JSON file; `hide` passes it off as the one that was written."""
    values = json.loads((folder / name).read_text(encoding="utf-8"))
    change(values)
    (folder / name).write_text(json.dumps(values), encoding="utf-8")
    if hide:
        checkpoints.write_hashes(folder)


def shift(values: dict) -> None:
    """Move 0.25 of the second pattern's probability from its first answer to the class before."""
    row = values["probabilities"][1]
    top = row.index(max(row))
    row[top], row[top - 1] = row[top] - 0.25, row[top - 1] + 0.25


def rename(config: dict) -> None:
    config["class_names"][0] = "Bellis perennis"


# answers


def test_training_stores_what_the_checkpoint_answers(classifier: Classifier):
    answers = verify.measure(classifier)
    assert [answer.pattern for answer in answers] == [1, 2, 3, 4]
    assert max(answer.difference for answer in answers) < 1e-6
    assert verify.replay(classifier) == []


def test_the_engines_agree_far_within_the_tolerance(classifier: Classifier, monkeypatch):
    monkeypatch.setattr(
        classifier.backbone, "engine", classifier.backbone.torch_engine
    )  # torch in its place
    difference = max(answer.difference for answer in verify.measure(classifier))
    assert difference < verify.TOLERANCE / 30


@pytest.mark.parametrize(
    "change",
    [
        lambda config: config["backbone"]["transforms"].update(interpolation="bilinear"),
        lambda config: config["backbone"]["transforms"].update(framing="squash"),
        lambda config: config["backbone"]["transforms"].update(crop_pct=0.85),
        lambda config: config["backbone"]["members"][0].update(mean=[0.4, 0.5, 0.5]),
        lambda config: config["trust"].update(temperature=2 * config["trust"]["temperature"]),
        lambda config: config.update(views=["center"]),
        lambda config: config.update(views=["mirror"]),
    ],
    ids=["interpolation", "framing", "crop", "colour", "temperature", "center", "mirror"],
)
def test_every_step_of_the_way_shows_in_the_golden_answers(
    change: Callable[[dict], object], folder: Path, cache_dir: Path
):
    edit(folder, "config.json", change, hide=True)
    assert verify.replay(Classifier(folder, device="cpu", cache_dir=cache_dir))


def test_a_stale_engine_is_drift(
    folder: Path, tiny_backbone: Callable[..., Backbone], tmp_path: Path
):
    kept = tmp_path / "kept"
    Classifier(folder, device="cpu", cache_dir=kept)
    (engine,) = (kept / "engines").iterdir()
    tiny_backbone(seed=3, cache_dir=tmp_path / "other")
    (other,) = (tmp_path / "other" / "engines").iterdir()
    name, checksum = engine.stem.rpartition("-")[0], other.stem.rpartition("-")[2]
    engine.unlink()
    shutil.copy(other, engine.with_name(f"{name}-{checksum}.onnx"))
    assert verify.replay(Classifier(folder, device="cpu", cache_dir=kept))


def test_the_warning_names_both_values(folder: Path, cache_dir: Path):
    edit(folder, "golden.json", shift, hide=True)
    (drift,) = verify.replay(Classifier(folder, device="cpu", cache_dir=cache_dir))
    assert drift.pattern == 2
    assert abs(drift.difference - 0.25) < 1e-6
    text = verify.warning([drift])
    assert f"is {drift.found:.4f} instead of {drift.expected:.4f}" in text
    assert f"'{drift.label}'" in text and "1 of 4 patterns" in text
    assert "\n" not in text


def test_the_worst_is_named_and_what_is_no_number_is_worse():
    top = ("rose", 0.5)
    small, large = (Drift(n, "rose", 0.5, 0.5 + d, top, top) for n, d in ((1, 0.01), (2, 0.2)))
    broken = Drift(3, "tulip", 0.5, float("nan"), top, top)
    assert broken.beyond
    assert "test pattern 2" in verify.warning([small, large])
    assert "test pattern 3" in verify.warning([small, broken, large])


@pytest.mark.parametrize(("device", "beyond"), [("CPU (torch)", True), ("CUDA (torch)", False)])
def test_half_precision_may_differ_more(device: str, beyond: bool, classifier: Classifier):
    stored = classifier.checkpoint.golden
    assert stored is not None
    moved = stored.probabilities + np.array([0.01, -0.01, 0])
    changed = replace(stored, probabilities=moved, device=device)
    classifier.checkpoint = replace(classifier.checkpoint, golden=changed)
    assert [answer.beyond for answer in verify.measure(classifier)] == [beyond] * 4


def test_patterns_that_are_drawn_otherwise_are_an_error(classifier: Classifier, monkeypatch):
    drawn = golden.patterns()
    drawn[2] = drawn[2].transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    monkeypatch.setattr(golden, "patterns", lambda: drawn)
    with pytest.raises(ValueError, match="Golden pattern 3 has sha256"):
        verify.replay(classifier)


# the command


def test_verify_prints_a_table_and_exits_0(run: Run, capsys):
    assert run() == 0
    out = capsys.readouterr().out
    for name in ("config.json", "head.safetensors", "golden.json", "evidence.safetensors"):
        assert any(row.startswith(name) and row.endswith("unchanged") for row in out.splitlines())
    assert out.count("reproduced") == 4
    assert "1 (400 x 260 px)" in out and "CPU (ONNX Runtime)" in out


def test_verify_exits_1_on_drift_with_both_values(run: Run, folder: Path, capsys):
    edit(folder, "golden.json", shift, hide=True)
    assert run() == 1
    out = capsys.readouterr().out
    assert out.count("reproduced") == 3
    assert "  different" in out and "instead of" in out


@pytest.mark.parametrize("name", sorted(checkpoints.HASHED))
def test_a_truncated_or_edited_file_is_named_and_exits_1(name: str, run: Run, folder: Path, capsys):
    content = (folder / name).read_bytes()
    for spoiled in (content[:-3], content[:-9] + bytes([content[-9] ^ 1]) + content[-8:]):
        (folder / name).write_bytes(spoiled)
        assert run() == 1
        out = capsys.readouterr().out
        assert f"{name} is not the file that was written" in out
        assert "no pattern was replayed" in out
    (folder / name).unlink()
    assert run() == (0 if name == "evidence.safetensors" else 1)
    assert f"{name} is missing" in capsys.readouterr().out or name == "evidence.safetensors"


def test_verify_as_json(run: Run, folder: Path, capsys):
    assert run("--json") == 0
    sound = json.loads(capsys.readouterr().out)
    assert sound["sound"] and sound["problems"] == {}
    assert [answer["ok"] for answer in sound["answers"]] == [True] * 4
    edit(folder, "golden.json", shift, hide=True)
    assert run("--json") == 1
    drifted = json.loads(capsys.readouterr().out)
    assert not drifted["sound"]
    assert [answer["ok"] for answer in drifted["answers"]] == [True, False, True, True]
    assert abs(drifted["answers"][1]["difference"] - 0.25) < 1e-6
    edit(folder, "config.json", rename, hide=False)
    assert run("--json") == 1
    assert list(json.loads(capsys.readouterr().out)["problems"]) == ["config.json"]


def test_a_missing_folder_is_one_line_and_exits_2(run: Run, folder: Path, capsys):
    shutil.rmtree(folder)
    for arguments in ([], ["--accept"]):
        assert run(*arguments) == 2
        captured = capsys.readouterr()
        assert "is not a checkpoint folder" in captured.err and captured.err.count("\n") == 1


# files


def test_a_change_is_named_when_loading_with_how_to_accept_it(folder: Path):
    edit(folder, "config.json", rename, hide=False)
    with pytest.raises(ValueError, match=r"config\.json is not the file that was written") as error:
        checkpoints.load(folder)
    assert f"python -m model verify --accept --checkpoint {folder}" in str(error.value)


def test_accept_takes_an_edited_name_and_says_what_changed(run: Run, folder: Path, capsys):
    before = json.loads((folder / "golden.json").read_text())["probabilities"]
    edit(folder, "config.json", rename, hide=False)
    assert run("--accept") == 0
    out = capsys.readouterr().out
    assert "Accepted: config.json is not the file that was written" in out
    assert "Golden answers differ by at most" in out
    assert checkpoints.load(folder).class_names[0] == "Bellis perennis"
    after = json.loads((folder / "golden.json").read_text())["probabilities"]
    assert np.abs(np.array(before) - np.array(after)).max() < 1e-6
    assert run() == 0


def test_accept_says_how_far_answers_moved(run: Run, folder: Path, capsys):
    edit(folder, "golden.json", shift, hide=True)
    assert run("--accept") == 0
    assert "Golden answers differ by at most 0.25 from the earlier ones." in capsys.readouterr().out
    assert run() == 0


def test_accept_completes_a_checkpoint_that_has_neither(run: Run, folder: Path, capsys):
    (folder / "golden.json").unlink()
    (folder / "hashes.json").unlink()
    with pytest.raises(ValueError, match=r"hashes\.json is missing\. If the change is intended"):
        checkpoints.load(folder)
    assert run() == 1
    assert run("--accept") == 0
    assert "no earlier ones could be read" in capsys.readouterr().out
    assert run() == 0


def test_accept_refuses_what_cannot_be_used(run: Run, folder: Path, capsys):
    path = folder / "head.safetensors"
    path.write_bytes(path.read_bytes()[:-3])
    before = (folder / "hashes.json").read_bytes()
    assert run("--accept") == 2
    assert "head.safetensors: the file is damaged" in capsys.readouterr().err
    assert (folder / "hashes.json").read_bytes() == before


@pytest.mark.parametrize("text", ["", "[1]", '{"config.json": 3}', '{"config.json": {}}'])
def test_hashes_that_are_none_are_named(text: str, folder: Path):
    (folder / "hashes.json").write_text(text)
    with pytest.raises(ValueError, match=r"hashes\.json is not the file that was written"):
        checkpoints.load(folder)


def test_free_files_may_be_edited_removed_and_added(folder: Path):
    (folder / "README.md").write_text("mine")
    (folder / "history.png").unlink()
    (folder / "skipped.csv").unlink()
    checkpoints.save_audit(folder, audited())
    (folder / "evidence.safetensors").unlink()
    loaded = checkpoints.load(folder)
    assert loaded.evidence is None and loaded.audit == audited()


def test_a_file_that_was_added_is_named(folder: Path):
    content = (folder / "evidence.safetensors").read_bytes()
    (folder / "evidence.safetensors").unlink()
    checkpoints.write_hashes(folder)
    (folder / "evidence.safetensors").write_bytes(content)
    with pytest.raises(ValueError, match=r"evidence\.safetensors did not exist when"):
        checkpoints.load(folder)


# the page


def shown(classifier: Classifier) -> str:
    return json.dumps(build(classifier).config["components"], default=str)


def test_the_page_and_the_console_say_so(folder: Path, cache_dir: Path, capsys):
    edit(folder, "golden.json", shift, hide=True)
    markup = {"class_names": ["<b>daisy</b>", "<b>rose</b>", "<b>tulip</b>"]}
    edit(folder, "config.json", lambda config: config.update(markup), hide=True)
    page = shown(Classifier(folder, device="cpu", cache_dir=cache_dir))
    assert "does not answer as it did" in page and 'role=\\"alert\\"' in page
    assert "&lt;b&gt;daisy" in page and "of '<b>daisy" not in page
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("Warning: This classifier does not answer as it did")


def test_the_page_of_a_sound_checkpoint_says_nothing(classifier: Classifier, capsys):
    assert "does not answer as it did" not in shown(classifier)
    assert capsys.readouterr().err == ""
