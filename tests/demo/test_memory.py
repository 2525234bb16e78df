"""Threads share the C library's memory."""

import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]
_NOTHING_TO_SET = 77

_THREADS = """
import ctypes, sys, threading
from demo.memory import share_arenas

if "shared" in sys.argv and not share_arenas():
    sys.exit(77)
library = ctypes.CDLL(None)
library.malloc.restype = library.fopen.restype = ctypes.c_void_p
library.malloc_info.argtypes = [ctypes.c_int, ctypes.c_void_p]
library.fclose.argtypes = [ctypes.c_void_p]
together = threading.Barrier(8)

def ask():
    together.wait()
    for _ in range(200):
        library.malloc(3000)
    together.wait()

threads = [threading.Thread(target=ask) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
file = library.fopen(sys.argv[1].encode(), b"w")
library.malloc_info(0, file)
library.fclose(file)
"""


def _arenas(file: Path, *arguments: str) -> int:
    command = [sys.executable, "-c", _THREADS, str(file), *arguments]
    done = subprocess.run(command, cwd=_ROOT, timeout=60)
    if done.returncode == _NOTHING_TO_SET:
        pytest.skip("the C library of this machine has no arenas")
    assert done.returncode == 0
    return file.read_text().count("<heap nr=")


def test_threads_share_two_arenas_where_each_would_have_its_own(tmp_path: Path) -> None:
    assert _arenas(tmp_path / "shared.xml", "shared") == 2
    assert _arenas(tmp_path / "own.xml") > 2
