"""Labelled photographs: a folder, or listed files, become checked splits."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from model.photographs import images
from model.photographs.class_names import display_names, find_class_names, read_class_names
from model.photographs.scan import Skipped, check_photographs, list_photographs, split_folders
from model.splits.stratified import least_photographs, require_enough, stratified_split, to_draw

SPLITS = ("train", "valid", "test")


@dataclass(frozen=True)
class Photos:
    """Photographs with their labels.

    Attributes:
        paths: N files.
        labels: int64 `[N]`, indices into the class ids.
        digests: N SHA-256 of the files' contents, hexadecimal.
    """

    paths: list[Path]
    labels: np.ndarray
    digests: list[str]

    def __len__(self) -> int:
        """Return N."""
        return len(self.paths)

    def take(self, indices: Iterable[int]) -> "Photos":
        """Return the photographs at these indices, in this order."""
        picked = list(indices)
        return Photos(
            [self.paths[i] for i in picked], self.labels[picked], [self.digests[i] for i in picked]
        )


@dataclass(frozen=True)
class DataSet:
    """Checked photographs in splits.

    Attributes:
        name: What was asked for: a folder or the name of a data set.
        class_ids: C folder names, sorted.
        class_names: C display names, all different.
        splits: `train`, `valid` and perhaps `test`.
        skipped: The files that were left out.
        notes: What a person should know, a sentence each.
    """

    name: str
    class_ids: list[str]
    class_names: list[str]
    splits: dict[str, Photos]
    skipped: list[Skipped] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over split, class and content of every photograph, whatever the file names."""
        rows = sorted(
            f"{split} {self.class_ids[label]} {digest}"
            for split, photos in self.splits.items()
            for label, digest in zip(photos.labels, photos.digests, strict=True)
        )
        return hashlib.sha256("\n".join(rows).encode()).hexdigest()


def load_folder(
    folder: Path,
    *,
    class_names: Path | None = None,
    valid_fraction: float = 0.2,
    test_fraction: float = 0.0,
    seed: int = 0,
    strict: bool = False,
    cache_dir: Path,
    workers: int | None = None,
    keep: Callable[[str, Image.Image], None] | None = None,
) -> DataSet:
    """Load a folder of class folders, with or without `train`, `valid` and `test` above them.

    Args:
        folder: The data folder.
        class_names: JSON file of display names; by default a `cat_to_name.json` that is near.
        valid_fraction: Share of each class taken for `valid` where there is no such folder, 0-1.
        test_fraction: Likewise for `test`; 0 for none.
        seed: Seed of that split.
        strict: Stop at bad files instead of leaving them out.
        cache_dir: The cache folder.
        workers: Threads that check files.
        keep: As `scan.check_photographs`.

    Returns:
        The checked data set.

    Raises:
        FileNotFoundError: The folder or the names file does not exist.
        ValueError: No photographs, one class only, a class with too few photographs, a split that
            lacks a class, or bad files under `strict`.
    """
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{folder} is not a folder, nor 'digits' or 'flowers102'. Expected a folder with one "
            "folder of photographs a class."
        )
    roots = split_folders(folder)
    if roots and "train" not in roots:
        raise ValueError(
            f"{folder} has {' and '.join(sorted(roots))} but no train folder. Add {folder}/train."
        )
    skipped: list[Skipped] = []
    rows = [
        (path, class_id, split)
        for split, root in (roots or {"": folder}).items()
        for path, class_id in list_photographs(root, skipped)
    ]
    names = (
        read_class_names(class_names) if class_names else find_class_names(folder, roots.values())
    )
    return assemble(
        str(folder),
        rows,
        names,
        skipped,
        valid_fraction=valid_fraction,
        test_fraction=test_fraction,
        seed=seed,
        strict=strict,
        cache_dir=cache_dir,
        workers=workers,
        keep=keep,
    )


def assemble(
    name: str,
    rows: Sequence[tuple[Path, str, str]],
    names: dict[str, str],
    skipped: list[Skipped],
    *,
    valid_fraction: float = 0.2,
    test_fraction: float = 0.0,
    seed: int = 0,
    strict: bool = False,
    cache_dir: Path,
    workers: int | None = None,
    keep: Callable[[str, Image.Image], None] | None = None,
) -> DataSet:
    """Check listed photographs and put them into splits.

    Args:
        name: The data set's name, for messages.
        rows: (path, class id, split) of each photograph; split is empty where one is to be made.
        names: Class id -> display name.
        skipped: Files left out already; the bad ones are added.
        valid_fraction: As `load_folder`, and so are the other arguments.
        test_fraction: Share for `test`.
        seed: Seed of the split.
        strict: Stop at bad files.
        cache_dir: The cache folder.
        workers: Threads that check files.
        keep: As `scan.check_photographs`.

    Returns:
        The data set.

    Raises:
        ValueError: As `load_folder`.
    """
    if not rows:
        raise ValueError(
            f"{name} has no photographs in class folders. Expected {name}/CLASS/PHOTOGRAPH with "
            f"one of the endings {', '.join(sorted(images.SUFFIXES))}."
        )
    draw = to_draw({split for _, _, split in rows}, valid_fraction, test_fraction)
    _check_small_classes(rows, draw, name, cache_dir)
    digests = check_photographs(
        [path for path, _, _ in rows], skipped, cache_dir=cache_dir, workers=workers, keep=keep
    )
    if strict and skipped:
        listed = "; ".join(f"{bad.path} {bad.reason}" for bad in skipped[:5])
        more = f"; and {len(skipped) - 5} more" if len(skipped) > 5 else ""
        raise ValueError(
            f"{len(skipped)} files cannot be used and --strict is set: {listed}{more}."
        )
    kept = [(*row, digest) for row, digest in zip(rows, digests, strict=True) if digest]
    class_ids = sorted({class_id for _, class_id, _, _ in kept})
    notes = [
        f"Class '{class_id}' has no usable photograph and is left out."
        for class_id in sorted({class_id for _, class_id, _ in rows} - set(class_ids))
    ]
    if len(class_ids) < 2:
        raise ValueError(
            f"{name} has usable photographs in {len(class_ids)} class folders"
            f"{f' ({class_ids[0]})' if class_ids else ''}; a classifier needs at least 2."
        )
    index = {class_id: number for number, class_id in enumerate(class_ids)}
    photos = Photos(
        [path for path, _, _, _ in kept],
        np.array([index[class_id] for _, class_id, _, _ in kept], dtype=np.int64),
        [digest for _, _, _, digest in kept],
    )
    given = np.array([split for _, _, split, _ in kept])
    given, made = stratified_split(
        photos, given, class_ids, valid_fraction, test_fraction, seed, name
    )
    if made:
        notes.append(made)
    splits = {
        split: photos.take(np.flatnonzero(given == split).tolist())
        for split in SPLITS
        if (given == split).any()
    }
    _require_every_class(splits, class_ids, name)
    notes += _shared_photographs(splits)
    return DataSet(name, class_ids, display_names(class_ids, names), splits, skipped, notes)


def _check_small_classes(
    rows: Sequence[tuple[Path, str, str]], draw: dict[str, float], name: str, cache_dir: Path
) -> None:
    """Stop at a class with too few photographs before time is spent on all the others."""
    classes: dict[str, list[Path]] = {}
    for path, class_id, split in rows:
        if split in ("", "train"):
            classes.setdefault(class_id, []).append(path)
    for class_id, paths in classes.items():
        if len(paths) < least_photographs(draw):
            usable = check_photographs(paths, [], cache_dir=cache_dir)
            count = sum(digest is not None for digest in usable)
            if count:  # a class without any is left out with a note
                require_enough(count, class_id, draw, name)


def _require_every_class(splits: dict[str, Photos], class_ids: list[str], name: str) -> None:
    for split, photos in splits.items():
        missing = [class_ids[i] for i in sorted(set(range(len(class_ids))) - set(photos.labels))]
        if missing:
            listed = ", ".join(f"'{class_id}'" for class_id in missing[:5])
            more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
            raise ValueError(
                f"The {split} split of {name} has no usable photograph of class {listed}{more}. "
                "Every split needs every class: add photographs, or remove it from the others."
            )


def _shared_photographs(splits: dict[str, Photos]) -> list[str]:
    """Name photographs whose bytes stand in two splits: they make held-out accuracy too high."""
    first: dict[str, tuple[str, Path]] = {}
    notes = []
    for split, photos in splits.items():
        for path, digest in zip(photos.paths, photos.digests, strict=True):
            other = first.setdefault(digest, (split, path))
            if other[0] != split:
                notes.append(
                    f"The same photograph is in two splits: {other[1]} ({other[0]}) and {path} "
                    f"({split}). The measured accuracy will be too high."
                )
    return notes
