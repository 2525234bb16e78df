"""The peak of a process's anonymous memory, which the system cannot reclaim; on Linux."""

import os
import threading

from benchmarks.client import resident

_INTERVAL = 0.05  # s between two measurements of the memory


class Peak:
    """Measures the peak of this process's anonymous memory, in a thread."""

    def __init__(self) -> None:
        """Start measuring."""
        self._most, self._done = 0, threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._done.wait(_INTERVAL):
            self._most = max(self._most, anonymous_bytes())

    def stop(self) -> int:
        """Stop measuring, and return the peak in bytes."""
        self._done.set()
        self._thread.join()
        return self._most


def anonymous_bytes() -> int:
    """Return this process's memory that belongs to no file on a disk (RssAnon + RssShmem)."""
    return int(2**20 * sum(resident(os.getpid(), name) for name in ("RssAnon", "RssShmem")))
