"""Where Frostflower keeps what it need not compute again, and its progress bar."""

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
"""End of the names of temporary folders that hold more than can be made again."""

_ABANDONED_SECONDS = 24 * 3600  # for files of other machines, whose processes cannot be asked for


def default_cache_dir() -> Path:
    """Return the folder used without `--cache-dir`: `frostflower` in the user's cache folder."""
    return Path(platformdirs.user_cache_dir("frostflower", appauthor=False))


def default_workers() -> int:
    """Return how many threads decode and compute: the cores this process may use, 16 at most."""
    if hasattr(os, "sched_getaffinity"):
        return min(16, len(os.sched_getaffinity(0)))
    return min(16, os.cpu_count() or 1)


def progress_bar(total: int, title: str, done: int = 0) -> tqdm:
    """Start a progress bar on stderr with images/s and time left.

    Args:
        total: Number of photographs.
        title: What is done to them.
        done: How many are done already; they do not count for the speed.

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
    """Return what the name of a cache file ends with: its CRC-32, 8 hexadecimal digits.

    A disk may give back other bytes than were written. 3 GB are summed up in a second.
    """
    return f"{zlib.crc32(content):08x}"


def _mark() -> str:
    """Begin the names of this process's temporary files: whose they are, on which machine."""
    machine = zlib.crc32(socket.gethostname().encode())
    return f"{_TEMPORARY}{machine:08x}.{os.getpid()}-"


def _is_abandoned(path: Path) -> bool:
    """Tell whether no process is there any more that would move or remove a temporary file."""
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
    """Find what killed processes have left in a folder: files and folders of the two below.

    Args:
        folder: The folder; its folders are not searched.
        suffix: End of the names.
    """
    return [path for path in folder.glob(f"{_TEMPORARY}*{suffix}") if _is_abandoned(path)]


def sweep(folder: Path) -> None:
    """Remove what killed processes have left in a folder, but for what is to be kept.

    Args:
        folder: As `abandoned`.
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
    """Name what a block writes in the system's errors; those of a full disk name nothing.

    Args:
        path: What is written.
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
        parent: Where to make it; it is swept.
        name: Ends the folder's name; where that ends with `KEPT`, no later run removes it.

    Yields:
        The folder.
    """
    sweep(parent)
    with tempfile.TemporaryDirectory(prefix=_mark(), suffix=name, dir=parent) as folder:
        yield Path(folder)


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` and move it there when the block ends well.

    Args:
        path: The file to write; its folder is made, and swept.

    Yields:
        The temporary path. After an error it is removed and `path` is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path.parent)
    handle, name = tempfile.mkstemp(prefix=_mark(), suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        with named_errors(path):
            yield temporary
        temporary.chmod(0o644)  # mkstemp's files are its owner's only
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
