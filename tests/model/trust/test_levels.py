"""Answers at the level that is sure: sums upward, the walk down, and how often it is right."""

import numpy as np
import pytest

from model.trust.levels import SURE, Answer, Levels

IDS = ["b", "y", "s", "r", "t"]
NAMES = ["bearded iris", "yellow iris", "siberian iris", "rose", "tulip"]
PARENTS = [("bulbs", "iris"), ("bulbs", "iris"), ("bulbs", "iris"), (), ("bulbs",)]


@pytest.fixture
def levels() -> Levels:
    return Levels(IDS, NAMES, PARENTS)


def answer(levels: Levels, *shares: float) -> Answer:
    return levels.answer(np.array(shares, np.float32))


def test_probabilities_are_summed_upward(levels: Levels):
    rows = np.array([[0.1, 0.2, 0.3, 0.25, 0.15], [0, 0, 0, 1, 0]])
    assert levels.depth == 3
    assert levels.sums(rows, 1) == pytest.approx(np.array([[0.75, 0.25], [0, 1]]))
    assert levels.sums(rows, 2) == pytest.approx(np.array([[0.6, 0.25, 0.15], [0, 1, 0]]))
    assert levels.sums(rows, 3) == pytest.approx(rows)


def test_a_sure_class_is_the_answer(levels: Levels):
    found = answer(levels, 0.9, 0.1, 0, 0, 0)
    assert (found.name, found.class_id, found.level) == ("bearded iris", "b", 3)
    assert found.path == ["bulbs", "iris", "bearded iris"]
    assert found.probability == pytest.approx(0.9)
    assert found.perhaps == []


def test_where_the_class_is_unsure_its_parent_is_the_answer(levels: Levels):
    found = answer(levels, 0.45, 0.5, 0.002, 0.03, 0.018)
    assert (found.name, found.class_id, found.level) == ("iris", None, 2)
    assert found.path == ["bulbs", "iris"]
    assert found.probability == pytest.approx(0.952)
    assert [part.label for part in found.perhaps] == ["yellow iris", "bearded iris"]
    assert [part.probability for part in found.perhaps] == pytest.approx([0.5, 0.45])


def test_the_answer_rises_until_it_is_sure(levels: Levels):
    assert answer(levels, 0.3, 0.2, 0, 0.1, 0.4).path == ["bulbs"]


def test_a_class_without_parents_stands_at_the_top(levels: Levels):
    found = answer(levels, 0, 0, 0, 0.95, 0.05)
    assert (found.class_id, found.level, found.path) == ("r", 1, ["rose"])


def test_where_nothing_is_sure_there_is_no_answer(levels: Levels):
    found = answer(levels, 0.3, 0.1, 0.1, 0.4, 0.1)
    assert found.level == 0
    assert found.to_json() is None


def test_the_threshold_itself_is_sure(levels: Levels):
    assert levels.answer(np.array([SURE, 0, 0, 1 - SURE, 0])).class_id == "b"
    assert levels.answer(np.array([SURE - 1e-6, 0, 0, 1 - SURE + 1e-6, 0])).level == 0


def test_an_answer_never_leaves_its_parent(levels: Levels):
    rng, found_on = np.random.default_rng(0), set()
    for shares in rng.dirichlet(np.full(5, 0.4), 200):
        found = levels.answer(shares)
        inside = [
            number
            for number, names in enumerate(PARENTS)
            if found.path == list(names[: found.level])
        ]
        if found.class_id:
            inside = [IDS.index(found.class_id)]
        found_on.add((found.level, found.class_id is None))
        if found.level:
            assert shares[inside].sum() == pytest.approx(found.probability)
            assert found.probability >= SURE
    assert found_on >= {(0, True), (1, True), (1, False), (2, True), (2, False), (3, False)}


def test_a_probability_is_at_most_one(levels: Levels):
    assert answer(levels, 0.4, 0.4, 0.2000001, 0, 0).probability == 1


def test_an_answer_is_plain_json(levels: Levels):
    assert answer(levels, 0.5, 0.5, 0, 0, 0).to_json() == {
        "name": "iris",
        "class_id": None,
        "level": 2,
        "probability": 1.0,
        "path": ["bulbs", "iris"],
    }


def test_classes_without_parents_are_no_levels():
    assert not Levels(IDS, NAMES, [])
    assert not Levels(IDS, NAMES, [()] * 5)
    assert Levels(IDS, NAMES, PARENTS)


def test_a_parent_of_all_classes_is_no_level_as_it_would_always_be_sure():
    shared = Levels(IDS, NAMES, [("images", "plants", *names) for names in PARENTS])
    assert shared.depth == 3 and shared.nodes == [2, 3, 5]
    assert answer(shared, 0.3, 0.1, 0.1, 0.4, 0.1).level == 0
    assert answer(shared, 0.3, 0.2, 0, 0.1, 0.4).path == ["bulbs"]
    assert not Levels(IDS, NAMES, [("images",)] * 5)


def test_each_level_is_measured_and_so_are_the_answers(levels: Levels):
    rows = np.array(
        [
            [0.9, 0.1, 0, 0, 0],  # right, by its class
            [0.6, 0.4, 0, 0, 0],  # a wrong class, a right parent: the answer is iris
            [0.5, 0, 0, 0, 0.5],  # bulbs, and right
            [0.0, 0, 0, 0.85, 0.15],  # rose, and wrong
            [0.3, 0, 0, 0.6, 0.1],  # no answer
        ]
    )
    found = levels.measure(rows, np.array([0, 1, 4, 4, 3]))
    assert found["levels"] == [
        {"level": 1, "nodes": 2, "top1": 0.8, "answered": 0.2, "answered_right": 1.0},
        {"level": 2, "nodes": 3, "top1": 0.6, "answered": 0.2, "answered_right": 1.0},
        {"level": 3, "nodes": 5, "top1": 0.4, "answered": 0.4, "answered_right": 0.5},
    ]
    assert found["answered"] == pytest.approx(0.8)
    assert found["answered_right"] == pytest.approx(0.75)


def test_a_level_without_answers_has_no_share_of_right_ones(levels: Levels):
    found = levels.measure(np.full((2, 5), [0.2, 0.1, 0.1, 0.4, 0.2]), np.array([0, 1]))
    assert found["answered"] == 0
    assert found["answered_right"] is None
    assert [row["answered_right"] for row in found["levels"]] == [None] * 3


def test_the_last_level_is_the_accuracy_of_the_classes():
    rng = np.random.default_rng(1)
    probabilities, labels = rng.dirichlet(np.ones(5), 50), rng.integers(0, 5, 50)
    found = Levels(IDS, NAMES, PARENTS).measure(probabilities, labels)
    assert found["levels"][-1]["top1"] == (probabilities.argmax(axis=1) == labels).mean()
