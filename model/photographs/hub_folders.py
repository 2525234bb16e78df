"""Folders of photographs in a data set on the Hugging Face Hub, and their tables of labels."""

import glob
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from model.photographs.cells import column_names
from model.photographs.class_names import CLASS_NAMES_FILE
from model.photographs.dataset import SPLITS, Listing
from model.photographs.hub_files import Found, choose_split, snapshot
from model.photographs.layout import absolute, split_of
from model.photographs.parents import Gathered
from model.photographs.scan import list_folder
from model.photographs.tables import Columns, list_table, missing_columns

_METADATA = "metadata.csv"
_BESIDE = ("README.md", "labels.csv", CLASS_NAMES_FILE)


def list_photographs(
    found: Found,
    photographs: Sequence[str],
    columns: Columns,
    class_names: Path | None,
    *,
    nested: bool = False,
) -> Listing:
    """Download photographs and list them by their tables of labels, or by their class folders.

    Args:
        found: The data set.
        photographs: Their paths in the repository.
        columns: The columns of a `metadata.csv` beside them.
        class_names: JSON file of display names, in place of the data set's own.
        nested: See `scan.list_folder`.

    Returns:
        The photographs; none has been opened yet.

    Raises:
        HubError: The photographs are not cached and cannot be downloaded.
        ValueError: The photographs have no labels, there is no such split, they do not fit on the
            disk, or a table lists files outside the data set.
    """
    root = _root(photographs)
    tables, flaws = _label_tables(found, photographs, root, columns)
    unused = [f"{_METADATA} is not used: {flaw}" for flaw in flaws]
    if tables:
        listing = _list_labelled(found, photographs, root, tables, columns, class_names)
        return replace(listing, notes=[*unused, *listing.notes])
    inner = [
        parts[len(root) :]
        for path in photographs
        if (parts := PurePosixPath(path).parts)[: len(root)] == root
    ]
    depths = [(parts, 1 if split_of(parts[0]) else 0) for parts in inner]
    classes = {parts[depth] for parts, depth in depths if len(parts) > depth + 1}
    if not classes or (flaws and len(classes) < 2):
        reason = flaws[0] if flaws else "Download it, and use its folder or its table of labels."
        raise ValueError(
            f"{found.name} holds {len(photographs):,} photographs and no class folders. {reason}"
        )
    below = root
    if found.split:
        splits = {parts[0] for parts, depth in depths if depth and len(parts) > 2}
        below = (*root, choose_split(found, splits))
    folder, names_file, wanted = _download(found, photographs, below, class_names)
    listing = list_folder(
        folder.joinpath(*below), class_names=names_file, splits=not found.split, nested=nested
    )
    notes = [*unused, *listing.notes]
    if not found.split and (left := len(photographs) - len(wanted)):
        notes.append(f"Photographs outside {'/'.join(below)}/ are left out ({left:,}).")
    return replace(listing, notes=notes)


def _root(photographs: Sequence[str]) -> tuple[str, ...]:
    """Return the parts of the folder that holds the class folders or the folders of the splits."""
    root: tuple[str, ...] = ()
    inner = [parts for path in photographs if len(parts := PurePosixPath(path).parts) > 1]
    while inner:
        heads = {parts[0] for parts in inner}
        head = "data" if "data" in heads else min(heads)
        below = [parts[1:] for parts in inner if parts[0] == head]
        deeper = [parts for parts in below if len(parts) > 1]
        is_only = head == "data" or len(heads) == 1
        if not is_only or split_of(head) or 2 * len(deeper) <= len(below):
            break  # this folder is one of several classes, a split, or the only class
        root, inner = (*root, head), deeper
    return root


def _download(
    found: Found, photographs: Sequence[str], below: tuple[str, ...], class_names: Path | None
) -> tuple[Path, Path | None, list[str]]:
    """Download the photographs below a folder; return their folder, the names file and notes."""
    start = "".join(f"{part}/" for part in below)
    wanted = [path for path in photographs if path.startswith(start)]
    endings = {PurePosixPath(path).suffix for path in wanted}
    tops = {"".join(f"{part}/" for part in below[:depth]) for depth in range(len(below) + 1)}
    beside = [path for top in tops for name in _BESIDE if (path := top + name) in found.files]
    patterns = [f"{glob.escape(start)}*{ending}" for ending in endings]
    folder = snapshot(found, [*wanted, *beside], [*patterns, *map(glob.escape, beside)])
    nearest = max((path for path in beside if path.endswith(CLASS_NAMES_FILE)), key=len, default="")
    return folder, class_names or (folder / nearest if nearest else None), wanted


def _label_tables(
    found: Found, photographs: Sequence[str], root: tuple[str, ...], columns: Columns
) -> tuple[dict[str, PurePosixPath], list[str]]:
    """Download the tables of labels: those of the splits, or the one that covers most photographs.

    Returns:
        Folder of the split, or "" -> its table; and why the other tables are not used.
    """
    tables: dict[str, PurePosixPath] = {}
    above = []
    for path in (path for path in map(PurePosixPath, found.files) if path.name == _METADATA):
        start = str(path).removesuffix(_METADATA)
        if 2 * sum(photograph.startswith(start) for photograph in photographs) > len(photographs):
            above.append(path)
        if path.parent.parts[:-1] == root and split_of(path.parent.name):
            tables[path.parent.name] = path
    if above and not tables:
        tables[""] = max(above, key=lambda path: len(path.parts))
    if not tables:
        return {}, []
    wanted = [str(path) for path in tables.values()]
    folder = snapshot(found, wanted, map(glob.escape, wanted))
    flaws = {split: _flaw(folder / path, columns) for split, path in tables.items()}
    usable = {split: path for split, path in tables.items() if not flaws[split]}
    return usable, [flaw for flaw in flaws.values() if flaw]


def _flaw(table: Path, columns: Columns) -> str:
    """Say why a table cannot be used as a table of labels."""
    try:
        return missing_columns(table, _named(table, columns))
    except ValueError as error:
        return str(error)


def _named(table: Path, columns: Columns) -> Columns:
    """Return the column names of a table; on the Hub, the path is usually in `file_name`."""
    return columns if columns.path in column_names(table) else replace(columns, path="file_name")


def _list_labelled(
    found: Found,
    photographs: Sequence[str],
    root: tuple[str, ...],
    tables: dict[str, PurePosixPath],
    columns: Columns,
    class_names: Path | None,
) -> Listing:
    """Download photographs and list them by their tables of labels."""
    asked = ""
    if found.split and "" not in tables:
        asked = choose_split(found, tables)
        tables = {asked: tables[asked]}
    below = next(iter(tables.values())).parent.parts if len(tables) == 1 else root
    folder, names_file, _ = _download(found, photographs, below, class_names)
    listings = []
    for path in tables.values():
        named = _named(folder / path, columns)
        listing = list_table(folder / path, columns=named, class_names=names_file)
        listings.append(_with_splits(found, path, listing, absolute(folder), root))
    listing = merged(found, folder, listings)
    if found.split:
        asked = asked or choose_split(found, {entry.split for entry in listing.entries} - {""})
        chosen = [entry for entry in listing.entries if entry.split == split_of(asked)]
        return replace(listing, entries=[entry._replace(split="") for entry in chosen])
    known = {absolute(file.path) for file in (*listing.entries, *listing.skipped)}
    if left := sum(absolute(folder / path) not in known for path in photographs):
        listing.notes.append(f"Photographs that are not in {_METADATA} are left out ({left:,}).")
    return listing


def _with_splits(
    found: Found, table: PurePosixPath, listing: Listing, folder: Path, root: tuple[str, ...]
) -> Listing:
    """Refuse files outside the data set; if the table has no splits, use those of the folders."""
    splits = []
    for entry in listing.entries:
        if not (path := absolute(entry.path)).is_relative_to(folder):
            raise ValueError(
                f"{table} of {found.name} lists {path}, which is not in the data set. Download "
                "the data set, and correct or remove that row."
            )
        below_root = path.parent.relative_to(folder).parts[len(root) :]
        splits.append(split_of("".join(below_root[:1])) or "")
    if any(entry.split for entry in listing.entries) or not all(splits):
        return listing
    pairs = zip(listing.entries, splits, strict=True)
    return replace(listing, entries=[entry._replace(split=split) for entry, split in pairs])


def merged(found: Found, folder: Path, listings: Sequence[Listing]) -> Listing:
    """Merge the listings of the splits.

    Args:
        found: The data set.
        folder: The folder that holds all the photographs.
        listings: One listing per split.

    Returns:
        All photographs, sorted by split, class and path, and each note once.
    """
    entries = [entry for listing in listings for entry in listing.entries]
    entries.sort(key=lambda entry: (["", *SPLITS].index(entry.split), entry.class_id, entry.path))
    names = {key: name for listing in listings for key, name in listing.names.items()}
    skipped = [skipped for listing in listings for skipped in listing.skipped]
    notes = dict.fromkeys(note for listing in listings for note in listing.notes)
    parents = Gathered("Keep one of them.")
    for listing in listings:
        for class_id, above in listing.parents.items():
            parents.add(class_id, above, f"in {listing.name}")
    return Listing(
        found.name, folder, entries, names, skipped, list(notes), parents=parents.with_any()
    )
