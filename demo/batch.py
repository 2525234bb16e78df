"""Visitors who come at the same time are answered by one pass through the network."""

import threading
from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")
R = TypeVar("R")

BATCH = 4
"""Photographs a pass, at most: two cores gave 32 visitors 16.9 answers a second, with 1 11.4."""


class SharedError(Exception):
    """What keeps everybody of a batch from an answer, whatever photographs it holds."""


class Together(NamedTuple):
    """How much of what waits is classified together.

    Attributes:
        size: Photographs in a pass, at most.
        passes: Passes at the same time: as many as there are replicas.
    """

    size: int = BATCH
    passes: int = 1

    @property
    def further(self) -> int:
        """Photographs to be decoded ahead, so that no replica but the first waits for any."""
        return 2 * self.size * (self.passes - 1)


class _Place(Generic[T, R]):
    """One visitor's place in the line."""

    def __init__(self, item: T) -> None:
        self.item = item
        self.answers: list[R] = []  # one, once it is there
        self.error: Exception | None = None

    @property
    def done(self) -> bool:
        return bool(self.answers) or self.error is not None


class Batcher(Generic[T, R]):
    """Calls a function of a list on what several threads bring, one call at a time or a few.

    Whoever finds nothing running takes the others that wait along, and calls the function in its
    own thread: nobody waits for company, and ZeroGPU, which looks at the calling request, finds
    one. Gradio's `batch=True` would do without this, but it decodes a batch one after the other and
    answers all of it with one error where a single photograph is bad.
    """

    def __init__(
        self, run: Callable[[Sequence[T]], Sequence[R]], size: int = BATCH, passes: int = 1
    ) -> None:
        """Wrap a function.

        Args:
            run: N items -> N answers.
            size: N at most, 1 or more.
            passes: Calls at the same time, at most: as many as there are replicas.
        """
        self._run, self._size, self._passes = run, size, passes
        self._changed = threading.Condition()
        self._waiting: list[_Place[T, R]] = []
        self._running = 0

    def __call__(self, item: T) -> R:
        """Return the item's answer, computed alone or with others.

        Raises:
            Exception: Whatever the function raises on this item alone.
        """
        place = _Place[T, R](item)
        with self._changed:
            self._waiting.append(place)
        while True:
            with self._changed:
                self._changed.wait_for(lambda: place.done or self._may_run(place))
                if place.done:
                    break
                self._running += 1
                batch = self._waiting[: self._size]
                del self._waiting[: self._size]
            try:
                self._answer(batch)
            finally:
                with self._changed:
                    self._running -= 1
                    self._changed.notify_all()
        if place.error is not None:
            raise place.error
        return place.answers[0]

    def _may_run(self, place: _Place[T, R]) -> bool:
        return self._running < self._passes and place in self._waiting

    def _answer(self, batch: list[_Place[T, R]]) -> None:
        """Fill in answers; where the batch fails, each item is tried alone."""
        try:
            answers = self._run([place.item for place in batch])
            for place, answer in zip(batch, answers, strict=True):
                place.answers = [answer]
        except SharedError as error:
            for place in batch:
                place.error = error
        except Exception as error:  # of whatever kind: it is handed to the visitor who caused it
            if len(batch) == 1:
                batch[0].error = error
                return
            for place in batch:
                self._answer([place])
