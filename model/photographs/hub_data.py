"""Data sets of the Hugging Face Hub: folders of photographs, or Parquet files that hold them.

Nothing that comes with a data set is executed, so one that needs a loading script is refused.
"""

import glob
import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from model.cache import atomic_path, checksum
from model.hub import COMMIT, REPOSITORY, REVISION, HubError, explained, list_files, resolve
from model.photographs import hub_parquet, images
from model.photographs.cells import column_names
from model.photographs.class_names import CLASS_NAMES_FILE, read_class_names
from model.photographs.dataset import SPLITS, Entry, Listing
from model.photographs.layout import absolute, is_junk, split_of
from model.photographs.scan import list_folder
from model.photographs.tables import Columns, list_table, missing_columns

MAX_FILES = 2_000_000
"""Files, or photographs in Parquet files, that a data set may have."""

_NAME = re.compile(rf"hf:({REPOSITORY})(?:@({REVISION}))?(?::([\w./-]+))?")
_METADATA = "metadata.csv"
_BESIDE = ("README.md", "labels.csv", CLASS_NAMES_FILE)


@dataclass(frozen=True)
class _Found:
    """A data set at one commit.

    Attributes:
        name: As it was asked for.
        repo: `USER/NAME`.
        commit: The full commit hash.
        split: The split asked for; "" for all.
        place: The folder in the cache for this commit.
        files: Path in the repository -> bytes, of the files that are not hidden.
        unreachable: Why nothing can be downloaded, or None.
    """

    name: str
    repo: str
    commit: str
    split: str
    place: Path
    files: dict[str, int]
    unreachable: HubError | None


def list_hub(name: str, *, columns: Columns, class_names: Path | None, cache_dir: Path) -> Listing:
    """List a data set of the Hugging Face Hub, downloading it if need be.

    A name is resolved to a commit by one request of at most `hub.TIMEOUT` seconds; a full commit
    hash that is cached needs none. When the Hub cannot be reached, what was cached last is used and
    a note says so. Photographs in Parquet files are written into the cache once, and are read from
    there from then on.

    Args:
        name: `hf:USER/NAME[@REVISION][:SPLIT]`; with a split, its photographs alone are listed,
            and belong to no split. Where they have a folder or files of their own, nothing else
            is downloaded.
        columns: The columns of Parquet files, or of a `metadata.csv` beside the photographs.
        class_names: JSON file of display names, in place of the data set's own.
        cache_dir: The cache folder.

    Returns:
        The photographs; none has been opened.

    Raises:
        FileNotFoundError: The names file does not exist.
        HubError: The Hub has no such data set, or cannot be reached and nothing is cached.
        ValueError: The name is malformed, the data set has no such split, no photographs that can
            be read, no labels, no such column or more than fits, or pyarrow is not installed.
    """
    repo, revision, split = _parse(name)
    names = read_class_names(class_names) if class_names else {}
    home = cache_dir / "datasets" / "hub" / repo.replace("/", "--")
    commit, note, unreachable = _resolve(repo, revision, home)
    place = home / commit
    files = _files(repo, commit, place / "files.json")
    found = _Found(name, repo, commit, split, place, files, unreachable)
    photographs = [path for path in files if Path(path).suffix.lower() in images.SUFFIXES]
    tables = [path for path in files if path.endswith(".parquet")]
    if not photographs and not tables:
        raise ValueError(_holds_neither(found))
    if sum(files[path] for path in tables) > sum(files[path] for path in photographs):
        listing = replace(_list_tables(found, tables, columns), names=names)
    else:
        listing = _list_photographs(found, photographs, columns, class_names)
    if not listing.entries:
        why = f": {listing.skipped[0].path} {listing.skipped[0].reason}" if listing.skipped else ""
        raise ValueError(f"{name} has no usable photographs{why}.")
    with atomic_path(_pointer(home, revision)) as path:
        path.write_text(commit)
    if not note and revision != commit:
        again = f"hf:{repo}@{commit}{f':{split}' if split else ''}"
        note = f"{repo} is at {commit}. The same again: {again}"
    notes = [*([note] if note else []), *listing.notes]
    return replace(listing, name=name, notes=notes)


def _parse(name: str) -> tuple[str, str, str]:
    """Take a name apart into repository, revision and split."""
    if not (parts := _NAME.fullmatch(name)):
        raise ValueError(
            f"'{name}' is no data set on the Hugging Face Hub. Expected "
            "hf:USER/NAME[@REVISION][:SPLIT], such as hf:alice/roses or hf:alice/roses@v1:train."
        )
    return parts[1], parts[2] or "main", parts[3] or ""


def _pointer(home: Path, revision: str) -> Path:
    """Return the file that keeps which commit a revision was at when it was read last."""
    return home / "revisions" / quote(revision, safe="")


def _resolve(repo: str, revision: str, home: Path) -> tuple[str, str, HubError | None]:
    """Return a commit, a note where it may not be the newest, and why the Hub is out of reach."""
    from huggingface_hub import constants

    pointer = _pointer(home, revision)
    pinned = COMMIT.fullmatch(revision) is not None
    cached = revision if pinned else pointer.read_text() if pointer.is_file() else ""
    is_known = bool(cached) and (home / cached / "files.json").is_file()
    if constants.HF_HUB_OFFLINE:
        error = HubError(
            f"{repo}@{revision} is not in the cache. Unset HF_HUB_OFFLINE to fetch it."
        )
        if not is_known:
            raise error
        note = "" if pinned else f"HF_HUB_OFFLINE: {repo} as it was cached last, {cached}."
        return cached, note, error
    if is_known and pinned:
        return cached, "", None
    try:
        return resolve(repo, revision, kind="dataset"), "", None
    except HubError as error:
        if 0 < error.status < 500 or not is_known:
            raise
        return cached, f"{error} Using {repo} as it was cached last, {cached}.", error


def _files(repo: str, commit: str, kept: Path) -> dict[str, int]:
    """List the files of a commit that are not hidden, from the cache or the Hub."""
    if not kept.is_file():
        listed = list_files(repo, commit, kind="dataset", most=MAX_FILES)
        with atomic_path(kept) as path:
            path.write_text(json.dumps(listed), encoding="utf-8")
    files: dict[str, int] = json.loads(kept.read_text(encoding="utf-8"))
    return {path: size for path, size in files.items() if not any(map(is_junk, path.split("/")))}


def _holds_neither(found: _Found) -> str:
    endings = Counter(Path(path).suffix or "no ending" for path in found.files)
    held = ", ".join(f"{count:,} x {ending}" for ending, count in endings.most_common(5))
    return (
        f"{found.name} holds neither photographs nor Parquet files, but {held or 'no files'}. "
        "Archives are not unpacked and loading scripts are not run: download it, make a folder "
        "with one folder of photographs a class of it, and give that."
    )


def _choose_split(found: _Found, there: Iterable[str]) -> str:
    """Return the split that is asked for by its own name, or by another name for it."""
    names = sorted(there)
    alike = [name for name in names if split_of(name) and split_of(name) == split_of(found.split)]
    if found.split in names:
        return found.split
    if len(alike) == 1:
        return alike[0]
    raise ValueError(
        f"{found.name}: there is no split '{found.split}'. There are: {', '.join(names) or 'none'}."
    )


def _snapshot(found: _Found, wanted: Sequence[str], patterns: Iterable[str]) -> Path:
    """Return the folder of the Hub's cache that holds the wanted files, downloading them first."""
    from huggingface_hub import HfApi, constants, snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    which: dict[str, Any] = {"repo_type": "dataset", "revision": found.commit}
    which["allow_patterns"] = sorted(patterns)
    missing = list(wanted)
    try:
        folder = Path(snapshot_download(found.repo, local_files_only=True, **which))
        missing = [path for path in wanted if not (folder / path).is_file()]
        if not missing:
            return folder
    except LocalEntryNotFoundError:
        pass  # nothing of it is cached, or not all
    if found.unreachable:
        raise found.unreachable
    needed = sum(found.files[path] for path in missing)
    hub_parquet.require_room(found.name, Path(constants.HF_HUB_CACHE), needed)
    with explained(found.repo):
        folder = Path(HfApi().snapshot_download(found.repo, **which))
    if lost := [path for path in wanted if not (folder / path).is_file()]:
        raise HubError(f"{lost[0]} of {found.repo} was not downloaded. Repeat the command.")
    return folder


def _root(photographs: Sequence[str]) -> tuple[str, ...]:
    """Return the folder, as its parts, that holds the class folders or those of the splits."""
    root: tuple[str, ...] = ()
    inner = [parts for path in photographs if len(parts := PurePosixPath(path).parts) > 1]
    while inner:
        heads = {parts[0] for parts in inner}
        head = "data" if "data" in heads else min(heads)
        below = [parts[1:] for parts in inner if parts[0] == head]
        deeper = [parts for parts in below if len(parts) > 1]
        is_only = head == "data" or len(heads) == 1
        if not is_only or split_of(head) or 2 * len(deeper) <= len(below):
            break  # it is one of several classes, a split, or a class itself
        root, inner = (*root, head), deeper
    return root


def _list_photographs(
    found: _Found, photographs: Sequence[str], columns: Columns, class_names: Path | None
) -> Listing:
    """Download photographs and list them by tables of labels, or by the class folders they are in."""
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
        reason = flaws[0] if flaws else "Download it, and give the folder or its table of labels."
        raise ValueError(
            f"{found.name} holds {len(photographs):,} photographs and no class folders. {reason}"
        )
    below = root
    if found.split:
        splits = {parts[0] for parts, depth in depths if depth and len(parts) > 2}
        below = (*root, _choose_split(found, splits))
    folder, names_file, wanted = _download(found, photographs, below, class_names)
    listing = list_folder(folder.joinpath(*below), class_names=names_file, splits=not found.split)
    notes = [*unused, *listing.notes]
    if not found.split and (left := len(photographs) - len(wanted)):
        notes.append(f"{left:,} photographs that are not in {'/'.join(below)}/ are left out.")
    return replace(listing, notes=notes)


def _download(
    found: _Found, photographs: Sequence[str], below: tuple[str, ...], class_names: Path | None
) -> tuple[Path, Path | None, list[str]]:
    """Download the photographs below a folder; return where, their names file, and which."""
    start = "".join(f"{part}/" for part in below)
    wanted = [path for path in photographs if path.startswith(start)]
    endings = {PurePosixPath(path).suffix for path in wanted}
    tops = {"".join(f"{part}/" for part in below[:depth]) for depth in range(len(below) + 1)}
    beside = [path for top in tops for name in _BESIDE if (path := top + name) in found.files]
    patterns = [f"{glob.escape(start)}*{ending}" for ending in endings]
    folder = _snapshot(found, [*wanted, *beside], [*patterns, *map(glob.escape, beside)])
    nearest = max((path for path in beside if path.endswith(CLASS_NAMES_FILE)), key=len, default="")
    return folder, class_names or (folder / nearest if nearest else None), wanted


def _label_tables(
    found: _Found, photographs: Sequence[str], root: tuple[str, ...], columns: Columns
) -> tuple[dict[str, PurePosixPath], list[str]]:
    """Download the tables of labels: those in the folders of splits, or one of most photographs.

    Returns:
        The split's folder, or "" -> its table; and why the other tables are not used.
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
    folder = _snapshot(found, wanted, map(glob.escape, wanted))
    flaws = {split: _flaw(folder / path, columns) for split, path in tables.items()}
    usable = {split: path for split, path in tables.items() if not flaws[split]}
    return usable, [flaw for flaw in flaws.values() if flaw]


def _flaw(table: Path, columns: Columns) -> str:
    """Say why a table is not one of labels."""
    try:
        return missing_columns(table, _named(table, columns))
    except ValueError as error:
        return str(error)


def _named(table: Path, columns: Columns) -> Columns:
    """Return what the columns of a table are called; on the Hub, paths are in `file_name`."""
    return columns if columns.path in column_names(table) else replace(columns, path="file_name")


def _list_labelled(
    found: _Found,
    photographs: Sequence[str],
    root: tuple[str, ...],
    tables: dict[str, PurePosixPath],
    columns: Columns,
    class_names: Path | None,
) -> Listing:
    """Download photographs and list them by their tables of labels."""
    asked = ""
    if found.split and "" not in tables:
        asked = _choose_split(found, tables)
        tables = {asked: tables[asked]}
    below = next(iter(tables.values())).parent.parts if len(tables) == 1 else root
    folder, names_file, _ = _download(found, photographs, below, class_names)
    listings = []
    for path in tables.values():
        named = _named(folder / path, columns)
        listing = list_table(folder / path, columns=named, class_names=names_file)
        _require_inside(found, path, folder, listing.entries)
        entries = _with_splits(listing.entries, folder.joinpath(*root))
        listings.append(replace(listing, entries=entries))
    listing = _merged(found, listings)
    if found.split:
        asked = asked or _choose_split(found, {entry.split for entry in listing.entries} - {""})
        chosen = [entry for entry in listing.entries if entry.split == split_of(asked)]
        return replace(listing, entries=[entry._replace(split="") for entry in chosen])
    known = {absolute(file.path) for file in (*listing.entries, *listing.skipped)}
    if left := sum(absolute(folder / path) not in known for path in photographs):
        listing.notes.append(f"{left:,} photographs are not in {_METADATA} and are left out.")
    return listing


def _require_inside(
    found: _Found, table: PurePosixPath, folder: Path, entries: Sequence[Entry]
) -> None:
    """Make sure that a table names none of this computer's other files."""
    for entry in entries:
        if not absolute(entry.path).is_relative_to(absolute(folder)):
            raise ValueError(
                f"{table} of {found.name} lists {entry.path}, which is not in the data set. "
                "Download it, and correct that row."
            )


def _with_splits(entries: list[Entry], folder: Path) -> list[Entry]:
    """Give photographs the splits whose folders they lie in, if all do and none has a split."""
    above = [
        absolute(entry.path).parent.relative_to(absolute(folder), walk_up=True).parts[:1]
        for entry in entries
    ]
    splits = [split_of(parts[0]) if parts else None for parts in above]
    if any(entry.split for entry in entries) or not all(splits):
        return entries
    return [entry._replace(split=split) for entry, split in zip(entries, splits, strict=True)]


def _merged(found: _Found, listings: Sequence[Listing]) -> Listing:
    """Put the listings of the splits together."""
    entries = [entry for listing in listings for entry in listing.entries]
    entries.sort(key=lambda entry: (["", *SPLITS].index(entry.split), entry.class_id, entry.path))
    names = {key: name for listing in listings for key, name in listing.names.items()}
    skipped = [skipped for listing in listings for skipped in listing.skipped]
    notes = dict.fromkeys(note for listing in listings for note in listing.notes)
    folder = found.place if len(listings) > 1 else listings[0].folder
    return Listing(found.name, folder, entries, names, skipped, list(notes))


def _list_tables(found: _Found, tables: Sequence[str], columns: Columns) -> Listing:
    """Download and unpack the Parquet files of the splits, and list what they hold."""
    shards = hub_parquet.shards_by_split(tables)
    if found.split:
        wanted = {_choose_split(found, shards): ""}
    elif len(shards) == 1:
        wanted = {split: split_of(split) or "" for split in shards}
    else:
        wanted = {split: named for split in shards if (named := split_of(split))}
        if len(set(wanted.values())) < max(1, len(wanted)):
            raise ValueError(
                f"{found.name} holds {', '.join(shards)}; which of them are train, valid and test "
                f"is not clear. Choose one: {found.name}:{next(iter(shards))}"
            )
    listings = []
    for split, named in wanted.items():
        is_known = bool(found.split or named)
        asked = replace(columns, split="") if is_known else columns
        folder = _unpacked(found, split, shards[split], asked)
        listings.append(hub_parquet.list_unpacked(folder, named))
    listing = _merged(found, listings)
    if left := [split for split in shards if split not in wanted and not found.split]:
        names = ", ".join(left)
        listing.notes.append(
            f"These splits are left out, as they are not train, valid or test: {names}."
        )
    return listing


def _unpacked(found: _Found, split: str, shards: Sequence[str], columns: Columns) -> Path:
    """Return the folder of a split's photographs; download and unpack them first."""
    asked = "\0".join((columns.path, columns.label, columns.split, columns.group))
    folder = found.place / f"{quote(split, safe='')}-{checksum(asked.encode())}"
    if hub_parquet.is_unpacked(folder):
        return folder
    hub_parquet.load_pyarrow(found.name)
    snapshot = _snapshot(found, shards, map(glob.escape, shards))
    needed = sum(found.files[path] for path in shards)
    hub_parquet.require_room(found.name, found.place, needed)
    files = {path: snapshot / path for path in shards}
    hub_parquet.unpack(found.name, files, columns, folder, MAX_FILES)
    return folder
