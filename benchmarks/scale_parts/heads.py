"""One row of `scale.py --rows`: training and audit on generated features, without photographs.

The features of a photograph are the centre of its class plus noise. One in `_FALSE` photographs has
the features of another class, so no classifier can be right about it. It needs Linux.
"""

import json
import time
from pathlib import Path

import numpy as np

from benchmarks.scale_parts.peak import Peak
from model import training
from model.audit import audit
from model.cache import Scratch
from model.features.summaries import Summaries
from model.heads.head import HeadConfig
from model.photographs.dataset import DataSet, Photos

WIDTH = 2048
_FALSE = 20
_SPREAD = 0.6  # standard deviation of the centres; that of the noise is 1
_BLOCK = 4096


def make_features(
    count: int, num_classes: int, folder: Path, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Generate features in a mapped file, block by block.

    Args:
        count: N photographs.
        num_classes: C.
        folder: Folder for the file, which has no name and is deleted together with the array.
        seed: Seed of the noise and of the photographs with false features.

    Returns:
        The features, float16 `[N, 1, D]`; the labels in ascending order, int64 `[N]`; and whether
        the features are those of the label, bool `[N]`.
    """
    centres = np.random.default_rng(0).normal(0, _SPREAD, (num_classes, WIDTH)).astype(np.float16)
    rng = np.random.default_rng(seed)
    labels = np.sort(np.arange(count) % num_classes)
    true = rng.integers(_FALSE, size=count) > 0
    shown = np.where(true, labels, (labels + 1 + rng.integers(num_classes - 1)) % num_classes)
    features = Scratch(folder, in_memory=0).array((count, 1, WIDTH), np.float16)
    for start in range(0, count, _BLOCK):
        rows = slice(start, start + _BLOCK)
        noise = rng.standard_normal((len(shown[rows]), WIDTH), np.float32)
        features[rows, 0] = noise + centres[shown[rows]]
    return features, labels, true


def make_data(labels: dict[str, np.ndarray], num_classes: int) -> DataSet:
    """Return a data set whose files do not exist."""
    start, splits, groups = 0, {}, {}
    for split, of_split in labels.items():
        numbers = np.arange(start, start + len(of_split))
        start += len(of_split)
        groups[split] = numbers
        splits[split] = Photos(
            [Path(split, f"{number:08d}.jpg") for number in numbers],
            of_split,
            [f"{number:064x}" for number in numbers],
        )
    class_ids = [f"class{number:05d}" for number in range(num_classes)]
    return DataSet("made up", class_ids, class_ids, splits, groups)


def run(count: int, num_classes: int, folder: Path, in_memory: int) -> dict[str, float]:
    """Fit a head in this process, calibrate and measure it, and audit its photographs.

    Args:
        count: N training photographs. `valid` has a fiftieth as many, but at least two per class.
        num_classes: C.
        folder: Folder for temporary files.
        in_memory: Largest array, in bytes, that `Scratch` holds in memory.

    Returns:
        `fit`, `measure` and `audit`: durations in s. `peak`: peak of anonymous memory in bytes.
        `top1`: accuracy on `valid`, 0-1, and `possible`: the highest accuracy that the features
        allow. `found`: share of the training photographs with another class's features that the
        audit finds, 0-1.
    """
    sizes = {"train": count, "valid": max(count // 50, 2 * num_classes)}
    made = {
        split: make_features(size, num_classes, folder, seed)
        for seed, (split, size) in enumerate(sizes.items(), start=1)
    }
    features = {split: of_split for split, (of_split, _, _) in made.items()}
    data = make_data({split: labels for split, (_, labels, _) in made.items()}, num_classes)
    signatures = np.random.default_rng(0).integers(0, 256, (count, 32), np.uint8)
    summaries = Summaries(signatures, [b""] * count, [None] * count)
    config = training.TrainConfig(head=HeadConfig(head="linear", epochs=2), thumbnails=False)
    scratch = Scratch(folder, in_memory)
    peak, times = Peak(), [time.perf_counter()]
    fit = training.fit_features(
        data, features, summaries, config, mean_width=WIDTH, scratch=scratch
    )
    times.append(time.perf_counter())
    valid = {"valid": features["valid"]}
    calibration, figures = training.measure(fit, valid, data, config, scratch)
    assert fit.evidence and calibration.embedding
    asked = calibration.embedding.project(fit.fitted.head, features["valid"][:100])
    fit.evidence.nearest(asked)
    times.append(time.perf_counter())
    del fit, calibration
    _, labels, true = made["train"]
    compared = audit.compare(
        features["train"], labels, num_classes, np.array([]), np.arange(count), in_memory=in_memory
    )
    times.append(time.perf_counter())
    took = dict(zip(("fit", "measure", "audit"), np.diff(times).tolist(), strict=True))
    return took | {
        "peak": peak.stop(),
        "top1": figures["valid"]["top1"],
        "possible": float(made["valid"][2].mean()),
        "found": float((compared.left_out.preferred != labels)[~true].mean()),
    }


def run_here(arguments: list[str]) -> None:
    """Call `run` with arguments given as text, and print the result as JSON."""
    count, num_classes, folder, in_memory = arguments
    print(json.dumps(run(int(count), int(num_classes), Path(folder), int(in_memory))))
