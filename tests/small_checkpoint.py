"""A small checkpoint made by hand, for tests of what stores and sends checkpoints."""

from itertools import pairwise

import numpy as np

from model.backbones.spec import BackboneSpec, Member
from model.backbones.transforms import Transforms
from model.checkpoints import golden
from model.checkpoints.checkpoint import Checkpoint
from model.checkpoints.golden import Golden
from model.heads.head import HISTORY_COLUMNS, Head
from model.trust.calibrate import Calibration, Trust
from model.trust.unknown import Detector, Embedding


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
        training={"recipe": "default", "seed": 0, "best_epoch": 2},
        history=[dict.fromkeys(HISTORY_COLUMNS, float(epoch)) for epoch in (1, 2)],
        metrics={
            "splits": {"valid": {"top1": 0.5, "confusion_matrix": [[1, 0, 0]] * 3}},
            "data": {"name": "flowers"},
        },
        golden=Golden(
            golden.PATTERNS_VERSION,
            [golden.sha256(pattern) for pattern in golden.patterns()],
            rng.uniform(size=(len(golden.SIZES), 3)),
            "CPU (ONNX Runtime)",
        ),
    )
