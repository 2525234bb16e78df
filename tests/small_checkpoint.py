"""A small checkpoint made by hand, for tests of what stores and sends checkpoints."""

import io
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
from PIL import Image

from model.backbones.spec import BackboneSpec, Member
from model.backbones.transforms import Transforms
from model.checkpoints import golden
from model.checkpoints.checkpoint import Checkpoint
from model.checkpoints.golden import Golden
from model.explain.evidence import Evidence
from model.heads.head import HISTORY_COLUMNS, Head
from model.trust.calibrate import Calibration, Trust
from model.trust.unknown import Detector, Embedding


def measured(class_ids: list[str]) -> dict[str, Any]:
    """The figures of a split of one photograph a class, all taken for the first."""
    rates = {"precision": 0.5, "recall": 0.25, "f1": 1 / 3, "support": 1}
    return {
        "photographs": len(class_ids),
        "top1": 1 / len(class_ids),
        "top5": 1.0,
        "loss": 1.5,
        "macro_f1": 0.5,
        "per_class": [{"class_id": class_id, **rates} for class_id in class_ids],
        "confusion_matrix": [[1, *[0] * (len(class_ids) - 1)] for _ in class_ids],
        "ece": 0.25,
        "reliability": [{"confidence": 0.5, "accuracy": 1 / 3, "photographs": len(class_ids)}],
        "coverage": 1.0,
        "mean_set_size": 2.0,
        "known_pass_rate": 1.0,
    }


def audited(**changes: Any) -> dict[str, Any]:
    """The summary of an audit that found one outlier among three photographs."""
    finding = {"path": "1/a.jpg", "label": "1", "score": 9.5}
    finding |= {"suggested_label": "", "other_path": ""}
    problems = ("label_error", "exact_duplicate", "near_duplicate", "outlier")
    names = {"1": "Gänseblümchen", "白い花": 'a "quoted", name', "c d": "c d"}
    return {
        "data": "flowers",
        "photographs": 3,
        "num_classes": 3,
        "class_names": names,
        "skipped": 0,
        "backbone": "test_resnet",
        "counts": {problem: int(problem == "outlier") for problem in problems},
        "across_splits": 0,
        "accuracy": 0.75,
        "accuracy_with_copies": 0.75,
        "leaks": [],
        "findings": {problem: [finding] * (problem == "outlier") for problem in problems},
        **changes,
    }


def made(
    hidden: tuple[int, ...] = (), seed: int = 0, embedded: bool = True, width: int = 6
) -> Checkpoint:
    """A small checkpoint with names that are hard to write."""
    rng = np.random.default_rng(seed)
    widths = (width, *hidden, 3)
    layers = [
        (
            rng.normal(size=(wide, narrow)).astype(np.float32),
            rng.normal(size=wide).astype(np.float32),
        )
        for narrow, wide in pairwise(widths)
    ]
    head = Head(
        rng.normal(size=width).astype(np.float32),
        rng.uniform(1, 2, width).astype(np.float32),
        layers,
    )
    embedding = Embedding(
        rng.normal(size=(width, 8)).astype(np.float16)[:, ::-2],  # no contiguous memory
        rng.normal(size=(3, 4)).astype(np.float32),
    )
    member = Member("test_resnet", "ab" * 32, 64, (0.5, 0.5, 0.5), (0.5, 0.25, 0.5))
    return Checkpoint(
        backbone=BackboneSpec((member,), 3, Transforms(64, "pad", 0.95)),
        head=head,
        calibration=Calibration(
            Trust(0.5, 0.99, 1.5, 0.98, 3.0),
            Detector((0.1, 0.2), (5.0, 9.0) if embedded else None),
            embedding if embedded else None,
        ),
        class_ids=["1", "白い花", "c d"],
        class_names=["Gänseblümchen", 'a "quoted", name', "c d"],
        views=["center", "mirror"],
        training={
            "recipe": "default",
            "seed": 0,
            "best_epoch": 2,
            "head_text": "linear head",
            "text": "Made by hand.",
            "options": {"coverage": 0.99, "known_pass_rate": 0.98, "hidden": [], "device": "auto"},
        },
        history=[{**dict.fromkeys(HISTORY_COLUMNS, 0.5), "epoch": epoch} for epoch in (1, 2)],
        metrics={
            "splits": {"valid": measured(["1", "白い花", "c d"])},
            "data": {"name": "flowers", "photographs": {"train": 7, "valid": 3}},
            "seed": 0,
        },
        golden=Golden(
            golden.PATTERNS_VERSION,
            [golden.sha256(pattern) for pattern in golden.patterns()],
            rng.uniform(size=(len(golden.SIZES), 3)),
            "CPU (ONNX Runtime)",
        ),
    )


def evaluated(names: list[str], matrix: list[list[int]]) -> Checkpoint:
    """A checkpoint with these classes, whose validation gave this confusion matrix."""
    counts, class_ids = np.array(matrix), [str(label) for label in range(len(names))]
    right, support = counts.diagonal(), counts.sum(axis=1)
    recall, precision = right / np.maximum(support, 1), right / np.maximum(counts.sum(axis=0), 1)
    values = measured(class_ids) | {
        "photographs": int(counts.sum()),
        "top1": float(right.sum() / counts.sum()),
        "confusion_matrix": matrix,
        "per_class": [
            {
                "class_id": class_id,
                "precision": float(precision[label]),
                "recall": float(recall[label]),
                "f1": 0.5,
                "support": int(support[label]),
            }
            for label, class_id in enumerate(class_ids)
        ],
    }
    checkpoint = made()
    metrics = {**checkpoint.metrics, "splits": {"valid": values}}
    return replace(checkpoint, class_ids=class_ids, class_names=names, metrics=metrics)


def pictured(checkpoint: Checkpoint, names: list[str], labels: list[int]) -> Checkpoint:
    """The same checkpoint with thumbnails of these training photographs."""
    rng = np.random.default_rng(0)
    jpegs = []
    for colour in rng.integers(0, 256, (len(names), 3)).tolist():
        file = io.BytesIO()
        Image.new("RGB", (24, 18), tuple(colour)).save(file, "JPEG")
        jpegs.append(file.getvalue())
    evidence = Evidence.build(
        rng.normal(size=(len(names), 4)),
        np.array(labels),
        ["ab" * 32] * len(names),
        names,
        rng.integers(0, 256, (len(names), 32), np.uint8),
        jpegs,
    )
    return replace(checkpoint, evidence=evidence)
