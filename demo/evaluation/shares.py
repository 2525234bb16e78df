"""Writes shares as percentages such as “99.5 %” that are never split between two lines."""

from model.checkpoints import card

_NO_BREAK = "\u00a0"


def percent(share: float) -> str:
    """Write a share (0-1) as a percentage with one decimal, without a line break inside."""
    return unbroken(card.percent(share))


def unbroken(sentences: str) -> str:
    """Prevent line breaks before the percent signs in a text."""
    return sentences.replace(" %", f"{_NO_BREAK}%")
