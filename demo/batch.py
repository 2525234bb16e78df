"""Classifies photographs of visitors who come at the same time in one pass."""

import threading
from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")
R = TypeVar("R")

BATCH = 4
"""Most photographs in one pass: on two cores, 32 visitors got 16.9 answers a second instead of 11.4
with one photograph in each pass."""


class SharedError(Exception):
    """An error that affects all photographs of a batch, so that trying them alone is no use."""


class Together(NamedTuple):
    """How many waiting photographs are classified together.

    Attributes:
        size: Most photographs in a pass.
        passes: Most passes at the same time: as many as there are replicas.
    """

    size: int = BATCH
    passes: int = 1

    @property
    def further(self) -> int:
        """Photographs to decode in advance, so that the further replicas need not wait for any."""
        return 2 * self.size * (self.passes - 1)


class _Place(Generic[T, R]):
    """One visitor's place in the line."""

    def __init__(self, item: T) -> None:
        self.item = item
        self.answers: list[R] = []  # empty until the answer is there
        self.error: Exception | None = None

    @property
    def done(self) -> bool:
        return bool(self.answers) or self.error is not None


class Batcher(Generic[T, R]):
    """Collects items from several threads and calls a function of a list on them.

    At most `passes` calls run at a time. A thread that may start a call takes the waiting items and
    calls the function itself. So nobody waits for a batch to fill, and the call has the context of
    a request, which ZeroGPU needs. Gradio's `batch=True` decodes the photographs of a batch one
    after the other, and answers all of them with an error if a single one is bad.
    """

    def __init__(
        self, run: Callable[[Sequence[T]], Sequence[R]], size: int = BATCH, passes: int = 1
    ) -> None:
        """Wrap a function.

        Args:
            run: N items -> N answers.
            size: The largest N, 1 or more.
            passes: Most calls at the same time: as many as there are replicas.
        """
        self._run, self._size, self._passes = run, size, passes
        self._changed = threading.Condition()
        self._waiting: list[_Place[T, R]] = []
        self._running = 0

    def __call__(self, item: T) -> R:
        """Return the answer for an item, computed alone or together with others.

        Raises:
            SharedError: An error that affects the whole batch.
            Exception: The error that the function raises for this item alone.
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
        """Fill in the answers; if the batch fails, try each item alone."""
        try:
            answers = self._run([place.item for place in batch])
            for place, answer in zip(batch, answers, strict=True):
                place.answers = [answer]
        except SharedError as error:
            for place in batch:
                place.error = error
        except Exception as error:  # of any kind: it is raised for the visitor who caused it
            if len(batch) == 1:
                batch[0].error = error
                return
            for place in batch:
                self._answer([place])
