"""Ctrl-C and SIGTERM: one sentence instead of a traceback, at any moment.

Nothing is imported here that takes time, so that a program can begin with it.
"""

import os
import signal
import sys
from types import FrameType

STATUS = 130
"""Exit status of a program that was stopped, as shells have it for Ctrl-C."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def at_once(program: str, said: str = "stopped.") -> None:
    """End the process with a sentence when it is stopped: while it imports, or has done its work.

    Args:
        program: The name before the sentence.
        said: The sentence.
    """

    def stop(_signal: int, _frame: FrameType | None) -> None:
        os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, f"{program}: {said}\n".encode())
        os._exit(STATUS)

    for number in _SIGNALS:
        signal.signal(number, stop)


_asked = False


def by_exception() -> None:
    """Raise KeyboardInterrupt when the process is stopped, so that what is open is closed."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        global _asked
        _asked = True
        raise KeyboardInterrupt

    for number in _SIGNALS:
        signal.signal(number, stop)


def was_asked() -> bool:
    """Tell whether the process was stopped: an import that is interrupted raises something else."""
    return _asked
