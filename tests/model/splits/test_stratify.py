"""The draw: groups stay whole, every class gets its share, and what cannot be split is an error."""

from pathlib import Path

import numpy as np
import pytest

from model.photographs.dataset import Collection, Photos
from model.splits.stratify import stratify


def people(classes: int, groups: list[list[int]]) -> tuple[Collection, np.ndarray]:
    """Photographs of groups, each given as the labels of its photographs."""
    labels = np.array([label for group in groups for label in group])
    numbers = np.array([number for number, group in enumerate(groups) for _ in group])
    count = len(labels)
    photos = Photos(
        [Path(f"{i}.jpg") for i in range(count)], labels, [f"{i:064x}" for i in range(count)]
    )
    class_ids = [str(c) for c in range(classes)]
    nothing = np.zeros(count, np.int64)
    data = Collection(
        "people", Path(), photos, np.full(count, "", "<U5"), [""] * count, nothing, class_ids,
        class_ids, [], [],
    )  # fmt: skip
    return data, numbers


def drawn(
    data: Collection, numbers: np.ndarray, draw: dict[str, float], seed: int = 0
) -> np.ndarray:
    split_names = np.full(len(numbers), "train", "<U5")
    draws = dict.fromkeys(data.class_ids, draw)
    return stratify(data, split_names, numbers, draws, seed)


@pytest.mark.parametrize("seed", range(5))
def test_no_group_is_torn_and_shares_are_kept(seed: int):
    rng = np.random.default_rng(seed)
    groups = [[label] * int(rng.integers(1, 9)) for label in range(4) for _ in range(40)]
    data, numbers = people(4, groups)
    split_names = drawn(data, numbers, {"valid": 0.2, "test": 0.1}, seed)
    assert all(len(set(split_names[numbers == number])) == 1 for number in set(numbers))
    for label in range(4):
        of_class = split_names[data.photos.labels == label]
        assert (of_class == "valid").mean() == pytest.approx(0.2, abs=0.04)
        assert (of_class == "test").mean() == pytest.approx(0.1, abs=0.04)


@pytest.mark.parametrize("seed", range(5))
def test_people_who_show_every_class_stay_on_one_side(seed: int):
    data, numbers = people(10, [list(range(10)) for _ in range(20)])
    split_names = drawn(data, numbers, {"valid": 0.2}, seed)
    assert all(len(set(split_names[numbers == number])) == 1 for number in set(numbers))
    assert len(set(numbers[split_names == "valid"])) == 4


def test_a_group_far_larger_than_the_share_is_trained_on():
    data, numbers = people(2, [[0] * 30, [0], [0, 0], [1] * 5, [1], [1]])
    split_names = drawn(data, numbers, {"valid": 0.2})
    assert set(split_names[numbers == 0]) == {"train"}
    assert (split_names[data.photos.labels == 0] == "valid").any()


def test_groups_so_few_that_no_split_is_possible_are_counted():
    data, numbers = people(2, [[0] * 12, [1] * 3, [1] * 3])
    expected = r"'0' in people has 12 .* in 1 group .* train/valid split needs at least 2 groups"
    with pytest.raises(ValueError, match=expected):
        drawn(data, numbers, {"valid": 0.2})
    data, numbers = people(2, [[0] * 6, [0] * 6, [1], [1], [1], [1]])
    with pytest.raises(ValueError, match=r"in 2 groups .* train/valid/test split needs at least 3"):
        drawn(data, numbers, {"valid": 0.2, "test": 0.2})


def test_classes_that_share_their_groups_leave_none_for_a_split():
    """Class 0 needs one of two groups in valid, class 1 needs the same one in train."""
    data, numbers = people(2, [[0, 0, 1, 1], [0, 0], [1, 1]])
    split_names = drawn(data, numbers, {"valid": 0.4})
    assert {*split_names[data.photos.labels == 0]} == {*split_names[data.photos.labels == 1]}
    data, numbers = people(3, [[0, 0, 1, 1], [0, 0, 2, 2], [1, 1, 2, 2]])
    with pytest.raises(ValueError, match=r"shares them with other classes.*--group-by none"):
        drawn(data, numbers, {"valid": 0.4})


def test_groups_that_stand_alone_are_split_as_they_always_were():
    """A seed's split must not change for those who have no groups: by class, in class order."""
    data, numbers = people(2, [[label] for label in range(2) for _ in range(10)])
    rng, expected = np.random.default_rng(3), np.full(20, "train", "<U5")
    for label in range(2):
        expected[rng.permutation(np.arange(10 * label, 10 * label + 10))[:2]] = "valid"
    assert drawn(data, numbers, {"valid": 0.2}, 3).tolist() == expected.tolist()
