"""Answers at the lowest level that is sure enough: "an iris, 96 %" if the species is not clear.

The probability of a parent is the sum of the probabilities of its classes. Level 1 is the top. A
class with fewer parents than others represents itself on its own level and all lower ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from model.cache import row_blocks
from model.photographs.parents import in_common

SURE = 0.8
"""The lowest probability of an answer. Probabilities are calibrated, so at most one in five answers
with this probability is wrong, and far fewer on average. As it is above one half, no two answers on
a level can both be sure, and the parents of a sure answer are sure as well."""

_MOST_NAMED, _LEAST_NAMED = 3, 0.01


class Part(NamedTuple):
    """A class that an answer leaves open, and its probability, 0-1."""

    label: str
    probability: float


@dataclass(frozen=True)
class Answer:
    """The lowest class or parent that is sure enough.

    Attributes:
        name: Name of the class or parent; "" if nothing is sure enough.
        class_id: Id of the class; None for a parent.
        level: 1 for the top; 0 if nothing is sure enough.
        probability: Probability of the answer, 0-1; 1 if nothing is sure enough, because the answer
            then stands for all classes.
        path: The names from the top down to the answer.
        perhaps: For a parent, one to three of its classes, the most probable first; all but the
            first have a probability of at least 1 %.
    """

    name: str
    class_id: str | None
    level: int
    probability: float
    path: list[str]
    perhaps: list[Part]

    def to_json(self) -> dict[str, Any] | None:
        """Return plain JSON values; None if nothing is sure enough."""
        if not self.level:
            return None
        return {
            "name": self.name,
            "class_id": self.class_id,
            "level": self.level,
            "probability": self.probability,
            "path": self.path,
        }


class Sure(NamedTuple):
    """The lowest node that is sure enough, for each of N photographs.

    Attributes:
        level: int64 `[N]`, the level of the node; 0 if no node is sure enough.
        members: bool `[N, C]`, the classes of the node; all classes on level 0.
    """

    level: np.ndarray
    members: np.ndarray


class Levels:
    """The classes of a checkpoint and their parents, level by level."""

    def __init__(
        self,
        class_ids: list[str],
        class_names: Sequence[str],
        parents: Sequence[Sequence[str]],
    ) -> None:
        """Number the nodes of each level.

        Args:
            class_ids: C class ids.
            class_names: C names.
            parents: The parents of each class, the widest first; empty if no class has any. Top
                parents that all classes share form no level, because they would always be sure.
        """
        self.class_ids, self.class_names = class_ids, class_names
        shared = len(in_common(parents))
        self.parents = [tuple(names[shared:]) for names in parents] or [()] * len(class_ids)
        self.depth = 1 + max(map(len, self.parents))
        self._nodes = [self._numbers(level) for level in range(1, self.depth + 1)]

    @property
    def nodes(self) -> list[int]:
        """Number of distinct nodes (classes and parents) on each level, from the top down."""
        return [int(numbers.max()) + 1 for numbers in self._nodes]

    def __bool__(self) -> bool:
        """Tell whether any class has a parent."""
        return self.depth > 1

    def _numbers(self, level: int) -> np.ndarray:
        """Return the number of each class's node on a level, int64 `[C]`."""
        numbers: dict[object, int] = {}
        keys = (
            names[:level] if level <= len(names) else number
            for number, names in enumerate(self.parents)
        )
        return np.array([numbers.setdefault(key, len(numbers)) for key in keys], np.int64)

    def sums(self, probabilities: np.ndarray, level: int) -> np.ndarray:
        """Sum probabilities `[N, C]` upward to the K nodes of a level: `[N, K]`."""
        nodes = self._nodes[level - 1]
        if nodes[-1] == len(nodes) - 1:  # each class stands for itself
            return probabilities
        order = np.argsort(nodes, kind="stable")
        starts = np.flatnonzero(np.diff(nodes[order], prepend=-1))
        return np.add.reduceat(probabilities[:, order], starts, axis=1)

    def sure(self, probabilities: np.ndarray) -> Sure:
        """Descend from the top while the most probable node on the next level is sure enough.

        Args:
            probabilities: `[N, C]`, calibrated.

        Returns:
            The node at which each descent ends.
        """
        level = np.zeros(len(probabilities), np.int64)
        members = np.ones(probabilities.shape, bool)
        for number, nodes in enumerate(self._nodes, start=1):
            sums = self.sums(np.where(members, probabilities, 0), number)
            goes_on = (level == number - 1) & (sums.max(axis=1) >= SURE)
            below = nodes == sums.argmax(axis=1)[:, None]
            members &= below | ~goes_on[:, None]
            level[goes_on] = number
        return Sure(level, members)

    def answer(self, probabilities: np.ndarray) -> Answer:
        """Answer for one photograph.

        Args:
            probabilities: `[C]`, calibrated.

        Returns:
            The lowest level that is sure enough.
        """
        found = self.sure(probabilities[None])
        level, inside = int(found.level[0]), np.flatnonzero(found.members[0])
        if not level:
            return Answer("", None, 0, 1.0, [], [])
        first = int(inside[0])
        names = self.parents[first]
        share = min(float(probabilities[inside].sum()), 1.0)
        if level > len(names):
            path = [*names, self.class_names[first]]
            return Answer(path[-1], self.class_ids[first], len(path), share, path, [])
        likely = inside[np.argsort(-probabilities[inside], kind="stable")][:_MOST_NAMED]
        perhaps = [Part(self.class_names[i], float(probabilities[i])) for i in likely]
        perhaps = [
            part for part in perhaps if part is perhaps[0] or part.probability >= _LEAST_NAMED
        ]
        return Answer(names[level - 1], None, level, share, list(names[:level]), perhaps)

    def measure(self, probabilities: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
        """Measure the levels, and the answers that are sure enough.

        Args:
            probabilities: `[N, C]`, calibrated.
            labels: int64 `[N]`.

        Returns:
            `levels`: for each level its number, `nodes` (distinct classes and parents), `top1`,
            `answered` (share of photographs whose answer is on this level) and `answered_right`
            (share of these answers that are right; None if there are none). The last level is that
            of the classes, and counts every answer that is a class. `answered` and
            `answered_right` beside `levels` are the same figures for all levels together.
        """
        parts = [
            self._measured(probabilities[rows], labels[rows])
            for rows in row_blocks(*probabilities.shape)
        ]
        level, right, top1 = (np.concatenate(values) for values in zip(*parts, strict=True))
        rows_of = [
            {
                "level": number,
                "nodes": count,
                "top1": float(top1[:, number - 1].mean()),
                **_answers(right, level == number),
            }
            for number, count in enumerate(self.nodes, start=1)
        ]
        return {"levels": rows_of, **_answers(right, level > 0)}

    def _measured(
        self, probabilities: np.ndarray, labels: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return, for each photograph, its level and whether its answers are right.

        Args:
            probabilities: `[N, C]`.
            labels: int64 `[N]`.

        Returns:
            The level of the answer, int64 `[N]`; whether the answer is right, bool `[N]`; and
            whether the most probable node of each level is right, bool `[N, depth]`.
        """
        found = self.sure(probabilities)
        right = found.members[np.arange(len(labels)), labels]
        level = np.where(found.members.sum(axis=1) == 1, self.depth, found.level)
        best = [
            self.sums(probabilities, number).argmax(axis=1) == nodes[labels]
            for number, nodes in enumerate(self._nodes, start=1)
        ]
        return level, right, np.stack(best, axis=1)


def _answers(right: np.ndarray, given: np.ndarray) -> dict[str, float | None]:
    return {
        "answered": float(given.mean()),
        "answered_right": float(right[given].mean()) if given.any() else None,
    }
