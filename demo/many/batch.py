"""The photographs that a visitor sent together, and how long their answers are kept."""

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
"""How long a batch is kept, in s, unless its visitor leaves earlier."""

MOST_KEPT = 40
"""Most batches of all visitors of a page; each takes about 1 MB. If there are more, the oldest one
that has ended is removed."""

REMOVED = "is no longer on the server; please send it again"
"""The reason why a file that was sent cannot be read, if it has been deleted meanwhile."""

THUMBNAIL = 96
"""Longer side of a thumbnail, in px."""

_WORKERS = 2  # threads that decode; few, so that they do not slow down the Classify tab


@dataclass
class Row:
    """A photograph of a batch.

    Attributes:
        number: Its place in the batch, from 0.
        name: The visitor's name of the file.
        path: The file on the server; None if there is none.
        outcome: The prediction without evidence and heat map, or the reason why there is none;
            None while it waits.
        disagree: Whether most of the similar training photographs have another label.
    """

    number: int
    name: str
    path: Path | None
    outcome: Prediction | BadImageError | None = None
    disagree: bool = False


class Batch:
    """The rows of a batch, and a folder for their thumbnails and downloads."""

    def __init__(self, parent: Path) -> None:
        """Make the folder.

        Args:
            parent: The upload folder, where `demo.uploads` removes files after an hour.
        """
        self.folder = parent / f"many-{secrets.token_urlsafe(16)}"  # a name that nobody can guess
        self.folder.mkdir(mode=0o700, parents=True)
        self.rows: list[Row] = []
        self.started = time.monotonic()
        self.is_running = False  # while it is running, it is not removed to make room for others
        self._cancelled = threading.Event()

    @property
    def done(self) -> list[Row]:
        """The rows that have an answer, or a reason why there is none, in order."""
        return [row for row in self.rows if row.outcome is not None]

    @property
    def is_cancelled(self) -> bool:
        """Whether the waiting rows should be left out."""
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """Leave out the waiting rows; finished ones are kept."""
        self._cancelled.set()

    def close(self) -> None:
        """Cancel, and remove the folder."""
        self.cancel()
        shutil.rmtree(self.folder, ignore_errors=True)

    def thumbnail(self, row: Row) -> bytes | None:
        """Return a small JPEG; None if the photograph could not be read or has been deleted."""
        try:
            return self._thumbnail_path(row).read_bytes()
        except OSError:
            return None

    def _thumbnail_path(self, row: Row) -> Path:
        return self.folder / f"{row.number}.jpg"

    def classify(
        self, run: Callable[[Sequence[Image.Image]], Sequence[Prediction]], least_side: int
    ) -> Iterator[None]:
        """Classify the waiting rows, a few at a time, until they are done or cancelled.

        Args:
            run: N decoded photographs -> N predictions.
            least_side: Smallest side of a photograph in px; see `images.decode`.

        Yields:
            None, after every few rows.
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
                row.outcome = replace(
                    answer, evidence=None, heat=None
                )  # to save 90 % of the memory
            yield

    @staticmethod
    def _reason(row: Row, error: BadImageError) -> BadImageError:
        """Return a new error, as the traceback of the raised one keeps the whole file in memory."""
        is_kept = row.path is not None and row.path.exists()
        return BadImageError(str(error) if is_kept else REMOVED)

    def _keep_thumbnail(self, row: Row, image: Image.Image) -> None:
        small = image.copy()
        small.info.clear()  # so that the thumbnail does not contain the place from the photograph
        small.thumbnail((THUMBNAIL, THUMBNAIL))
        with contextlib.suppress(FileNotFoundError):  # the folder was removed meanwhile
            small.save(self._thumbnail_path(row), "JPEG", quality=80)


class Shelf:
    """The batches of a page; all its classifiers share the limit on their number."""

    def __init__(self, most: int = MOST_KEPT) -> None:
        """Make an empty shelf.

        Args:
            most: Most batches that are kept.
        """
        self.most = most
        self.lock = threading.Lock()
        self.batches: OrderedDict[tuple[Batches, str], Batch] = OrderedDict()
        """(Classifier's batches, visitor) -> batch, the oldest first. Hold `lock` to use it."""


class Batches:
    """The latest batch of each visitor of a classifier.

    Gradio's own state is not used, because it silently forgets a visitor after a hundred other
    visitors or API calls.
    """

    def __init__(self, parent: Path, shelf: Shelf) -> None:
        """Start without a batch.

        Args:
            parent: The upload folder.
            shelf: The shelf for the batches; other classifiers may share it.
        """
        self._parent, self._shelf = parent, shelf

    def start(self, visitor: str) -> Batch:
        """Begin a batch, and close the visitor's earlier one and those that are too old.

        Raises:
            gr.Error: Too many other batches are running.
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
        """Return the visitor's batch; None if there is none or it is too old."""
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
