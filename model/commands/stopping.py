"""Ctrl-C and SIGTERM: one sentence instead of a traceback, at any moment.

This module imports nothing slow, so a program can import it first.
"""

import os
import signal
import sys
from types import FrameType

STATUS = 130
"""Exit status of a program that was stopped, the same that shells use for Ctrl-C."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def at_once(program: str, said: str = "stopped.") -> None:
    """Make a signal end the process at once with a sentence, for use during imports and at the end.

    Args:
        program: The program name before the sentence.
        said: The sentence.
    """

    def stop(_signal: int, _frame: FrameType | None) -> None:
        os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, f"{program}: {said}\n".encode())
        os._exit(STATUS)

    for number in _SIGNALS:
        signal.signal(number, stop)


_asked = False


def by_exception() -> None:
    """Make a signal raise KeyboardInterrupt, so that open files and pools are closed."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        global _asked
        _asked = True
        raise KeyboardInterrupt

    for number in _SIGNALS:
        signal.signal(number, stop)


def was_asked() -> bool:
    """Return whether a signal came; an interrupted import may raise something else instead."""
    return _asked
