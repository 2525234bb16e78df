"""Recognises the folders in a data folder: splits, classes, and leftovers of other programs."""

import os
import re
import stat
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from model.photographs import images
from model.photographs.dataset import Entry, Skipped

_SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "valid": "valid",
    "val": "valid",
    "validation": "valid",
    "dev": "valid",
    "eval": "valid",
    "evaluation": "valid",
    "test": "test",
    "testing": "test",
}
_BESIDE_A_SPLIT = re.compile(r"[ _-]?(set|data|images|photos|pictures|split)$")
LEFT_BY_SYSTEMS = {
    *("thumbs.db", "desktop.ini", "__macosx", "lost+found", "found.000"),
    *("@eadir", "@tmp", "#recycle", "#snapshot", "$recycle.bin", "recycler"),
    *("system volume information", "network trash folder", "temporary items"),
}
"""Names of files and folders that systems create, in lower case."""


def split_of(name: str) -> str | None:
    """Return the split that a folder's name stands for, such as `Training` or `test_set`."""
    lowered = name.lower()
    return _SPLIT_NAMES.get(lowered) or _SPLIT_NAMES.get(_BESIDE_A_SPLIT.sub("", lowered))


def is_junk(name: str) -> bool:
    """Return whether a file or folder is hidden, or was left by a system or a network drive."""
    return name.startswith(".") or name.lower() in LEFT_BY_SYSTEMS


def _is_checkpoint(folder: Path) -> bool:
    return (folder / "head.safetensors").is_file() and (folder / "config.json").is_file()


def holds_checkpoints(folder: Path) -> bool:
    """Return whether a folder is a checkpoint, or holds checkpoints and no photographs."""
    if _is_checkpoint(folder):
        return True
    try:
        inner = [path for path in folder.iterdir() if not is_junk(path.name)]
    except OSError:  # the folder cannot be read; the code that lists it reports that
        return False
    folders = [path for path in inner if path.is_dir()]
    if not folders or any(map(is_photograph, inner)):
        return False
    return all(map(_is_checkpoint, folders))


def is_photograph(path: Path) -> bool:
    """Return whether a file may be a photograph, judging by its ending."""
    return path.suffix.lower() in images.SUFFIXES and path.is_file()


def wrong_ending(path: Path) -> str:
    """Say that a file's ending is not that of a photograph."""
    ending = f"the ending '{path.suffix}'" if path.suffix else "no ending"
    return f"has {ending}, not that of a photograph"


def flaw_of(path: Path) -> str:
    """Say why a file cannot be a photograph, without opening it; "" if it may be one."""
    if "\0" in str(path):
        return "does not exist"
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return "does not exist"
    except OSError as error:
        return f"cannot be read ({(error.strerror or str(error)).lower()})"
    if stat.S_ISDIR(mode):
        return "is a folder"
    if path.suffix.lower() not in images.SUFFIXES:
        return wrong_ending(path)
    return "" if stat.S_ISREG(mode) else "is not a file"


def leads_up(folder: Path, start: Path) -> bool:
    """Return whether a link leads from `start` to `start` itself or to a folder above it."""
    return start.resolve().is_relative_to(folder.resolve())


def absolute(path: Path) -> Path:
    """Return an absolute path without `..`; links are not followed."""
    return Path(os.path.normpath(path.absolute()))


def below_one_folder(folder: Path, entries: list[Entry]) -> tuple[Path, list[Entry]]:
    """Find a folder that contains all photographs.

    Args:
        folder: The preferred folder.
        entries: The photographs.

    Returns:
        `folder` and the entries, if it contains them all; otherwise the lowest folder that does,
        and the entries with absolute paths. If the photographs are on different drives there is no
        such folder, and `folder` is returned.
    """
    if all(entry.path.is_relative_to(folder) for entry in entries):
        return folder, entries
    outside = [entry._replace(path=absolute(entry.path)) for entry in entries]
    try:
        return Path(os.path.commonpath([entry.path.parent for entry in outside])), outside
    except ValueError:
        return folder, outside


def walk(folder: Path, skipped: list[Skipped] | None = None) -> Iterator[Path]:
    """Yield the files below a folder, sorted, following links but visiting each real folder once.

    Args:
        folder: Where to search.
        skipped: Gets the folders that cannot be read.

    Yields:
        Files, except hidden ones and those that systems create (`.DS_Store`, `Thumbs.db`).
    """

    def unreadable(error: OSError) -> None:
        if skipped is not None:
            reason = f"cannot be read ({(error.strerror or str(error)).lower()})"
            skipped.append(Skipped(Path(error.filename), reason))

    seen: set[Path] = set()
    for root, folders, files in os.walk(folder, onerror=unreadable, followlinks=True):
        here = Path(root)
        real = here.resolve()
        if real in seen or (here != folder and leads_up(here, folder)):
            folders.clear()  # following a link upwards would never end
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not is_junk(name))
        yield from (here / name for name in sorted(files) if not is_junk(name))


def _count_photographs(path: Path) -> int:
    """Count the photographs below a folder; a photograph itself counts as 1."""
    return int(is_photograph(path)) + sum(map(is_photograph, walk(path)))


def require_class_folders(folder: Path, folders: Collection[Path]) -> None:
    """Refuse splits that hold photographs but no class folders.

    Args:
        folder: The data folder.
        folders: The folders in it.

    Raises:
        ValueError: All folders are named like splits, one of them `train`, and hold photographs.
    """
    splits = {split_of(entry.name) for entry in folders}
    if len(splits) < 2 or None in splits or "train" not in splits:
        return
    flat = [
        entry
        for entry in folders
        if any(is_photograph(path) for path in entry.iterdir())
        and not any(path.is_dir() and not is_junk(path.name) for path in entry.iterdir())
    ]
    if len(flat) == len(folders):
        names = " and ".join(entry.name for entry in folders)
        train = next(entry for entry in flat if split_of(entry.name) == "train")
        raise ValueError(
            f"{folder} has {names}, which hold photographs but no class folders. Put the "
            f"photographs of each class into a folder of its own, such as {train}/CLASS. If "
            f"these folders are the classes, rename them."
        )


def notes_on(
    folder: Path, taken: Iterable[Path], left_out: Iterable[Path], names_file: Path | None
) -> list[str]:
    """Describe what was left out of a data folder, and where the class names come from.

    Args:
        folder: The data folder.
        taken: The folders of its splits; empty if it has none.
        left_out: Folders that are not classes.
        names_file: The file of class names, if one was found.

    Returns:
        Sentences.
    """
    notes, roots = [], set(taken)
    for path in left_out:
        what = "holds checkpoints" if holds_checkpoints(path) else "belongs to the system"
        notes.append(f"{path} is left out: it {what}.")
    if roots:
        beside = [
            path
            for path in sorted(folder.iterdir())
            if path not in roots
            and not is_junk(path.name)
            and (is_photograph(path) or (path.is_dir() and not holds_checkpoints(path)))
        ]
        if beside:
            names = ", ".join(path.name for path in beside[:5])
            more = f" and {len(beside) - 5} more" if len(beside) > 5 else ""
            splits = ", ".join(sorted(path.name for path in roots))
            count = sum(map(_count_photographs, beside))
            notes.append(
                f"Files and folders beside {splits} are left out: {names}{more}, with {count:,} "
                "photographs."
            )
    if names_file:
        notes.append(f"The class names come from {names_file}.")
    return notes


def note_on_lower_folders(folder: Path, paths: Iterable[tuple[Path, Path]]) -> list[str]:
    """Report photographs that are in folders below their class folder.

    Args:
        folder: The data folder.
        paths: The class folder and the path of each photograph.

    Returns:
        A sentence, or nothing.
    """
    lower: dict[Path, set[str]] = {}
    direct: set[Path] = set()
    for root, path in paths:
        parts = path.relative_to(root).parts
        if len(parts) > 1:
            lower.setdefault(root, set()).add(parts[0])
        else:
            direct.add(root)
    nested = {root: names for root, names in lower.items() if root not in direct and len(names) > 1}
    if not nested:
        return []
    root, names = next(iter(nested.items()))
    count = sum(map(len, nested.values()))
    return [
        f"{len(nested):,} of the class folders hold {count:,} folders, such as "
        f"{root.name}/{min(names)}. The upper folder is the class. To train on the lower "
        f"folders instead, add --nested, or move them directly into {folder}."
    ]
