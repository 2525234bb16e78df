"""Runs everything else that may use a GPU, once each; a part of `cuda.py`."""

import functools
import shutil
from collections.abc import Callable
from typing import Any

import numpy as np

import train
from benchmarks.cuda_parts.bench import Bench, framed
from model import training, verify
from model.backbones.backbone import Backbone
from model.backbones.spec import BackboneSpec, Member
from model.backbones.transforms import CENTER, Transforms
from model.explain.heat_map import attribute
from model.heads.fit import Examples, fit_head
from model.heads.head import Head, HeadConfig
from model.photographs import images


def _random_backbone(bench: Bench, name: str, size: int) -> Backbone:
    """Open one of timm's tiny networks with random weights, last layer only."""
    import timm

    options: dict[str, Any] = {"img_size": size} if "vit" in name else {}
    network = timm.create_model(name, pretrained=False, **options)
    half = (0.5, 0.5, 0.5)
    member = Member(name, "0" * 64, size, half, half)
    spec = BackboneSpec((member,), 0, Transforms(size, "squash", interpolation="bilinear"))
    return Backbone(spec, [network], device=bench.device, cache_dir=bench.home / "cache")


def explain_packaged(bench: Bench) -> str:
    """Explain a photograph with the shipped classifier."""
    classifier = bench.classifier(bench.device)
    heat = classifier.predict([images.decode(bench.made[0][0])], explain=True)[0].heat
    if heat is None or not np.isfinite(heat.values).all() or not np.ptp(heat.values):
        raise ValueError("the heat map is missing, flat or not finite")
    return f"heat map {heat.values.shape}"


def explain_by_gradient(name: str, bench: Bench) -> str:
    """Explain with a network whose final features are not means over positions."""
    backbone = _random_backbone(bench, name, 160)
    pixels = framed(backbone, [path for path, _ in bench.made[:2]], [CENTER])
    backbone.features(pixels)
    features, maps = backbone.maps(pixels)
    if not any(entry.info.member is not None for entry in maps):
        raise ValueError(f"no gradient of {name} reaches a place")
    width, rng = features.shape[1], np.random.default_rng(0)
    layer = (rng.normal(size=(3, width)).astype(np.float32), np.zeros(3, np.float32))
    head = Head(np.zeros(width, np.float32), np.ones(width, np.float32), [layer])
    heats = attribute(backbone, head, features, maps, [CENTER])
    if not all(np.isfinite(heat.values).all() and np.ptp(heat.values) for heat in heats):
        raise ValueError(f"the heat map of {name} is flat or not finite")
    return f"heat map of {name} {heats[0].values.shape}"


def golden_answers(bench: Bench) -> str:
    """Ask the shipped classifier for its golden answers."""
    drifts = verify.measure(bench.classifier(bench.device))
    worst = max(drift.difference for drift in drifts)
    if any(drift.beyond for drift in drifts):
        raise ValueError(verify.warning([drift for drift in drifts if drift.beyond]))
    return f"golden answers within {worst:.4f} (tolerance {drifts[0].tolerance:g})"


def mlp(bench: Bench) -> str:
    """Fit an MLP head on random features in which the classes differ."""
    rng, labels = np.random.default_rng(0), np.arange(400) % 4
    centers = rng.normal(size=(4, 64))
    features = (centers[labels] + rng.normal(0, 0.5, (400, 64))).astype(np.float16)
    rows = features[:, None].repeat(2, axis=1)
    config = HeadConfig(head="mlp", hidden=(32,), epochs=5, lr=0.01)
    halves = Examples(rows[:200], labels[:200]), Examples(rows[200:], labels[200:])
    fit = fit_head(*halves, 4, config, device=bench.device)
    accuracy = fit.history[-1]["valid_accuracy"]
    if accuracy < 0.9:
        raise ValueError(f"the MLP's accuracy is {accuracy:.2f}; expected above 0.9")
    return f"MLP head, accuracy {accuracy:.2f}"


def classic(bench: Bench) -> str:
    """Train a tiny network by the classic recipe for one epoch, on about 64 photographs."""
    folder, chosen = bench.home / "few", [one for one in bench.made if one[1] < 4][:64]
    for path, _ in chosen:
        target = folder / path.parent.name / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    places = ["--out", str(bench.home / "classic"), "--cache-dir", str(bench.home / "cache")]
    options = train.parse(
        [str(folder), "--recipe", "classic", "--epochs", "1", "--device", bench.device, *places]
    )
    config, backbone = train.configure(options), _random_backbone(bench, "test_resnet", 224)
    data = train.load_data(options, config, backbone)
    trained = training.train(data, backbone, config, cache_dir=options.cache_dir)
    return f"classic recipe, {len(chosen)} photographs, loss {trained.history[0]['train_loss']:.2f}"


PARTS: dict[str, Callable[[Bench], str]] = {
    "heat map": explain_packaged,
    "heat map of test_vit": functools.partial(explain_by_gradient, "test_vit"),
    "heat map of test_convnext": functools.partial(explain_by_gradient, "test_convnext"),
    "golden answers": golden_answers,
    "MLP head": mlp,
    "classic recipe": classic,
}
"""Name -> a call that says what ran, or raises an error."""
