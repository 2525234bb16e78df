"""Measure a checkpoint on a folder of labelled photographs."""

import sys
from pathlib import Path
from typing import Any

import numpy as np

from model import scan
from model.checkpoint import Checkpoint
from model.classifier import Classifier
from model.data import Photos
from model.evaluate import metrics, most_confused
from model.features import extract


def match_classes(folders: list[str], checkpoint: Checkpoint) -> dict[str, int]:
    """Match class folders to a checkpoint's classes: by class id, then by class name.

    Args:
        folders: Folder names.
        checkpoint: The checkpoint.

    Returns:
        Folder name -> class index.

    Raises:
        ValueError: A folder matches no class, or two match the same.
    """
    by_id = {class_id: i for i, class_id in enumerate(checkpoint.class_ids)}
    by_name = {name.casefold(): i for i, name in enumerate(checkpoint.class_names)}
    matched: dict[str, int] = {}
    for folder in folders:
        index = by_id.get(folder, by_name.get(folder.casefold()))
        if index is None:
            known = ", ".join(f"'{class_id}'" for class_id in checkpoint.class_ids[:5])
            raise ValueError(
                f"Folder '{folder}' is neither a class id nor a class name of the checkpoint. "
                f"Its classes: {known}{' …' if len(checkpoint.class_ids) > 5 else ''}."
            )
        if index in matched.values():
            other = next(name for name, i in matched.items() if i == index)
            raise ValueError(f"Folders '{other}' and '{folder}' are the same class. Join them.")
        matched[folder] = index
    return matched


def evaluate_folder(classifier: Classifier, folder: Path, *, cache_dir: Path) -> dict[str, Any]:
    """Measure a classifier on photographs in class folders; bad files are named and left out.

    Args:
        classifier: The classifier.
        folder: A folder of class folders.
        cache_dir: The cache folder.

    Returns:
        As `evaluate.metrics`, with `most_confused` (true name, predicted name, photographs) and
        `skipped` (path and reason).

    Raises:
        FileNotFoundError: The folder does not exist.
        ValueError: No photographs, folders of splits, or folders that match no class.
    """
    checkpoint = classifier.checkpoint
    skipped: list[scan.Skipped] = []
    rows = scan.list_photographs(folder, skipped)
    folders = sorted({class_id for _, class_id in rows})
    splits = scan.split_folders(folder)
    if splits and not set(folders) <= set(checkpoint.class_ids):
        choices = " or ".join(str(path) for path in splits.values())
        raise ValueError(f"{folder} holds folders of splits. Name one of them: {choices}.")
    matched = match_classes(folders, checkpoint)
    digests = scan.check_photographs([path for path, _ in rows], skipped, cache_dir=cache_dir)
    for bad in skipped:
        print(f"{bad.path} {bad.reason}", file=sys.stderr)
    kept = [
        (path, matched[class_id], digest)
        for (path, class_id), digest in zip(rows, digests, strict=True)
        if digest
    ]
    if not kept:
        raise ValueError(f"{folder} has no usable photographs in class folders.")
    photos = Photos(
        [path for path, _, _ in kept],
        np.array([label for _, label, _ in kept], dtype=np.int64),
        [digest for _, _, digest in kept],
    )
    features = extract(classifier.backbone, photos, checkpoint.views, cache_dir=cache_dir)
    result = metrics(checkpoint.head.view_logits(features), photos.labels, checkpoint.class_ids)
    result["most_confused"] = most_confused(result["confusion_matrix"], checkpoint.class_names)
    result["skipped"] = [{"path": str(bad.path), "reason": bad.reason} for bad in skipped]
    return result
