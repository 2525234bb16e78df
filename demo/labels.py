"""Labels of corrections: the names that visitors type, and the table labels.csv."""

import contextlib
import csv
import io
import os
import sys
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from model.cache import atomic_path
from model.checkpoints.checkpoint import Checkpoint
from model.photographs.class_names import MAX_NAME, escaped, normal_form, require_name
from model.trust.restrict import ClassFinder

TABLE = "labels.csv"
_BEGUN = 300  # characters of an incomplete row that are printed
_MISSPELT = 0.8  # similarity from which a class may have been meant: two letters in ten differ

NONE_OF_THESE = "none of these"
"""The choice for a photograph of no class; also its label if there is no background class."""


class NotKept(ValueError):
    """A correction was not kept; the message tells the visitor why."""


class Row(NamedTuple):
    """A row of the table.

    Attributes:
        path: The photograph's path relative to the table's folder, with `/`.
        label: The right class: the id of a known class, or a new name.
        answer: The id of the class that the classifier answered.
        time: When the correction was kept, ISO 8601 in UTC.
    """

    path: str
    label: str
    answer: str
    time: str


def new_name(text: str) -> str:
    """Check a name that a visitor typed for a class.

    Args:
        text: The name.

    Returns:
        The name in the form in which it is stored.

    Raises:
        NotKept: The text cannot be the name of a class.
    """
    name = normal_form(text.strip())
    if len(name) > MAX_NAME:
        raise NotKept(f"The name has {len(name):,} characters; at most {MAX_NAME} are allowed.")
    try:
        require_name(name, "The name")
    except ValueError as error:
        raise NotKept(str(error)) from None
    if found := next((character for character in name if character in "/\\;"), ""):
        # `;` because a spreadsheet may take it for a separator, with a formula after it
        parts = "columns of a table" if found == ";" else "folders"
        raise NotKept(f"The name '{name}' contains {found}, which separates {parts}. Leave it out.")
    if not name[:1].isalnum():  # a spreadsheet takes = + - @ for the start of a formula
        raise NotKept(f"The name '{name}' must begin with a letter or a digit.")
    return name


class Classes:
    """Translates between the visitors' names of classes and the labels in the table."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        """Read the names from a checkpoint.

        Args:
            checkpoint: The checkpoint of the classifier.
        """
        self.data = checkpoint.metrics["data"]["name"]
        self.trained_background = checkpoint.calibration.background
        self.background = self.trained_background or NONE_OF_THESE
        self._names = dict(zip(checkpoint.class_ids, checkpoint.class_names, strict=True))
        ids = {name: class_id for class_id, name in self._names.items()}
        self._ids = {NONE_OF_THESE: self.background} | ids
        lower = {said.casefold(): class_id for said, class_id in self._ids.items()}
        self._groups = {name.casefold() for names in checkpoint.parents for name in names}
        self._ids_by_lower = {class_id.casefold(): class_id for class_id in self._names} | lower
        self._finder = ClassFinder(checkpoint.class_ids, checkpoint.class_names)

    def choices(self) -> list[str]:
        """Return the choices: "none of these", then the names in alphabetical order."""
        names = sorted(self._names.values(), key=str.casefold)
        return [NONE_OF_THESE, *(name for name in names if name != NONE_OF_THESE)]

    def label(self, said: object) -> str:
        """Return the label for a visitor's choice or text.

        Args:
            said: A name in upper or lower case, a class id, or a new name.

        Raises:
            NotKept: The text is empty, cannot be the name of a class, or names a parent.
        """
        if not isinstance(said, str) or not said.strip():
            raise NotKept("First choose what it is, or type a name.")
        name = said.strip()
        known = self._ids.get(name) or self._ids_by_lower.get(name.casefold())
        if not known and normal_form(name).casefold() in self._groups:
            raise NotKept(f"'{name}' is a group of classes; please name the class.")
        return known or new_name(said)

    def is_known(self, label: str) -> bool:
        """Tell whether the classifier was trained on a class."""
        return label in self._names or label == self.trained_background

    def nearly(self, label: str) -> str:
        """Return the class that the visitor may have meant by a misspelt name; "" if none."""
        close = self._finder.close(label, most=1, likeness=_MISSPELT)
        return self.shown(close[0]) if close else ""

    def shown(self, label: str) -> str:
        """Return the name of a label."""
        return NONE_OF_THESE if label == self.background else self._names.get(label, label)


def read(table: Path) -> dict[str, Row]:
    """Read the table; an incomplete last row is repaired or removed, and printed.

    Args:
        table: The file; it is made if it does not exist.

    Returns:
        Path of the photograph -> row.

    Raises:
        OSError: The file cannot be read or written.
        ValueError: The file is not a table of corrections.
    """
    if not table.exists():
        replace(table, {})
    whole, end, torn = table.read_bytes().rpartition(b"\n")
    try:
        text = io.StringIO((whole + end).decode("utf-8-sig"), newline="")
        lines = [line for line in csv.reader(text, strict=True) if line]
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{table} cannot be read ({error}).") from error
    header = [*Row._fields]
    wrong = next((line for line in lines if len(line) != len(header)), None)
    if lines[:1] != [header] or wrong:
        found = ",".join(wrong or (lines or [[]])[0])
        raise ValueError(
            f"{table} is not a table of corrections: expected {','.join(header)}, "
            f"found '{escaped(found[:80])}'."
        )
    rows = {line[0]: Row(*line) for line in lines[1:]}
    if torn:
        _mend(table, rows, torn)
    return rows


def replace(table: Path, rows: dict[str, Row]) -> None:
    """Replace the whole table at once.

    Args:
        table: The file.
        rows: All rows of the new table.

    Raises:
        OSError: The file cannot be written; it is unchanged.
    """
    lines = map(_line, (Row._fields, *rows.values()))
    write_whole(table, "".join(lines).encode())


def append(table: Path, row: Row) -> None:
    """Append a row; it is safely on the disk when this function returns.

    Args:
        table: The file.
        row: The row; its photograph is already in the folder.

    Raises:
        OSError: The row cannot be written; an incomplete row has been removed again.
    """
    size = table.stat().st_size
    try:
        with table.open("ab") as file:
            file.write(_line(row).encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        with contextlib.suppress(OSError):  # else `read` repairs the table
            os.truncate(table, size)
        raise


def write_whole(path: Path, content: bytes) -> None:
    """Write a file either completely or not at all, even if the power fails.

    Args:
        path: The file.
        content: Its bytes.

    Raises:
        OSError: The file cannot be written.
    """
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    if os.name == "posix":  # the folder's entry must be synced, too; Windows cannot do it
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _mend(table: Path, rows: dict[str, Row], torn: bytes) -> None:
    last = _whole_row(torn)
    if last:
        rows[last.path] = last
    done = "had no line end, which was added" if last else "was incomplete, and was removed"
    begun = escaped(torn.decode(errors="replace"))[:_BEGUN]
    print(f"Note: the last row of {table} {done}: '{begun}'.", file=sys.stderr, flush=True)
    replace(table, rows)


def _line(cells: tuple[str, ...]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


def _whole_row(line: bytes) -> Row | None:
    """Read a row that only lacks its line end (some editors leave it so); None if more is lost."""
    with contextlib.suppress(csv.Error, UnicodeDecodeError, ValueError, TypeError):
        row = Row(*next(csv.reader([line.decode()], strict=True)))
        if row.time.endswith("+00:00") and datetime.fromisoformat(row.time):
            return row
    return None
