"""Measures a checkpoint on labelled photographs."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from model.cache import Scratch
from model.checkpoints.checkpoint import Checkpoint
from model.classifier import Classifier
from model.features.cluster import Cluster
from model.features.extract import extract
from model.features.read import read_photos
from model.photographs.class_names import first_few, path_text
from model.photographs.dataset import Collection, Listing, Photos
from model.photographs.scan import split_folders
from model.trust import calibrate
from model.trust.metrics import most_confused


def match_classes(folders: list[str], checkpoint: Checkpoint) -> dict[str, int]:
    """Match class folders to a checkpoint's classes, first by class id, then by class name.

    Args:
        folders: Folder names.
        checkpoint: The checkpoint.

    Returns:
        Folder name -> class index; -1 for the background.

    Raises:
        ValueError: A folder matches no class, or two match the same.
    """
    by_id = {class_id: i for i, class_id in enumerate(checkpoint.class_ids)}
    by_name = {name.casefold(): i for i, name in enumerate(checkpoint.class_names)}
    matched: dict[str, int] = {}
    taken: dict[int, str] = {}
    for folder in folders:
        if folder and folder == checkpoint.calibration.background:
            matched[folder] = -1
            continue
        index = by_id.get(folder, by_name.get(folder.casefold()))
        if index is None:
            raise ValueError(
                f"'{folder}' is neither a class id nor a class name of the checkpoint. "
                f"Its classes: {first_few(checkpoint.class_ids)}."
            )
        if index in taken:
            raise ValueError(
                f"Folders '{taken[index]}' and '{folder}' are the same class. Join them."
            )
        matched[folder], taken[index] = index, folder
    return matched


def evaluate(
    classifier: Classifier,
    listing: Listing,
    *,
    split: str = "",
    unknown: Listing | None = None,
    cache_dir: Path,
    cluster: Cluster | None = None,
) -> dict[str, Any]:
    """Measure a classifier on labelled photographs.

    Unreadable files are listed in the result and left out. If there are photographs of the
    classifier's background class, they are measured separately.

    Args:
        classifier: The classifier.
        listing: The photographs.
        split: Measure only the photographs of this split; "" for all.
        unknown: Photographs that belong to none of the classes, whatever their labels.
        cache_dir: The cache folder.
        cluster: Ray cluster whose workers compute features; None for threads of this process.

    Returns:
        The result of `calibrate.measure`, with `most_confused` (true name, predicted name,
        photographs) and `skipped` (path and reason). With photographs of the background:
        `background` (their number) and `background_rejected` (share called "none of these"). With
        `unknown`: `unknown_photographs`, `unknown_auroc` (probability that an unknown photograph
        scores higher than a known one) and `unknown_rejected` (share called "none of these").

    Raises:
        OSError: The cache folder cannot be written, or its disk is full.
        ValueError: There are no usable photographs, a label matches no class, or the folder holds
            folders of splits.
    """
    checkpoint = classifier.checkpoint
    if split:
        listing = replace(listing, entries=[one for one in listing.entries if one.split == split])
    folders = sorted({entry.class_id for entry in listing.entries})
    if not set(folders) <= set(checkpoint.class_ids) and listing.folder.is_dir():
        _require_no_splits(listing.folder, folders)
    matched = match_classes(folders, checkpoint)
    collection = _read(listing, f"of {split}" if split else "in class folders", cache_dir, cluster)
    classes = np.array([matched[class_id] for class_id in collection.class_ids])
    labels = classes[collection.photos.labels]
    known_ones, background = (np.flatnonzero(found) for found in (labels >= 0, labels < 0))
    photos = collection.photos.take(known_ones.tolist())
    if not len(photos):
        raise ValueError(f"{listing.name} has photographs of the background class only.")
    skipped = collection.skipped
    known = _assess(classifier, photos, "Features", cache_dir, cluster)
    scratch = Scratch(cache_dir)
    result = calibrate.measure(known, labels[known_ones], checkpoint.levels, scratch)
    result["most_confused"] = most_confused(result, checkpoint.class_names)
    if len(background):
        others = collection.photos.take(background.tolist())
        found = _assess(classifier, others, "Background", cache_dir, cluster)
        result["background"] = len(background)
        result["background_rejected"] = float(found.none_of_these.mean())
    if unknown:
        others = _read(unknown, "in it", cache_dir, cluster)
        skipped = [*skipped, *others.skipped]
        strangers = _assess(classifier, others.photos, "Unknown", cache_dir, cluster)
        result |= _unknown_figures(known, strangers)
    result["skipped"] = [{"path": path_text(bad.path), "reason": bad.reason} for bad in skipped]
    return result


def _require_no_splits(folder: Path, class_ids: list[str]) -> None:
    """Refuse a folder that holds folders of splits, whose names would be read as classes."""
    splits = split_folders(folder)
    if splits and {path.name for path in splits.values()} & set(class_ids):
        choices = " or ".join(str(path) for path in splits.values())
        raise ValueError(f"{folder} holds folders of splits. Name one of them: {choices}.")


def _read(listing: Listing, where: str, cache_dir: Path, cluster: Cluster | None) -> Collection:
    """Read photographs, and make sure that there is at least one."""
    collection = read_photos(listing, cache_dir=cache_dir, cluster=cluster)
    if not len(collection.photos):
        reasons = [f"{bad.path} {bad.reason}" for bad in collection.skipped]
        more = f" (for example: {reasons[0]})" if reasons else ""
        raise ValueError(f"{listing.name} has no usable photographs {where}{more}.")
    return collection


def _assess(
    classifier: Classifier,
    photos: Photos,
    title: str,
    cache_dir: Path,
    cluster: Cluster | None,
) -> calibrate.Assessment:
    checkpoint = classifier.checkpoint
    features = extract(
        classifier.backbone,
        photos,
        checkpoint.views,
        cache_dir=cache_dir,
        title=title,
        cluster=cluster,
    )
    return calibrate.assess(checkpoint.calibration, checkpoint.head, features, Scratch(cache_dir))


def _unknown_figures(
    known: calibrate.Assessment, strangers: calibrate.Assessment
) -> dict[str, Any]:
    scores = np.concatenate([known.unknown_scores, strangers.unknown_scores])
    is_unknown = np.arange(len(scores)) >= len(known.unknown_scores)
    return {
        "unknown_photographs": len(strangers.unknown_scores),
        "unknown_auroc": float(roc_auc_score(is_unknown, scores)),
        "unknown_rejected": float(strangers.none_of_these.mean()),
    }
