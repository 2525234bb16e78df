"""Visitors who come at the same time are answered by one pass through the network."""

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")

BATCH = 4
"""Photographs a pass, at most: two cores gave 32 visitors 16.9 answers a second, with 1 11.4."""


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
    """Calls a function of a list on what several threads bring, one call at a time.

    Whoever finds nothing running takes the others that wait along, and calls the function in its
    own thread: nobody waits for company, and ZeroGPU, which looks at the calling request, finds
    one. Gradio's `batch=True` would do without this, but it decodes a batch one after the other and
    answers all of it with one error where a single photograph is bad.
    """

    def __init__(self, run: Callable[[Sequence[T]], Sequence[R]], size: int = BATCH) -> None:
        """Wrap a function.

        Args:
            run: N items -> N answers.
            size: N at most, 1 or more.
        """
        self._run, self._size = run, size
        self._changed = threading.Condition()
        self._waiting: list[_Place[T, R]] = []
        self._running = False

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
                self._changed.wait_for(lambda: place.done or not self._running)
                if place.done:
                    break
                self._running = True
                batch = self._waiting[: self._size]
                del self._waiting[: self._size]
            try:
                self._answer(batch)
            finally:
                with self._changed:
                    self._running = False
                    self._changed.notify_all()
        if place.error is not None:
            raise place.error
        return place.answers[0]

    def _answer(self, batch: list[_Place[T, R]]) -> None:
        """Fill in answers; where the batch fails, each item is tried alone."""
        try:
            answers = self._run([place.item for place in batch])
            for place, answer in zip(batch, answers, strict=True):
                place.answers = [answer]
        except Exception as error:  # of whatever kind: it is handed to the visitor who caused it
            if len(batch) == 1:
                batch[0].error = error
                return
            for place in batch:
                self._answer([place])
