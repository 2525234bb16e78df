"""The table of corrections, labels.csv: read, mended after a crash, replaced, and added to."""

import contextlib
import csv
import io
import os
import sys
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from model.cache import atomic_path
from model.photographs.class_names import escaped

TABLE = "labels.csv"
_BEGUN = 300  # characters of half a row that are shown


class Row(NamedTuple):
    """A row of the table.

    Attributes:
        path: The photograph, from the table's folder, with `/`.
        label: The right class: the id of a known class, or a new name.
        answer: The id of the class that was answered.
        time: When it was kept, ISO 8601 in UTC.
    """

    path: str
    label: str
    answer: str
    time: str


def read(table: Path) -> dict[str, Row]:
    """Read the table; a last row that was not written to its end is mended, and printed.

    Args:
        table: The file; it is made where there is none.

    Returns:
        The rows by path.

    Raises:
        OSError: It cannot be read or written.
        ValueError: It is another table than this program writes.
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
        rows: What it holds afterwards.

    Raises:
        OSError: It cannot be written; it is as it was.
    """
    lines = map(_line, (Row._fields, *rows.values()))
    write_whole(table, "".join(lines).encode())


def append(table: Path, row: Row) -> None:
    """Write one more row, which is on the disk when this returns.

    Args:
        table: The file.
        row: The row; its photograph is there already.

    Raises:
        OSError: It cannot be written; what is there of the row is taken away again.
    """
    size = table.stat().st_size
    try:
        with table.open("ab") as file:
            file.write(_line(row).encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        with contextlib.suppress(OSError):  # what stays is mended by `read`
            os.truncate(table, size)
        raise


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that is there completely, even after a power cut, or not at all.

    Args:
        path: The file.
        content: Its bytes.

    Raises:
        OSError: It cannot be written.
    """
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    if os.name == "posix":  # the name in the folder as well; other systems have no call for it
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _mend(table: Path, rows: dict[str, Row], torn: bytes) -> None:
    last = _whole_row(torn)
    if last:
        rows[last.path] = last
    done = "lacked its line end, which was added" if last else "was cut off, and was removed"
    begun = escaped(torn.decode(errors="replace"))[:_BEGUN]
    print(f"Note: the last row of {table} {done}: '{begun}'.", file=sys.stderr, flush=True)
    replace(table, rows)


def _line(cells: tuple[str, ...]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


def _whole_row(line: bytes) -> Row | None:
    """Read a row that lacks nothing but its line's end, as an editor may leave it."""
    with contextlib.suppress(csv.Error, UnicodeDecodeError, ValueError, TypeError):
        row = Row(*next(csv.reader([line.decode()], strict=True)))
        if row.time.endswith("+00:00") and datetime.fromisoformat(row.time):
            return row
    return None
