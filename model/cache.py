"""The cache folder, safe temporary files in it, and the progress bar."""

import contextlib
import errno
import math
import os
import shutil
import socket
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
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
    """Add a path to system errors raised in a block; the error of a full disk names none.

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


IN_MEMORY = 500_000_000
"""Arrays of more bytes than this are mapped from a temporary file instead of held in memory."""

BLOCK_VALUES = 2**24
"""The most values that are processed at a time: 64 MB of float32."""


def row_blocks(count: int, width: int) -> Iterator[slice]:
    """Divide the rows of a large array into blocks; a small array is one block.

    Args:
        count: Rows.
        width: Values in a row.

    Yields:
        Slices of rows, each with at most `BLOCK_VALUES` values, or of a single row if it has more.
    """
    rows = max(1, BLOCK_VALUES // max(1, width))
    for start in range(0, count, rows):
        yield slice(start, min(start + rows, count))


@dataclass(frozen=True)
class Scratch:
    """Makes arrays that may not fit in memory.

    Attributes:
        folder: Folder for the files of large arrays, such as the cache folder; None for the
            system's folder for temporary files.
        in_memory: Largest array, in bytes, that is held in memory.
    """

    folder: Path | None = None
    in_memory: int = IN_MEMORY

    def array(self, shape: tuple[int, ...], dtype: type[np.generic]) -> np.ndarray:
        """Make an array of zeros.

        Args:
            shape: Its shape.
            dtype: Its type.

        Returns:
            The array. A large array is mapped from a file without a name. The system can therefore
            reclaim its memory, and deletes the file together with the array, even if the process is
            killed.

        Raises:
            OSError: The disk has no room for the file.
        """
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if size <= self.in_memory:
            return np.zeros(shape, dtype)
        folder = self.folder or Path(tempfile.gettempdir())
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            try:
                _reserve(file.fileno(), size, folder)
            except OSError as error:
                raise OSError(
                    f"{folder} has no room for a temporary file of {size / 1e9:,.1f} GB "
                    f"({error.strerror}). Free disk space there, or give another --cache-dir."
                ) from error
            return np.memmap(file, dtype, "r+", shape=shape)

    def take(self, values: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Return the rows that a mask selects; if it selects all rows, nothing is copied.

        Args:
            values: `[N, ...]`.
            mask: bool `[N]`.

        Returns:
            The rows; a large copy is mapped from a file, as in `array`.

        Raises:
            OSError: The disk has no room for the file.
        """
        if mask.all():
            return values
        chosen = np.flatnonzero(mask)
        result = self.array((len(chosen), *values.shape[1:]), values.dtype.type)
        for rows in row_blocks(len(chosen), math.prod(values.shape[1:])):
            result[rows] = values[chosen[rows]]
        return result


def _reserve(file: int, size: int, folder: Path) -> None:
    """Give a file its size and reserve all its blocks on the disk.

    If the disk were full only later, the system would kill the process while it writes to the
    mapped file, so a full disk must be noticed here.
    """
    if shutil.disk_usage(folder).free < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if hasattr(os, "posix_fallocate"):  # macOS and Windows have none
        try:
            os.posix_fallocate(file, 0, size)
            return
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
                raise
            # This file system cannot reserve blocks, so the free space seen above has to do.
    os.truncate(file, size)
