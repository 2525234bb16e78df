"""Answers restricted to some classes, and the probability of the classes that are excluded."""

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

_NAMED = 3  # the most unknown names in a message
_SHOWN = 60  # the most characters of each
_COMPARED = 300  # ids and names that are searched for similar ones, in 30 ms


class ClassFinder:
    """Finds classes by id or name."""

    def __init__(self, class_ids: Sequence[str], class_names: Sequence[str]) -> None:
        """Index the ids and names of the classes.

        Args:
            class_ids: C class ids.
            class_names: C display names.
        """
        self.count = len(class_ids)
        self._said = [*class_ids, *class_names]
        self._index: dict[str, int] = {}
        lower = [text.casefold() for text in self._said]
        for text in (self._said, lower):  # exact spelling first, and ids before names
            for place, name in enumerate(text):
                self._index.setdefault(normal_form(name), place % self.count)

    def find(self, name: str) -> int | None:
        """Return the index of a class; None if no class has this id or name.

        Args:
            name: Id or display name. If no class is spelled exactly like this, upper and lower case
                are treated as equal.
        """
        written = (normal_form(name), normal_form(name.strip()))  # an id may end with a space
        ways = (*written, *(said.casefold() for said in written))
        return next((self._index[said] for said in ways if said in self._index), None)

    def described(self, name: str) -> str:
        """Quote an unknown name, with up to three similar ids or names."""
        quoted = _quoted(name)
        close = self.close(name)
        if not close:
            return quoted
        listed = ", ".join(f"'{escaped(one[:_SHOWN])}'" for one in close)
        return f"{quoted} (close to it: {listed})"

    def close(self, name: str, most: int = 3, likeness: float = 0.6) -> list[str]:
        """Return the ids and names that are spelled similarly to a name, the closest first.

        Args:
            name: The name. For a very long name, nothing is returned.
            most: The most ids and names.
            likeness: The least similarity, 0-1, as the ratio of `difflib`.
        """
        if len(name) > _SHOWN:
            return []
        like = {said.casefold(): said for said in reversed(self._like(name))}  # the first one stays
        found = difflib.get_close_matches(name.casefold(), like, most, likeness)
        return [like[one] for one in found]

    def _like(self, name: str) -> list[str]:
        """Return the ids and names to compare with.

        Each comparison takes 0.1 ms, during which no other request is answered. If there are many
        ids and names, only those with the same initial and about the same length are compared.
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
        names: Ids and names, one or more; repeated ones count once.
        finder: The classes.
        within: The classes that may be named; None for all.

    Returns:
        The classes.

    Raises:
        ValueError: The list is empty, or a class in it does not exist or is outside `within`.
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
    """Restrict an assessment to the allowed classes.

    The logits of all other classes become minus infinity. The softmax then gives probabilities
    under the condition that one of the allowed classes is right, and the calibrated margin gives
    the sets among these classes. If the set among all classes holds the right class, and this class
    is allowed, the new set holds it too, because the highest allowed logit is no higher than the
    highest logit of all. "None of these" concerns all classes and does not change.

    Args:
        found: Assessment of N photographs.
        margin: The checkpoint's margin, `calibrate.Trust.margin`.
        allowed: For each of the N photographs, the classes that may be answered; None for all.

    Returns:
        The assessment; the same object if nothing is restricted.
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
    """Return the probability of the classes that may not be answered.

    Args:
        logits: Logits of all classes, `[C]`, divided by the temperature.
        allowed: The classes that may be answered; fewer than C.

    Returns:
        The probability of all excluded classes, 0-1; the index of the most probable one; and its
        probability, 0-1.
    """
    others = _others(len(logits), allowed)
    shares = np.where(others, softmax(logits.astype(np.float64)), 0)
    best = int(np.where(others, logits, -np.inf).argmax())
    return min(float(shares.sum()), 1.0), best, float(shares[best])


def _others(count: int, allowed: Allowed) -> np.ndarray:
    mask = np.ones(count, bool)
    mask[list(allowed)] = False
    return mask
