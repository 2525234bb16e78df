"""Data sets on the Hugging Face Hub: folders of photographs, or Parquet files that hold them.

No code that comes with a data set is run, so one that needs a loading script is refused.
"""

import glob
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from model.cache import atomic_path, checksum
from model.photographs import hub_files, hub_parquet, images
from model.photographs.class_names import read_class_names
from model.photographs.dataset import Listing
from model.photographs.hub_files import Found, choose_split, snapshot
from model.photographs.hub_folders import list_photographs, merged
from model.photographs.layout import split_of
from model.photographs.tables import Columns


def list_hub(
    name: str,
    *,
    columns: Columns,
    class_names: Path | None,
    cache_dir: Path,
    nested: bool = False,
) -> Listing:
    """List a data set on the Hugging Face Hub, downloading it if needed.

    The name is resolved to a commit with one request of at most `hub.TIMEOUT` seconds; a cached
    full commit hash needs no request. If the Hub cannot be reached, the version cached last is used
    and a note says so. Photographs in Parquet files are written into the cache once, and later runs
    read them from there.

    Args:
        name: `hf:USER/NAME[@REVISION][:SPLIT]`. With a split, only its photographs are listed, and
            they have no split of their own. If that split has its own folder or files, nothing
            else is downloaded.
        columns: The columns of Parquet files, or of a `metadata.csv` beside the photographs.
        class_names: JSON file of display names, in place of the data set's own.
        cache_dir: The cache folder.
        nested: See `scan.list_folder`; only for data sets of folders.

    Returns:
        The photographs; none has been opened yet.

    Raises:
        FileNotFoundError: The names file does not exist.
        HubError: The Hub has no such data set, or cannot be reached and nothing is cached.
        ValueError: The name is malformed, the data set has no such split, no readable photographs,
            no labels or no such column, it does not fit on the disk, or pyarrow is not installed.
    """
    repo, revision, split = hub_files.parse(name)
    names = read_class_names(class_names) if class_names else {}
    home = cache_dir / "datasets" / "hub" / repo.replace("/", "--")
    commit, note, unreachable = hub_files.resolve(repo, revision, home)
    place = home / commit
    files = hub_files.files(repo, commit, place / "files.json")
    found = Found(name, repo, commit, split, place, files, unreachable)
    photographs = [path for path in files if Path(path).suffix.lower() in images.SUFFIXES]
    tables = [path for path in files if path.endswith(".parquet")]
    if not photographs and not tables:
        raise ValueError(_holds_neither(found))
    if sum(files[path] for path in tables) > sum(files[path] for path in photographs):
        listing = replace(_list_tables(found, tables, columns), names=names)
    else:
        listing = list_photographs(found, photographs, columns, class_names, nested=nested)
    if not listing.entries:
        why = f": {listing.skipped[0].path} {listing.skipped[0].reason}" if listing.skipped else ""
        raise ValueError(f"{name} has no usable photographs{why}.")
    with atomic_path(hub_files.pointer(home, revision)) as path:
        path.write_text(commit)
    if not note and revision != commit:
        again = f"hf:{repo}@{commit}{f':{split}' if split else ''}"
        note = f"{repo} is at commit {commit}. To use this version again: {again}"
    notes = [*([note] if note else []), *listing.notes]
    return replace(listing, name=name, notes=notes)


def _holds_neither(found: Found) -> str:
    endings = Counter(Path(path).suffix or "no ending" for path in found.files)
    held = ", ".join(f"{count:,} x {ending}" for ending, count in endings.most_common(5))
    return (
        f"{found.name} holds neither photographs nor Parquet files, but {held or 'no files'}. "
        "Archives are not unpacked and loading scripts are not run. Download it, put the "
        "photographs into one folder per class, and use that folder instead."
    )


def _list_tables(found: Found, tables: Sequence[str], columns: Columns) -> Listing:
    """Download and unpack the Parquet files of the splits, and list their photographs."""
    shards = hub_parquet.shards_by_split(tables)
    if found.split:
        wanted = {choose_split(found, shards): ""}
    elif len(shards) == 1:
        wanted = {split: split_of(split) or "" for split in shards}
    else:
        wanted = {split: named for split in shards if (named := split_of(split))}
        if len(set(wanted.values())) < max(1, len(wanted)):
            raise ValueError(
                f"{found.name} holds {', '.join(shards)}, and it is not clear which of them are "
                f"train, valid and test. Choose one: {found.name}:{next(iter(shards))}"
            )
    listings = []
    for split, named in wanted.items():
        is_known = bool(found.split or named)
        asked = replace(columns, split="") if is_known else columns
        folder = _unpacked(found, split, shards[split], asked)
        listings.append(hub_parquet.list_unpacked(folder, named))
    listing = merged(found, found.place, listings)
    if left := [split for split in shards if split not in wanted and not found.split]:
        names = ", ".join(left)
        listing.notes.append(
            f"These splits are left out, because they are not train, valid or test: {names}."
        )
    return listing


def _unpacked(found: Found, split: str, shards: Sequence[str], columns: Columns) -> Path:
    """Return the folder of a split's photographs, after downloading and unpacking them."""
    asked = "\0".join((columns.path, columns.label, columns.split, columns.group))
    folder = found.place / f"{quote(split, safe='')}-{checksum(asked.encode())}"
    if hub_parquet.is_unpacked(folder):
        return folder
    hub_parquet.load_pyarrow(found.name)
    downloaded = snapshot(found, shards, map(glob.escape, shards))
    needed = sum(found.files[path] for path in shards)
    hub_files.require_room(found.name, found.place, needed)
    files = {path: downloaded / path for path in shards}
    hub_parquet.unpack(found.name, files, columns, folder, hub_files.MAX_FILES)
    return folder
