"""A data set on the Hugging Face Hub: its name, its commit, and downloading its files."""

import json
import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from model import hub
from model.cache import atomic_path
from model.hub import COMMIT, REPOSITORY, REVISION, HubError, explained
from model.photographs.layout import is_junk, split_of

MAX_FILES = 2_000_000
"""Most files, or photographs in Parquet files, that a data set may have."""

SPARE_BYTES = 1_000_000_000
"""Bytes of the disk that downloads and unpacked photographs leave free."""

_NAME = re.compile(rf"hf:({REPOSITORY})(?:@({REVISION}))?(?::([\w./-]+))?")


@dataclass(frozen=True)
class Found:
    """A data set at one commit.

    Attributes:
        name: The name that was asked for.
        repo: `USER/NAME`.
        commit: The full commit hash.
        split: The split asked for; "" for all.
        place: The folder in the cache for this commit.
        files: Path in the repository -> bytes, for the files that are not hidden.
        unreachable: Why nothing can be downloaded; None if the Hub can be reached.
    """

    name: str
    repo: str
    commit: str
    split: str
    place: Path
    files: dict[str, int]
    unreachable: HubError | None


def parse(name: str) -> tuple[str, str, str]:
    """Split a name into its parts.

    Args:
        name: `hf:USER/NAME[@REVISION][:SPLIT]`.

    Returns:
        The repository, the revision ("main" where none is given) and the split ("" for all).

    Raises:
        ValueError: The name is malformed.
    """
    if not (parts := _NAME.fullmatch(name)):
        raise ValueError(
            f"'{name}' does not name a data set on the Hugging Face Hub. Expected "
            "hf:USER/NAME[@REVISION][:SPLIT], such as hf:alice/roses or hf:alice/roses@v1:train."
        )
    return parts[1], parts[2] or "main", parts[3] or ""


def pointer(home: Path, revision: str) -> Path:
    """Return the file that records the commit a revision had when it was last looked up.

    Args:
        home: The folder in the cache for the repository.
        revision: A branch, a tag or a commit.
    """
    return home / "revisions" / quote(revision, safe="")


def resolve(repo: str, revision: str, home: Path) -> tuple[str, str, HubError | None]:
    """Find the commit of a revision, from the Hub or the cache.

    Args:
        repo: `USER/NAME`.
        revision: A branch, a tag or a commit.
        home: The folder in the cache for the repository.

    Returns:
        The full commit hash; a note if it may not be the newest, else ""; and the reason if the
        Hub cannot be reached, else None.

    Raises:
        HubError: The Hub has no such data set, or cannot be reached and nothing is cached.
    """
    from huggingface_hub import constants

    kept = pointer(home, revision)
    pinned = COMMIT.fullmatch(revision) is not None
    cached = revision if pinned else kept.read_text() if kept.is_file() else ""
    is_known = bool(cached) and (home / cached / "files.json").is_file()
    if constants.HF_HUB_OFFLINE:
        error = HubError(
            f"{repo}@{revision} is not in the cache. Unset HF_HUB_OFFLINE to download it."
        )
        if not is_known:
            raise error
        note = "" if pinned else f"HF_HUB_OFFLINE is set: using {repo} as last cached, {cached}."
        return cached, note, error
    if is_known and pinned:
        return cached, "", None
    try:
        return hub.resolve(repo, revision, kind="dataset"), "", None
    except HubError as error:
        if 0 < error.status < 500 or not is_known:
            raise
        return cached, f"{error} Using {repo} as last cached, {cached}.", error


def files(repo: str, commit: str, kept: Path) -> dict[str, int]:
    """List the files of a commit that are not hidden.

    Args:
        repo: `USER/NAME`.
        commit: The full commit hash.
        kept: The file in the cache that keeps the list; it is written if it does not exist.

    Returns:
        Path in the repository -> bytes.

    Raises:
        HubError: The Hub cannot be reached and the list is not cached.
        ValueError: There are more than `MAX_FILES`.
    """
    if not kept.is_file():
        listed = hub.list_files(repo, commit, kind="dataset", most=MAX_FILES)
        with atomic_path(kept) as path:
            path.write_text(json.dumps(listed), encoding="utf-8")
    sizes: dict[str, int] = json.loads(kept.read_text(encoding="utf-8"))
    return {path: size for path, size in sizes.items() if not any(map(is_junk, path.split("/")))}


def choose_split(found: Found, there: Iterable[str]) -> str:
    """Find the requested split among those of a data set, allowing other words for it.

    Args:
        found: The data set, with the requested split.
        there: The splits that it has.

    Raises:
        ValueError: The data set has no such split.
    """
    names = sorted(there)
    alike = [name for name in names if split_of(name) and split_of(name) == split_of(found.split)]
    if found.split in names:
        return found.split
    if len(alike) == 1:
        return alike[0]
    raise ValueError(
        f"{found.name}: there is no split '{found.split}'. Splits: {', '.join(names) or 'none'}."
    )


def snapshot(found: Found, wanted: Sequence[str], patterns: Iterable[str]) -> Path:
    """Download the wanted files into the Hub's cache, and return their folder there.

    Args:
        found: The data set.
        wanted: Their paths in the repository.
        patterns: Patterns of `fnmatch` that match all of them.

    Raises:
        HubError: A file is not cached and cannot be downloaded.
        ValueError: The disk has too little room.
    """
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
        pass  # the cache lacks some of the files, so they are downloaded below
    if found.unreachable:
        raise found.unreachable
    needed = sum(found.files[path] for path in missing)
    require_room(found.name, Path(constants.HF_HUB_CACHE), needed)
    with explained(found.repo):
        folder = Path(HfApi().snapshot_download(found.repo, **which))
    if lost := [path for path in wanted if not (folder / path).is_file()]:
        raise HubError(f"{lost[0]} of {found.repo} was not downloaded. Repeat the command.")
    return folder


def require_room(name: str, folder: Path, needed: int) -> None:
    """Make sure that a disk has room for this many bytes and `SPARE_BYTES` more.

    Args:
        name: The data set that needs the room, for the message.
        folder: Where it will be written; the folder need not exist yet.
        needed: Bytes.

    Raises:
        ValueError: The disk has too little room.
    """
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if needed > free - SPARE_BYTES:
        raise ValueError(
            f"{name} needs {needed / 1e9:,.1f} GB in {folder}, where {free / 1e9:,.1f} GB are free "
            f"and {SPARE_BYTES / 1e9:.0f} GB must remain. Free some space, or use another "
            "--cache-dir or HF_HOME."
        )
