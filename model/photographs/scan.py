"""Find photographs in folders of class folders, and check every file."""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from model.cache import FileDigests, SoundFiles, default_workers, progress_bar
from model.photographs import images
from model.photographs.class_names import normal_form

_SPLIT_FOLDERS = {
    "train": "train",
    "valid": "valid",
    "val": "valid",
    "validation": "valid",
    "test": "test",
}
_JUNK = {"thumbs.db", "desktop.ini", "__macosx"}


@dataclass(frozen=True)
class Skipped:
    """A file that was left out, and the reason, to be read after the path."""

    path: Path
    reason: str


def _is_junk(name: str) -> bool:
    return name.startswith(".") or name.lower() in _JUNK


def _leads_up(folder: Path, start: Path) -> bool:
    """Tell whether a link leads from `start` to `start` itself or a folder above it."""
    return start.resolve().is_relative_to(folder.resolve())


def _folders(folder: Path) -> list[Path]:
    return sorted(
        entry
        for entry in folder.iterdir()
        if entry.is_dir() and not _is_junk(entry.name) and not _leads_up(entry, folder)
    )


def walk(folder: Path, skipped: list[Skipped] | None = None) -> Iterator[Path]:
    """Yield the files below a folder, sorted, links followed, each real folder once.

    Args:
        folder: Where to search.
        skipped: Gets the folders that cannot be read.

    Yields:
        Files, without those that systems leave behind (`.DS_Store`, `Thumbs.db`, hidden ones).
    """

    def unreadable(error: OSError) -> None:
        if skipped is not None:
            reason = f"cannot be read ({(error.strerror or str(error)).lower()})"
            skipped.append(Skipped(Path(error.filename), reason))

    seen: set[Path] = set()
    for root, folders, files in os.walk(folder, onerror=unreadable, followlinks=True):
        here = Path(root)
        real = here.resolve()
        if real in seen or (here != folder and _leads_up(here, folder)):
            folders.clear()  # a link back would go round for ever
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not _is_junk(name))
        yield from (here / name for name in sorted(files) if not _is_junk(name))


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
                f"{folder} has '{found[split].name}' and '{entry.name}', both for the "
                f"{split} split. Keep one of them."
            )
        found[split] = entry
    return found


def class_folders(folder: Path) -> dict[str, list[Path]]:
    """Map class ids to their folders; two spellings of one Unicode name are one class."""
    classes: dict[str, list[Path]] = {}
    for entry in _folders(folder):
        try:
            entry.name.encode()
        except UnicodeEncodeError as error:
            shown = entry.name.encode(errors="backslashreplace").decode()
            raise ValueError(f"Folder name '{shown}' is not valid UTF-8. Rename it.") from error
        classes.setdefault(normal_form(entry.name), []).append(entry)
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
        for path in (path for entry in folders for path in walk(entry, skipped)):
            if path.suffix.lower() in images.SUFFIXES:
                found.append((path, class_id))
            else:
                ending = f"the ending '{path.suffix}'" if path.suffix else "no ending"
                skipped.append(Skipped(path, f"has {ending}, not that of a photograph"))
    return found


def check_photographs(
    paths: Sequence[Path],
    skipped: list[Skipped],
    *,
    cache_dir: Path,
    workers: int | None = None,
    keep: Callable[[str, Image.Image], None] | None = None,
) -> list[str | None]:
    """Hash every file, and decode those not known to be sound.

    A file that is as it was when it was last read, by size and times, is not read again.

    Args:
        paths: N files.
        skipped: Gets the bad ones.
        cache_dir: Remembers hashes, and which contents are sound.
        workers: Threads; by default one a core.
        keep: Called in those threads with the hash of a file and the photograph, wherever one was
            decoded, so that it need not be decoded again.

    Returns:
        N SHA-256 in hexadecimal; None for a bad file.
    """
    sound, remembered = SoundFiles(cache_dir, images.DECODER_VERSION), FileDigests(cache_dir)

    def check(path: Path) -> tuple[str | None, str]:
        try:
            content = images.read(path)
            digest = hashlib.sha256(content).hexdigest()
            if digest not in sound:
                if keep is None:
                    images.check(content)
                else:
                    keep(digest, images.decode(content))
                sound.add(digest)
        except images.BadImageError as error:
            return None, str(error)
        return digest, ""

    digests: list[str | None] = []
    pool = ThreadPoolExecutor(workers or default_workers())
    try:
        with progress_bar(len(paths), "Reading files" if keep else "Checking files") as bar:
            for start in range(0, len(paths), 1024):
                chunk = paths[start : start + 1024]
                known = remembered.find(chunk)
                known = {path: digest for path, digest in known.items() if digest in sound}
                bar.update(len(known))
                checks = pool.map(check, [path for path in chunk if path not in known])
                for path in chunk:
                    if path in known:
                        digests.append(known[path])
                        continue
                    digest, reason = next(checks)
                    bar.update()
                    digests.append(digest)
                    if digest is None:
                        skipped.append(Skipped(path, reason))
                    else:
                        remembered.add(path, digest)
                sound.save()
                remembered.save()
    finally:
        pool.shutdown(cancel_futures=True)
        sound.close()
        remembered.close()
    return digests
