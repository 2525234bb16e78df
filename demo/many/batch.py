"""The photographs that one visitor sent together, and where they are kept for how long."""

import contextlib
import secrets
import shutil
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from demo.photo import refusal
from model import predictions
from model.classifier import Prediction
from model.photographs.images import BadImageError

KEPT_SECONDS = 3600.0
"""A batch is kept for so long after it was sent, unless its visitor leaves earlier."""

MOST_KEPT = 40
"""Batches of all visitors of a page that are kept; each takes about 1 MB. The oldest that has ended
makes room."""

REMOVED = "is no longer on the server; please send it again"
"""Why a file that was sent cannot be read, where uploads have been swept meanwhile."""

THUMBNAIL = 96
"""Longer side of a thumbnail, in px."""

_WORKERS = 2  # threads that decode; photographs of the Classify tab want to be decoded, too


@dataclass
class Row:
    """A photograph of a batch.

    Attributes:
        number: Its place in the batch, from 0.
        name: The visitor's own name of the file.
        path: The file on the server; None where there is none.
        outcome: The prediction without evidence and heat map, the reason why there is none, or
            None as long as it waits.
        disagree: Whether most of the training photographs like it have another label.
    """

    number: int
    name: str
    path: Path | None
    outcome: Prediction | BadImageError | None = None
    disagree: bool = False


class Batch:
    """Rows, and a folder for what belongs to them."""

    def __init__(self, parent: Path) -> None:
        """Make the folder.

        Args:
            parent: The upload folder, where `demo.uploads` removes what is an hour old.
        """
        self.folder = parent / f"many-{secrets.token_urlsafe(16)}"  # nobody guesses it
        self.folder.mkdir(mode=0o700, parents=True)
        self.rows: list[Row] = []
        self.started = time.monotonic()
        self.is_running = False  # while it is, other visitors' batches do not end it
        self._cancelled = threading.Event()

    @property
    def done(self) -> list[Row]:
        """The rows that have an answer, or a reason why not, in order."""
        return [row for row in self.rows if row.outcome is not None]

    @property
    def is_cancelled(self) -> bool:
        """Whether the rows that wait are to be left out."""
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """Let the rows that wait be left out; the others stay."""
        self._cancelled.set()

    def close(self) -> None:
        """Cancel, and remove the folder."""
        self.cancel()
        shutil.rmtree(self.folder, ignore_errors=True)

    def thumbnail(self, row: Row) -> bytes | None:
        """Return a small JPEG; None where the photograph could not be read or is gone."""
        try:
            return self._thumbnail_path(row).read_bytes()
        except OSError:
            return None

    def _thumbnail_path(self, row: Row) -> Path:
        return self.folder / f"{row.number}.jpg"

    def classify(
        self, run: Callable[[Sequence[Image.Image]], Sequence[Prediction]], least_side: int
    ) -> Iterator[None]:
        """Classify the rows that wait, a few at a time, until they are done or cancelled.

        Args:
            run: N decoded photographs -> N predictions.
            least_side: As `images.decode`.

        Yields:
            Nothing, after each few.
        """
        self.is_running = True
        try:
            yield from self._classify(run, least_side)
        finally:
            self.is_running = False

    def _classify(
        self, run: Callable[[Sequence[Image.Image]], Sequence[Prediction]], least_side: int
    ) -> Iterator[None]:
        waiting = [row for row in self.rows if row.outcome is None and row.path is not None]
        paths = [row.path for row in waiting if row.path is not None]
        following = iter(waiting)
        for group in predictions.decode_all(paths, _WORKERS, least_side):
            if self.is_cancelled:
                return
            answers = iter(run([image for _, image in group if isinstance(image, Image.Image)]))
            for _, image in group:
                row = next(following)
                if isinstance(image, BadImageError):
                    row.outcome = self._reason(row, image)
                    continue
                answer = next(answers)
                self._keep_thumbnail(row, image)
                row.disagree = bool(answer.evidence and answer.evidence.disagree)
                row.outcome = replace(answer, evidence=None, heat=None)  # ten times the memory
            yield

    @staticmethod
    def _reason(row: Row, error: BadImageError) -> BadImageError:
        """Return a new error: the traceback of the raised one holds the whole file in memory."""
        is_kept = row.path is not None and row.path.exists()
        return BadImageError(str(error) if is_kept else REMOVED)

    def _keep_thumbnail(self, row: Row, image: Image.Image) -> None:
        small = image.copy()
        small.info.clear()  # where it was taken stays in the photograph
        small.thumbnail((THUMBNAIL, THUMBNAIL))
        with contextlib.suppress(FileNotFoundError):  # the folder was removed meanwhile
            small.save(self._thumbnail_path(row), "JPEG", quality=80)


class Shelf:
    """Where the batches of a page are kept: those of all its classifiers share the room."""

    def __init__(self, most: int = MOST_KEPT) -> None:
        """Start empty.

        Args:
            most: Batches that are kept.
        """
        self.most = most
        self.lock = threading.Lock()
        self.batches: OrderedDict[tuple[Batches, str], Batch] = OrderedDict()
        """Whose they are, and the visitor -> the batch, the oldest first; hold the lock."""


class Batches:
    """The last batch of each visitor of a classifier.

    Gradio's own state is not used: it forgets a visitor when a hundred others, or calls of the API,
    have come since, and does not say so.
    """

    def __init__(self, parent: Path, shelf: Shelf) -> None:
        """Start empty.

        Args:
            parent: The upload folder.
            shelf: Where the batches are kept, perhaps beside others.
        """
        self._parent, self._shelf = parent, shelf

    def start(self, visitor: str) -> Batch:
        """Begin a batch; the visitor's earlier one, and those that are too old, are closed.

        Raises:
            gr.Error: There is no room, as too many others are running.
        """
        now, own, shelf = time.monotonic(), (self, visitor), self._shelf
        with shelf.lock:
            excess = len(shelf.batches) - shelf.most + 1 - (own in shelf.batches)
            leaving = []
            for other, batch in shelf.batches.items():
                if other == own or batch.is_running:
                    continue
                if excess > 0 or now - batch.started > KEPT_SECONDS:
                    leaving.append(other)
                    excess -= 1
            if excess > 0:
                raise refusal(
                    f"Photographs of {shelf.most} other visitors are being classified. Please try "
                    "again in a few minutes."
                )
            if own in shelf.batches:
                leaving.append(own)
            closed = [shelf.batches.pop(other) for other in leaving]
            new = shelf.batches[own] = Batch(self._parent)
        for batch in closed:
            batch.close()
        return new

    def get(self, visitor: str) -> Batch | None:
        """Return the visitor's batch, unless there is none or it is too old."""
        with self._shelf.lock:
            batch = self._shelf.batches.get((self, visitor))
        if batch is not None and time.monotonic() - batch.started > KEPT_SECONDS:
            self.close(visitor)
            return None
        return batch

    def close(self, visitor: str) -> None:
        """Remove the visitor's batch, if there is one."""
        with self._shelf.lock:
            batch = self._shelf.batches.pop((self, visitor), None)
        if batch is not None:
            batch.close()
