"""The cache folder, safe temporary files in it, and the progress bar."""

import contextlib
import errno
import os
import shutil
import socket
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import platformdirs
from tqdm import tqdm

_TEMPORARY = ".frostflower-"
KEPT = ".saving"
"""Suffix of temporary folders whose content cannot be computed again, so it must be kept."""

_ABANDONED_SECONDS = 24 * 3600  # for files of other machines, whose processes cannot be checked


def default_cache_dir() -> Path:
    """Return the folder used without `--cache-dir`: `frostflower` in the user's cache folder."""
    return Path(platformdirs.user_cache_dir("frostflower", appauthor=False))


def default_workers() -> int:
    """Return how many threads decode and compute: the cores of this process, at most 16."""
    if hasattr(os, "sched_getaffinity"):
        return min(16, len(os.sched_getaffinity(0)))
    return min(16, os.cpu_count() or 1)


def progress_bar(total: int, title: str, done: int = 0) -> tqdm:
    """Start a progress bar on stderr with images/s and time left.

    Args:
        total: Number of photographs.
        title: What is being done to them.
        done: How many are already done; they do not count towards the speed.

    Returns:
        A tqdm bar. In a file or pipe it writes a line every 15 s instead of redrawing.
    """
    terminal = sys.stderr.isatty()
    return tqdm(
        total=total,
        desc=title,
        initial=done,
        unit="img",
        mininterval=0.3 if terminal else 15,
        dynamic_ncols=terminal,
        ascii=None if terminal else " .:#",
        file=sys.stderr,
    )


def checksum(content: bytes) -> str:
    """Return the CRC-32 with which a cache file's name ends, as 8 hexadecimal digits.

    A disk may return other bytes than were written. Checking 3 GB takes a second.
    """
    return f"{zlib.crc32(content):08x}"


def _mark() -> str:
    """Return the prefix of this process's temporary files; it names the machine and the process."""
    machine = zlib.crc32(socket.gethostname().encode())
    return f"{_TEMPORARY}{machine:08x}.{os.getpid()}-"


def _is_abandoned(path: Path) -> bool:
    """Return whether the process that would move or remove a temporary file no longer exists."""
    owner, _, _ = path.name.removeprefix(_TEMPORARY).partition("-")
    machine, _, process = owner.partition(".")
    try:
        if time.time() - path.stat().st_mtime > _ABANDONED_SECONDS:
            return True
        if os.name != "posix" or not _mark().startswith(f"{_TEMPORARY}{machine}."):
            return False
        os.kill(int(process), 0)
    except (ProcessLookupError, FileNotFoundError):
        return True
    except (PermissionError, ValueError):
        return False
    return False


def abandoned(folder: Path, suffix: str = "") -> list[Path]:
    """Find temporary files and folders that killed processes left in a folder.

    Args:
        folder: The folder to search, without its subfolders.
        suffix: The suffix of their names.
    """
    return [path for path in folder.glob(f"{_TEMPORARY}*{suffix}") if _is_abandoned(path)]


def sweep(folder: Path) -> None:
    """Remove what killed processes left in a folder, except folders that must be kept.

    Args:
        folder: See `abandoned`.
    """
    for path in abandoned(folder):
        if path.name.endswith(KEPT):
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def named_errors(path: Path) -> Iterator[None]:
    """Add a path to system errors raised in a block; an error of a full disk has none.

    Args:
        path: The file or folder that the block writes.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
            error.filename = str(path)
        raise


@contextlib.contextmanager
def temporary_folder(parent: Path, name: str = "") -> Iterator[Path]:
    """Yield a new hidden folder that is removed when the block ends, or by a later run.

    Args:
        parent: Where to create it; folders abandoned there are removed.
        name: Suffix of the folder's name; if it ends with `KEPT`, later runs do not remove it.

    Yields:
        The folder.
    """
    sweep(parent)
    with tempfile.TemporaryDirectory(prefix=_mark(), suffix=name, dir=parent) as folder:
        yield Path(folder)


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, and move it there if the block succeeds.

    Args:
        path: The file to write; its folder is created, and abandoned files there are removed.

    Yields:
        The temporary path. After an error it is removed, and `path` is unchanged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path.parent)
    handle, name = tempfile.mkstemp(prefix=_mark(), suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        with named_errors(path):
            yield temporary
        temporary.chmod(0o644)  # mkstemp lets only the owner read its files
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
