"""Answers in words: sure, fairly sure, unsure, and none of these."""

from dataclasses import replace

import pytest

from demo.words import as_text, is_doubtful, short, verdict
from model.classifier import AnswerEvidence, Candidate, Prediction, Restricted
from model.trust.levels import Answer, Part


def predicted(*shares: float, none: bool = False, label_set: tuple[str, ...] = ()) -> Prediction:
    names = ("Pink primrose", "Hibiscus", "Rose", "Lotus", "Iris")
    top = [Candidate(name, name, share) for name, share in zip(names, shares, strict=False)]
    return Prediction(top, list(label_set or names[:1]), 0.99, none, 0.5, 0.1)


@pytest.mark.parametrize(
    ("shares", "headline", "sentence"),
    [
        ((0.9999, 0.0001), "Pink primrose", "Very sure: about 99 of 100 answers"),
        ((0.93, 0.07), "Pink primrose", "Very sure: about 93 of 100 answers"),
        ((0.7, 0.2, 0.1), "Probably Pink primrose, perhaps Hibiscus", "Fairly sure: about 70"),
        ((0.7, 0.05, 0.05), "Probably Pink primrose", "Fairly sure: about 70"),
        ((0.4, 0.3, 0.1), "Pink primrose or Hibiscus?", "Not sure: only about 40 of 100"),
    ],
)
def test_words_follow_the_probability(shares: tuple[float, ...], headline: str, sentence: str):
    said = verdict(predicted(*shares), 102)
    assert said.headline == headline
    assert said.sentence.startswith(sentence)


def test_an_unsure_answer_names_its_set_but_no_more_than_three():
    few = predicted(0.4, 0.3, 0.2, label_set=("Pink primrose", "Hibiscus", "Rose"))
    assert verdict(few, 102).headline == "Pink primrose, Hibiscus or Rose?"
    many = predicted(0.4, 0.3, 0.2, label_set=("Pink primrose", "Hibiscus", "Rose", "Lotus"))
    assert verdict(many, 102).headline == "Pink primrose, Hibiscus or Rose?"


def test_none_of_these_says_so_and_keeps_the_guess():
    said = verdict(predicted(0.97, 0.03, none=True), 102)
    assert said.headline == "Probably none of the 102 classes"
    assert said.sentence.endswith("The nearest class is Pink primrose.")


def test_two_classes_are_enough():
    assert verdict(predicted(0.5, 0.5), 102).headline == "Pink primrose or Hibiscus?"


def test_the_text_to_copy_holds_the_words_and_every_bar():
    lines = as_text(predicted(0.93, 0.07), 102).splitlines()
    assert lines == [
        "Pink primrose",
        "Very sure: about 93 of 100 answers like this are right.",
        "Pink primrose: 93.0\N{NO-BREAK SPACE}%",
        "Hibiscus: 7.0\N{NO-BREAK SPACE}%",
    ]


IRIS = Answer(
    "iris",
    None,
    1,
    0.96,
    ["iris"],
    [Part("bearded iris", 0.5), Part("yellow iris", 0.4), Part("dwarf iris", 0.06)],
)


def test_a_parent_is_named_where_its_classes_are_unsure():
    said = verdict(replace(predicted(0.5, 0.4), answer=IRIS), 102)
    assert said.headline == "iris, but it is not clear which one"
    assert said.sentence == (
        "Very sure of “iris”: about 96 of 100 answers like this are right. "
        "Perhaps bearded iris (50\N{NO-BREAK SPACE}%) or yellow iris (40\N{NO-BREAK SPACE}%)."
    )
    lines = as_text(replace(predicted(0.5, 0.4), answer=IRIS), 102).splitlines()
    assert lines[:2] == [*said]
    assert lines[2] == "Pink primrose: 50.0\N{NO-BREAK SPACE}%"


def test_a_parent_of_many_classes_names_the_first_at_least():
    many = replace(IRIS, probability=0.85, perhaps=[Part("bearded iris", 0.04)])
    said = verdict(replace(predicted(0.04, 0.03), answer=many), 102)
    assert said.sentence.startswith("Fairly sure of “iris”: about 85 of 100")
    assert said.sentence.endswith("Perhaps bearded iris (4\N{NO-BREAK SPACE}%).")


def test_a_class_that_is_sure_or_nothing_sure_is_said_as_without_parents():
    rose = Answer("Pink primrose", "1", 2, 0.93, ["primroses", "Pink primrose"], [])
    nothing = Answer("", None, 0, 1.0, [], [])
    for shares, answer in (((0.93, 0.07), rose), ((0.4, 0.3), nothing)):
        said = verdict(replace(predicted(*shares), answer=answer), 102)
        assert said == verdict(predicted(*shares), 102)


def test_none_of_these_comes_before_a_parent():
    said = verdict(replace(predicted(0.5, 0.4, none=True), answer=IRIS), 102)
    assert said.headline == "Probably none of the 102 classes"


def test_the_short_answer_is_the_parent_where_that_is_the_answer():
    assert short(replace(predicted(0.5, 0.4), answer=IRIS)) == ("iris", 0.96)
    assert short(predicted(0.5, 0.4)) == ("Pink primrose", 0.5)


def limited(aside: float, *shares: float, none: bool = False) -> Prediction:
    best = Candidate("Rose", "9", aside * 0.9)
    found = predicted(*shares, none=none)
    return replace(found, restricted=Restricted(len(shares), 102, aside, best))


def test_a_restricted_answer_says_what_was_allowed_and_what_went_to_others():
    said = verdict(limited(0.031, 0.93, 0.07), 102)
    assert said.headline == "Pink primrose"
    assert said.sentence == (
        "Very sure, if it is one of those allowed: about 93 of 100 answers like this are right. "
        "Only 2 of 102 classes were allowed; 3\N{NO-BREAK SPACE}% of the probability went to "
        "others."
    )
    assert "; less than 1\N{NO-BREAK SPACE}% of" in verdict(limited(0.0, 0.93, 0.07), 102).sentence


def test_where_most_was_set_aside_the_words_promise_nothing():
    said = verdict(limited(0.87, 0.99, 0.01), 102)
    assert said.headline == "Most likely Pink primrose, of the 2 allowed"
    assert said.sentence == (
        "Only 2 of 102 classes were allowed. Without that limit the best guess would be "
        "Rose (78\N{NO-BREAK SPACE}%)."
    )


def test_a_single_allowed_class_is_no_discovery():
    said = verdict(limited(0.2, 1.0), 102)
    assert said.headline == "Pink primrose, the only class allowed"
    assert said.sentence.startswith("Only 1 of 102 classes was allowed; 20\N{NO-BREAK SPACE}% of")
    assert "Without that limit" in verdict(limited(0.9, 1.0), 102).sentence


@pytest.mark.parametrize("shares", [(1.0,), (0.9, 0.1)])
def test_none_of_these_stays_a_verdict_on_all_classes(shares: tuple[float, ...]):
    said = verdict(limited(0.6, *shares, none=True), 102)
    assert said.headline == "Probably none of the 102 classes"
    assert "The nearest allowed class is Pink primrose. Only" in said.sentence


def test_several_photographs_promise_no_share_of_right_answers():
    for shares, word in (((0.95, 0.05), "Very"), ((0.7, 0.1), "Fairly"), ((0.4, 0.3), "Not")):
        assert verdict(predicted(*shares), 102, photographs=2).sentence == f"{word} sure."
    copied = as_text(predicted(0.9, 0.1), 102, photographs=2)
    assert copied.endswith("Averaged over 2 photographs.")


def test_similar_photographs_of_other_classes_are_warned_of_with_the_answer():
    disagreed = replace(predicted(0.8, 0.1), evidence=AnswerEvidence([], True, None))
    assert verdict(disagreed, 102).sentence.endswith("show other classes: look twice.")
    assert is_doubtful(disagreed) and not is_doubtful(predicted(0.8, 0.1))
    unknown = replace(disagreed, none_of_these=True)
    assert "look twice" not in verdict(unknown, 102).sentence
