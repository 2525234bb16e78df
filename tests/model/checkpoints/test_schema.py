"""What a checkpoint's JSON files must hold: one edit, and the sentence that names the field."""

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from small_checkpoint import audited, made, measured

from benchmarks.fault_parts.checkpoint_edits import (
    NESTED,
    edited,
    outcome,
    random_edits,
    write_json,
)
from model.backbones.backbone import Backbone
from model.checkpoints import checkpoint as checkpoints
from model.checkpoints.checkpoint import FILES, load, save, save_audit, write_hashes
from model.commands import console
from model.commands import main as cli


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every JSON file that a checkpoint can have."""
    folder = tmp_path_factory.mktemp("sound") / "checkpoint"
    save(made(), folder)
    save_audit(folder, audited())
    return folder


@pytest.fixture
def folder(sound: Path, tmp_path: Path) -> Path:
    """A copy that a test may edit."""
    return Path(shutil.copytree(sound, tmp_path / "checkpoint"))


def change(folder: Path, file: str, edit: Callable[[dict], object]) -> None:
    """Edit a JSON file, and pass it off as the one that was written."""
    values = json.loads((folder / file).read_text(encoding="utf-8"))
    edit(values)
    write_json(folder / file, values)
    if file != "hashes.json":
        write_hashes(folder)


def refused(folder: Path) -> str:
    """The one sentence with which loading fails."""
    with pytest.raises(ValueError) as error:
        load(folder)
    message = str(error.value)
    assert message.startswith(f"Checkpoint {folder} cannot be used: ")
    assert message.isprintable()
    return message


def put(*keys: str | int, value: Any) -> Callable[[dict], None]:
    """Set what stands at a place."""

    def edit(values: Any) -> None:
        for key in keys[:-1]:
            values = values[key]
        values[keys[-1]] = value

    return edit


def drop(*keys: str | int) -> Callable[[dict], None]:
    """Remove what stands at a place."""

    def edit(values: Any) -> None:
        for key in keys[:-1]:
            values = values[key]
        del values[keys[-1]]

    return edit


VALID = ("splits", "valid")
MEMBER = ("backbone", "members", 0)
TRANSFORMS = ("backbone", "transforms")
LEVEL = {"level": 1, "nodes": 2, "top1": 0.5, "answered": 0.5, "answered_right": None}
RIGHT = {"confidence": 0.5, "accuracy": 0.5, "photographs": 1}

EDITS: list[tuple[str, Callable[[dict], None], str]] = [
    ("config.json", put("class_names", value=None), "class_names: expected a list, got null"),
    ("config.json", put("class_names", 0, value=None), "class_names[0]: expected a text, got null"),
    (
        "config.json",
        put("class_names", 1, value=5),
        "class_names[1]: expected a text, got a whole number",
    ),
    (
        "config.json",
        put("class_names", 1, value=""),
        "class_names[1]: expected a text of length >= 1",
    ),
    (
        "config.json",
        put("class_names", 0, value="c d"),
        'class_names[2] is "c d" for the second time',
    ),
    (
        "config.json",
        put("class_names", 0, value="a\x1b[2J"),
        "class_names[0]: expected a text of printable characters",
    ),
    (
        "config.json",
        put("class_names", 0, value="a\x9b"),
        "class_names[0]: expected a text of printable characters",
    ),
    (
        "config.json",
        put("class_names", 0, value="a\u202e"),
        "class_names[0]: expected a text of printable characters",
    ),
    ("config.json", put("class_names", 0, value="\ud800"), 'ass_names": ["\\ud800", "a \\"qu'),
    ("config.json", put("class_names", value=["a", "b"]), "class_names has 2 entries; expected 3"),
    ("config.json", put("class_ids", value=["a"]), "class_ids: expected a list of length >= 2"),
    ("config.json", put("parents", value=[["a"]]), "parents has 1 entries; expected 3"),
    (
        "config.json",
        put("parents", value=[["a\u202e"], [], []]),
        "parents[0][0]: expected a text of printable characters",
    ),
    (
        "config.json",
        put("parents", value=[["a", "b", "c", "d", "e"], [], []]),
        "parents[0]: expected a list of length <= 4",
    ),
    (
        "config.json",
        put("parents", value=[["c d"], [], []]),
        "parents: 'c d' is both a class and a parent of class '1'",
    ),
    (
        "config.json",
        put("parents", value=[["a", "b"], ["b"], []]),
        "parents: The parent 'b' is both below 'a' and at the top",
    ),
    (
        "metrics.json",
        put("splits", "valid", "levels", value=[{**LEVEL, "top1": 2}, LEVEL]),
        "splits.valid.levels[0].top1: expected a number <= 1",
    ),
    (
        "metrics.json",
        put("splits", "valid", "levels", value=[LEVEL] * 6),
        "splits.valid.levels: expected a list of length <= 5",
    ),
    (
        "metrics.json",
        put("splits", "valid", "levels", value=[LEVEL, LEVEL]),
        "splits.valid: levels is present without answered",
    ),
    (
        "metrics.json",
        put("splits", "valid", "answered", value=0.5),
        "splits.valid: answered is present without levels",
    ),
    (
        "config.json",
        put("class_ids", value=["a"] * 30_000),
        "class_ids: expected a list of length <= 25000",
    ),
    ("config.json", put("class_ids", 0, value="c d"), 'class_ids[2] is "c d" for the second time'),
    ("config.json", put("views", value=["center"] * 5000), "views: expected a list of length <= 2"),
    ("config.json", put("views", value=["center"] * 2), 'views[1] is "center" for the second time'),
    (
        "config.json",
        put("views", value=["upside-down"]),
        "views[0]: expected one of center, mirror",
    ),
    (
        "config.json",
        put(*MEMBER, "name", value=5),
        "backbone.members[0].name: expected a text, got a whole number",
    ),
    (
        "config.json",
        put(*MEMBER, "name", value="../a"),
        "backbone.members[0].name: expected a text that can name a backbone",
    ),
    (
        "config.json",
        put(*MEMBER, "weights_sha256", value="ab"),
        "backbone.members[0].weights_sha256: expected a text of 64 hexadecimal digits",
    ),
    (
        "config.json",
        put(*MEMBER, "image_size", value=2048),
        "backbone.members[0].image_size: expected a whole number <= 1024",
    ),
    (
        "config.json",
        put(*MEMBER, "image_size", value=64.0),
        "backbone.members[0].image_size: expected a whole number, got a number",
    ),
    (
        "config.json",
        put(*MEMBER, "std", value=[0.0, 1, 1]),
        "backbone.members[0].std[0]: expected a number >= 0.01",
    ),
    (
        "config.json",
        put(*MEMBER, "mean", value=[0.5]),
        "backbone.members[0].mean: expected a list of length 3",
    ),
    (
        "config.json",
        put(*TRANSFORMS, "image_size", value=1025),
        "backbone.transforms.image_size: expected a whole number <= 1024",
    ),
    (
        "config.json",
        put(*TRANSFORMS, "crop_pct", value=1e-9),
        "backbone.transforms.crop_pct: expected a number >= 0.5",
    ),
    (
        "config.json",
        put(*TRANSFORMS, "framing", value=[]),
        "backbone.transforms.framing: expected a text, got a list",
    ),
    (
        "config.json",
        put("backbone", "members", value=[]),
        "backbone.members: expected a list of length >= 1",
    ),
    (
        "config.json",
        put("backbone", "stages", value=True),
        "backbone.stages: expected a whole number, got true or false",
    ),
    (
        "config.json",
        put("head", "hidden", value=[0]),
        "head.hidden[0]: expected a whole number >= 1",
    ),
    (
        "config.json",
        put("trust", "temperature", value=float("nan")),
        't": {"temperature": NaN, "cove',
    ),
    ("config.json", put("trust", "margin", value=float("inf")), 'ge": 0.99, "margin": Infinity,'),
    ("config.json", put("trust", "coverage", value=10**400), "trust.coverage: number out of range"),
    ("config.json", drop("trust", "known_pass_rate"), "trust.known_pass_rate is missing"),
    (
        "config.json",
        put("detector", "doubt", value=[1, 1]),
        "detector.doubt: expected two increasing numbers",
    ),
    (
        "config.json",
        put("detector", "distance", value=None),
        "detector.distance and head.safetensors disagree on whether there is an embedding",
    ),
    (
        "config.json",
        put("training", "best_epoch", value=9),
        "training.best_epoch is 9, but history.csv has 2",
    ),
    (
        "config.json",
        put("training", "options", "lr", value={}),
        "training.options[...]: expected `bool | int | float | str | array | null`, got a",
    ),
    (
        "config.json",
        drop("training", "options", "coverage"),
        "training.options.coverage is missing",
    ),
    (
        "config.json",
        put("training", "text", value="x" * 200_000),
        "training.text: expected a text of length <= 1000",
    ),
    (
        "config.json",
        put("training", value=NESTED),
        "the file has lists or objects that are nested too deeply",
    ),
    ("config.json", put("page", value=[]), "page: expected an object, got a list"),
    (
        "config.json",
        put("page", value={"title": ""}),
        "page.title: expected a line of 1 to 100 printable characters",
    ),
    (
        "config.json",
        put("page", value={"title": "x" * 101}),
        "page.title: expected a text of length <= 100",
    ),
    (
        "config.json",
        put("page", value={"title": "a\x1b[2J"}),
        "page.title: expected a text of printable characters",
    ),
    ("config.json", put("page", value={"link": 5}), "page.link: expected a text, got a whole num"),
    (
        "config.json",
        put("page", value={"link": "javascript:alert('{label}')"}),
        "page.link: expected a link that begins with https:// or http://, a host and a /",
    ),
    (
        "config.json",
        put("page", value={"link": "https://example.org/\x00{label}"}),
        "page.link: expected a text of printable characters",
    ),
    (
        "config.json",
        put("page", value={"link": "https://example.org/rose"}),
        "page.link: expected a link that contains {label} or {class_id}",
    ),
    (
        "config.json",
        put("page", value={"link": "https://example.org/{label}{0}"}),
        "page.link: expected a link without braces other than those of {label} and {class_id}",
    ),
    (
        "metrics.json",
        put("seed", value="<img src=x onerror=alert(1)>"),
        "seed: expected a whole number, got a text",
    ),
    ("metrics.json", drop(*VALID, "ece"), "splits.valid.ece is missing"),
    (
        "metrics.json",
        put(*VALID, "ece", value="x"),
        "splits.valid.ece: expected a number, got a text",
    ),
    (
        "metrics.json",
        put("splits", "test", value="x"),
        "splits.test: expected an object, got a text",
    ),
    ("metrics.json", put(*VALID, "top1", value=1.5), "splits.valid.top1: expected a number <= 1.0"),
    ("metrics.json", put(*VALID, "loss", value=float("inf")), '"top5": 1.0, "loss": Infinity,'),
    (
        "metrics.json",
        put(*VALID, "photographs", value=0),
        "splits.valid.photographs: expected a whole number >= 1",
    ),
    (
        "metrics.json",
        put(*VALID, "per_class", value=[]),
        "splits.valid.per_class has 0 entries; expected 3",
    ),
    (
        "metrics.json",
        put(*VALID, "per_class", 2, "f1", value=None),
        "splits.valid.per_class[2].f1: expected a number, got null",
    ),
    (
        "metrics.json",
        put(*VALID, "confusion_matrix", value=[[1]]),
        "splits.valid.confusion_matrix has 1 entries; expected 3",
    ),
    (
        "metrics.json",
        put(*VALID, "confusion_matrix", 1, value=[1]),
        "splits.valid.confusion_matrix[1] has 1 entries; expected 3",
    ),
    (
        "metrics.json",
        put(*VALID, "confusion_matrix", 1, 2, value=0.5),
        "splits.valid.confusion_matrix[1][2]: expected a whole number, got a number",
    ),
    (
        "metrics.json",
        put(*VALID, "confusions", value=[[0, 3, 1]]),
        "splits.valid.confusions[0]: expected labels below 3",
    ),
    (
        "metrics.json",
        put(*VALID, "reliability", value=[]),
        "splits.valid.reliability: expected a list of length >= 1",
    ),
    ("metrics.json", put("data", "name", value=None), "data.name: expected a text, got null"),
    (
        "metrics.json",
        put("data", "photographs", "train", value="7"),
        "data.photographs.train: expected a whole number, got a text",
    ),
    (
        "metrics.json",
        put("a\x1b", value=NESTED),
        "the file has lists or objects that are nested too deeply",
    ),
    ("golden.json", put("device", value=None), "device: expected a text, got null"),
    (
        "golden.json",
        put("patterns_version", value=99),
        "patterns_version is 99, but this version of Frostflower draws 1; see: python -m ",
    ),
    ("golden.json", put("sha256", value=["0" * 64]), "sha256 has 1 entries; expected 4"),
    (
        "golden.json",
        put("probabilities", 0, value=[0.5]),
        "probabilities[0] has 1 entries; expected 3",
    ),
    (
        "golden.json",
        put("probabilities", 3, 1, value=float("nan")),
        "016], [0.266130272, NaN, 0.442",
    ),
    ("audit.json", drop("counts", "outlier"), "counts.outlier is missing"),
    (
        "audit.json",
        put("findings", "outlier", 0, "label", value="9"),
        "findings.outlier[0].label: expected a key of class_names",
    ),
    (
        "audit.json",
        put("findings", "label_error", value=audited()["findings"]["outlier"]),
        "findings.label_error[0].suggested_label: expected a key of class_names",
    ),
    (
        "audit.json",
        put("label_pairs", value=[["1", "9", 3]]),
        "label_pairs[0][1]: expected a key of class_names",
    ),
    (
        "audit.json",
        put("class_names", "a\x1b", value="a"),
        "class_names: expected a text of printable characters in a key",
    ),
    (
        "hashes.json",
        put("config.json", "bytes", value="many"),
        "config.json.bytes: expected a whole number, got a text",
    ),
    ("hashes.json", drop("config.json", "sha256"), "config.json.sha256 is missing"),
    (
        "hashes.json",
        put("config.json", value=NESTED),
        "the file has 200,460 bytes; expected at most 100,000",
    ),
]


@pytest.mark.parametrize(("file", "edit", "said"), EDITS)
def test_a_field_that_is_wrong_is_named(
    file: str, edit: Callable[[dict], None], said: str, folder: Path
):
    change(folder, file, edit)
    message = refused(folder)
    assert f"{file}: " in message.replace(" is not the file that was written", "")
    assert said in message
    assert len(message) < 500 + len(str(folder))


@pytest.mark.parametrize("file", ["config.json", "metrics.json", "golden.json", "audit.json"])
@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"\xff\xfe{}", "the file is not UTF-8 at byte 0"),
        (b"{", "the file is not valid JSON: it ends too early"),
        (b"[1]", "the file: expected an object, got a list"),
        (b'{"a": [nan]}', "the file is not valid JSON in line 1, near: {"),
        (b'{"a":' + b"[" * 2000 + b"]" * 2000 + b"}", "the file has lists or objects that are"),
        (b'{"a": [' + b"{}," * 300_000 + b"{}]}", "the file has 300,003 lists and objects"),
        (b" " * 65_000_000, "the file has 65,000,000 bytes; expected at most"),
    ],
)
def test_a_file_that_is_no_json_object_is_refused(file: str, text: bytes, said: str, folder: Path):
    (folder / file).write_bytes(text)
    write_hashes(folder)
    assert f"{file}: {said}" in refused(folder)


def test_a_file_that_may_be_missing_can_be_removed(folder: Path):
    change(folder, "audit.json", drop("counts"))
    assert "counts is missing. Remove the file to work without it" in refused(folder)
    (folder / "audit.json").unlink()
    assert load(folder).audit is None


def test_what_a_later_version_adds_is_left_out(folder: Path):
    before = load(folder)
    places: dict[str, list[tuple[str | int, ...]]] = {
        "config.json": [
            (),
            ("trust",),
            ("backbone",),
            TRANSFORMS,
            MEMBER,
            ("head",),
            ("detector",),
        ],
        "metrics.json": [(), ("splits",), VALID, ("data",), (*VALID, "per_class", 0)],
        "golden.json": [()],
        "audit.json": [(), ("findings",), ("counts",)],
        "hashes.json": [("config.json",)],
    }
    for file, containers in places.items():
        for keys in containers:
            change(folder, file, put(*keys, "later", value={"a": [[1e300, "\x1b"]]}))
    path = folder / "head.safetensors"
    save_file({**load_file(path), "later": np.full(3, np.nan)}, path)
    write_hashes(folder)
    after = load(folder)
    assert after.backbone == before.backbone and after.calibration.trust == before.calibration.trust
    assert after.metrics == before.metrics == made().metrics
    assert after.audit == before.audit == audited()
    assert after.training == before.training == made().training


def test_unprintable_characters_are_escaped_when_written_and_refused_when_read(tmp_path: Path):
    checkpoint, folder = made(), tmp_path / "checkpoint"
    checkpoint.metrics["data"]["name"] = "a\x1b\nb\u202e"
    save(checkpoint, folder)
    audit = audited()
    audit["findings"]["outlier"][0]["path"] = "a\udce9.jpg"
    save_audit(folder, audit)
    loaded = load(folder)
    assert loaded.metrics["data"]["name"] == r"a\u001b\u000ab\u202e"
    assert loaded.audit and loaded.audit["findings"]["outlier"][0]["path"] == r"a\udce9.jpg"
    change(folder, "metrics.json", put("data", "name", value="a\x1b"))
    assert "data.name: expected a text of printable characters" in refused(folder)


def test_the_backbone_may_not_take_longer_than_one_network_of_1024_px(folder: Path):
    def add(config: dict) -> None:
        member = config["backbone"]["members"][0]
        for number, side in enumerate((1024, 16)):
            config["backbone"]["members"].append(
                {**member, "name": f"other{number}", "image_size": side}
            )

    change(folder, "config.json", add)
    assert "backbone cannot be used: The backbone's networks take pictures of 64 px" in refused(
        folder
    )
    change(folder, "config.json", put("backbone", "members", 1, "image_size", value=1000))
    assert len(load(folder).backbone.members) == 3
    change(folder, "config.json", put("backbone", "members", 1, "name", value="other1"))
    assert 'backbone.members[2] is "other1" for the second time' in refused(folder)


@pytest.mark.parametrize("num_classes", [1000, 10_000, 25_000])
def test_very_many_classes_are_read(num_classes: int, folder: Path):
    ids = [f"{number:05} {'n' * 40}" for number in range(num_classes)]
    values = measured(ids)
    if num_classes > 1000:
        del values["confusion_matrix"]
        values["confusions"] = [[number, 0, 1] for number in range(1, num_classes)]
    config = json.loads((folder / "config.json").read_text()) | {"class_ids": ids}
    config["class_names"] = [name.upper() for name in ids]
    metrics = made().metrics | {"splits": {"valid": values, "test": values}}
    golden = json.loads((folder / "golden.json").read_text())
    golden["probabilities"] = [[1.25e-07] * num_classes] * 4
    names = dict(zip(ids, config["class_names"], strict=True))
    audit = audited(num_classes=num_classes, class_names=names)
    audit["findings"]["outlier"] = []
    written = {"config": config, "metrics": metrics, "golden": golden, "audit": audit}
    for name, content in written.items():
        (folder / f"{name}.json").write_text(json.dumps(content, indent=1))
    tensors = load_file(folder / "head.safetensors")
    for name in ("layers.0.weight", "layers.0.bias", "embedding.centers"):
        tensors[name] = np.resize(tensors[name], (num_classes, *tensors[name].shape[1:]))
    save_file(tensors, folder / "head.safetensors")
    write_hashes(folder)
    loaded = load(folder)
    assert len(loaded.class_names) == num_classes
    assert loaded.metrics == metrics


# from the command line


def run(command: str, folder: Path, cache_dir: Path, *arguments: str) -> int:
    places = ["--checkpoint", str(folder), "--cache-dir", str(cache_dir), "--device", "cpu"]
    options = cli.parse([command, *arguments, *places])
    return console.run(f"python -m model {command}", lambda: options.run(options))


def test_the_command_line_says_one_sentence_and_exits_2(folder: Path, cache_dir: Path, capsys):
    change(folder, "metrics.json", put(*VALID, "ece", value="x"))
    assert run("predict", folder, cache_dir, str(folder / "history.png")) == 2
    captured = capsys.readouterr()
    said = "metrics.json: splits.valid.ece: expected a number, got a text. Get the checkpoint"
    assert said in captured.err
    assert captured.err.count("\n") == 1 and captured.out == ""


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
def test_verify_does_not_accept_weights_that_are_not_finite(
    value: float,
    trained: Path,
    tiny_backbone: Callable[..., Backbone],
    cache_dir: Path,
    tmp_path: Path,
    capsys,
):
    folder = Path(shutil.copytree(trained, tmp_path / "copy"))
    before = (folder / "hashes.json").read_bytes()
    tensors = load_file(folder / "head.safetensors")
    tensors["layers.0.weight"] = tensors["layers.0.weight"].copy()
    tensors["layers.0.weight"][1, 2] = value
    save_file(tensors, folder / "head.safetensors")
    assert run("verify", folder, cache_dir, "--accept") == 2
    assert "head.safetensors: layers.0.weight" in capsys.readouterr().err
    assert (folder / "hashes.json").read_bytes() == before


# at random


@pytest.fixture(scope="module")
def whole(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trained checkpoint with an audit, so with every file that there can be."""
    folder = Path(shutil.copytree(trained, tmp_path_factory.mktemp("whole") / "checkpoint"))
    ids = load(folder).class_ids
    finding = {"path": "a/b.jpg", "label": ids[0], "score": 2.5, "other_path": "a/c.jpg"}
    finding |= {"suggested_label": ids[1]}
    leak = {"split": "valid", "photographs": 6, "accuracy": 0.5, "copies": 1}
    audit = audited(class_names=dict.fromkeys(ids, "name"))
    audit["findings"] = {problem: [finding] for problem in audit["findings"]}
    audit["leaks"] = [{**leak, "accuracy_without": None}, {**leak, "accuracy_without": 0.25}]
    save_audit(folder, audit)
    return folder


@pytest.mark.parametrize("seed", range(8))
def test_an_edited_checkpoint_answers_and_is_shown_or_is_refused_in_a_sentence(
    seed: int,
    whole: Path,
    tiny_backbone: Callable[..., Backbone],
    cache_dir: Path,
    tmp_path: Path,
):
    answered = 0
    for edit in random_edits(whole, 30, seed):
        started = time.perf_counter()
        message = outcome(edited(whole, edit, tmp_path / "copy"), cache_dir)
        assert time.perf_counter() - started < 10, edit
        if message:
            assert any(file.partition(".")[0] in message.lower() for file in FILES), (edit, message)
            assert message.isprintable() and len(message) < 1000, (edit, message)
        answered += not message
    assert 0 < answered < 15


def test_a_sound_checkpoint_answers(
    whole: Path, tiny_backbone: Callable[..., Backbone], cache_dir: Path
):
    assert outcome(whole, cache_dir) == ""


def test_the_shipped_checkpoint_answers_or_refuses_as_well(engines: Path, tmp_path: Path):
    assert outcome(checkpoints.SHIPPED, engines.parent) == ""
    for edit in random_edits(checkpoints.SHIPPED, 12, seed=5):
        message = outcome(edited(checkpoints.SHIPPED, edit, tmp_path / "copy"), engines.parent)
        assert message.isprintable(), edit
