"""Draws splits with a seed: each gets its share of every class, and groups stay together."""

from collections.abc import Mapping

import numpy as np

from model.photographs.dataset import Collection

Draw = dict[str, float]
"""Split -> its share of each class, above 0 and below 1."""

_ATTEMPTS = 20  # orders of groups to try if classes share groups


def least_photographs(draw: Draw) -> int:
    """Return how many training photographs a class needs at least: one per split, and one more."""
    return 2 + len(draw)


def least_groups(draw: Draw) -> int:
    """Return how many groups a class needs at least: one per split, including `train`."""
    return 1 + len(draw)


def splits_text(draw: Draw) -> str:
    """Name the splits in words, such as train/valid."""
    return "/".join(["train", *draw])


def require_enough(
    count: int,
    class_id: str,
    draw: Draw,
    name: str,
    *,
    files: int | None = None,
    groups: int | None = None,
) -> None:
    """Refuse a class with too few photographs or too few groups.

    Args:
        count: How many different training photographs it has.
        class_id: The class.
        draw: The splits that will be drawn from them.
        name: The data set.
        files: How many photographs there are including copies.
        groups: How many groups the photographs form.

    Raises:
        ValueError: The class cannot be split.
    """
    needed, splits = least_photographs(draw), splits_text(draw)
    if count < needed:
        kind = "usable" if files in (None, count) else "different"
        copies = f" (and {files - count} copies)" if files is not None and files > count else ""
        raise ValueError(
            f"Class '{class_id}' in {name} has {count} {kind} photographs{copies} to train on; "
            f"a {splits} split needs at least {needed}. Add photographs or remove the folder."
        )
    if groups is not None and groups < least_groups(draw):
        raise ValueError(
            f"Class '{class_id}' in {name} has {count} different photographs to train on in "
            f"{groups} {'group' if groups == 1 else 'groups'} of photographs that belong together; "
            f"a {splits} split needs at least {least_groups(draw)} groups. Add photographs from "
            "other groups, or group only exact copies with --group-by none."
        )


def stratify(
    data: Collection,
    split_names: np.ndarray,
    groups: np.ndarray,
    draws: Mapping[str, Draw],
    seed: int,
) -> np.ndarray:
    """Draw splits from the training photographs of each class.

    Args:
        data: N photographs.
        split_names: `[N]`, their present splits.
        groups: int64 `[N]`; photographs with the same number stay together.
        draws: Class id -> the splits to draw from its training photographs.
        seed: Seed of the draw.

    Returns:
        `[N]` new split names.

    Raises:
        ValueError: A class has too few photographs or groups, or no attempt gave every split a
            photograph of every class.
    """
    rng = np.random.default_rng(seed)
    draw = _Draw(data, split_names, groups, draws)
    for attempt in range(_ATTEMPTS):
        try:
            return draw.attempt(rng)
        except _Unlucky as error:
            if attempt == _ATTEMPTS - 1:
                raise ValueError(str(error)) from error
    raise AssertionError("unreachable")


class _Unlucky(Exception):
    """With this order of groups, a split got no photograph of some class."""


class _Draw:
    """The photographs to draw from; `attempt` makes one draw."""

    def __init__(
        self,
        data: Collection,
        split_names: np.ndarray,
        groups: np.ndarray,
        draws: Mapping[str, Draw],
    ) -> None:
        self._data, self._names, self._groups, self._draws = data, split_names, groups, draws
        labels, in_train = data.photos.labels, split_names == "train"
        self._members: dict[str, np.ndarray] = {}
        open_to_draw = np.zeros(len(labels), bool)
        for class_id, draw in draws.items():
            chosen = in_train & (labels == data.label(class_id))
            open_to_draw |= chosen
            members = self._members[class_id] = np.flatnonzero(chosen)
            different = len({data.photos.digests[i] for i in members})
            count = len(np.unique(groups[members]))
            require_enough(different, class_id, draw, data.name, files=len(members), groups=count)
        self._fixed = dict.fromkeys(groups[in_train & ~open_to_draw].tolist(), "train")

    def attempt(self, rng: np.random.Generator) -> np.ndarray:
        """Draw once.

        Raises:
            _Unlucky: A split got no photograph of a class.
        """
        placed = dict(self._fixed)
        shuffled = {key: rng.permutation(members) for key, members in self._members.items()}
        # Classes with few groups go first, because other classes could use up their choices.
        fewest_first = sorted(shuffled, key=lambda key: len(set(self._groups[shuffled[key]])))
        for class_id in fewest_first:
            self._place(class_id, shuffled[class_id], placed)
        result = self._names.copy()
        for members in shuffled.values():
            for i in members:
                result[i] = placed[int(self._groups[i])]
        return result

    def _place(self, class_id: str, members: np.ndarray, placed: dict[int, str]) -> None:
        """Place those groups of a class that no other class has placed yet."""
        units: dict[int, set[str]] = {}
        for i in members:
            units.setdefault(int(self._groups[i]), set()).add(self._data.photos.digests[i])
        sizes = {unit: len(digests) for unit, digests in units.items()}
        draw, total = self._draws[class_id], sum(sizes.values())
        have = dict.fromkeys([*draw, "train"], 0)
        for unit, size in sizes.items():
            if unit in placed:
                have[placed[unit]] = have.get(placed[unit], 0) + size
        free = [unit for unit in sizes if unit not in placed]
        for split, share in draw.items():
            wanted = max(1, round(share * total))
            waiting = sum(not have[other] for other in have if other != split)
            taken = _fill(free, sizes, wanted - have[split], len(free) - waiting, not have[split])
            placed |= dict.fromkeys(taken, split)
            have[split] += sum(sizes[unit] for unit in taken)
            free = [unit for unit in free if unit not in placed]
        placed |= dict.fromkeys(free, "train")
        have["train"] += sum(sizes[unit] for unit in free)
        if empty := [split for split, count in have.items() if not count]:
            raise _Unlucky(
                f"Class '{class_id}' in {self._data.name} has {len(sizes)} groups of photographs "
                f"that belong together, but it shares them with other classes, so none is left for "
                f"{' and '.join(empty)}. Add photographs from other groups, or group only exact "
                "copies with --group-by none."
            )


def _fill(
    free: list[int], sizes: dict[int, int], wanted: int, most: int, needs_one: bool
) -> list[int]:
    """Choose groups, in their order, whose total size is as near as possible to a number.

    Args:
        free: The groups.
        sizes: Group -> photographs.
        wanted: The number of photographs.
        most: The most groups that may be taken.
        needs_one: Take the smallest group if no group fits.

    Returns:
        The chosen groups.
    """
    taken: list[int] = []
    for unit in free:
        if len(taken) >= most or wanted <= 0:
            break
        if abs(wanted - sizes[unit]) < wanted:
            taken.append(unit)
            wanted -= sizes[unit]
    if not taken and needs_one and most > 0:
        taken = [min(free, key=lambda unit: sizes[unit])]
    return taken
