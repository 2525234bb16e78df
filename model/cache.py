"""Where Frostflower keeps what it need not compute again, and its progress bar."""

import contextlib
import os
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
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


def write_rows(database: sqlite3.Connection, insert: str, rows: Sequence[tuple]) -> None:
    """Write rows in one transaction, all or none.

    Args:
        database: From `open_database`.
        insert: The statement.
        rows: Its values.

    Raises:
        OSError: The list cannot be written, as when the disk is full.
    """
    try:
        database.execute("BEGIN IMMEDIATE")
        database.executemany(insert, rows)
        database.execute("COMMIT")
    except sqlite3.Error as error:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise OSError(
            f"The cache cannot be written ({error}). Make room there, or give another --cache-dir."
        ) from error


class FileDigests:
    """Content hashes of files, by path: a file whose size and times are the same is not read again.

    A file that was written less than two seconds before it was read is not remembered: it might be
    written once more within the clock's grain, and look the same.
    """

    def __init__(self, cache_dir: Path) -> None:
        """Open the list.

        Args:
            cache_dir: The cache folder.
        """
        columns = "file (path BLOB PRIMARY KEY, size INT, mtime INT, ctime INT, digest BLOB)"
        self._database = open_database(cache_dir / "file-digests.sqlite", columns)
        self._new: list[tuple[bytes, int, int, int, bytes]] = []

    @staticmethod
    def _stamp(path: Path) -> tuple[bytes, int, int, int]:
        status = path.stat()
        name = os.fsencode(os.path.abspath(path))  # noqa: PTH100 (links are to stay as they are)
        return name, status.st_size, status.st_mtime_ns, status.st_ctime_ns

    def find(self, paths: Sequence[Path]) -> dict[Path, str]:
        """Return the SHA-256 (hexadecimal) of those files that are remembered and unchanged.

        Args:
            paths: Some thousand at most.
        """
        stamps = {}
        for path in paths:
            with contextlib.suppress(OSError):  # whoever reads it will say so
                stamps[path] = self._stamp(path)
        marks = ",".join("?" * len(stamps))
        rows = self._database.execute(
            f"SELECT path, size, mtime, ctime, digest FROM file WHERE path IN ({marks})",
            [name for name, *_ in stamps.values()],
        )
        known = {(name, *times): digest.hex() for name, *times, digest in rows}
        return {path: known[stamp] for path, stamp in stamps.items() if stamp in known}

    def add(self, path: Path, digest: str) -> None:
        """Remember a file that was read just now; `save` writes it."""
        with contextlib.suppress(OSError):
            stamp = self._stamp(path)
            if max(stamp[2:]) < time.time_ns() - 2 * 10**9:
                self._new.append((*stamp, bytes.fromhex(digest)))

    def save(self) -> None:
        """Write what was added, in one transaction."""
        if self._new:
            rows, self._new = self._new, []
            write_rows(self._database, "INSERT OR REPLACE INTO file VALUES (?, ?, ?, ?, ?)", rows)

    def close(self) -> None:
        """Write what was added and close the list."""
        self.save()
        self._database.close()


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
                rows, self._new = self._new, []
                write_rows(self._database, "INSERT OR IGNORE INTO sound VALUES (?)", rows)
                self._known.update(row[0] for row in rows)

    def close(self) -> None:
        """Write what was added and close the list."""
        self.save()
        self._database.close()
