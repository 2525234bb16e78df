"""Labelled photographs in three stages: listed by a source, read, and divided into splits."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

SPLITS = ("train", "valid", "test")


class Skipped(NamedTuple):
    """A file that was left out, and the reason, worded to follow the path."""

    path: Path
    reason: str


class Entry(NamedTuple):
    """A listed photograph.

    Attributes:
        path: The file.
        class_id: Its label; "" if the source gives none.
        split: `train`, `valid` or `test`; "" if the source has no splits.
        group: What it shares with other photographs, such as a person; "" if unknown.
        source: 0 for the data set itself, 1 for the first source added to it, and so on.
    """

    path: Path
    class_id: str
    split: str = ""
    group: str = ""
    source: int = 0


@dataclass(frozen=True)
class Listing:
    """The photographs that a source lists; none of them has been opened yet.

    Attributes:
        name: The folder or data set that was asked for.
        folder: The folder that the files are in.
        entries: The photographs, with those of one split and class next to each other.
        names: Class id -> display name, for some of the classes.
        skipped: Files whose name or place shows that they are not photographs to use.
        notes: Sentences that the user should read.
        added: The folders of the added sources, in order.
        parents: Class id -> its parents, the widest first; only classes that have parents.
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
        digests: N SHA-256 hashes of the files' contents, in hexadecimal.
    """

    paths: list[Path]
    labels: np.ndarray
    digests: list[str]

    def __len__(self) -> int:
        """Return the number of photographs, N."""
        return len(self.paths)

    def take(self, indices: Iterable[int]) -> "Photos":
        """Return the photographs at these indices, in this order."""
        picked = list(indices)
        return Photos(
            [self.paths[i] for i in picked], self.labels[picked], [self.digests[i] for i in picked]
        )


@dataclass(frozen=True)
class Collection:
    """The readable photographs of a listing.

    Attributes:
        name: See `Listing`.
        folder: See `Listing`.
        photos: N photographs, in the order of the listing.
        splits: N split names; empty if the source has no splits.
        groups: N group names from the source; empty if it gives none.
        sources: int64 `[N]`, see `Entry.source`.
        class_ids: The C class ids that have a photograph, sorted.
        class_names: C display names, all different.
        skipped: The files that were left out.
        notes: Sentences that the user should read.
        added: See `Listing`.
        parents: See `Listing`.
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
        """The folders of all sources, in the order of `sources`."""
        return [self.folder, *self.added]

    def label(self, class_id: str) -> int:
        """Return the index of a class."""
        return self.class_ids.index(class_id)

    def added_classes(self) -> list[str]:
        """Return the classes that have photographs only in added sources."""
        own = set(self.photos.labels[self.sources == 0].tolist())
        return [class_id for i, class_id in enumerate(self.class_ids) if i not in own]

    def take(self, indices: Sequence[int] | np.ndarray) -> "Collection":
        """Return the photographs at these indices, without the classes that become empty."""
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
    """Photographs in splits, ready for training.

    Attributes:
        name: See `Listing`.
        class_ids: C class ids, sorted.
        class_names: C display names, all different.
        splits: `train`, `valid` and perhaps `test`.
        groups: Split -> int64 `[N]`, the group numbers of its photographs, shared by all splits.
        grouped_by: The value of `--group-by`.
        background: The class that the head learns but never answers with; its photographs have the
            label C; "" for none.
        skipped: The files that were left out.
        notes: Sentences that the user should read.
        parents: The parents of each of the C classes, the widest first; empty if no class has any.
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
        """The number of classes that a head distinguishes: C, plus 1 if there is a background."""
        return len(self.class_ids) + bool(self.background)

    def known(self, split: str) -> np.ndarray:
        """Return which photographs of a split are not of the background class: bool `[N]`."""
        return self.splits[split].labels < len(self.class_ids)

    def in_train(self, split: str) -> np.ndarray:
        """Return which photographs of a split share a group with one in `train`: bool `[N]`."""
        return np.isin(self.groups[split], self.groups["train"])

    @property
    def fingerprint(self) -> str:
        """SHA-256 over each photograph's split, class and content; file names do not matter."""
        class_ids = [*self.class_ids, self.background]
        rows = sorted(
            f"{split} {class_ids[label]} {digest}"
            for split, photos in self.splits.items()
            for label, digest in zip(photos.labels, photos.digests, strict=True)
        )
        return hashlib.sha256("\n".join(rows).encode()).hexdigest()
