"""Reads tables (CSV, TSV or Parquet) row by row, with every cell as text."""

import csv
import importlib
import math
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, TextIO

ENDINGS = (".csv", ".tsv", ".parquet")
"""File endings of the tables that can be read."""

_PARQUET = ".parquet"
_LONGEST_HEADER = 1_000_000  # characters


class Row(NamedTuple):
    """A row of a table.

    Attributes:
        place: Where the row is: "line 12", as an editor counts, or "row 12" in a Parquet file.
        cells: The cells of the requested columns, without surrounding spaces; "" if empty.
    """

    place: str
    cells: tuple[str, ...]


def column_names(path: Path) -> list[str]:
    """Read the names of a table's columns.

    Args:
        path: The table.

    Returns:
        The names in the order of the columns; "" for a column without a name.

    Raises:
        ValueError: The file is empty or not a table, or it is Parquet and pyarrow is missing.
    """
    if path.suffix.lower() == _PARQUET:
        return [str(name).strip() for name in _open_parquet(path).schema_arrow.names]
    header = next(_text_rows(path), None)
    if header is None:
        raise ValueError(f"{path} is empty. Expected a header and a row for each photograph.")
    return header[1]


def read_rows(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    """Read a table row by row, skipping empty rows.

    Args:
        path: The table.
        columns: Names of the columns to read; the table must have them.

    Yields:
        The rows.

    Raises:
        ValueError: See `column_names`; or a row has more or fewer cells than the header.
    """
    names = column_names(path)
    picked = [names.index(column) for column in columns]
    if path.suffix.lower() == _PARQUET:
        yield from _parquet_rows(path, picked)
        return
    rows = _text_rows(path)
    next(rows)
    for line, cells in rows:
        if len(cells) != len(names):
            raise ValueError(
                f"{path}, line {line} has {len(cells)} cells, but the header has {len(names)}. "
                "Put quotation marks around every cell that contains the separator."
            )
        yield Row(f"line {line}", tuple(cells[index] for index in picked))


def _text_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not empty, each with the line on which it begins."""
    line = 1
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            start, separator = _separator(path, file)
            # Without `strict`, an unclosed quotation mark would swallow the lines after it.
            reader = csv.reader(
                chain(start, file), delimiter=separator, skipinitialspace=True, strict=True
            )
            for cells in reader:
                stripped = [cell.strip() for cell in cells]
                if any(stripped):
                    yield line, stripped
                line = reader.line_num + 1
    except UnicodeDecodeError:
        raise ValueError(
            f"{path} is not UTF-8 text. Save it as CSV with the encoding UTF-8."
        ) from None
    except csv.Error as error:
        raise ValueError(f"{path} cannot be read beyond line {line}: {error}.") from None


def _separator(path: Path, file: TextIO) -> tuple[list[str], str]:
    """Return the lines read so far, up to the header, and the separator between cells."""
    start = []
    while line := file.readline(_LONGEST_HEADER):
        start.append(line)
        if len(line) == _LONGEST_HEADER or "\0" in line:
            raise ValueError(f"{path} is not a table: its first line is not a header.")
        if line.strip():
            break
    if path.suffix.lower() == ".tsv":
        return start, "\t"
    header = start[-1] if start else ""
    return start, ";" if ";" in header and "," not in header else ","


def _open_parquet(path: Path) -> Any:
    try:
        parquet = importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise ValueError(
            f"{path} is a Parquet file, which needs pyarrow. Install it: pip install pyarrow"
        ) from None
    try:
        return parquet.ParquetFile(path)
    except Exception as error:  # pyarrow's errors have no other class in common
        raise _bad_parquet(path, error) from error


def _parquet_rows(path: Path, picked: Sequence[int]) -> Iterator[Row]:
    file = _open_parquet(path)
    names = [file.schema_arrow.names[index] for index in picked]
    number = 0
    batches = file.iter_batches(columns=names)
    while True:
        try:
            batch = next(batches, None)
            columns = [] if batch is None else [batch.column(name).to_pylist() for name in names]
        except Exception as error:  # pyarrow's errors have no other class in common
            raise _bad_parquet(path, error) from error
        if batch is None:
            return
        for values in zip(*columns, strict=True):
            number += 1
            place = f"row {number}"
            cells = tuple(
                _as_text(value, f"{path}, {place}: column '{name}'")
                for name, value in zip(names, values, strict=True)
            )
            if any(cells):
                yield Row(place, cells)


def _bad_parquet(path: Path, error: Exception) -> ValueError:
    reason = str(error).strip().split("\n")[0].rstrip(".") or type(error).__name__
    return ValueError(f"{path} cannot be read as Parquet: {reason}.")


def _as_text(value: object, where: str) -> str:
    """Write a value as text; whole numbers are written without ".0"."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, str | int | float):
        return str(value).strip()
    raise ValueError(f"{where} holds a {type(value).__name__}. Expected text or numbers.")
