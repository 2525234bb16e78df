"""Labelled photographs: as a source lists them, as they were read, and in splits."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

SPLITS = ("train", "valid", "test")


class Skipped(NamedTuple):
    """A file that was left out, and the reason, to be read after the path."""

    path: Path
    reason: str


class Entry(NamedTuple):
    """A listed photograph.

    Attributes:
        path: The file.
        class_id: Its label; "" where the source gives none.
        split: `train`, `valid` or `test`; "" where the source has no splits.
        group: What it has in common with others, such as a person; "" where nothing is known.
        source: 0 for the data set itself, 1 for what was added to it first, and so on.
    """

    path: Path
    class_id: str
    split: str = ""
    group: str = ""
    source: int = 0


@dataclass(frozen=True)
class Listing:
    """The photographs that a source lists; none of them has been opened.

    Attributes:
        name: What was asked for: a folder or the name of a data set.
        folder: The folder below which the files lie.
        entries: The photographs, those of one split and class side by side.
        names: Class id -> display name, of some classes.
        skipped: Files that are no photographs by their name or place.
        notes: What a person should know, a sentence each.
        added: The folders of the sources that were added, in order.
        parents: Class id -> its parents, the widest first, of the classes that have some.
    """

    name: str
    folder: Path
    entries: list[Entry]
    names: dict[str, str] = field(default_factory=dict)
    skipped: list[Skipped] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    added: list[Path] = field(default_factory=list)
    parents: dict[str, tuple[str, ...]] = field(default_factory=dict)


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
class Collection:
    """The photographs of a listing that can be read.

    Attributes:
        name: As `Listing`.
        folder: As `Listing`.
        photos: N photographs, in the order of the listing.
        splits: N split names; empty where the source has none.
        groups: N names of groups as the source gives them; empty where it gives none.
        sources: int64 `[N]`, as `Entry`.
        class_ids: The C class ids that have a photograph, sorted.
        class_names: C display names, all different.
        skipped: The files that were left out.
        notes: What a person should know, a sentence each.
        added: As `Listing`.
        parents: As `Listing`.
    """

    name: str
    folder: Path
    photos: Photos
    splits: np.ndarray
    groups: list[str]
    sources: np.ndarray
    class_ids: list[str]
    class_names: list[str]
    skipped: list[Skipped]
    notes: list[str]
    added: list[Path] = field(default_factory=list)
    parents: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def folders(self) -> list[Path]:
        """The folders of all sources, by the source's number."""
        return [self.folder, *self.added]

    def label(self, class_id: str) -> int:
        """Return the index of a class."""
        return self.class_ids.index(class_id)

    def added_classes(self) -> list[str]:
        """Return the classes of which the data set itself, source 0, has no photograph."""
        own = set(self.photos.labels[self.sources == 0].tolist())
        return [class_id for i, class_id in enumerate(self.class_ids) if i not in own]

    def take(self, indices: Sequence[int] | np.ndarray) -> "Collection":
        """Return the photographs at these indices; classes that have none left are gone."""
        chosen = np.asarray(indices, dtype=np.int64)
        photos = self.photos.take(chosen.tolist())
        left, labels = np.unique(photos.labels, return_inverse=True)
        return replace(
            self,
            photos=replace(photos, labels=labels.astype(np.int64)),
            splits=self.splits[chosen],
            groups=[self.groups[i] for i in chosen],
            sources=self.sources[chosen],
            class_ids=[self.class_ids[i] for i in left],
            class_names=[self.class_names[i] for i in left],
        )


@dataclass(frozen=True)
class DataSet:
    """Photographs in splits, ready to be trained on.

    Attributes:
        name: As `Listing`.
        class_ids: C class ids, sorted.
        class_names: C display names, all different.
        splits: `train`, `valid` and perhaps `test`.
        groups: Split -> int64 `[N]`, the numbers of its photographs' groups, over all splits.
        grouped_by: As `--group-by`.
        background: The class that is trained against and never shown: photographs with the label
            C belong to it; "" for none.
        skipped: The files that were left out.
        notes: What a person should know, a sentence each.
        parents: The parents of each of the C classes, the widest first; empty where none has any.
    """

    name: str
    class_ids: list[str]
    class_names: list[str]
    splits: dict[str, Photos]
    groups: dict[str, np.ndarray]
    grouped_by: str = "none"
    background: str = ""
    skipped: list[Skipped] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    parents: list[tuple[str, ...]] = field(default_factory=list)

    @property
    def outputs(self) -> int:
        """How many classes a head tells apart: C, and the background where there is one."""
        return len(self.class_ids) + bool(self.background)

    def known(self, split: str) -> np.ndarray:
        """Tell which photographs of a split belong to a class that is shown: bool `[N]`."""
        return self.splits[split].labels < len(self.class_ids)

    def in_train(self, split: str) -> np.ndarray:
        """Tell which photographs of a split have one of their group in `train`: bool `[N]`."""
        return np.isin(self.groups[split], self.groups["train"])

    @property
    def fingerprint(self) -> str:
        """SHA-256 over split, class and content of every photograph, whatever the file names."""
        class_ids = [*self.class_ids, self.background]
        rows = sorted(
            f"{split} {class_ids[label]} {digest}"
            for split, photos in self.splits.items()
            for label, digest in zip(photos.labels, photos.digests, strict=True)
        )
        return hashlib.sha256("\n".join(rows).encode()).hexdigest()
