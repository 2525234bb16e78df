"""Which confused classes lie side by side."""

from model.trust.confusion import blocks


def test_classes_confused_with_one_another_form_a_block_the_largest_first():
    assert blocks({(0, 9): 1, (3, 7): 2, (7, 3): 2, (5, 3): 1}) == [[5, 3, 7], [0, 9]]


def test_nothing_confused_is_no_block():
    assert blocks({}) == []


def test_within_a_block_those_confused_more_often_are_neighbours():
    weak = {(a, b): 1 for a in range(4) for b in range(4) if a != b}
    (order,) = blocks(weak | {(0, 3): 20, (2, 1): 20})
    places = {label: place for place, label in enumerate(order)}
    assert abs(places[0] - places[3]) == abs(places[1] - places[2]) == 1


def test_of_many_classes_those_with_most_errors_are_shown():
    chain = {(label, label + 1): 1 for label in range(500)} | {(900, 901): 5, (902, 903): 4}
    found = blocks(chain, limit=7)
    assert found[:2] == [[900, 901], [902, 903]]
    assert sum(map(len, found)) == 7
    assert all(len(block) > 1 for block in found)
