"""Splits a data set: by the source's own splits, or by a seeded stratified draw of groups."""

import re
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from model.features.read import FilePass
from model.photographs import images
from model.photographs.class_names import MAX_CLASSES, first_few
from model.photographs.dataset import SPLITS, Collection, DataSet, Listing
from model.photographs.parents import in_common
from model.splits.groups import Groups
from model.splits.stratify import (
    Draw,
    least_groups,
    least_photographs,
    require_enough,
    splits_text,
    stratify,
)


@dataclass(frozen=True)
class SplitOptions:
    """How to split photographs if their source has no splits.

    Attributes:
        valid_fraction: Share of each class for `valid`, above 0 and below 1; at least one
            photograph.
        test_fraction: Share of each class for `test`; 0 for none.
        seed: Seed of the draw.
        background: A class that the head learns but never answers with; "" for none.
    """

    valid_fraction: float = 0.2
    test_fraction: float = 0.0
    seed: int = 0
    background: str = ""

    def __post_init__(self) -> None:
        """Check the shares.

        Raises:
            ValueError: A share is out of range, or nothing is left for training.
        """
        if not 0 < self.valid_fraction < 1 or not 0 <= self.test_fraction < 1 - self.valid_fraction:
            raise ValueError(
                f"--valid-fraction {self.valid_fraction} and --test-fraction {self.test_fraction} "
                "must be above 0 (the test fraction may be 0) and leave something for training."
            )

    def to_draw(self, present: set[str]) -> Draw:
        """Return which splits must be drawn from `train`.

        Args:
            present: The splits that the source has.

        Returns:
            Split -> share of each class.
        """
        wanted = {"valid": self.valid_fraction, "test": self.test_fraction}
        draw = {split: share for split, share in wanted.items() if share and split not in present}
        if "valid" in present and "test" in draw:
            del draw["test"]  # a source with splits already decided whether it has a test split
        return draw


def require_splittable(listing: Listing, options: SplitOptions, *, cache_dir: Path) -> None:
    """Refuse photographs that cannot be split before time is spent on reading all of them.

    Args:
        listing: The photographs; only the files of very small classes are read.
        options: How they will be split.
        cache_dir: The cache folder.

    Raises:
        ValueError: There are no photographs, there are splits but no training photographs, there
            are too many classes, or a class has too few photographs.
    """
    if not listing.entries and listing.folder != Path(listing.name):
        named = f"none of its {len(listing.skipped):,} files can be used"
        shown = f": {listing.skipped[0].path} {listing.skipped[0].reason}"
        raise ValueError(
            f"{listing.name} has no photographs; "
            f"{named + shown if listing.skipped else 'it lists none'}."
        )
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
    own = {entry.class_id for entry in listing.entries if not entry.source}
    for entry in listing.entries:
        if entry.split in ("", "train") and entry.class_id in own:
            classes.setdefault(entry.class_id, []).append(entry.path)
    class_ids = {entry.class_id for entry in listing.entries}
    if len(class_ids) > MAX_CLASSES:
        raise ValueError(
            f"{listing.name} has {len(class_ids):,} classes; a classifier can have at most "
            f"{MAX_CLASSES:,}. Merge classes, or train several classifiers."
        )
    if options.background:
        _require_background(sorted(class_ids), options.background, listing.name)
    with FilePass(cache_dir) as files:
        for class_id, paths in classes.items():
            if len(paths) < least_photographs(draw):
                usable = sum(digest is not None for digest in files.read(paths, []))
                if usable:  # a class without usable photographs is left out with a note instead
                    require_enough(usable, class_id, draw, listing.name)


def split_photos(collection: Collection, options: SplitOptions, groups: Groups) -> DataSet:
    """Put photographs into splits: their own, or a stratified draw that keeps groups together.

    Args:
        collection: The photographs that can be read.
        options: How to split photographs without splits.
        groups: Which photographs belong together.

    Returns:
        The data set.

    Raises:
        ValueError: There is only one class, a class has too few photographs or groups, a split
            lacks a class, or there is no photograph of the background class.
    """
    present = set(collection.splits.tolist())
    draw = options.to_draw(present)
    draws = _draws(collection, draw, (present & set(SPLITS)) - {"train"}, options)
    kept, notes = _large_enough(collection, draws, groups)
    collection = collection.take(kept)
    numbers = groups.numbers[kept]
    name, class_ids = collection.name, collection.class_ids
    _require_classes(collection, options.background)
    split_names = np.where(collection.splits == "", "train", collection.splits).astype("<U5")
    drawn = {class_id: draws[class_id] for class_id in class_ids if draws[class_id]}
    if drawn:
        split_names = stratify(collection, split_names, numbers, drawn, options.seed)
    chosen = {split: np.flatnonzero(split_names == split) for split in SPLITS}
    chosen = {split: indices for split, indices in chosen.items() if len(indices)}
    data = DataSet(
        name,
        class_ids,
        collection.class_names,
        {split: collection.photos.take(indices.tolist()) for split, indices in chosen.items()},
        {split: numbers[indices] for split, indices in chosen.items()},
        groups.by,
        skipped=collection.skipped,
        notes=[*collection.notes, *notes, *groups.notes],
    )
    _require_every_class(data, options.background)
    data.notes.extend(_about_draw(data, draw, options.seed))
    data.notes.extend(_in_two_classes(data))
    data.notes.extend(_about_copies(data))
    if options.background:
        data = _set_aside(data, options.background)
    return _with_parents(data, collection.parents)


def _with_parents(data: DataSet, known: dict[str, tuple[str, ...]]) -> DataSet:
    """Give each class its parents, dropping those at the top that all classes share.

    If all flowers are plants, "a plant" would be a certain but useless answer to every photograph.
    """
    found = [known.get(class_id, ()) for class_id in data.class_ids]
    if common := in_common(found):
        found = [names[len(common) :] for names in found]
        data.notes.append(
            f"All classes have the parent '{'/'.join(common)}'. It does not distinguish any of "
            "them, so it is left out."
        )
    return replace(data, parents=found if any(found) else [])


def _draws(
    collection: Collection, draw: Draw, present: set[str], options: SplitOptions
) -> dict[str, Draw]:
    """Return, for each class, which splits must be drawn from `train`.

    A class that was added to a source with splits of its own may have no photographs in some of
    them yet, so these splits are drawn too.
    """
    draws = dict.fromkeys(collection.class_ids, draw)
    for class_id in collection.added_classes():
        own = set(collection.splits[collection.photos.labels == collection.label(class_id)])
        missing = present - own
        share = min(options.valid_fraction, 0.5 / max(1, len(missing)))  # half stays in train
        shares = dict.fromkeys(missing, share)
        wanted = draw | shares
        draws[class_id] = {split: wanted[split] for split in SPLITS if split in wanted}
    return draws


def _large_enough(
    collection: Collection, draws: dict[str, Draw], groups: Groups
) -> tuple[np.ndarray, list[str]]:
    """Leave out classes from `--add` that are too small to be split yet.

    Returns:
        Indices of the photographs that stay, and a note for each class that is left out.
    """
    left_out, notes = [], []
    for class_id in collection.added_classes():
        label = collection.label(class_id)
        members = np.flatnonzero(collection.photos.labels == label)
        in_train = [i for i in members if collection.splits[i] in ("", "train")]
        draw, different = draws[class_id], len({collection.photos.digests[i] for i in in_train})
        together = len(np.unique(groups.numbers[in_train]))
        if different < least_photographs(draw) or together < least_groups(draw):
            left_out.append(label)
            notes.append(
                f"The added class '{class_id}' is left out until it has more photographs: it has "
                f"{different:,} in {together:,} groups, and a {splits_text(draw)} split needs at "
                f"least {least_photographs(draw)} in {least_groups(draw)} groups."
            )
    return np.flatnonzero(~np.isin(collection.photos.labels, left_out)), notes


def _require_background(class_ids: list[str], background: str, name: str) -> None:
    if background not in class_ids:
        raise ValueError(
            f"--background {background}: {name} has no usable photograph of that class. "
            f"Its classes: {first_few(class_ids)}."
        )


def _require_classes(collection: Collection, background: str) -> None:
    """Refuse fewer than two classes."""
    class_ids = collection.class_ids
    if background:
        _require_background(class_ids, background, collection.name)
    shown = [class_id for class_id in class_ids if class_id != background]
    if len(shown) < 2:
        raise ValueError(
            f"{collection.name} has usable photographs of {len(shown)} "
            f"{f'class ({shown[0]})' if shown else 'classes'}; a classifier needs at least 2."
            f"{_why_left_out(collection)}"
        )


def _why_left_out(collection: Collection) -> str:
    """Return how many files were left out, and the most common reason."""
    if not collection.skipped:
        return ""
    reasons = Counter(re.sub(r"\d[\d,.]*", "N", bad.reason) for bad in collection.skipped)
    commonest, count = reasons.most_common(1)[0]
    shown = next(
        bad for bad in collection.skipped if re.sub(r"\d[\d,.]*", "N", bad.reason) == commonest
    )
    return (
        f" {len(collection.skipped):,} files are left out. The most common reason ({count:,} "
        f"files): {shown.path} {shown.reason}."
    )


def _require_every_class(data: DataSet, background: str) -> None:
    """Refuse a split without photographs of a class; the background class only needs `train`."""
    class_ids = data.class_ids
    for split, photos in data.splits.items():
        absent = set(range(len(class_ids))) - set(photos.labels.tolist())
        missing = [class_ids[i] for i in sorted(absent)]
        missing = [c for c in missing if c != background or split == "train"]
        if missing:
            listed = ", ".join(f"'{class_id}'" for class_id in missing[:5])
            more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
            raise ValueError(
                f"The {split} split of {data.name} has no usable photograph of class {listed}"
                f"{more}. Every split needs every class: add photographs, or remove the class from "
                "the other splits."
            )


def _set_aside(data: DataSet, background: str) -> DataSet:
    """Remove the background from the classes; its photographs get the label C."""
    place = data.class_ids.index(background)
    last = len(data.class_ids) - 1

    def relabelled(labels: np.ndarray) -> np.ndarray:
        moved = np.where(labels > place, labels - 1, labels)
        return np.where(labels == place, last, moved)

    return replace(
        data,
        class_ids=[*data.class_ids[:place], *data.class_ids[place + 1 :]],
        class_names=[*data.class_names[:place], *data.class_names[place + 1 :]],
        splits={
            split: replace(photos, labels=relabelled(photos.labels))
            for split, photos in data.splits.items()
        },
        background=background,
    )


def _about_draw(data: DataSet, draw: Draw, seed: int) -> list[str]:
    if not draw:
        return []
    pool = sum(len(data.splits[split]) for split in ("train", *draw))
    shares = " and ".join(
        f"{len(data.splits[split]):,} ({len(data.splits[split]) / pool:.1%}) for {split}"
        for split in draw
    )
    numbers = np.concatenate([data.groups[split] for split in ("train", *draw)])
    together = ", keeping groups together" if len(np.unique(numbers)) < len(numbers) else ""
    return [f"Split by class with seed {seed}{together}: {shares}, the rest for train."]


def _in_two_classes(data: DataSet) -> list[str]:
    """Report how many photographs have two labels, since one of the labels must be wrong."""
    labels: dict[str, set[int]] = {}
    for photos in data.splits.values():
        for digest, label in zip(photos.digests, photos.labels.tolist(), strict=True):
            labels.setdefault(digest, set()).add(label)
    torn = [found for found in labels.values() if len(found) > 1]
    if not torn:
        return []
    first, second = (data.class_ids[label] for label in sorted(torn[0])[:2])
    what = "1 photograph is" if len(torn) == 1 else f"{len(torn):,} photographs are"
    return [
        f"{what} in more than one class, such as '{first}' and '{second}'; "
        "python -m model audit lists them."
    ]


def _about_copies(data: DataSet) -> list[str]:
    """Report copies and group members in two splits, because they make the accuracy too high."""
    first: dict[str, tuple[str, Path]] = {}
    notes = []
    for split, photos in data.splits.items():
        for path, digest in zip(photos.paths, photos.digests, strict=True):
            other = first.setdefault(digest, (split, path))
            if other[0] != split:
                notes.append(
                    f"The same photograph is in two splits: {other[1]} ({other[0]}) and {path} "
                    f"({split}). The measured accuracy will be too high."
                )
    for split in data.splits:
        if split != "train" and (count := int(data.in_train(split).sum())):
            notes.append(
                f"{count:,} of the {len(data.splits[split]):,} photographs of {split} have a copy "
                "or another photograph of their group in train; the accuracy without them is also "
                "reported."
            )
    return notes
