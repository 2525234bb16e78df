"""Parquet files that hold photographs: finds each file's split and writes its pictures as files.

Pictures are written unchanged and recognised by their first bytes; none is decoded here.
"""

import json
import re
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from model.cache import named_errors, temporary_folder
from model.photographs import images
from model.photographs.class_names import escaped, normal_form, require_name
from model.photographs.dataset import SPLITS, Entry, Listing, Skipped
from model.photographs.hub_columns import Chosen, choose_columns
from model.photographs.hub_files import require_room
from model.photographs.layout import split_of
from model.photographs.tables import DEFAULT_COLUMNS, Columns

_LISTING = "listing.json"
_BATCH = 16  # rows of a Parquet file in memory at a time, because a photograph may have 10 MB
_STARTS = {
    b"\xff\xd8\xff": ".jpg",
    b"\x89PNG\r\n\x1a\n": ".png",
    b"GIF8": ".gif",
    b"BM": ".bmp",
    **dict.fromkeys((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), ".tif"),
}
_BRANDS = {
    **dict.fromkeys((b"avif", b"avis"), ".avif"),
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1"), ".heic"),
}


def shards_by_split(paths: Iterable[str]) -> dict[str, list[str]]:
    """Group Parquet files by the split that their names suggest.

    Args:
        paths: Their paths in a data set.

    Returns:
        Split -> its files. Split names include the folders above them if those differ.
    """
    shards: dict[str, list[str]] = {}
    for path in sorted(paths):
        shards.setdefault(_split_in(path), []).append(path)
    if len({Path(split).parent for split in shards}) == 1:
        shards = {Path(split).name: files for split, files in shards.items()}
    return shards


def _split_in(path: str) -> str:
    """Return the split in a Parquet file's path, including the folders that distinguish it.

    `data/train-00000-of-00002.parquet` gives `data/train`, and `default/train/0000.parquet` gives
    `default/train`.
    """
    *above, file = PurePosixPath(path).with_suffix("").parts
    stem = re.sub(r"[-_.]?\d.*", "", file)
    if above and not split_of(stem) and (not stem or split_of(above[-1])):
        return "/".join(above)
    return "/".join([*above, stem])


def is_unpacked(folder: Path) -> bool:
    """Return whether `unpack` has written this folder."""
    return (folder / _LISTING).is_file()


def list_unpacked(folder: Path, split: str) -> Listing:
    """List the photographs that `unpack` has written.

    Args:
        folder: The folder.
        split: The split of all photographs; "" to use the split column, if one was read.

    Returns:
        The photographs in the order of their rows. A skipped row has the Parquet file and the row
        number as its path.
    """
    kept = json.loads((folder / _LISTING).read_text(encoding="utf-8"))
    entries = [Entry(folder / file, label, split or of, by) for file, label, of, by in kept["rows"]]
    skipped = [Skipped(Path(place), reason) for place, reason in kept["skipped"]]
    return Listing(str(folder), folder, entries, skipped=skipped, notes=kept["notes"])


def load_pyarrow(name: str) -> Any:
    """Return `pyarrow.parquet`.

    Args:
        name: The data set that needs it, for the message.

    Raises:
        ValueError: pyarrow is not installed.
    """
    try:
        return import_module("pyarrow.parquet")
    except ImportError:
        raise ValueError(
            f"{name} keeps its photographs in Parquet files, which need pyarrow. Install it: "
            "pip install pyarrow"
        ) from None


def unpack(name: str, shards: dict[str, Path], columns: Columns, folder: Path, most: int) -> None:
    """Write the photographs of Parquet files and a list of them into a new folder.

    Args:
        name: The data set, for messages.
        shards: Path in the data set -> the file.
        columns: The names of the columns; if its split is "", no split column is read.
        folder: The folder to write; it appears only when it is complete.
        most: The most photographs that it may hold.

    Raises:
        ValueError: A file cannot be read or lacks a column, a label is not allowed as a class
            name, a split is unknown, or there are too many photographs for the limit or the disk.
    """
    with temporary_folder(folder.parent) as temporary, named_errors(folder):
        (made := temporary / "made").mkdir()
        listing = _write_all(name, shards, columns, made, most)
        kept = {
            "rows": [(entry.path.as_posix(), *entry[1:4]) for entry in listing.entries],
            "skipped": [(path.as_posix(), reason) for path, reason in listing.skipped],
            "notes": listing.notes,
        }
        (made / _LISTING).write_text(json.dumps(kept), encoding="utf-8")
        try:
            made.replace(folder)
        except OSError:  # another process was faster
            if not is_unpacked(folder):
                raise


@contextmanager
def _reading(name: str, shard: str) -> Generator[None]:
    """Turn errors that pyarrow raises inside this context into one sentence with a remedy."""
    try:
        yield
    except Exception as error:  # pyarrow's errors have no other class in common
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(
            f"{shard} of {name} cannot be read as Parquet ({reason}). If its download was "
            "damaged, remove it from the cache of huggingface_hub and run the command again."
        ) from error


class _Row(NamedTuple):
    """The contents of a row; a missing value is empty."""

    picture: bytes
    label: str
    split: str
    group: str


def _write_all(
    name: str, shards: dict[str, Path], columns: Columns, folder: Path, most: int
) -> Listing:
    """Write the photographs of Parquet files into a folder, and list them by their paths there."""
    parquet = load_pyarrow(name)
    entries: list[Entry] = []
    skipped: list[Skipped] = []
    notes: dict[str, None] = {}
    labels: set[str] = set()
    for shard, path in shards.items():
        with _reading(name, shard):
            table = parquet.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20)
        with table:
            chosen = choose_columns(name, table.schema_arrow, columns)
            notes |= dict.fromkeys([chosen.note] if chosen.note else [])
            if len(entries) + table.metadata.num_rows > most:
                raise ValueError(f"{name} has more than {most:,} photographs, the limit.")
            for number, row in enumerate(_rows(name, shard, table, chosen)):
                if flaw := _flaw(row):
                    skipped.append(Skipped(Path(f"{shard}/row {number + 1}"), flaw))
                    continue
                if row.label not in labels:
                    require_name(row.label, f"{name}: the label")
                    labels.add(row.label)
                require_room(name, folder, len(row.picture))
                file = f"{len(entries) // 1000:04}/{len(entries):07}{_ending(row.picture)}"
                (folder / file).parent.mkdir(exist_ok=True)
                (folder / file).write_bytes(row.picture)
                entries.append(Entry(Path(file), row.label, row.split, row.group))
    entries, more = _with_splits(name, entries, columns)
    return Listing(name, folder, entries, skipped=skipped, notes=[*notes, *more])


def _with_splits(
    name: str, entries: list[Entry], columns: Columns
) -> tuple[list[Entry], list[str]]:
    """Turn the words in the split column into splits, or say why the column is not used."""
    words = {entry.split for entry in entries}
    splits = {word: split_of(word) or "" for word in words}
    entries = [entry._replace(split=splits[entry.split]) for entry in entries]
    if all(splits.values()) or words == {""}:
        return entries, []
    wrong = min(word for word in words if not splits[word])
    flaw = (
        f"'{escaped(wrong[:50])}' in the column '{escaped(columns.split)}', which is not one of "
        f"the splits {', '.join(SPLITS[:-1])} and {SPLITS[-1]}."
    )
    if columns.split != DEFAULT_COLUMNS.split:
        raise ValueError(f"{name} has {flaw} Name another column with --split-column.")
    entries = [entry._replace(split="") for entry in entries]
    return entries, [f"The column '{columns.split}' is not used: {name} has {flaw}"]


def _rows(name: str, shard: str, table: Any, chosen: Chosen) -> Iterator[_Row]:
    """Yield the rows of a Parquet file."""
    wanted = (chosen.picture, chosen.label, chosen.split, chosen.group)
    there = list(dict.fromkeys(column for column in wanted if column))
    batches = table.iter_batches(batch_size=_BATCH, columns=there)
    while True:
        with _reading(name, shard):
            if (batch := next(batches, None)) is None:
                return
            cells = {column: batch.column(column).to_pylist() for column in there}
        cells[""] = [None] * batch.num_rows
        for picture, value, *more in zip(*(cells[column] for column in wanted), strict=True):
            content = picture.get("bytes") if isinstance(picture, dict) else picture
            if chosen.names and isinstance(value, int):
                value = chosen.names[value] if 0 <= value < len(chosen.names) else None
            yield _Row(content or b"", _text(value), *map(_text, more))


def _text(value: object) -> str:
    return "" if value is None else normal_form(str(value).strip())


def _flaw(row: _Row) -> str:
    """Say why a row is left out; "" if it is not."""
    if not row.picture:
        return "holds no picture"
    if not _ending(row.picture):
        return f"is not one of {images.FORMATS_TEXT}"
    return "" if row.label else "has no label"


def _ending(content: bytes) -> str:
    """Return the file ending that fits a picture's first bytes; "" for an unknown format."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return ".webp"
    if content[4:8] == b"ftyp":
        return _BRANDS.get(content[8:12], "")
    return next((ending for start, ending in _STARTS.items() if content.startswith(start)), "")
