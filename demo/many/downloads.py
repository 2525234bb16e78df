"""The downloads for a batch: a CSV table, and a zip file with the photographs sorted by class."""

import csv
import errno
import re
import unicodedata
import zipfile
from pathlib import Path, PurePosixPath

from demo.many import status
from demo.many.batch import REMOVED, Batch, Row
from demo.photo import refusal
from demo.words import short
from model.classifier import Prediction
from model.predictions import csv_header, csv_row

NONE_OF_THESE = "none-of-these"
COULD_NOT_BE_READ = "could-not-be-read"

MOST_BYTES = 2_000_000_000
"""Most bytes of all photographs that are packed into one zip file."""

_UNSAFE = re.compile(r'[\\/:*?"<>|\x00-\x1f\x7f]')
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)
_LONGEST_STEM, _LONGEST_SUFFIX = 60, 10  # characters, each of up to four bytes
_FULL = {errno.ENOSPC, errno.EDQUOT}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet takes these for the start of a formula


def write_csv(batch: Batch, top: int) -> Path:
    """Write the same table as `python -m model predict --csv`, but safe to open in a spreadsheet.

    Args:
        batch: The batch; cancelled rows are left out.
        top: How many classes to list.

    Returns:
        The file.

    Raises:
        gr.Error: The batch's folder has been removed.
    """
    path = batch.folder / "predictions.csv"
    try:
        file = path.open("w", newline="", encoding="utf-8", errors="backslashreplace")
    except FileNotFoundError:
        raise refusal(status.GONE_TEXT) from None
    outcomes = [row.outcome for row in batch.done]
    parents = any(isinstance(one, Prediction) and one.answer is not None for one in outcomes)
    with file:
        writer = csv.writer(file)
        restricted = any(isinstance(one, Prediction) and one.restricted for one in outcomes)
        writer.writerow(csv_header(top, parents=parents, restricted=restricted))
        for row in batch.done:
            if row.outcome is not None:
                cells = csv_row(
                    Path(row.name), row.outcome, top, parents=parents, restricted=restricted
                )
                writer.writerow(map(_inert, cells))
    return path


def _inert(cell: object) -> object:
    """Put an apostrophe before a text that a spreadsheet would take for a formula."""
    if not isinstance(cell, str) or not cell.startswith(_FORMULA):
        return cell
    try:
        float(cell)
    except ValueError:
        return f"'{cell}"
    return cell


def safe_name(name: str) -> str:
    """Return a name of a file or folder that every system accepts, without any path in it."""
    name = _UNSAFE.sub("_", unicodedata.normalize("NFC", name)).strip(" .")
    stem, suffix = _split(name)
    name = stem[:_LONGEST_STEM].rstrip(" .") + suffix
    return f"_{name}" if _DEVICES.match(name) else name or "_"


def _split(name: str) -> tuple[str, str]:
    """Split a file name into stem and ending; "St. John's wort" has no ending."""
    stem, dot, suffix = name.rpartition(".")
    if stem and dot and len(suffix) < _LONGEST_SUFFIX and suffix.isalnum():
        return stem, dot + suffix
    return name, ""


class _Names:
    """Makes names unique, even on systems that ignore upper and lower case."""

    def __init__(self, *taken: str) -> None:
        self._taken = {name.casefold() for name in taken}

    def claim(self, name: str) -> str:
        """Return the name, with a number if it is already taken."""
        (stem, suffix), claimed, number = _split(name), name, 1
        while claimed.casefold() in self._taken:
            number += 1
            claimed = f"{stem} ({number}){suffix}"
        self._taken.add(claimed.casefold())
        return claimed


def write_sorted(batch: Batch) -> Path:
    """Pack the unchanged photographs into a zip file, with a folder for each class.

    Args:
        batch: The batch; cancelled rows are left out.

    Returns:
        The zip file.

    Raises:
        gr.Error: The photographs are too large together, the disk is full, or the batch's folder
            has been removed.
    """
    size = sum(_size(row) for row in batch.done)
    if size > MOST_BYTES:
        raise refusal(
            f"These photographs have {size / 1e9:.1f} GB, but a zip file can have at most "
            f"{MOST_BYTES / 1e9:g} GB. Please send them in parts."
        )
    path = batch.folder / "sorted.zip"
    try:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            _pack(archive, batch)
    except OSError as error:
        path.unlink(missing_ok=True)
        if error.errno in _FULL:
            raise refusal(
                "The server has no room for the zip file. Please try again later."
            ) from None
        if not batch.folder.is_dir():
            raise refusal(status.GONE_TEXT) from None
        raise
    return path


def _size(row: Row) -> int:
    if row.path is None or not isinstance(row.outcome, Prediction):
        return 0
    try:
        return row.path.stat().st_size
    except OSError:  # deleted meanwhile; `_pack` lists it
        return 0


def _pack(archive: zipfile.ZipFile, batch: Batch) -> None:
    folders = _Names(NONE_OF_THESE, COULD_NOT_BE_READ)
    folder_of: dict[tuple[bool, str], str] = {}
    files: dict[str, _Names] = {}
    unreadable = []
    for row in batch.done:
        if not isinstance(row.outcome, Prediction):
            unreadable.append(f"{row.name}: {row.outcome}")
            continue
        if row.outcome.none_of_these:
            folder = NONE_OF_THESE
        else:
            name, parent = short(row.outcome)[0], row.outcome.parent
            key = (parent is not None, name if parent else row.outcome.top[0].class_id)
            if key not in folder_of:
                folder_of[key] = folders.claim(safe_name(name))
            folder = folder_of[key]
        if row.path is None or not row.path.is_file():
            unreadable.append(f"{row.name}: {REMOVED}")
            continue
        name = safe_name(PurePosixPath(row.name.replace("\\", "/")).name)
        name = files.setdefault(folder, _Names()).claim(name)
        try:
            archive.write(row.path, f"{folder}/{name}")
        except FileNotFoundError:  # deleted since the check above
            unreadable.append(f"{row.name}: {REMOVED}")
    if unreadable:
        archive.writestr(f"{COULD_NOT_BE_READ}/list.txt", "\n".join(unreadable) + "\n")
