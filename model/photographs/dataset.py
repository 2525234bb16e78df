"""Labelled photographs: as a source lists them, as they were read, and in splits."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

SPLITS = ("train", "valid", "test")


class Skipped(NamedTuple):
    """A file that was left out, and the reason, to be read after the path."""

    path: Path
    reason: str


class Entry(NamedTuple):
    """A listed photograph; split is empty where the source has no splits."""

    path: Path
    class_id: str
    split: str = ""


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
    """

    name: str
    folder: Path
    entries: list[Entry]
    names: dict[str, str] = field(default_factory=dict)
    skipped: list[Skipped] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


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
        class_ids: The C class ids that have a photograph, sorted.
        class_names: C display names, all different.
        skipped: The files that were left out.
        notes: What a person should know, a sentence each.
    """

    name: str
    folder: Path
    photos: Photos
    splits: np.ndarray
    class_ids: list[str]
    class_names: list[str]
    skipped: list[Skipped]
    notes: list[str]


@dataclass(frozen=True)
class DataSet:
    """Photographs in splits, ready to be trained on.

    Attributes:
        name: As `Listing`.
        class_ids: C class ids, sorted.
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
