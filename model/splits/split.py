"""The split: the source's own, or a seeded stratified one where it brings none."""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model.features.read import FilePass
from model.photographs import images
from model.photographs.class_names import MAX_CLASSES
from model.photographs.dataset import SPLITS, Collection, DataSet, Listing, Photos


@dataclass(frozen=True)
class SplitOptions:
    """How photographs are split where their source has no splits.

    Attributes:
        valid_fraction: Share of each class for `valid`, above 0 and below 1; at least one
            photograph.
        test_fraction: Share of each class for `test`; 0 for none.
        seed: Seed of the draw.
    """

    valid_fraction: float = 0.2
    test_fraction: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the shares.

        Raises:
            ValueError: One is out of range, or nothing is left for training.
        """
        if not 0 < self.valid_fraction < 1 or not 0 <= self.test_fraction < 1 - self.valid_fraction:
            raise ValueError(
                f"--valid-fraction {self.valid_fraction} and --test-fraction {self.test_fraction} "
                "must be shares above 0 (test may be 0) that leave something for training."
            )

    def to_draw(self, present: set[str]) -> dict[str, float]:
        """Say which splits are to be taken out of `train`.

        Args:
            present: The splits that the source has.

        Returns:
            Split -> share of each class.
        """
        wanted = {"valid": self.valid_fraction, "test": self.test_fraction}
        draw = {split: share for split, share in wanted.items() if share and split not in present}
        if "valid" in present and "test" in draw:
            del draw["test"]  # the source's own splits are complete
        return draw


def require_splittable(listing: Listing, options: SplitOptions, *, cache_dir: Path) -> None:
    """Stop at what cannot be split before time is spent on reading all of it.

    Args:
        listing: The photographs; the files of classes that have very few are read.
        options: How they will be split.
        cache_dir: The cache folder.

    Raises:
        ValueError: There are no photographs, no training photographs among several splits, too
            many classes, or a class has too few photographs.
    """
    if not listing.entries:
        raise ValueError(
            f"{listing.name} has no photographs in class folders. Expected "
            f"{listing.name}/CLASS/PHOTOGRAPH with one of the endings "
            f"{', '.join(sorted(images.SUFFIXES))}."
        )
    present = {entry.split for entry in listing.entries}
    if not present & {"", "train"}:
        raise ValueError(
            f"{listing.name} has {' and '.join(sorted(present))} but no train folder. "
            f"Add {listing.name}/train."
        )
    draw = options.to_draw(present)
    classes: dict[str, list[Path]] = {}
    for entry in listing.entries:
        if entry.split in ("", "train"):
            classes.setdefault(entry.class_id, []).append(entry.path)
    if len(classes) > MAX_CLASSES:
        raise ValueError(
            f"{listing.name} has {len(classes):,} classes; a classifier takes at most "
            f"{MAX_CLASSES:,}. Join classes, or train one classifier for each part of them."
        )
    with FilePass(cache_dir) as files:
        for class_id, paths in classes.items():
            if len(paths) < _least_photographs(draw):
                usable = sum(digest is not None for digest in files.read(paths, []))
                if usable:  # a class without any is left out with a note
                    _require_enough(usable, class_id, draw, listing.name)


def split_photos(collection: Collection, options: SplitOptions) -> DataSet:
    """Put photographs into splits: their own, or a stratified draw.

    Args:
        collection: The photographs that can be read.
        options: How to split where there are no splits.

    Returns:
        The data set.

    Raises:
        ValueError: One class only, a class with too few photographs, or a split that lacks a class.
    """
    name, class_ids, photos = collection.name, collection.class_ids, collection.photos
    if len(class_ids) < 2:
        raise ValueError(
            f"{name} has usable photographs in {len(class_ids)} class folders"
            f"{f' ({class_ids[0]})' if class_ids else ''}; a classifier needs at least 2."
            f"{_why_left_out(collection)}"
        )
    draw = options.to_draw(set(collection.splits.tolist()))
    drawn = _stratified(collection, draw, options.seed)
    splits = {
        split: photos.take(np.flatnonzero(drawn == split).tolist())
        for split in SPLITS
        if (drawn == split).any()
    }
    _require_every_class(splits, class_ids, name)
    notes = list(collection.notes)
    if draw:
        pool = sum(len(splits[split]) for split in ("train", *draw))
        shares = " and ".join(
            f"{len(splits[split]):,} ({len(splits[split]) / pool:.1%}) for {split}"
            for split in draw
        )
        notes.append(f"Split by class with seed {options.seed}: {shares}, the rest for train.")
    notes += _shared_photographs(splits)
    return DataSet(name, class_ids, collection.class_names, splits, collection.skipped, notes)


def _why_left_out(collection: Collection) -> str:
    """Say how many files were left out, and the commonest reason."""
    if not collection.skipped:
        return ""
    reasons = Counter(re.sub(r"\d[\d,.]*", "N", bad.reason) for bad in collection.skipped)
    commonest, count = reasons.most_common(1)[0]
    shown = next(
        bad for bad in collection.skipped if re.sub(r"\d[\d,.]*", "N", bad.reason) == commonest
    )
    return (
        f" {len(collection.skipped):,} files are left out, {count:,} of them for the same reason: "
        f"{shown.path} {shown.reason}."
    )


def _least_photographs(draw: dict[str, float]) -> int:
    """Return how many photographs to train on a class needs."""
    return 2 + len(draw)


def _require_enough(
    count: int, class_id: str, draw: dict[str, float], name: str, *, files: int | None = None
) -> None:
    """Stop at a class with too few photographs; `files` is how many there are with the copies."""
    needed = _least_photographs(draw)
    if count < needed:
        kind = "usable" if files in (None, count) else "different"
        copies = f" (and {files - count} copies)" if files is not None and files > count else ""
        raise ValueError(
            f"Class '{class_id}' in {name} has {count} {kind} photographs{copies} to train on; "
            f"a {'/'.join(['train', *draw])} split needs at least {needed}. "
            "Add photographs or remove the folder."
        )


def _stratified(collection: Collection, draw: dict[str, float], seed: int) -> np.ndarray:
    """Take splits out of the training photographs of each class: N split names.

    Photographs with the same bytes stay together, so that none is both learnt and measured.
    """
    photos = collection.photos
    split_names = np.where(collection.splits == "", "train", collection.splits).astype("<U5")
    rng = np.random.default_rng(seed)
    placed: dict[str, str] = {}
    for label, class_id in enumerate(collection.class_ids):
        members = np.flatnonzero((photos.labels == label) & (split_names == "train"))
        members = rng.permutation(members)
        free = [i for i in members if photos.digests[i] not in placed]
        unique = list(dict.fromkeys(photos.digests[i] for i in free))
        _require_enough(len(unique), class_id, draw, collection.name, files=len(members))
        different = len(unique)
        for left, (split, share) in zip(range(len(draw), 0, -1), draw.items(), strict=True):
            # every split to come, and train, keeps at least one
            count = min(max(1, round(share * different)), len(unique) - left)
            for digest in unique[:count]:
                placed[digest] = split
            unique = unique[count:]
        placed |= dict.fromkeys(unique, "train")
        for i in members:
            split_names[i] = placed[photos.digests[i]]
    return split_names


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
