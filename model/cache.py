"""Where Frostflower keeps what it need not compute again, and its progress bar."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import platformdirs
from tqdm import tqdm


def default_cache_dir() -> Path:
    """Return the folder used without `--cache-dir`: `frostflower` in the user's cache folder."""
    return Path(platformdirs.user_cache_dir("frostflower", appauthor=False))


def default_workers() -> int:
    """Return how many threads decode and compute: the cores this process may use, 16 at most."""
    if hasattr(os, "sched_getaffinity"):
        return min(16, len(os.sched_getaffinity(0)))
    return min(16, os.cpu_count() or 1)


def progress_bar(total: int, title: str, done: int = 0) -> tqdm:
    """Start a progress bar on stderr with images/s and time left.

    Args:
        total: Number of photographs.
        title: What is done to them.
        done: How many are done already; they do not count for the speed.

    Returns:
        A tqdm bar. In a file or pipe it writes a line every 15 s instead of redrawing.
    """
    terminal = sys.stderr.isatty()
    return tqdm(
        total=total,
        desc=title,
        initial=done,
        unit="img",
        mininterval=0.3 if terminal else 15,
        dynamic_ncols=terminal,
        ascii=None if terminal else " .:#",
        file=sys.stderr,
    )


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` and move it there when the block ends well.

    Args:
        path: The file to write; its folder is made.

    Yields:
        The temporary path. After an error it is removed and `path` is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)  # mkstemp's files are its owner's only
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
