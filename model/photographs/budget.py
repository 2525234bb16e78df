"""Limits the memory that this process uses to read and decode photographs.

Limiting the number of threads is not enough: an image file of 155 kB may hold 40 million px, which
take 160 MB, or 640 MB as WebP. So each caller reserves the memory it needs from one of three
budgets and waits until enough is free. Ordinary photographs do not wait behind large ones.
"""

import ctypes
import functools
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

_ORDINARY = 100_000_000
"""Most bytes to decode an ordinary photograph, such as a phone's HEIC of 12 million px."""


class Budget:
    """A number of bytes to reserve from; whoever has waited longest is served first."""

    def __init__(self, size: int) -> None:
        """Start with everything free.

        Args:
            size: Bytes.
        """
        self.size = self.free = size
        self._changed = threading.Condition()
        self._waiting: deque[object] = deque()

    @contextmanager
    def take(self, amount: int) -> Iterator[None]:
        """Reserve bytes while a block runs, waiting until they are free.

        Args:
            amount: Bytes. A request for more than the whole budget waits until all of it is free.
        """
        amount, place = min(amount, self.size), object()
        with self._changed:
            self._waiting.append(place)
            try:
                self._changed.wait_for(lambda: self._waiting[0] is place and self.free >= amount)
                self.free -= amount
            finally:
                self._waiting.remove(place)
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self.free += amount
                self._changed.notify_all()


READING = Budget(100_000_000)
"""For file contents. A holder of this budget may wait for the other two, never the reverse."""

_FEW, _MANY = Budget(480_000_000), Budget(250_000_000)


@contextmanager
def decoding(amount: int) -> Iterator[None]:
    """Reserve the memory for decoding a photograph while a block runs, then free it.

    Args:
        amount: Bytes.
    """
    with (_MANY if amount <= _ORDINARY else _FEW).take(amount):
        yield
    if amount > _ORDINARY // 4:
        _give_back()


@functools.cache
def _c_library() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if sys.platform == "linux" else None


def _give_back() -> None:
    """Return freed memory to the system, because glibc would keep it for later use."""
    trim = getattr(_c_library(), "malloc_trim", None)  # musl lacks it, and keeps nothing
    if trim:
        trim(0)
