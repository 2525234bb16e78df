"""Labelled photographs: scan a folder of class folders, check every file, split."""

import hashlib
import json
import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from model import images
from model.cache import SoundFiles, default_workers, progress_bar
from model.splits import stratified_split

SPLITS = ("train", "valid", "test")
_SPLIT_FOLDERS = {
    "train": "train",
    "valid": "valid",
    "val": "valid",
    "validation": "valid",
    "test": "test",
}
_JUNK = {"thumbs.db", "desktop.ini", "__macosx"}
CLASS_NAMES_FILE = "cat_to_name.json"


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
class Skipped:
    """A file that was left out, and the reason, to be read after the path."""

    path: Path
    reason: str


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


def _normal(name: str) -> str:
    """Fold the two ways of writing an accented letter into one; macOS and Linux differ here."""
    return unicodedata.normalize("NFC", name)


def _is_junk(name: str) -> bool:
    return name.startswith(".") or name.lower() in _JUNK


def _folders(folder: Path) -> list[Path]:
    return sorted(
        entry for entry in folder.iterdir() if entry.is_dir() and not _is_junk(entry.name)
    )


def walk(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder, sorted, links followed, each real folder once.

    Args:
        folder: Where to search.

    Yields:
        Files, without those that systems leave behind (`.DS_Store`, `Thumbs.db`, hidden ones).
    """
    seen: set[str] = set()
    for root, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(root)
        if real in seen:  # a link back to a parent would go round for ever
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not _is_junk(name))
        yield from (Path(root, name) for name in sorted(files) if not _is_junk(name))


def split_folders(folder: Path) -> dict[str, Path]:
    """Find `train`, `valid` (`val`, `validation`) and `test` folders that hold class folders.

    Args:
        folder: The data folder.

    Returns:
        Split name -> its folder; empty for a plain folder of class folders.

    Raises:
        ValueError: Two folders claim the same split.
    """
    found: dict[str, Path] = {}
    for entry in _folders(folder):
        split = _SPLIT_FOLDERS.get(entry.name.lower())
        if split is None or not _folders(entry):
            continue
        if split in found:
            raise ValueError(
                f"{folder} has both '{found[split].name}' and '{entry.name}' for the {split} split. "
                "Keep one of them."
            )
        found[split] = entry
    return found


def class_folders(folder: Path) -> dict[str, list[Path]]:
    """Map class ids to their folders; two spellings of one Unicode name are one class."""
    classes: dict[str, list[Path]] = {}
    for entry in _folders(folder):
        classes.setdefault(_normal(entry.name), []).append(entry)
    return classes


def list_photographs(folder: Path, skipped: list[Skipped]) -> list[tuple[Path, str]]:
    """List the photographs in a folder of class folders by their endings; nothing is opened.

    Args:
        folder: The folder of class folders.
        skipped: Gets the files that have another ending, or stand outside a class folder.

    Returns:
        (path, class id) pairs, sorted by class.

    Raises:
        FileNotFoundError: The folder does not exist.
    """
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{folder} is not a folder. Expected a folder with one folder of photographs a class."
        )
    for entry in sorted(folder.iterdir()):
        if entry.is_file() and entry.suffix.lower() in images.SUFFIXES:
            skipped.append(Skipped(entry, "is not in a class folder"))
    found = []
    for class_id, folders in sorted(class_folders(folder).items()):
        for path in (path for entry in folders for path in walk(entry)):
            if path.suffix.lower() in images.SUFFIXES:
                found.append((path, class_id))
            else:
                ending = f"the ending '{path.suffix}'" if path.suffix else "no ending"
                skipped.append(Skipped(path, f"has {ending}, not that of a photograph"))
    return found


def check_photographs(
    paths: Sequence[Path], skipped: list[Skipped], *, cache_dir: Path, workers: int | None = None
) -> list[str | None]:
    """Read every file, decode those not known to be sound, and hash them all.

    Args:
        paths: N files.
        skipped: Gets the bad ones.
        cache_dir: Remembers which contents are sound.
        workers: Threads; by default one a core.

    Returns:
        N SHA-256 in hexadecimal; None for a bad file.
    """
    sound = SoundFiles(cache_dir, images.DECODER_VERSION)

    def check(path: Path) -> tuple[str | None, str]:
        try:
            content = images.read(path)
            digest = hashlib.sha256(content).hexdigest()
            if digest not in sound:
                images.check(content)
                sound.add(digest)
        except images.BadImageError as error:
            return None, str(error)
        return digest, ""

    digests: list[str | None] = []
    try:
        with (
            ThreadPoolExecutor(workers or default_workers()) as pool,
            progress_bar(len(paths), "Checking files") as bar,
        ):
            for start in range(0, len(paths), 1024):
                chunk = paths[start : start + 1024]
                for path, (digest, reason) in zip(chunk, pool.map(check, chunk), strict=True):
                    digests.append(digest)
                    if digest is None:
                        skipped.append(Skipped(path, reason))
                    bar.update()
                sound.save()
    finally:
        sound.close()
    return digests


def read_class_names(file: Path) -> dict[str, str]:
    """Read display names: a JSON object of class id -> name.

    Args:
        file: The JSON file.

    Returns:
        Class id -> display name.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is not a JSON object of texts.
    """
    try:
        names = json.loads(file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise FileNotFoundError(f"Class names file {file} does not exist.") from None
    except ValueError as error:
        raise ValueError(f"Class names file {file} is not valid JSON: {error}.") from None
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        raise ValueError(f'Class names file {file} must be a JSON object, {{"class id": "name"}}.')
    return {_normal(class_id): name.strip() or class_id for class_id, name in names.items()}


def display_names(class_ids: Sequence[str], names: dict[str, str]) -> list[str]:
    """Give each class a display name; equal names get their class id behind them.

    Args:
        class_ids: C class ids.
        names: Class id -> name; a class that is not in it shows its id.

    Returns:
        C names, all different.
    """
    shown = [names.get(class_id, class_id) for class_id in class_ids]
    repeated = {name for name, count in Counter(shown).items() if count > 1}
    return [
        f"{name} ({class_id})" if name in repeated else name
        for class_id, name in zip(class_ids, shown, strict=True)
    ]


def _find_class_names(folder: Path, split_roots: Iterable[Path]) -> dict[str, str]:
    for place in (folder, *split_roots, folder.resolve().parent):
        if (place / CLASS_NAMES_FILE).is_file():
            return read_class_names(place / CLASS_NAMES_FILE)
    return {}


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
        read_class_names(class_names) if class_names else _find_class_names(folder, roots.values())
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
    digests = check_photographs(
        [path for path, _, _ in rows], skipped, cache_dir=cache_dir, workers=workers
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


def _require_every_class(splits: dict[str, Photos], class_ids: list[str], name: str) -> None:
    for split, photos in splits.items():
        missing = [class_ids[i] for i in sorted(set(range(len(class_ids))) - set(photos.labels))]
        if missing:
            listed = ", ".join(f"'{class_id}'" for class_id in missing[:5])
            more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
            raise ValueError(
                f"The {split} split of {name} has no usable photograph of class {listed}{more}. "
                "Every split needs every class: add photographs or remove the class from the others."
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
