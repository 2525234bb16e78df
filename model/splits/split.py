"""The split: the source's own, or a seeded stratified one that keeps groups together."""

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
    """How photographs are split where their source has no splits.

    Attributes:
        valid_fraction: Share of each class for `valid`, above 0 and below 1; at least one
            photograph.
        test_fraction: Share of each class for `test`; 0 for none.
        seed: Seed of the draw.
        background: A class that is trained against and never shown; "" for none.
    """

    valid_fraction: float = 0.2
    test_fraction: float = 0.0
    seed: int = 0
    background: str = ""

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

    def to_draw(self, present: set[str]) -> Draw:
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
    if not listing.entries and listing.folder != Path(listing.name):
        named = f"none of the {len(listing.skipped):,} files that it names can be used"
        shown = f": {listing.skipped[0].path} {listing.skipped[0].reason}"
        raise ValueError(
            f"{listing.name} has no photographs; "
            f"{named + shown if listing.skipped else 'it names none'}."
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
            f"{listing.name} has {len(class_ids):,} classes; a classifier takes at most "
            f"{MAX_CLASSES:,}. Join classes, or train one classifier for each part of them."
        )
    if options.background:
        _require_background(sorted(class_ids), options.background, listing.name)
    with FilePass(cache_dir) as files:
        for class_id, paths in classes.items():
            if len(paths) < least_photographs(draw):
                usable = sum(digest is not None for digest in files.read(paths, []))
                if usable:  # a class without any is left out with a note
                    require_enough(usable, class_id, draw, listing.name)


def split_photos(collection: Collection, options: SplitOptions, groups: Groups) -> DataSet:
    """Put photographs into splits: their own, or a stratified draw that keeps groups together.

    Args:
        collection: The photographs that can be read.
        options: How to split where there are no splits.
        groups: Which of them belong together.

    Returns:
        The data set.

    Raises:
        ValueError: One class only, a class with too few photographs or groups, a split that lacks a
            class, or no photograph of the background.
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
    """Give each class its parents, without those at the top that all have; none where none has any.

    Where all flowers are plants, "a plant" would be a sure answer to every photograph.
    """
    found = [known.get(class_id, ()) for class_id in data.class_ids]
    if common := in_common(found):
        found = [names[len(common) :] for names in found]
        data.notes.append(
            f"All classes have the parent '{'/'.join(common)}'. As it tells none of them apart, it "
            "is left out."
        )
    return replace(data, parents=found if any(found) else [])


def _draws(
    collection: Collection, draw: Draw, present: set[str], options: SplitOptions
) -> dict[str, Draw]:
    """Say which splits are to be taken out of `train` for each class.

    A class that was added to a source with splits of its own has no photograph there yet, so that
    these are drawn, too.
    """
    draws = dict.fromkeys(collection.class_ids, draw)
    for class_id in collection.added_classes():
        own = set(collection.splits[collection.photos.labels == collection.label(class_id)])
        missing = present - own
        share = min(options.valid_fraction, 0.5 / max(1, len(missing)))  # half is for train
        shares = dict.fromkeys(missing, share)
        wanted = draw | shares
        draws[class_id] = {split: wanted[split] for split in SPLITS if split in wanted}
    return draws


def _large_enough(
    collection: Collection, draws: dict[str, Draw], groups: Groups
) -> tuple[np.ndarray, list[str]]:
    """Leave out classes that `--add` brought and that cannot be split yet.

    Returns:
        Indices of the photographs that stay, and a sentence for each class that does not.
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
                f"Class '{class_id}', which --add brought, is left out until it has more "
                f"photographs: it has {different:,} in {together:,} groups, and a "
                f"{splits_text(draw)} split needs at least {least_photographs(draw)} in "
                f"{least_groups(draw)}."
            )
    return np.flatnonzero(~np.isin(collection.photos.labels, left_out)), notes


def _require_background(class_ids: list[str], background: str, name: str) -> None:
    if background not in class_ids:
        raise ValueError(
            f"--background {background}: {name} has no usable photograph of that class. "
            f"Its classes: {first_few(class_ids)}."
        )


def _require_classes(collection: Collection, background: str) -> None:
    """Stop where fewer than two classes are left to tell apart."""
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


def _require_every_class(data: DataSet, background: str) -> None:
    """Stop at a split without photographs of a class; the background may be in train alone."""
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
                f"{more}. Every split needs every class: add photographs, or remove it from the "
                "others."
            )


def _set_aside(data: DataSet, background: str) -> DataSet:
    """Take the background out of the classes; its photographs get the label C."""
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
    together = ", groups together" if len(np.unique(numbers)) < len(numbers) else ""
    return [f"Split by class with seed {seed}{together}: {shares}, the rest for train."]


def _in_two_classes(data: DataSet) -> list[str]:
    """Say how many photographs have two labels, of which one is wrong."""
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
    """Name what stands in two splits, by its bytes or by its group: it makes figures too high."""
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
                "or another photograph of their group in train; the accuracy without them is "
                "given, too."
            )
    return notes
