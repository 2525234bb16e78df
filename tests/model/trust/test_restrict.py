"""Answers among some classes only."""

import time

import numpy as np
import pytest

from model.trust.calibrate import Assessment
from model.trust.metrics import softmax
from model.trust.restrict import ClassFinder, resolve, restrict, set_aside
from model.trust.sets import prediction_sets

MARGIN = 1.5
FINDER = ClassFinder(["1", "2", "rose", "x"], ["Dahlia", "Bee balm", "Dog rose", "Écru\u0301"])


def assessed(count: int = 40, classes: int = 6) -> Assessment:
    logits = np.random.default_rng(0).normal(0, 2, (count, classes)).astype(np.float32)
    scores = np.linspace(0, 4, count)
    return Assessment(logits, prediction_sets(logits, MARGIN), scores, scores > 3, None)


def test_it_equals_the_softmax_and_the_sets_of_the_subset():
    found, allowed = assessed(), (1, 2, 5)
    limited = restrict(found, MARGIN, [allowed] * 40)
    subset = found.logits[:, list(allowed)]
    probabilities = softmax(limited.logits)
    assert np.allclose(probabilities[:, list(allowed)], softmax(subset), atol=1e-6)
    assert not probabilities[:, [0, 3, 4]].any()
    assert np.array_equal(limited.sets[:, list(allowed)], prediction_sets(subset, MARGIN))
    assert not limited.sets[:, [0, 3, 4]].any()


def test_a_set_keeps_every_allowed_class_that_the_set_of_all_classes_has():
    found, allowed = assessed(), (0, 3)
    limited = restrict(found, MARGIN, [allowed] * 40)
    was, now = found.sets[:, list(allowed)], limited.sets[:, list(allowed)]
    assert was.any() and not (was & ~now).any()
    assert now.any(axis=1).all(), "no set is empty"


def test_a_margin_without_bound_lets_no_other_class_in():
    limited = restrict(assessed(), np.inf, [(0, 3)] * 40)
    assert np.array_equal(limited.sets[0], [True, False, False, True, False, False])


def test_each_photograph_has_its_own_classes_and_the_verdict_on_all_stays():
    found = assessed(3)
    limited = restrict(found, MARGIN, [None, (4,), (0, 1)])
    assert np.array_equal(limited.logits[0], found.logits[0])
    assert np.array_equal(limited.sets[0], found.sets[0])
    assert [*np.isfinite(limited.logits).sum(axis=1)] == [6, 1, 2]
    assert softmax(limited.logits)[1, 4] == 1
    assert limited.none_of_these is found.none_of_these
    assert np.isfinite(found.logits).all(), "the assessment itself is as it was"


def test_nothing_restricted_is_the_same_object():
    found = assessed(2)
    assert restrict(found, MARGIN, [None, None]) is found


def test_what_is_set_aside_is_the_probability_among_all_classes():
    logits = np.log(np.array([0.5, 0.1, 0.3, 0.1], np.float32))
    share, best, own = set_aside(logits, (1, 2))
    assert (share, best, own) == (pytest.approx(0.6), 0, pytest.approx(0.5))
    assert set_aside(logits, (0, 1, 2))[0] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["rose"], (2,)),
        (["Dog rose", "rose", "1"], (0, 2)),
        (["dog ROSE", " bee balm "], (1, 2)),
        (["E\u0301cru\u0301"], (3,)),  # the accents written in the other way
        (["1", "2", "rose", "x"], (0, 1, 2, 3)),
    ],
)
def test_ids_and_names_are_found(names: list[str], found: tuple[int, ...]):
    assert resolve(names, FINDER) == found


def test_an_id_comes_before_a_name_and_exact_writing_before_another():
    finder = ClassFinder(["a", "B", "b"], ["b", "c", "d"])
    assert resolve(["b"], finder) == (2,)
    assert resolve(["B"], finder) == (1,)
    assert resolve(["C"], finder) == (1,)


def test_unknown_classes_are_named_with_those_written_nearly_so():
    with pytest.raises(ValueError, match=r"4 classes has the id or name 'Dahlja'.*'Dahlia'"):
        resolve(["rose", "Dahlja"], FINDER)
    many = ["zzz\x1b", "y" * 5000, *map(str, range(10, 20))]
    with pytest.raises(ValueError, match=r"'zzz\\u001b'; 'y{60}…'; '10'.*; and 9 more") as error:
        resolve(many, FINDER)
    assert len(str(error.value)) < 300


def test_a_name_that_ends_with_a_space_is_not_taken_for_another():
    finder = ClassFinder(["rose", "rose ", " x"], ["a", "b", "c"])
    assert resolve(["rose "], finder) == (1,)
    assert resolve(["rose"], finder) == resolve([" rose "], finder) == (0,)
    assert resolve([" x"], finder) == resolve([" X"], finder) == (2,)


def test_a_misspelt_name_is_recognised_among_many_with_the_same_first_letter():
    names = [f"Rosa {'lorem ' * 3}{number}" for number in range(2000)] + ["Rosa canina"]
    finder = ClassFinder([str(number) for number in range(len(names))], names)
    assert finder.close("rosa cannina", most=1, likeness=0.8) == ["Rosa canina"]
    assert finder.close("Ricinus", likeness=0.8) == []


def test_many_unknown_names_are_refused_at_once():
    many = [f"{letter}{'lorem ipsum ' * 4}{number}" for letter in "abcd" for number in range(6000)]
    finder = ClassFinder(many, [name.upper() for name in many])
    started = time.perf_counter()
    with pytest.raises(
        ValueError, match=r"'a.*close to it: 'a[^;]*; 'b[^;(]*; 'c[^;(]*; and 1 more"
    ):
        resolve([f"{letter}{'lorem ipsum ' * 4}x" for letter in "abcd"], finder)
    assert time.perf_counter() - started < 1
    with pytest.raises(ValueError, match="is not answered here; 23,999 of the 24,000 classes are"):
        resolve(many, finder, tuple(range(len(many) - 1)))
    assert time.perf_counter() - started < 2


@pytest.mark.parametrize(("names", "says"), [([], "is empty"), ("rose", "'rose' is a text")])
def test_no_class_and_a_bare_text_are_errors(names: list[str], says: str):
    with pytest.raises(ValueError, match=says):
        resolve(names, FINDER)


def test_classes_that_are_not_answered_here_cannot_be_named():
    assert resolve(["rose"], FINDER, (1, 2)) == (2,)
    with pytest.raises(ValueError, match="Class 'Dahlia' is not answered here; 2 of the 4"):
        resolve(["rose", "Dahlia"], FINDER, (1, 2))
