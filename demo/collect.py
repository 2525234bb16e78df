"""Corrections of visitors: photographs with their right class, in a folder that --add takes.

The folder holds `photographs/`, in which each file is named after its bytes, and `labels.csv`. A
photograph is there before its row is, and a row is added or the whole table replaced at once, so a
crash leaves at most a photograph without a row, or half a row that was not confirmed yet.
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
"""Photographs in the folder, at most."""

MAX_BYTES = 5_000_000_000
"""Bytes of all photographs in the folder together, at most."""

MAX_EACH = 200
"""Corrections from one open page, at most; those taken back do not count. A page that is loaded
again starts anew: only the limits of the folder hold for a visitor who means harm."""

PHOTOGRAPHS = "photographs"
_LOCK = ".lock"
_WAIT_SECONDS = 20.0  # for other visitors, and for other programs that serve the same folder
_VISITORS = 1000  # open pages whose corrections are remembered, so that they can be taken back


class Change(NamedTuple):
    """What a correction did to the table, or its opposite.

    Attributes:
        row: The visitor's row.
        earlier: The row of the same photograph before, or None.
        labels: How many photographs of each label the table has now.
    """

    row: Row
    earlier: Row | None
    labels: Counter[str]


class Corrections:
    """A folder of corrections, for several visitors, threads and programs at once."""

    def __init__(self, folder: Path, *, public: bool = False) -> None:
        """Open or make the folder, and mend what a crash has left.

        Args:
            folder: The folder; empty, not there yet, or one that was made here.
            public: Whether others than its owner can open the page.

        Raises:
            ValueError: The folder holds something else, or cannot be written.
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
                    f"--collect {folder} holds something other than corrections ('{others[0]}'). "
                    "Choose another folder."
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
        """Keep a correction, in place of an earlier one of the same photograph.

        Args:
            visitor: Whose it is: an open page.
            content: The photograph's file, which `images.decode` has read.
            label: The right class.
            answer: The class that was answered.

        Returns:
            What was done; the earlier row has the same label where it was kept already.

        Raises:
            NotKept: There is no room, or the folder cannot be written.
        """
        path = f"{PHOTOGRAPHS}/{sha256(content).hexdigest()[:16]}{_ending(content)}"
        row = Row(path, label, answer, datetime.now(UTC).isoformat(timespec="microseconds"))
        with self._written():
            changes = self._changes.get(visitor, [])
            rows = labels.read(self._table)
            earlier = rows.get(path)
            mine = any(earlier == kept for kept, _ in changes)
            if earlier and earlier.label == label and mine:  # another's row is replaced, see undo
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
        """Take a visitor's last correction back; an earlier one of the photograph is there again.

        Args:
            visitor: Whose it was.

        Returns:
            What was taken back.

        Raises:
            NotKept: There is none, somebody has kept the photograph since, with the same label or
                another, or the folder cannot be written.
        """
        with self._written():
            changes = self._changes.get(visitor)
            if not changes:
                raise NotKept("There is no correction of yours to take back.")
            row, earlier = changes[-1]
            rows = labels.read(self._table)
            now = rows.get(row.path)
            if now != row:
                changes.pop()
                self._forget(row, earlier)
                if now and now.label == row.label:
                    raise NotKept("The photograph stays: somebody else has kept it as well since.")
                raise NotKept("This correction is no longer there: somebody has changed it since.")
            if earlier:
                rows[row.path] = earlier
            else:
                del rows[row.path]
            labels.replace(self._table, rows)
            changes.pop()
            if not earlier:
                with contextlib.suppress(OSError):  # without a row it is not used
                    (self.folder / row.path).unlink()
        return Change(row, earlier, _count(rows))

    def can_undo(self, visitor: str) -> bool:
        """Tell whether a visitor has a correction to take back."""
        return bool(self._changes.get(visitor))

    def _forget(self, row: Row, earlier: Row | None) -> None:
        """Let whoever replaced a row that was taken back return to the one before it."""
        for changes in self._changes.values():
            changes[:] = [(kept, earlier if old == row else old) for kept, old in changes]

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            with self._threads, FileLock(self.folder / _LOCK, timeout=_WAIT_SECONDS):
                yield
        except Timeout:
            raise NotKept("The corrections are in use elsewhere. Please try again.") from None

    @contextlib.contextmanager
    def _written(self) -> Iterator[None]:
        """Lock the folder for a block; the system's errors become a sentence, and the owner's."""
        try:
            with self._locked():
                yield
        except NotKept:
            raise
        except (OSError, ValueError) as error:
            print(f"Note: a correction was not kept: {error}", file=sys.stderr, flush=True)
            reason = (isinstance(error, OSError) and error.strerror) or "the table cannot be read"
            raise NotKept(
                f"This was not kept ({reason.lower()}). What was kept before is unchanged."
            ) from error

    def _add(self, row: Row, content: bytes) -> None:
        """Write a photograph, then its row behind the others."""
        sizes = [path.stat().st_size for path in (self.folder / PHOTOGRAPHS).iterdir()]
        if len(sizes) >= MAX_PHOTOGRAPHS or sum(sizes) + len(content) > MAX_BYTES:
            raise NotKept(
                f"There is no room for more corrections: {len(sizes):,} photographs of "
                f"{sum(sizes) / 1e9:.1f} GB are here, and at most {MAX_PHOTOGRAPHS:,} of "
                f"{MAX_BYTES / 1e9:g} GB are kept."
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
    """Return the usual ending of a photograph's format, which its bytes tell."""
    kind = Image.open(io.BytesIO(content), formats=list(images.FORMATS)).format or ""
    return images.FORMATS["JPEG" if kind == "MPO" else kind][0]  # MPO: a JPEG with a second picture


def _count(rows: dict[str, Row]) -> Counter[str]:
    return Counter(row.label for row in rows.values())
