"""The seeded stratified split for folders that bring none."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from model.photographs.dataset import Photos


def to_draw(present: set[str], valid_fraction: float, test_fraction: float) -> dict[str, float]:
    """Say which splits are to be taken out of `train`.

    Args:
        present: The splits that the data has.
        valid_fraction: As `stratified_split`.
        test_fraction: As `stratified_split`.

    Returns:
        Split -> share of each class.

    Raises:
        ValueError: A fraction is out of range.
    """
    if not 0 < valid_fraction < 1 or not 0 <= test_fraction < 1 - valid_fraction:
        raise ValueError(
            f"--valid-fraction {valid_fraction} and --test-fraction {test_fraction} must be "
            "shares above 0 (test may be 0) that leave something for training."
        )
    wanted = {"valid": valid_fraction, "test": test_fraction}
    draw = {split: share for split, share in wanted.items() if share > 0 and split not in present}
    if "valid" in present and "test" in draw:
        del draw["test"]  # the data's own splits are complete; test_fraction is for data without
    return draw


def least_photographs(draw: dict[str, float]) -> int:
    """Return how many photographs to train on a class needs, given `to_draw`."""
    return 2 + len(draw)


def require_enough(count: int, class_id: str, draw: dict[str, float], name: str) -> None:
    """Make sure that a class can be split.

    Args:
        count: Its photographs to train on.
        class_id: Its id.
        draw: From `to_draw`.
        name: The data set's name.

    Raises:
        ValueError: There are too few.
    """
    needed = least_photographs(draw)
    if count < needed:
        raise ValueError(
            f"Class '{class_id}' in {name} has {count} usable photographs to train on; "
            f"a {'/'.join(['train', *draw])} split needs at least {needed}. "
            "Add photographs or remove the folder."
        )


def stratified_split(
    photos: "Photos",
    given: np.ndarray,
    class_ids: list[str],
    valid_fraction: float,
    test_fraction: float,
    seed: int,
    name: str,
) -> tuple[np.ndarray, str]:
    """Take `valid`, and `test` if asked for, out of each class where the data has no such split.

    Photographs with the same bytes stay together, so that none is both learnt and measured.

    Args:
        photos: N photographs.
        given: N split names, empty where the data has no splits.
        class_ids: C class ids.
        valid_fraction: Share of each class for `valid`, 0-1, at least one photograph.
        test_fraction: Share for `test`; 0 for none.
        seed: Seed of the draw.
        name: The data set's name, for messages.

    Returns:
        N split names, and a sentence that says what was made (empty when nothing was).

    Raises:
        ValueError: A fraction is out of range, or a class has too few photographs.
    """
    draw = to_draw(set(given.tolist()), valid_fraction, test_fraction)
    split_names = np.where(given == "", "train", given).astype("<U5")
    rng = np.random.default_rng(seed)
    placed: dict[str, str] = {}
    for label, class_id in enumerate(class_ids):
        members = np.flatnonzero((photos.labels == label) & (split_names == "train"))
        require_enough(len(members), class_id, draw, name)
        members = rng.permutation(members)
        free = [i for i in members if photos.digests[i] not in placed]
        unique = list(dict.fromkeys(photos.digests[i] for i in free))
        for left, (split, share) in zip(range(len(draw), 0, -1), draw.items(), strict=True):
            # every split to come, and train, keeps at least one
            count = min(max(1, round(share * len(members))), len(unique) - left)
            for digest in unique[:count]:
                placed[digest] = split
            unique = unique[count:]
        placed |= dict.fromkeys(unique, "train")
        for i in members:
            split_names[i] = placed[photos.digests[i]]
    if not draw:
        return split_names, ""
    shares = " and ".join(f"{share:.0%} for {split}" for split, share in draw.items())
    return split_names, f"Split by class with seed {seed}: {shares}, the rest for train."
