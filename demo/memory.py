"""How much memory the C library keeps for a program of many threads.

Each thread that asks for memory while others do gets an arena of its own from glibc. What is freed
stays in the arena, in pieces that other threads cannot use, so a page that decodes photographs in
thirty threads grows although nothing leaks: `python benchmarks/serve_mixed.py` showed 180 MB in use
and 640 MB free but kept after nine minutes.
"""

import ctypes
import sys

ARENAS = 2
"""Threads take turns for a moment only: a decoder asks for few, large pieces."""

_M_ARENA_MAX = -8  # from glibc's malloc.h


def share_arenas() -> bool:
    """Let all threads share a few arenas; to be called before there are many threads.

    Returns:
        Whether there was something to set: only glibc has it, and other systems' libraries give
        memory back by themselves.

    Source: mallopt(3), M_ARENA_MAX.
    """
    if not sys.platform.startswith("linux"):
        return False
    library = ctypes.CDLL(None)
    return hasattr(library, "mallopt") and library.mallopt(_M_ARENA_MAX, ARENAS) == 1
