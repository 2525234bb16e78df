"""Which processes a test has started, their children included."""

import contextlib
from pathlib import Path


def marked(mark: str) -> list[bytes]:
    """The environments of all processes that have inherited a mark there."""
    found = []
    for file in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if mark.encode() in (content := file.read_bytes()):
                found.append(content)
    return found
