"""What DATA may be: a folder, a table, an archive, a data set on the Hub, or a named data set."""

from dataclasses import replace
from pathlib import Path

from model.photographs import archives, cells
from model.photographs.archives import is_archive, unpack
from model.photographs.dataset import Listing
from model.photographs.layout import absolute, is_photograph, walk
from model.photographs.named import DIGITS, FLOWERS, list_digits, list_flowers102
from model.photographs.scan import class_folders, list_files, list_folder, split_folders
from model.photographs.tables import (
    DEFAULT_COLUMNS,
    LABEL_FILES,
    Columns,
    is_table,
    list_table,
    missing_columns,
)

HUB = "hf:"
"""The prefix of a data set on the Hugging Face Hub."""


def is_source(name: str) -> bool:
    """Return whether a name stands for a source of several photographs, not for one file."""
    path = Path(name)
    if path.is_dir() or name.startswith(HUB):
        return True
    return is_table(path) or is_archive(path) or (name in (FLOWERS, DIGITS) and not path.exists())


def list_source(
    name: str,
    *,
    class_names: Path | None = None,
    data_dir: Path,
    cache_dir: Path,
    columns: Columns = DEFAULT_COLUMNS,
    splits: bool = True,
    nested: bool = False,
) -> Listing:
    """List labelled photographs.

    Args:
        name: A folder of class folders, a folder with a `labels.csv`, a table, an archive of such a
            folder, `hf:OWNER/NAME`, `digits` or `flowers102`. Write `./digits` for a folder that
            is called digits.
        class_names: JSON file of display names, in place of the source's own.
        data_dir: The folder that holds `flowers-102/`, or into which it is downloaded.
        cache_dir: The cache folder; archives are unpacked there.
        columns: The names of a table's columns.
        splits: Look for folders of splits in a folder. If false, each of its folders is a class.
        nested: See `scan.list_folder`. If the source has no nested folders, a note says that this
            has no effect.

    Returns:
        The photographs; none has been opened yet.

    Raises:
        ConnectionError: The data set is missing and cannot be downloaded.
        FileNotFoundError: There is no such source, or no such names file.
        ValueError: `flowers102` is incomplete; or see `list_folder`, `list_table` and `unpack`.
    """
    path = Path(name)
    if name == FLOWERS:
        listing = list_flowers102(data_dir, class_names)
    elif name == DIGITS:
        listing = list_digits(cache_dir, class_names)
    elif name.startswith(HUB):
        from model.photographs.hub_data import list_hub

        listing = list_hub(
            name, columns=columns, class_names=class_names, cache_dir=cache_dir, nested=nested
        )
    elif path.is_dir():
        listing = _list_folder(path, columns, class_names, splits, nested)
    elif is_table(path):
        listing = list_table(path, columns=columns, class_names=class_names)
    elif is_archive(path):
        folder, notes = unpack(path, cache_dir)
        listing = _list_folder(folder, columns, class_names, True, nested)
        _require_inside(path, folder, listing)
        listing = replace(listing, name=name, notes=[*notes, *listing.notes])
    else:
        raise _not_there(name)
    if nested and not listing.parents:
        note = f"--nested has no effect on {name}: no folder in it holds folders of photographs."
        return replace(listing, notes=[*listing.notes, note])
    return listing


def list_unlabelled(
    name: str | Path, *, data_dir: Path, cache_dir: Path, columns: Columns = DEFAULT_COLUMNS
) -> Listing:
    """List photographs and ignore their labels.

    Args:
        name: See `list_source`. A folder or archive may have any layout, and a table needs only the
            column of paths.
        data_dir: See `list_source`.
        cache_dir: See `list_source`.
        columns: See `list_source`.

    Returns:
        The photographs; every class id, split and group is "".

    Raises:
        ConnectionError: See `list_source`.
        FileNotFoundError: There is no such source.
        ValueError: See `list_source`.
    """
    path = Path(name)
    if str(name) in (FLOWERS, DIGITS) or str(name).startswith(HUB):
        listing = list_source(str(name), data_dir=data_dir, cache_dir=cache_dir, columns=columns)
    elif path.is_dir():
        listing = list_files(path)
    elif is_table(path):
        listing = list_table(path, columns=columns, labelled=False)
    elif is_archive(path):
        folder, notes = unpack(path, cache_dir)
        listing = replace(list_files(folder), name=str(name), notes=notes)
    else:
        raise _not_there(str(name))
    entries = [entry._replace(class_id="", split="", group="") for entry in listing.entries]
    return replace(listing, entries=entries, names={})


def _not_there(name: str) -> FileNotFoundError:
    return FileNotFoundError(
        f"{name} is not a folder, a table ({', '.join(cells.ENDINGS)}), an archive "
        f"({', '.join(archives.ENDINGS)}), a data set on the Hugging Face Hub ({HUB}OWNER/NAME), "
        f"'{DIGITS}' or '{FLOWERS}'."
    )


def _list_folder(
    folder: Path, columns: Columns, class_names: Path | None, splits: bool, nested: bool
) -> Listing:
    """List a folder by the table in it, or else by its class folders."""
    table = next((folder / name for name in LABEL_FILES if (folder / name).is_file()), None)
    if table is None:
        return list_folder(folder, class_names=class_names, splits=splits, nested=nested)
    try:
        flaw = missing_columns(table, columns)
    except ValueError as error:
        flaw = str(error)
    if flaw and (len(class_folders(folder)) > 1 or split_folders(folder)):
        listing = list_folder(folder, class_names=class_names, splits=splits, nested=nested)
        return replace(listing, notes=[f"{table.name} is not used: {flaw}", *listing.notes])
    listing = list_table(table, columns=columns, class_names=class_names)
    known = {absolute(file.path) for file in (*listing.entries, *listing.skipped)}
    unlisted = sum(is_photograph(p) and absolute(p) not in known for p in walk(folder))
    notes = list(listing.notes)
    if unlisted:
        what, verb = ("photograph", "is") if unlisted == 1 else ("photographs", "are")
        notes.append(
            f"{unlisted:,} {what} in {folder} {verb} not in {table.name} and {verb} left out."
        )
    return replace(listing, name=str(folder), notes=notes)


def _require_inside(archive: Path, folder: Path, listing: Listing) -> None:
    """Make sure that the table in an archive lists only files of that archive."""
    root = absolute(folder)
    for entry in listing.entries:
        if not absolute(entry.path).is_relative_to(root):
            raise ValueError(
                f"The table in {archive} lists {entry.path}, which is not in the archive. "
                "Remove that row, or unpack the archive and use its folder."
            )
