"""Tables of photographs: each row has a path, a label, and optionally a split, group and parent."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from model.photographs.cells import ENDINGS, Row, column_names, read_rows
from model.photographs.class_names import (
    escaped,
    find_names_file,
    normal_form,
    read_class_names,
    require_name,
)
from model.photographs.dataset import SPLITS, Entry, Listing, Skipped
from model.photographs.layout import absolute, below_one_folder, flaw_of, notes_on, split_of
from model.photographs.parents import ParentColumn

LABEL_FILES = ("labels.csv", "labels.tsv")
"""Tables that are used when a data folder contains one."""

_SHOWN_COLUMNS = 20


@dataclass(frozen=True)
class Columns:
    """The names of a table's columns.

    Attributes:
        path: The column of the photograph's path, absolute or relative to the table's folder.
        label: The column of its class.
        split: The optional column of its split: `train`, `valid`, `test`, or another word that a
            folder of that split may have as its name.
        group: The optional column of what it shares with other photographs, such as a person.
        group_may_lack: Whether the group column may be missing even if the user named it, because
            the value of `--group-by` may be a regular expression instead.
        parent: The column of its class's parent, or of several from the widest to the narrowest,
            separated by `/`. None means the column `parent`, if there is one and it gives each
            class one place; `none` means no column.
    """

    path: str = "path"
    label: str = "label"
    split: str = "split"
    group: str = "group"
    group_may_lack: bool = False
    parent: str | None = None


DEFAULT_COLUMNS = Columns()

_PARENT, _NO_PARENT = "parent", "none"

GROUP_BY = ("auto", "folder", "none")
"""Values of `--group-by` that are neither a column nor a regular expression."""


def is_table(path: Path) -> bool:
    """Return whether a file is a table, judging by its ending."""
    return path.suffix.lower() in ENDINGS and path.is_file()


def missing_columns(path: Path, columns: Columns) -> str:
    """Say which column is missing from a table of labelled photographs.

    Args:
        path: The table.
        columns: The names of its columns.

    Returns:
        A sentence with a remedy; "" if the table has a path and a label.

    Raises:
        ValueError: See `column_names`.
    """
    return _missing(path, column_names(path), [("path", columns.path), ("label", columns.label)])


def list_table(
    path: Path,
    *,
    columns: Columns = DEFAULT_COLUMNS,
    class_names: Path | None = None,
    labelled: bool = True,
) -> Listing:
    """List the photographs of a table. All cells are text, so 007 and NA are valid labels.

    Args:
        path: A CSV file (separated by commas or semicolons), TSV file or Parquet file.
        columns: The names of its columns. Group and parent are used if the table has such a column;
            an empty parent cell says nothing about the parent of the class.
        class_names: JSON file of display names; by default the nearest `cat_to_name.json`.
        labelled: Read labels, splits and groups. If false, every class id is "".

    Returns:
        The photographs, those of `train` first. Files that do not exist, or whose names are not
        those of photographs, are listed as skipped.

    Raises:
        FileNotFoundError: The names file does not exist.
        ValueError: The table cannot be read, lacks a column or has no rows; it gives a photograph
            two labels, splits or groups, a label that is not allowed as a class name, or an unknown
            split; only some rows have a split; or the parent column named in `columns` does not
            give each class one place.
    """
    roles = _columns_of(path, columns, labelled)
    rows = _Rows(path, roles, columns)
    for row in read_rows(path, list(roles.values())):
        rows.add(row)
    if not rows.count:
        raise ValueError(f"{path} has a header but no rows. Add a row for each photograph.")
    entries = sorted(rows.entries(), key=lambda entry: (_rank(entry.split), entry.class_id))
    folder, entries = below_one_folder(path.parent, entries)
    notes = []
    if rows.repeated:
        notes.append(
            f"{path.name} lists some photographs more than once; {rows.repeated:,} repeated "
            f"{'row is' if rows.repeated == 1 else 'rows are'} left out."
        )
    found = find_names_file(path.parent, ()) if labelled and not class_names else None
    names_file = class_names or found
    names = read_class_names(names_file) if names_file else {}
    notes += notes_on(path.parent, (), (), found)
    parents = rows.parents.result({entry.class_id for entry in entries})
    if rows.parents.note:
        notes.append(rows.parents.note)
    return Listing(str(path), folder, entries, names, rows.skipped, notes, parents=parents)


def _columns_of(path: Path, columns: Columns, labelled: bool) -> dict[str, str]:
    """Map each role (path, label and perhaps more) to the column that holds it."""
    names = column_names(path)
    roles = {"path": columns.path}
    if labelled:
        roles["label"] = columns.label
        if columns.split in names or columns.split != DEFAULT_COLUMNS.split:
            roles["split"] = columns.split
        default = columns.group == DEFAULT_COLUMNS.group or columns.group_may_lack
        if columns.group in names or not default:
            roles["group"] = columns.group
        if parent := _parent_column(names, columns):
            roles["parent"] = parent
    if flaw := _missing(path, names, roles.items()):
        raise ValueError(flaw)
    for name in roles.values():
        if names.count(name) > 1:
            raise ValueError(f"{path} has {names.count(name)} columns '{escaped(name)}'. Keep one.")
    return roles


def _parent_column(names: Sequence[str], columns: Columns) -> str | None:
    """Return the column that holds parents; None if none is read."""
    if columns.parent is None:
        return _PARENT if names.count(_PARENT) == 1 else None
    off = columns.parent == _NO_PARENT and _NO_PARENT not in names
    return None if off else columns.parent


def _missing(path: Path, names: Sequence[str], roles: Iterable[tuple[str, str]]) -> str:
    for role, name in roles:
        if name not in names:
            shown = ", ".join(f"'{escaped(other[:50])}'" for other in names[:_SHOWN_COLUMNS])
            more = f" and {len(names) - _SHOWN_COLUMNS} more" * (len(names) > _SHOWN_COLUMNS)
            return (
                f"{path} has no column '{escaped(name)}'; its columns are {shown}{more}. "
                f"Choose another one with --{role}-column."
            )
    return ""


class _Rows:
    """Checks the rows of a table one by one."""

    def __init__(self, path: Path, roles: dict[str, str], columns: Columns) -> None:
        self.path = path
        self.folder = absolute(path.parent)
        self.roles = tuple(roles)
        self.count = 0
        self.repeated = 0
        self.skipped: list[Skipped] = []
        self.parents = ParentColumn(
            path, column=roles.get("parent", ""), asked_for=columns.parent is not None
        )
        self._taken: dict[Path, tuple[Entry, str]] = {}

    def add(self, row: Row) -> None:
        """Add a row, or record why its photograph is skipped."""
        self.count += 1
        cells = dict(zip(self.roles, row.cells, strict=True))
        place = f"({self.path.name}, {row.place})"
        if not cells["path"]:
            self.skipped.append(Skipped(self.path, f"has no path in {row.place}"))
            return
        path = self._path(cells["path"])
        if "label" in cells and not cells["label"]:
            self.skipped.append(Skipped(path, f"has no label {place}"))
            return
        if flaw := flaw_of(path):
            self.skipped.append(Skipped(path, f"{flaw} {place}"))
            return
        label = normal_form(cells.get("label", ""))
        require_name(label, f"{self.path}, {row.place}: the label")
        self.parents.add(label, cells.get("parent", ""), row.place)
        split = self._split(cells.get("split", ""), row.place)
        entry = Entry(path, label, split, cells.get("group", ""))
        earlier, there = self._taken.setdefault(path, (entry, row.place))
        if there != row.place:
            self._require_equal(earlier, there, entry, row.place)
            self.repeated += 1

    def entries(self) -> list[Entry]:
        """Return the photographs in the order of the table; either all have a split or none has."""
        places: dict[bool, str] = {}
        for entry, place in self._taken.values():
            places.setdefault(bool(entry.split), place)
        if len(places) > 1:
            raise ValueError(
                f"{self.path}, {places[False]} has no split, but {places[True]} has one. "
                f"Give every row {', '.join(SPLITS[:-1])} or {SPLITS[-1]}, or leave all empty."
            )
        return [entry for entry, _ in self._taken.values()]

    def _path(self, text: str) -> Path:
        r"""Find the file that a cell names; `\` separates folders unless a name contains it."""
        path = self.path.parent / text
        if "\\" in text and not os.path.lexists(path):
            text = text.replace("\\", "/")
            path = self.path.parent / text
        if ".." not in path.parts and not Path(text).is_absolute():
            return path
        outside = absolute(path)
        if outside.is_relative_to(self.folder):
            return self.path.parent / outside.relative_to(self.folder)
        return outside

    def _split(self, text: str, place: str) -> str:
        split = split_of(text) if text else ""
        if split is None:
            raise ValueError(
                f"{self.path}, {place} has the split '{escaped(text[:50])}'. Expected "
                f"{', '.join(SPLITS[:-1])} or {SPLITS[-1]}; choose another column with "
                "--split-column."
            )
        return split

    def _require_equal(self, earlier: Entry, there: str, entry: Entry, place: str) -> None:
        for what, first, second in (
            ("label", earlier.class_id, entry.class_id),
            ("split", earlier.split, entry.split),
            ("group", earlier.group, entry.group),
        ):
            if first != second:
                raise ValueError(
                    f"{self.path} gives {entry.path} the {what} '{escaped(first)}' in {there} and "
                    f"'{escaped(second)}' in {place}. Keep one of them."
                )


def _rank(split: str) -> int:
    return SPLITS.index(split) if split else 0
