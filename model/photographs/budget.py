"""How much memory photographs may take while they are read and decoded, in this process.

A count of threads bounds nothing: an image of 155 kB may have 40 million px, which take 160 MB, and
640 MB as WebP. So whoever decodes takes what it will need from one of three shares and waits where
there is too little left. Ordinary photographs do not wait behind large ones.
"""

import ctypes
import functools
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

_ORDINARY = 100_000_000
"""Bytes that decoding an ordinary photograph takes at most: a telephone's HEIC of 12 million px."""


class Budget:
    """A number of bytes, taken and given back; who waits longest is served first."""

    def __init__(self, size: int) -> None:
        """Start with all of it free.

        Args:
            size: Bytes.
        """
        self.size = self.free = size
        self._changed = threading.Condition()
        self._waiting: deque[object] = deque()

    @contextmanager
    def take(self, amount: int) -> Iterator[None]:
        """Hold some of it for as long as a block runs, waiting until that is free.

        Args:
            amount: Bytes; whoever wants more than there is waits for all of it.
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
"""For the contents of files. Who holds some of it may wait for the others, never the reverse."""

_FEW, _MANY = Budget(480_000_000), Budget(250_000_000)


@contextmanager
def decoding(amount: int) -> Iterator[None]:
    """Hold what decoding a photograph takes, for as long as a block runs; then give memory back.

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
    """Return freed memory to the system; glibc keeps it, in case it is needed once more."""
    trim = getattr(_c_library(), "malloc_trim", None)  # musl has none, and keeps nothing
    if trim:
        trim(0)
