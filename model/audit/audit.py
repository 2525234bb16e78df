"""Searches a data set for copies, wrong labels and outliers before training.

The search uses the frozen backbone's features, averaged over the centre view and the mirror image,
and a ridge head with exact leave-one-out scores (`heads.ridge`).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from model.audit import outliers
from model.audit.findings import Audit, Finding, Leak
from model.backbones.backbone import Backbone
from model.backbones.transforms import EVALUATION_VIEWS
from model.cache import IN_MEMORY
from model.features.cluster import Cluster
from model.features.extract import extract
from model.heads import ridge
from model.heads.rows import Features, Rows, averages
from model.photographs.dataset import Collection, Photos
from model.splits.copies import Pair
from model.splits.groups import members
from model.splits.looks import group_photographs


def audit(
    data: Collection,
    backbone: Backbone,
    *,
    group_by: str = "auto",
    cache_dir: Path,
    workers: int | None = None,
    cluster: Cluster | None = None,
) -> Audit:
    """Search a data set for problems.

    Args:
        data: The photographs.
        backbone: The frozen backbone.
        group_by: Decides which photographs are left out together, as in `groups.group`; only `auto`
            searches for copies.
        cache_dir: The cache folder.
        workers: Threads that decode; by default one per core.
        cluster: Ray cluster whose workers compute the features; None for threads of this process.

    Returns:
        The findings and the accuracies.

    Raises:
        ValueError: There are fewer than 2 photographs, or a file cannot be read any more.
    """
    if len(data.photos) < 2:
        raise ValueError(
            f"{data.name} has {len(data.photos)} usable photographs in class folders; an audit "
            f"compares photographs and needs at least 2. Expected {data.name}/CLASS/PHOTOGRAPH."
        )
    photos, labels, num_classes = data.photos, data.photos.labels, len(data.class_ids)
    views = extract(
        backbone,
        photos,
        EVALUATION_VIEWS,
        cache_dir=cache_dir,
        workers=workers,
        cluster=cluster,
    )[..., : backbone.mean_width]
    groups = group_photographs(
        data, group_by, backbone=backbone, cache_dir=cache_dir, workers=workers
    )
    exact, near, unit = groups.exact, groups.near, groups.numbers
    looks = compare(views, labels, num_classes, data.splits, unit)
    left_out, distances = looks.left_out, looks.distances
    return Audit(
        data=data,
        backbone=backbone.spec.name,
        findings={
            "label_error": _label_errors(data, left_out, unit),
            "exact_duplicate": _pairs(photos, exact, "exact_duplicate"),
            "near_duplicate": _pairs(photos, near, "near_duplicate"),
            "outlier": [
                Finding(photos.paths[i], "outlier", float(distances[i]))
                for i in np.argsort(-distances, kind="stable")
                if distances[i] >= outliers.LIMIT
            ],
        },
        suspected=_suspected(left_out, labels, unit),
        across_splits=sum(data.splits[a] != data.splits[b] for a, b, _ in [*exact, *near]),
        accuracy=float((left_out.preferred == labels).mean()),
        accuracy_with_copies=float((left_out.preferred_alone == labels).mean()),
        leaks=looks.leaks,
    )


class Comparison(NamedTuple):
    """The results of comparing the features of N photographs.

    Attributes:
        distances: Robust z-scores from `outliers.scores`, float64 `[N]`.
        left_out: The leave-one-out answers from `ridge.leave_out`.
        leaks: One entry for each split other than `train`, if there is a `train`.
    """

    distances: np.ndarray
    left_out: ridge.LeftOut
    leaks: list[Leak]


def compare(
    views: np.ndarray,
    labels: np.ndarray,
    num_classes: int,
    splits: np.ndarray,
    unit: np.ndarray,
    *,
    in_memory: int = IN_MEMORY,
) -> Comparison:
    """Compare photographs by their features.

    Args:
        views: float16 `[N, V, D]`; may be mapped from a file.
        labels: int64 `[N]`.
        num_classes: C.
        splits: N split names; empty if there are no splits.
        unit: int64 `[N]`: photographs with the same number are left out together.
        in_memory: Largest array of averaged features, in bytes, that is held in memory; a larger
            one is computed in blocks whenever it is needed.

    Returns:
        The results.
    """
    raw = averages(views, in_memory)
    distances = outliers.scores(raw, labels)
    features = raw.standardised() if isinstance(raw, Rows) else ridge.standardise(raw)
    del raw
    spectrum = ridge.Spectrum.of(features)
    left_out = ridge.leave_out(features, labels, num_classes, spectrum, members(unit))
    leaks = _leaks(features, labels, num_classes, splits, unit, left_out.penalty)
    return Comparison(distances, left_out, leaks)


def _pairs(photos: Photos, pairs: Sequence[Pair], problem: str) -> list[Finding]:
    return [
        Finding(photos.paths[second], problem, similarity, "", photos.paths[first])
        for first, second, similarity in pairs
    ]


def _provable(labels: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """Tell whose class has other photographs than its copies; of the rest nothing can be said."""
    shots = np.unique(np.stack([labels, unit]), axis=1)[0]
    return np.bincount(shots, minlength=labels.max() + 1)[labels] > 1


def _label_errors(data: Collection, left_out: ridge.LeftOut, unit: np.ndarray) -> list[Finding]:
    """Rank all photographs by the surprise at their label (-ln p) when they are left out."""
    photos, surprise = data.photos, left_out.surprise.astype(np.float64)
    provable = _provable(photos.labels, unit)
    surprise[~provable] = 0
    preferred = np.where(provable, left_out.preferred, photos.labels)
    return [
        Finding(photos.paths[i], "label_error", float(surprise[i]), data.class_ids[preferred[i]])
        for i in np.argsort(-surprise, kind="stable")
    ]


def _suspected(left_out: ridge.LeftOut, labels: np.ndarray, unit: np.ndarray) -> int:
    """Count the photographs for which another class is more probable than not."""
    likely = left_out.rival > np.log(0.5)
    return int((likely & (left_out.surprise > np.log(2)) & _provable(labels, unit)).sum())


def _leaks(
    features: Features,
    labels: np.ndarray,
    num_classes: int,
    splits: np.ndarray,
    unit: np.ndarray,
    penalty: float,
) -> list[Leak]:
    train, found = splits == "train", []
    for split in dict.fromkeys(splits[~train].tolist()) if train.any() else ():
        held = splits == split
        scores = ridge.fit_and_score(
            features, labels, num_classes, penalty, np.flatnonzero(train), np.flatnonzero(held)
        )
        right = np.concatenate([block.argmax(axis=1) for block in scores]) == labels[held]
        copied = np.isin(unit[held], unit[train])
        without = float(right[~copied].mean()) if (~copied).any() else None
        found.append(Leak(split, len(right), float(right.mean()), int(copied.sum()), without))
    return found
