"""A checkpoint with many classes, made from generated features in seconds instead of trained.

Its backbone is a packaged one, so it can classify photographs, but its answers mean nothing.
Everything else is as large as training makes it: head, embedding, evidence with thumbnails,
figures, history and golden answers.
"""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from model import verify
from model.backbones.backbone import Backbone
from model.checkpoints import card
from model.checkpoints.checkpoint import CARD, PLOT, Checkpoint, save
from model.checkpoints.golden import patterns
from model.checkpoints.plots import history_png
from model.explain.evidence import Evidence
from model.features.signatures import SIGNATURE_BYTES
from model.heads.head import HISTORY_COLUMNS, Head, Row
from model.trust.calibrate import Calibration, Trust
from model.trust.metrics import class_figures
from model.trust.unknown import MAX_DIRECTIONS, Detector, Embedding

_EACH = 2  # validation photographs per class, and as many training photographs
_EPOCHS = 30
_NAMES = (
    "dog rose {}",
    "Rosa gallica var. officinalis {}",
    "白い花 {}",
    "ромашка аптечная {}",
    "زهرة بيضاء {}",
    "greater stitchwort whose name is longer than any column of a table is wide, number {}",
)


def make(folder: Path, backbone: Backbone, classes: int, *, parents: bool = False) -> None:
    """Write the folder of a checkpoint.

    Args:
        folder: The folder, which must be empty or missing.
        backbone: A packaged backbone, opened.
        classes: C, 10 or more.
        parents: Give the classes two levels of parents.

    Raises:
        OSError: The folder cannot be written.
    """
    rng = np.random.default_rng(0)
    class_ids = [f"{number:05d}" for number in range(classes)]
    head, embedding = _head(rng, backbone, classes)
    trust = Trust(1.0, 0.99, 3.0, 0.99, 50.0)
    made = Checkpoint(
        backbone=backbone.spec,
        head=head,
        calibration=Calibration(trust, Detector((0.5, 3.0), (400.0, 4000.0)), embedding),
        class_ids=class_ids,
        class_names=[_NAMES[n % len(_NAMES)].format(n) for n in range(classes)],
        views=["center", "mirror"],
        training=_training(),
        history=[_epoch(number) for number in range(1, _EPOCHS + 1)],
        metrics=_metrics(rng, class_ids, parents),
        evidence=_evidence(rng, class_ids),
        parents=_parents(classes) if parents else [],
    )
    made = replace(made, golden=verify.record(made, backbone))
    command = "python train.py DATA"
    extra = {CARD: card.render(made, command).encode(), PLOT: history_png(made.history)}
    save(made, folder, extra=extra)


def _head(rng: np.random.Generator, backbone: Backbone, classes: int) -> tuple[Head, Embedding]:
    """Make a linear head whose logits spread by about 3, and the embedding of its classes."""
    pixels = np.stack([backbone.transforms.views(one, ["center"])[0] for one in patterns()])
    features = backbone.features(pixels)
    mean, std = features.mean(axis=0), np.maximum(features.std(axis=0), 0.1)
    width = len(mean)
    weight = rng.standard_normal((classes, width), dtype=np.float32)
    weight *= np.float32(3 / np.sqrt(width))
    basis = rng.standard_normal((backbone.mean_width, MAX_DIRECTIONS)).astype(np.float16)
    centers = rng.standard_normal((classes, MAX_DIRECTIONS), dtype=np.float32)
    head = Head(
        mean.astype(np.float32), std.astype(np.float32), [(weight, np.zeros_like(weight[:, 0]))]
    )
    return head, Embedding(basis, centers)


def _training() -> dict[str, Any]:
    options = {"coverage": 0.99, "known_pass_rate": 0.99, "hidden": [], "device": "auto"}
    text = "Its features are random numbers."
    made = {"seed": 0, "best_epoch": _EPOCHS, "head_text": "linear head", "text": text}
    return {"recipe": "default", "options": options, **made}


def _epoch(number: int) -> Row:
    row = dict.fromkeys(HISTORY_COLUMNS, 0.0)
    accuracy = 0.5 * number / _EPOCHS
    for split in ("train", "valid"):
        row |= {f"{split}_accuracy": accuracy, f"{split}_loss": 9 - 8 * number / _EPOCHS}
    return {**row, "epoch": number}


def _metrics(rng: np.random.Generator, class_ids: list[str], parents: bool) -> dict[str, Any]:
    """Make the figures of a validation in which every second answer is a neighbouring class."""
    classes = len(class_ids)
    labels = np.repeat(np.arange(classes), _EACH)
    beside = (labels + rng.integers(1, 4, len(labels))) % classes
    predicted = np.where(rng.random(len(labels)) < 0.5, beside, labels)
    groups = [
        {"confidence": share, "accuracy": share, "photographs": len(labels) // 9}
        for share in np.linspace(0.1, 0.9, 9).tolist()
    ]
    valid = {
        "photographs": len(labels),
        "top1": float((predicted == labels).mean()),
        "top5": 0.8,
        "loss": 2.0,
        **class_figures(labels, predicted, class_ids),
        "ece": 0.02,
        "reliability": groups,
        "coverage": 0.99,
        "mean_set_size": 12.0,
        "known_pass_rate": 0.99,
    }
    if parents:
        nodes = [len(set(names)) for names in zip(*_parents(classes), strict=True)]
        rows = [(1, nodes[0], 0.9), (2, nodes[1], 0.8), (3, classes, 0.5)]
        valid["levels"] = [
            {"level": level, "nodes": count, "top1": top1, "answered": 0.3, "answered_right": 0.9}
            for level, count, top1 in rows
        ]
        valid |= {"answered": 0.9, "answered_right": 0.9}
    data = {"name": "generated", "fingerprint": "0" * 64, "skipped": 0}
    counts = {"train": len(labels), "valid": len(labels)}
    return {"splits": {"valid": valid}, "data": data | {"photographs": counts}, "seed": 0}


def _evidence(rng: np.random.Generator, class_ids: list[str]) -> Evidence:
    labels = np.repeat(np.arange(len(class_ids)), _EACH)
    picture = io.BytesIO()
    Image.radial_gradient("L").convert("RGB").resize((96, 72)).save(picture, "JPEG")
    return Evidence.build(
        rng.standard_normal((len(labels), MAX_DIRECTIONS), dtype=np.float32),
        labels,
        [f"{number:064x}" for number in range(len(labels))],
        [f"{class_ids[label]}/{number}.jpg" for number, label in enumerate(labels)],
        rng.integers(0, 256, (len(labels), SIGNATURE_BYTES), np.uint8),
        [picture.getvalue()] * len(labels),
    )


def _parents(classes: int) -> list[tuple[str, ...]]:
    return [(f"family {number // 100}", f"genus {number // 10}") for number in range(classes)]
