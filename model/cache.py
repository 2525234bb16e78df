"""Where Frostflower keeps what it need not compute again, and its progress bar."""

import contextlib
import os
import sqlite3
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import platformdirs
from tqdm import tqdm


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


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` and move it there when the block ends well.

    Args:
        path: The file to write; its folder is made.

    Yields:
        The temporary path. After an error it is removed and `path` is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)  # mkstemp's files are its owner's only
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def open_database(path: Path, table: str) -> sqlite3.Connection:
    """Open a list that only saves time: a damaged one is made anew.

    Args:
        path: The file; its folder is made.
        table: Name and columns of its one table.

    Returns:
        The connection, for several threads that keep a lock of their own.

    Raises:
        OSError: It is locked, or cannot be written.
    """

    def connect() -> sqlite3.Connection:
        database = sqlite3.connect(path, timeout=60, check_same_thread=False, isolation_level=None)
        database.execute(f"CREATE TABLE IF NOT EXISTS {table}")
        return database

    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return connect()
    except sqlite3.OperationalError as error:  # locked or not writable: not the list's fault
        raise OSError(f"{path} cannot be used ({error}). Give another --cache-dir.") from error
    except sqlite3.DatabaseError:
        path.unlink()
        return connect()


class SoundFiles:
    """Content hashes of files that were decoded without an error, and need no second check.

    Files that failed are not remembered: they are few, and the next version may read them.
    """

    def __init__(self, cache_dir: Path, decoder_version: int) -> None:
        """Open the list.

        Args:
            cache_dir: The cache folder.
            decoder_version: Version of the decoder that checks; another version starts anew.
        """
        self._lock = threading.Lock()
        path = cache_dir / f"sound-files-{decoder_version}.sqlite"
        self._database = open_database(path, "sound (digest BLOB PRIMARY KEY)")
        rows = self._database.execute("SELECT digest FROM sound")
        self._known: set[bytes] = {row[0] for row in rows}
        self._new: list[tuple[bytes]] = []

    def __contains__(self, digest: str) -> bool:
        """Tell whether the file with this SHA-256 (hexadecimal) is known to be sound."""
        return bytes.fromhex(digest)[:16] in self._known

    def add(self, digest: str) -> None:
        """Remember a sound file; `save` writes it."""
        with self._lock:
            self._new.append((bytes.fromhex(digest)[:16],))

    def save(self) -> None:
        """Write what was added, in one transaction."""
        with self._lock:
            if self._new:
                self._database.execute("BEGIN IMMEDIATE")
                self._database.executemany("INSERT OR IGNORE INTO sound VALUES (?)", self._new)
                self._database.execute("COMMIT")
                self._known.update(row[0] for row in self._new)
                self._new = []

    def close(self) -> None:
        """Write what was added and close the list."""
        self.save()
        self._database.close()
