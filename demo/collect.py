"""Keeps visitors' corrections, photographs with their right class, in a folder for --add.

The folder contains `labels.csv` and `photographs/`, where the name of each file is a hash of its
bytes. A photograph is written before its row. A row is appended, or the whole table is replaced at
once, so a crash leaves at most a photograph without a row, or an incomplete last row.
"""

import contextlib
import io
import sys
import threading
from collections import Counter, OrderedDict
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout
from PIL import Image

from demo import labels
from demo.labels import TABLE, NotKept, Row
from model.photographs import images

MAX_PHOTOGRAPHS = 10_000
"""Most photographs in the folder."""

MAX_BYTES = 5_000_000_000
"""Most bytes of all photographs in the folder together."""

MAX_EACH = 200
"""Most corrections from one open page, without those that were undone. Reloading the page resets
the count, so only the limits of the folder stop a malicious visitor."""

PHOTOGRAPHS = "photographs"
_LOCK = ".lock"
_WAIT_SECONDS = 20.0  # for other visitors, and for other programs that use the same folder
_VISITORS = 1000  # open pages whose corrections are remembered, so that they can be undone


class Change(NamedTuple):
    """A correction that was added to the table or undone.

    Attributes:
        row: The visitor's row.
        earlier: The earlier row of the same photograph, or None.
        labels: Label -> number of photographs with it in the table now.
    """

    row: Row
    earlier: Row | None
    labels: Counter[str]


class Corrections:
    """A folder of corrections, which several visitors, threads and programs can use at once."""

    def __init__(self, folder: Path, *, public: bool = False) -> None:
        """Open or make the folder, and repair its table if a crash has left an incomplete row.

        Args:
            folder: A folder of corrections, an empty folder, or one that does not exist yet.
            public: Whether people other than the owner can open the page.

        Raises:
            ValueError: The folder contains something else, or cannot be written to.
        """
        self.folder = folder
        self.public = public
        self._table = folder / TABLE
        self._threads = threading.Lock()
        self._changes: OrderedDict[str, list[tuple[Row, Row | None]]] = OrderedDict()
        try:
            names = {path.name for path in folder.iterdir()} if folder.exists() else set()
            ours = {PHOTOGRAPHS, TABLE, _LOCK}
            if others := sorted(n for n in names - ours if not n.startswith(".frostflower-")):
                raise ValueError(
                    f"--collect {folder} contains something other than corrections "
                    f"('{others[0]}'). Choose another folder."
                )
            folder.mkdir(parents=True, exist_ok=True)
            with self._locked():
                self.count = len(labels.read(self._table))
                (folder / PHOTOGRAPHS).mkdir(exist_ok=True)
        except OSError as error:
            reason = error.strerror or error
            raise ValueError(
                f"--collect {folder} cannot be used ({reason}). Choose another folder."
            ) from error

    def keep(self, visitor: str, content: bytes, label: str, answer: str) -> Change:
        """Keep a correction; it replaces an earlier one of the same photograph.

        Args:
            visitor: The id of the visitor's open page.
            content: The bytes of the photograph's file, which `images.decode` can read.
            label: The right class.
            answer: The class that the classifier answered.

        Returns:
            The change. If the same correction was kept before, the earlier row has the same label.

        Raises:
            NotKept: There is no room, or the folder cannot be written to.
        """
        path = f"{PHOTOGRAPHS}/{sha256(content).hexdigest()[:16]}{_ending(content)}"
        row = Row(path, label, answer, datetime.now(UTC).isoformat(timespec="microseconds"))
        with self._written():
            changes = self._changes.get(visitor, [])
            rows = labels.read(self._table)
            earlier = rows.get(path)
            mine = any(earlier == kept for kept, _ in changes)
            if earlier and earlier.label == label and mine:
                return Change(earlier, earlier, _count(rows))
            if len(changes) >= MAX_EACH:
                raise NotKept(f"You have made {MAX_EACH} corrections, the most for one visit.")
            if earlier:
                labels.replace(self._table, rows | {path: row})
            else:
                self._add(row, content)
            self._changes[visitor] = [*changes, (row, earlier)]
            self._changes.move_to_end(visitor)
            while len(self._changes) > _VISITORS:
                self._changes.popitem(last=False)
        return Change(row, earlier, _count(rows | {path: row}))

    def undo(self, visitor: str) -> Change:
        """Undo a visitor's last correction, and restore an earlier one of the same photograph.

        Args:
            visitor: The id of the visitor's open page.

        Returns:
            The change that was undone.

        Raises:
            NotKept: There is nothing to undo, somebody else has corrected the same photograph
                since, or the folder cannot be written to.
        """
        with self._written():
            changes = self._changes.get(visitor)
            if not changes:
                raise NotKept("You have no correction to undo.")
            row, earlier = changes[-1]
            rows = labels.read(self._table)
            now = rows.get(row.path)
            if now != row:
                changes.pop()
                self._forget(row, earlier)
                if now and now.label == row.label:
                    raise NotKept("The photograph stays: somebody else has since kept it, too.")
                raise NotKept("It cannot be undone: somebody else has since changed it.")
            if earlier:
                rows[row.path] = earlier
            else:
                del rows[row.path]
            labels.replace(self._table, rows)
            changes.pop()
            if not earlier:
                with contextlib.suppress(OSError):  # training ignores a photograph without a row
                    (self.folder / row.path).unlink()
        return Change(row, earlier, _count(rows))

    def can_undo(self, visitor: str) -> bool:
        """Tell whether a visitor has a correction to undo."""
        return bool(self._changes.get(visitor))

    def _forget(self, row: Row, earlier: Row | None) -> None:
        """Skip an undone row, so that undoing its replacement restores the row before it."""
        for changes in self._changes.values():
            changes[:] = [(kept, earlier if old == row else old) for kept, old in changes]

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            with self._threads, FileLock(self.folder / _LOCK, timeout=_WAIT_SECONDS):
                yield
        except Timeout:
            raise NotKept("Another visitor is saving a correction. Please try again.") from None

    @contextlib.contextmanager
    def _written(self) -> Iterator[None]:
        """Lock the folder; an error is printed for the owner, and the visitor gets a sentence."""
        try:
            with self._locked():
                yield
        except NotKept:
            raise
        except (OSError, ValueError) as error:
            print(f"Note: a correction was not kept: {error}", file=sys.stderr, flush=True)
            reason = (isinstance(error, OSError) and error.strerror) or "the table cannot be read"
            raise NotKept(
                f"This was not kept ({reason.lower()}). Earlier corrections are unchanged."
            ) from error

    def _add(self, row: Row, content: bytes) -> None:
        """Write a photograph, then append its row to the table."""
        sizes = [path.stat().st_size for path in (self.folder / PHOTOGRAPHS).iterdir()]
        if len(sizes) >= MAX_PHOTOGRAPHS or sum(sizes) + len(content) > MAX_BYTES:
            raise NotKept(
                f"There is no room for more corrections: {len(sizes):,} photographs "
                f"({sum(sizes) / 1e9:.1f} GB) are kept, and the limit is {MAX_PHOTOGRAPHS:,} "
                f"({MAX_BYTES / 1e9:g} GB)."
            )
        place = self.folder / row.path
        was_there = place.exists()
        try:
            labels.write_whole(place, content)
            labels.append(self._table, row)
        except OSError:
            if not was_there:
                with contextlib.suppress(OSError):
                    place.unlink()
            raise


def _ending(content: bytes) -> str:
    """Return the usual file ending for a photograph; its bytes tell the format."""
    kind = Image.open(io.BytesIO(content), formats=list(images.FORMATS)).format or ""
    return images.FORMATS["JPEG" if kind == "MPO" else kind][0]  # MPO: a JPEG with a second picture


def _count(rows: dict[str, Row]) -> Counter[str]:
    return Counter(row.label for row in rows.values())
