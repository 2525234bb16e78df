"""One ONNX file that answers as the classifier does."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from drawing import drawn_photograph
from PIL import Image
from small_checkpoint import made

import train
from model import verify
from model.backbones import device
from model.backbones.backbone import Backbone
from model.checkpoints import checkpoint as checkpoints
from model.checkpoints.golden import patterns
from model.classifier import Classifier
from model.commands import console
from model.commands import main as cli
from model.photographs import images
from model.sharing import export as exports
from model.sharing.export import Exported, export, metadata
from model.trust.levels import SURE
from model.trust.metrics import softmax

ROOT = Path(__file__).resolve().parents[3]
Run = Callable[..., int]
Make = Callable[..., Classifier]


@pytest.fixture
def classifier(
    trained: Path, tiny_backbone: Callable[..., Backbone], cache_dir: Path
) -> Classifier:
    return Classifier(trained, device="cpu", cache_dir=cache_dir)


@pytest.fixture
def make(tiny_backbone: Callable[..., Backbone], cache_dir: Path, tmp_path: Path) -> Make:
    """Makes classifiers with random heads that are in doubt, so that a difference would show."""

    def make_classifier(
        name: str = "test_resnet",
        views: tuple[str, ...] = ("center", "mirror"),
        hidden: tuple[int, ...] = (),
        embedded: bool = True,
        **options: object,
    ) -> Classifier:
        backbone = tiny_backbone(name, **options)
        checkpoint = made(hidden, embedded=embedded, width=backbone.embed_dim)
        checkpoint = replace(checkpoint, backbone=backbone.spec, views=list(views))
        features = backbone.features(np.stack([backbone.transforms.center(p) for p in patterns()]))
        head = checkpoint.head
        head.mean, head.std = features.mean(axis=0), features.std(axis=0) + np.float32(0.01)
        head.layers = [(w / np.float32(np.sqrt(w.shape[1])), b / 8) for w, b in head.layers]
        if embedding := checkpoint.calibration.embedding:
            embedding.basis[:] /= np.float16(np.sqrt(len(features[0])))
        golden = verify.record(checkpoint, backbone)
        folder = tmp_path / "-".join([name, *views, *map(str, hidden), str(embedded), "made"])
        checkpoints.save(replace(checkpoint, golden=golden), folder)
        return Classifier(folder, device="cpu", cache_dir=cache_dir)

    return make_classifier


@pytest.fixture
def run(trained: Path, tiny_backbone: Callable[..., Backbone], cache_dir: Path) -> Run:
    """Runs `python -m model export` in this process; returns the exit status."""

    def run_command(*arguments: object, checkpoint: Path = trained) -> int:
        places = ["--checkpoint", str(checkpoint), "--cache-dir", str(cache_dir)]
        options = cli.parse(["export", *map(str, arguments), *places])
        return console.run("python -m model export", lambda: options.run(options))

    return run_command


def photographs(count: int) -> list[Image.Image]:
    return [drawn_photograph(k / 7, k, (60 + 9 * k, 90 - 7 * k)) for k in range(count)]


def answers(path: Path, classifier: Classifier, photos: list[Image.Image]) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(path)
    transforms = classifier.backbone.transforms
    pixels = np.stack([transforms.center(photo) for photo in photos])
    found = session.run(["probabilities", "unknown_score", "set"], {"pixels": pixels})
    return [np.asarray(values) for values in found]


def assert_agrees(path: Path, classifier: Classifier, photos: list[Image.Image]) -> None:
    probabilities, scores, sets = answers(path, classifier, photos)
    expected = classifier.assess(photos)
    assert probabilities.dtype == scores.dtype == np.float32
    assert np.abs(probabilities - softmax(expected.logits)).max() < 1e-4
    assert probabilities.max(axis=1).min() < 0.995, "too sure for a difference to show"
    assert np.allclose(scores, expected.unknown_scores, rtol=1e-4, atol=1e-4)
    assert np.array_equal(sets, expected.sets)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_it_answers_as_the_classifier_for_any_number_of_photographs(
    count: int, classifier: Classifier, tmp_path: Path
):
    export(classifier, tmp_path / "a.onnx")
    assert_agrees(tmp_path / "a.onnx", classifier, photographs(count))


CASES = {
    "vit": {"name": "test_vit"},
    "mlp": {"hidden": (7, 5)},
    "one view and no embedding": {"views": ("center",), "embedded": False, "stages": 0},
    "mirror first": {"views": ("mirror", "center"), "hidden": (4,)},
    "mirror only": {"views": ("mirror",)},
    "two backbones": {"name": "test_resnet+test_vit"},
}


@pytest.mark.parametrize("options", CASES.values(), ids=CASES)
def test_every_kind_of_checkpoint_can_be_exported(options: dict, make: Make, tmp_path: Path):
    classifier = make(**options)
    export(classifier, tmp_path / "a.onnx")
    assert_agrees(tmp_path / "a.onnx", classifier, photographs(4))


def test_the_views_are_made_inside(make: Make, tmp_path: Path):
    both, center = make(), make(views=("center",))
    export(both, tmp_path / "both.onnx")
    export(center, tmp_path / "center.onnx")
    photos = photographs(3)
    mirrored = [photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for photo in photos]
    for path, classifier, same in (("both", both, True), ("center", center, False)):
        found = [answers(tmp_path / f"{path}.onnx", classifier, p)[0] for p in (photos, mirrored)]
        assert np.allclose(*found, atol=1e-3) == same


def test_the_recipe_of_the_tutorial_can_be_exported(
    photos_dir: Callable[..., Path], tmp_path: Path, cache_dir: Path, monkeypatch, run: Run
):
    from model.heads import classic

    monkeypatch.setattr(classic, "IMAGE_SIZE", 64)
    places = ["--out", str(tmp_path / "out"), "--cache-dir", str(cache_dir), "--device", "cpu"]
    options = ["--recipe", "classic", "--backbone", "test_resnet", "--epochs", "2"]
    train.main(train.parse([str(photos_dir()), *options, "--workers", "0", *places]))
    assert run("--onnx", tmp_path / "a.onnx", checkpoint=tmp_path / "out") == 0
    classifier = Classifier(tmp_path / "out", device="cpu", cache_dir=cache_dir)
    assert classifier.checkpoint.views == ["center"]
    assert_agrees(tmp_path / "a.onnx", classifier, photographs(3))


def test_the_file_is_self_contained_and_says_what_it_is(
    run: Run, trained: Path, tmp_path: Path, capsys
):
    path = tmp_path / "file.onnx"
    assert run("--onnx", path) == 0
    assert [found.name for found in path.parent.iterdir() if found.suffix != ""] == [path.name]
    out = capsys.readouterr().out
    assert f"{path}: {path.stat().st_size / 1e6:.1f} MB, one file" in out
    assert "pixels uint8 [N, 48, 48, 3]" in out and "probabilities float32 [N, 3]" in out
    onnx.checker.check_model(onnx.load(path))
    session = onnxruntime.InferenceSession(path)
    (pixels,) = session.get_inputs()
    assert (pixels.name, pixels.type, pixels.shape) == ("pixels", "tensor(uint8)", ["N", 48, 48, 3])
    shapes = {output.name: (output.type, output.shape) for output in session.get_outputs()}
    assert shapes == {
        "probabilities": ("tensor(float)", ["N", 3]),
        "unknown_score": ("tensor(float)", ["N"]),
        "set": ("tensor(bool)", ["N", 3]),
    }
    stored = session.get_modelmeta().custom_metadata_map
    values = {name: json.loads(text) for name, text in stored.items()}
    config = json.loads((trained / "config.json").read_text())
    assert values["class_names"] == ["Oxeye daisy", "Dog rose", "Garden tulip"]
    assert values["thresholds"] == config["trust"]
    assert values["transforms"] == {
        "size": 48,
        "framing": "crop",
        "crop_pct": 0.95,
        "interpolation": "bicubic",
        "fill": [124, 116, 104],
        "least_side": 640,
    }


def test_parents_are_told_where_there_are_some(
    trained: Path, tiny_backbone: Callable[..., Backbone], cache_dir: Path
):
    classifier = Classifier(trained, device="cpu", cache_dir=cache_dir)
    assert "parents" not in metadata(classifier)
    classifier.checkpoint.parents = [("herbs",), (), ("bulbs",)]
    assert metadata(classifier)["parents"] == [("herbs",), (), ("bulbs",)]
    assert metadata(classifier)["thresholds"]["sure"] == SURE
    made = Exported(Path("a.onnx"), 1, 0.0, 48, 3, tuple(metadata(classifier)))
    assert "  metadata: class_names, parents, transforms, thresholds, each as JSON" in made.render()


def test_a_file_is_replaced_only_with_overwrite(run: Run, tmp_path: Path, capsys):
    path = tmp_path / "a.onnx"
    path.write_bytes(b"precious")
    assert run("--onnx", path) == 2
    assert "already exists. Choose another --onnx, or add --overwrite." in capsys.readouterr().err
    assert path.read_bytes() == b"precious"
    assert run("--onnx", path, "--overwrite") == 0
    assert path.stat().st_size > 1000


def test_where_nothing_can_be_written_is_said_at_once(run: Run, tmp_path: Path, capsys):
    assert run("--onnx", tmp_path / "none" / "a.onnx") == 2
    assert f"Folder {tmp_path / 'none'} does not exist." in capsys.readouterr().err
    assert run("--onnx", tmp_path) == 2
    assert "is a folder. Choose a file for --onnx" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


SPOILED = {
    "probabilities": (
        lambda p, u, s: (p + 2e-4, u, s),
        "its probabilities differ from the classifier's by 2.0e-04",
    ),
    "no numbers": (
        lambda p, u, s: (p * torch.nan, u, s),
        "its probabilities differ from the classifier's by nan",
    ),
    "score": (lambda p, u, s: (p, u * 1.01 + 0.01, s), "its unknown_score differ"),
    "set": (lambda p, u, s: (p, u, ~s), "its set differs from the classifier's"),
}


@pytest.mark.parametrize(("spoil", "message"), SPOILED.values(), ids=SPOILED)
def test_a_file_that_disagrees_is_not_left(
    spoil: Callable, message: str, classifier: Classifier, tmp_path: Path, monkeypatch
):
    (tmp_path / "out").mkdir()
    path = tmp_path / "out" / "a.onnx"
    path.write_bytes(b"precious")
    forward = exports._Graph.forward
    monkeypatch.setattr(
        exports._Graph, "forward", lambda self, pixels: spoil(*forward(self, pixels))
    )
    with pytest.raises(ValueError, match=message):
        export(classifier, path, overwrite=True)
    assert names(path.parent) == ["a.onnx"]
    assert path.read_bytes() == b"precious"


def test_a_backbone_that_cannot_be_exported_is_named(
    classifier: Classifier, tmp_path: Path, monkeypatch
):
    def fail(*_arguments: object, **_options: object) -> None:
        raise RuntimeError("Exporting the operator 'aten::strange' is not supported.\nTrace: ...")

    (tmp_path / "out").mkdir()
    monkeypatch.setattr(torch.onnx, "export", fail)
    expected = r"backbone test_resnet cannot be exported to ONNX \(Exporting the operator"
    with pytest.raises(ValueError, match=expected) as error:
        export(classifier, tmp_path / "out" / "a.onnx")
    assert "\n" not in str(error.value)
    assert names(tmp_path / "out") == []


def test_what_does_not_fit_into_one_file_is_refused(
    classifier: Classifier, tmp_path: Path, monkeypatch
):
    monkeypatch.setattr(exports, "_MAX_BYTES", 1000)
    with pytest.raises(ValueError, match=r"its weights have .* GB, but one file holds 1e-06"):
        export(classifier, tmp_path / "a.onnx")
    assert not (tmp_path / "a.onnx").exists()


def test_a_classifier_that_has_drifted_is_exported_with_a_warning(
    run: Run, trained: Path, tmp_path: Path, capsys
):
    folder = Path(shutil.copytree(trained, tmp_path / "copy"))
    values = json.loads((folder / "golden.json").read_text())
    values["probabilities"][0][0] += 0.1
    (folder / "golden.json").write_text(json.dumps(values))
    checkpoints.write_hashes(folder)
    assert run("--onnx", tmp_path / "a.onnx", checkpoint=folder) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("Warning: This classifier does not answer as it did")


@pytest.mark.slow
def test_the_shipped_classifier_and_its_file_agree_on_flowers(
    flowers102_dir: Path, shipped: Classifier, tmp_path: Path
):
    export(shipped, tmp_path / "flowers.onnx")
    paths = sorted((flowers102_dir / "valid").glob("*/*.jpg"))[::33]
    assert_agrees(tmp_path / "flowers.onnx", shipped, [images.decode(path) for path in paths])


def test_without_torch_the_command_says_what_to_install(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.setattr(device, "find_spec", lambda name: None)
    options = cli.parse(["export", "--onnx", str(tmp_path / "a.onnx")])
    assert console.run("python -m model export", lambda: options.run(options)) == 2
    assert "needs torch, which is not installed: pip install -r" in capsys.readouterr().err
