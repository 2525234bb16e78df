"""Results of earlier runs: content hashes, which contents can be decoded, and summaries."""

import contextlib
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from model.features.signatures import Summary
from model.photographs.exif import Shot

Stamp = tuple[bytes, int, int, int]
"""Absolute path, size in bytes, and times of the last change of content and metadata, in ns."""

_log = logging.getLogger(__name__)
_VERSION = 2  # raise it when the tables change; a file of another version is not opened
_CHUNK = 1024  # rows that are looked up or written at a time
_TABLES = (
    "file (path BLOB PRIMARY KEY, size INT, mtime INT, ctime INT, digest BLOB)",
    "sound (digest BLOB PRIMARY KEY)",
    "similarity (pair BLOB PRIMARY KEY, value REAL)",
    "summary (digest BLOB PRIMARY KEY, signature BLOB, thumbnail BLOB, camera TEXT, seconds REAL)",
)
_INSERT_FILE = "INSERT OR REPLACE INTO file VALUES (?, ?, ?, ?, ?)"
_INSERT_SOUND = "INSERT OR IGNORE INTO sound VALUES (?)"
_INSERT_SUMMARY = "INSERT OR IGNORE INTO summary VALUES (?, ?, ?, ?, ?)"
_INSERT_SIMILARITY = "INSERT OR REPLACE INTO similarity VALUES (?, ?)"
_INSERTS = (_INSERT_FILE, _INSERT_SOUND, _INSERT_SUMMARY, _INSERT_SIMILARITY)


class PhotographStore:
    """Remembers facts about photographs in one SQLite file, which may be deleted at any time.

    Four tables hold the content hash of each file, the contents that were decoded without an error,
    the summaries of contents, and the similarities of pairs of contents. Contents that cannot be
    decoded are not remembered: they are few, and the next version may read them. Several threads
    may use the same store.
    """

    def __init__(self, cache_dir: Path, decoder_version: str) -> None:
        """Open the store; a damaged file is replaced by an empty one.

        Args:
            cache_dir: The cache folder.
            decoder_version: The result of `images.version`; each version has its own file.

        Raises:
            OSError: The file is locked, or cannot be written.
        """
        self._lock = threading.Lock()
        self._path = cache_dir / f"photographs-{_VERSION}-{decoder_version}.sqlite"
        self._database = _open_database(self._path)
        self._sound: set[bytes] = {key for (key,) in self._select("SELECT digest FROM sound")}
        self._new: dict[str, list[tuple]] = {insert: [] for insert in _INSERTS}

    def __enter__(self) -> Self:
        """Open a context that saves and closes the store."""
        return self

    def __exit__(self, *_: object) -> None:
        """Write new rows, even if the run is interrupted, and close the store."""
        try:
            self.save()
        finally:
            self._database.close()

    @staticmethod
    def stamp(path: Path) -> Stamp:
        """Describe the state of a file; call this before reading the file.

        Args:
            path: The file.

        Returns:
            Its absolute path, size in bytes, and times of change in ns.

        Raises:
            OSError: There is no such file.
        """
        status = path.stat()
        name = os.fsencode(os.path.abspath(path))  # noqa: PTH100 (links are to stay as they are)
        return name, status.st_size, status.st_mtime_ns, status.st_ctime_ns

    def unchanged(self, paths: Sequence[Path]) -> dict[Path, str]:
        """Return the SHA-256 (hexadecimal) of decodable files that are unchanged since last read.

        Args:
            paths: A few thousand files at most.
        """
        stamps = {}
        for path in paths:
            with contextlib.suppress(OSError):  # reading the file will report the error
                stamps[path] = self.stamp(path)
        marks = ",".join("?" * len(stamps))
        query = f"SELECT path, size, mtime, ctime, digest FROM file WHERE path IN ({marks})"
        rows = self._select(query, [name for name, *_ in stamps.values()])
        known = {(name, *times): digest for name, *times, digest in rows}
        return {
            path: known[stamp].hex()
            for path, stamp in stamps.items()
            if stamp in known and known[stamp][:16] in self._sound
        }

    def is_sound(self, digest: str) -> bool:
        """Tell whether the content with this SHA-256 (hexadecimal) was decoded before."""
        return _key(digest) in self._sound

    def add_file(self, stamp: Stamp, digest: str) -> None:
        """Remember the content of a file.

        A file that changed less than two seconds ago is not remembered: another write within the
        resolution of the clock would not change its times.

        Args:
            stamp: State of the file before it was read.
            digest: SHA-256 of the content, hexadecimal.
        """
        if max(stamp[2:]) < time.time_ns() - 2 * 10**9:
            self._add(_INSERT_FILE, (*stamp, bytes.fromhex(digest)))

    def add_sound(self, digest: str) -> None:
        """Remember that the content with this SHA-256 (hexadecimal) can be decoded."""
        self._add(_INSERT_SOUND, (_key(digest),))

    def add_summary(self, digest: str, summary: Summary) -> None:
        """Remember the summary of the content with this SHA-256 (hexadecimal)."""
        signature, thumbnail, shot = summary
        self._add(_INSERT_SUMMARY, (_key(digest), signature, thumbnail, *(shot or (None, None))))

    def summaries(self, digests: Sequence[str]) -> dict[str, Summary]:
        """Read summaries.

        Args:
            digests: SHA-256 of contents, hexadecimal.

        Returns:
            Digest -> summary, for those that are stored.
        """
        self.save()
        found = {}
        for start in range(0, len(digests), _CHUNK):
            keys = {_key(digest): digest for digest in digests[start : start + _CHUNK]}
            marks = ",".join("?" * len(keys))
            query = f"SELECT * FROM summary WHERE digest IN ({marks})"
            for key, signature, thumbnail, camera, seconds in self._select(query, list(keys)):
                shot = None if seconds is None else Shot(camera, seconds)
                found[keys[key]] = Summary(signature, thumbnail, shot)
        return found

    def add_similarities(self, found: Mapping[tuple[str, str], float], version: int) -> None:
        """Remember the similarities of pairs of contents.

        Args:
            found: Pair of SHA-256 (hexadecimal) -> similarity.
            version: Version of the comparison; other versions do not see the result.
        """
        for pair, value in found.items():
            self._add(_INSERT_SIMILARITY, (_pair_key(pair, version), value))

    def similarities(
        self, pairs: Sequence[tuple[str, str]], version: int
    ) -> dict[tuple[str, str], float]:
        """Read the similarities of pairs of contents.

        Args:
            pairs: SHA-256 of both contents, hexadecimal.
            version: Version of the comparison, as in `add_similarities`.

        Returns:
            Pair -> similarity, for those that are stored.
        """
        self.save()
        found = {}
        for start in range(0, len(pairs), _CHUNK):
            keys = {_pair_key(pair, version): pair for pair in pairs[start : start + _CHUNK]}
            marks = ",".join("?" * len(keys))
            query = f"SELECT pair, value FROM similarity WHERE pair IN ({marks})"
            found |= {keys[key]: value for key, value in self._select(query, list(keys))}
        return found

    def _select(self, query: str, values: Sequence[bytes] = ()) -> list[tuple]:
        """Run a query; if the file turns out to be damaged, replace it by an empty one.

        Raises:
            OSError: The file is locked, or cannot be read.
        """
        with self._lock:
            try:
                return self._database.execute(query, values).fetchall()
            except sqlite3.OperationalError as error:
                raise OSError(
                    f"{self._path} cannot be used ({error}). Give another --cache-dir."
                ) from error
            except sqlite3.DatabaseError as error:
                _log.warning(
                    "Cache file %s is damaged (%s); an empty one replaces it.", self._path, error
                )
                self._database.close()
                self._path.unlink(missing_ok=True)
                self._database = _open_database(self._path)
                return []

    def _add(self, insert: str, row: tuple) -> None:
        with self._lock:
            self._new[insert].append(row)
            full = len(self._new[insert]) >= _CHUNK
        if full:
            self.save()

    def save(self) -> None:
        """Write all new rows in one transaction.

        Raises:
            OSError: The file cannot be written, for example because the disk is full. Then none of
                the new rows is written.
        """
        with self._lock:
            new, self._new = self._new, {insert: [] for insert in _INSERTS}
            if not any(new.values()):
                return
            try:
                self._database.execute("BEGIN IMMEDIATE")
                for insert, rows in new.items():
                    self._database.executemany(insert, rows)
                self._database.execute("COMMIT")
            except sqlite3.Error as error:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise OSError(
                    f"{self._path} cannot be written ({error}); its content is kept. Free disk "
                    "space and repeat the command, or give another --cache-dir."
                ) from error
            self._sound.update(key for (key,) in new[_INSERT_SOUND])


def _key(digest: str) -> bytes:
    """Return the key of a content: half of its SHA-256 is enough, and takes half the space."""
    return bytes.fromhex(digest)[:16]


def _pair_key(pair: tuple[str, str], version: int) -> bytes:
    return version.to_bytes(2) + _key(pair[0]) + _key(pair[1])


def _open_database(path: Path) -> sqlite3.Connection:
    def connect() -> sqlite3.Connection:
        database = sqlite3.connect(path, timeout=60, check_same_thread=False, isolation_level=None)
        for table in _TABLES:
            database.execute(f"CREATE TABLE IF NOT EXISTS {table}")
        return database

    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return connect()
    except sqlite3.OperationalError as error:  # the file is locked or not writable, but not damaged
        raise OSError(f"{path} cannot be used ({error}). Give another --cache-dir.") from error
    except sqlite3.DatabaseError:
        path.unlink()
        return connect()
