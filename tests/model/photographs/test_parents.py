"""Parents of classes: what they may be."""

import pytest

from model.photographs.parents import (
    MAX_LEVELS,
    Gathered,
    above,
    display_parents,
    in_common,
    require_tree,
)


def test_parents_are_stripped_and_in_one_unicode_form():
    assert above("x", [" plants", "Lo\u0308wenzahn "], "The parent") == ("plants", "L\u00f6wenzahn")


def test_a_class_that_is_its_own_parent_has_none():
    assert above("tulip", ["tulip"], "The parent") == ()
    assert above("tulip", ["plants", "tulip"], "The parent") == ("plants",)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["plants", ""], "'plants/' has an empty part"),
        (["a\x1bb"], "unprintable character U\\+001B"),
        (list("abcde")[:MAX_LEVELS], "puts 5 levels above class 'x'; at most 4"),
    ],
)
def test_what_cannot_be_a_parent_is_refused(names: list[str], said: str):
    with pytest.raises(ValueError, match=said):
        above("x", names, "The parent")


def test_a_class_with_two_parents_is_refused_by_name():
    found = Gathered("Keep one of them.")
    found.add("rose", ("shrubs",), "in line 2")
    found.add("rose", ("shrubs",), "in line 3")
    with pytest.raises(ValueError) as error:
        found.add("rose", ("herbs",), "in line 4")
    assert str(error.value) == (
        "Class 'rose' has the parent 'shrubs' in line 2 and has the parent 'herbs' in line 4. "
        "Keep one of them."
    )


def test_only_classes_with_parents_are_kept():
    found = Gathered("")
    found.add("rose", (), "here")
    found.add("bearded iris", ("iris",), "here")
    assert found.with_any() == {"bearded iris": ("iris",)}


def test_a_name_is_a_class_or_a_parent():
    with pytest.raises(ValueError, match="'iris' is both a class and a parent of class 'bearded"):
        require_tree(["iris", "bearded iris"], {"bearded iris": ("iris",)})


@pytest.mark.parametrize("second", [("herbs", "bulbs"), ("bulbs",), ("bulbs", "plants", "bulbs")])
def test_a_parent_stands_in_one_place(second: tuple[str, ...]):
    with pytest.raises(ValueError, match="The parent 'bulbs' is both"):
        require_tree(["a", "b"], {"a": ("plants", "bulbs"), "b": second})


def test_a_tree_of_uneven_depth_is_in_order():
    require_tree(["a", "b", "c"], {"a": ("plants", "bulbs"), "b": ("plants",)})


def test_what_all_classes_have_in_common_is_found_from_the_top():
    assert in_common([("a", "b", "c"), ("a", "b"), ("a", "b", "d")]) == ("a", "b")
    assert in_common([("a", "b"), ("a", "c")]) == ("a",)
    assert in_common([("a",), ()]) == in_common([]) == in_common([("a",), ("b",)]) == ()


def test_parents_get_display_names_of_their_own():
    parents = {"1": ("10", "11"), "2": ("10", "12"), "3": ("tulip",)}
    names = {"1": "yellow", "10": "bulbs", "11": "iris", "12": "iris"}
    assert display_parents(parents, {"1": "yellow", "2": "siberian", "3": "Tulip"}, names) == {
        "1": ("bulbs", "iris (11)"),
        "2": ("bulbs", "iris (12)"),
        "3": ("tulip",),
    }
    shown = display_parents({"1": ("9",)}, {"1": "iris", "2": "rose"}, {"9": "iris"})
    assert shown == {"1": ("iris (group)",)}
