"""Answers with some classes only: what is possible, and how much probability that sets aside."""

import difflib
import heapq
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from model.photographs.class_names import escaped, normal_form
from model.trust.calibrate import Assessment
from model.trust.metrics import softmax
from model.trust.sets import prediction_sets

Allowed = tuple[int, ...]
"""The classes that may be answered, as indices in ascending order, one or more. None stands for all
classes."""

_NAMED = 3  # unknown names that a message repeats
_SHOWN = 60  # characters of each
_COMPARED = 300  # ids and names among which close ones are looked for: 30 ms


class ClassFinder:
    """Finds classes by id or name."""

    def __init__(self, class_ids: Sequence[str], class_names: Sequence[str]) -> None:
        """Take the classes.

        Args:
            class_ids: C class ids.
            class_names: C display names.
        """
        self.count = len(class_ids)
        self._said = [*class_ids, *class_names]
        self._index: dict[str, int] = {}
        lower = [text.casefold() for text in self._said]
        for text in (self._said, lower):  # what is written exactly so comes first, and ids do
            for place, name in enumerate(text):
                self._index.setdefault(normal_form(name), place % self.count)

    def find(self, name: str) -> int | None:
        """Return the index of a class; None where there is none of this id or name.

        Args:
            name: Its id or display name; small and capital letters count as one where no class is
                written exactly so.
        """
        written = (normal_form(name), normal_form(name.strip()))  # an id may end with a space
        ways = (*written, *(said.casefold() for said in written))
        return next((self._index[said] for said in ways if said in self._index), None)

    def described(self, name: str) -> str:
        """Quote an unknown name, with up to three that are written nearly so."""
        quoted = _quoted(name)
        close = self.close(name)
        if not close:
            return quoted
        listed = ", ".join(f"'{escaped(one[:_SHOWN])}'" for one in close)
        return f"{quoted} (close to it: {listed})"

    def close(self, name: str, most: int = 3, likeness: float = 0.6) -> list[str]:
        """Return the ids and names that are written nearly as another, the closest first.

        Args:
            name: A name; to one that is longer than usual none is close.
            most: How many.
            likeness: The least, 0-1, as the ratio of `difflib`.
        """
        if len(name) > _SHOWN:
            return []
        like = {said.casefold(): said for said in reversed(self._like(name))}  # the first one stays
        found = difflib.get_close_matches(name.casefold(), like, most, likeness)
        return [like[one] for one in found]

    def _like(self, name: str) -> list[str]:
        """Return the ids and names to compare one with.

        Comparing takes 0.1 ms each, during which nobody else is answered: where they are many, only
        those with the same first letter are compared, and of these the ones of about its length.
        """
        if len(self._said) <= _COMPARED:
            return self._said
        first, length = name[:1].casefold(), len(name)
        alike = (said for said in self._said if said[:1].casefold() == first)
        return heapq.nsmallest(_COMPARED, alike, key=lambda said: abs(len(said) - length))


def _quoted(name: str) -> str:
    return f"'{escaped(name[:_SHOWN])}{'…' if len(name) > _SHOWN else ''}'"


def resolve(names: Sequence[str], finder: ClassFinder, within: Allowed | None = None) -> Allowed:
    """Turn ids and names of classes into indices.

    Args:
        names: Ids and names, one or more; those that are named twice count once.
        finder: The classes.
        within: The classes that may be named; None for all.

    Returns:
        The classes.

    Raises:
        ValueError: No class was named, or one that there is not, or one outside `within`.
    """
    if isinstance(names, str):
        raise ValueError(f"'{escaped(names[:_SHOWN])}' is a text; expected a list of classes.")
    if not names:
        raise ValueError("The list of classes is empty; name one or more that may be answered.")
    found = {name: finder.find(name) for name in dict.fromkeys(names)}
    if unknown := [name for name, index in found.items() if index is None]:
        first, *others = unknown[:_NAMED]
        listed = "; ".join([finder.described(first), *map(_quoted, others)])
        more = f"; and {len(unknown) - _NAMED} more" if len(unknown) > _NAMED else ""
        raise ValueError(f"None of the {finder.count:,} classes has the id or name {listed}{more}.")
    indices = tuple(sorted({index for index in found.values() if index is not None}))
    inside = set(indices if within is None else within)
    outside = next((name for name, index in found.items() if index not in inside), None)
    if within is not None and outside is not None:
        raise ValueError(
            f"Class '{escaped(outside)}' is not answered here; {len(within):,} of the "
            f"{finder.count:,} classes are."
        )
    return indices


def restrict(found: Assessment, margin: float, allowed: Sequence[Allowed | None]) -> Assessment:
    """Take the other classes out of an assessment.

    Their logits become minus infinity, so that the softmax of what remains is the probabilities,
    given that it is one of the allowed classes, and the sets are what the calibrated margin gives
    among these. Where the set among all classes holds the right class, and that is allowed, the new
    set holds it too, as the highest allowed logit is no higher than the highest of all. "None of
    these" is a verdict on all classes, and stays.

    Args:
        found: Of N photographs.
        margin: The checkpoint's, as `calibrate.Trust`.
        allowed: N times the classes that may be answered; None for all.

    Returns:
        The assessment; the same object where nothing is restricted.
    """
    if all(classes is None for classes in allowed):
        return found
    logits = found.logits.copy()
    for row, classes in zip(logits, allowed, strict=True):
        if classes is not None:
            row[_others(len(row), classes)] = -np.inf
    sets = prediction_sets(logits, margin) & (logits > -np.inf)
    return replace(found, logits=logits, sets=sets)


def set_aside(logits: np.ndarray, allowed: Allowed) -> tuple[float, int, float]:
    """Tell how much probability the classes that may not be answered have.

    Args:
        logits: `[C]`, of all classes, divided by the temperature.
        allowed: The others; fewer than C.

    Returns:
        Their share of the probability, 0-1; the most probable of them, and its own share.
    """
    others = _others(len(logits), allowed)
    shares = np.where(others, softmax(logits.astype(np.float64)), 0)
    best = int(np.where(others, logits, -np.inf).argmax())
    return min(float(shares.sum()), 1.0), best, float(shares[best])


def _others(count: int, allowed: Allowed) -> np.ndarray:
    mask = np.ones(count, bool)
    mask[list(allowed)] = False
    return mask
