"""Limits the memory that the C library keeps for a program with many threads.

glibc gives a thread an arena of its own if other threads are allocating memory at the same time.
Freed memory stays in the arena, where other threads cannot use it, so a page that decodes
photographs in thirty threads grows although nothing leaks: after nine minutes of
`python benchmarks/serve_mixed.py`, 180 MB were in use and another 640 MB were free but kept.
"""

import ctypes
import sys

ARENAS = 2
"""Two are enough: a decoder allocates few, large pieces, so threads hardly wait for each other."""

_M_ARENA_MAX = -8  # from glibc's malloc.h


def share_arenas() -> bool:
    """Let all threads share a few arenas. Call it before the program starts many threads.

    Returns:
        Whether the limit was set. Only glibc has one; the C libraries of other systems give memory
        back by themselves.

    Source: mallopt(3), M_ARENA_MAX.
    """
    if not sys.platform.startswith("linux"):
        return False
    library = ctypes.CDLL(None)
    return hasattr(library, "mallopt") and library.mallopt(_M_ARENA_MAX, ARENAS) == 1
