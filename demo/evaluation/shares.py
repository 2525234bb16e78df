"""Shares of photographs as people read them: “99.5 %” stays in one line."""

from model.checkpoints import card

_NO_BREAK = "\u00a0"


def percent(share: float) -> str:
    """Write a share of 0-1 as a percentage with one decimal that no line break divides."""
    return unbroken(card.percent(share))


def unbroken(sentences: str) -> str:
    """Keep every percentage in a text together with its sign."""
    return sentences.replace(" %", f"{_NO_BREAK}%")
