"""The answer's card: words, bars, the set, and what can be done with it."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from answers import predicted
from markupsafe import Markup

from demo.answer import answer
from demo.words import probability_text
from model.checkpoints.page import PageTexts
from model.classifier import Candidate, Classifier

Card = Callable[..., Markup]


@pytest.fixture
def card(shipped: Classifier) -> Card:
    """Renders a prediction as an answer of the shipped classifier."""
    return lambda prediction, photographs=1: answer(
        prediction, shipped.checkpoint, "CPU (ONNX Runtime)", photographs
    )


def test_a_set_of_several_classes_is_named_with_its_promise(card: Card):
    shown = card(predicted(label_set=["<rose>", "tulip"]))
    assert "one of <b>&lt;rose&gt;, tulip</b>" in shown
    assert "hold the right class in 99.0\N{NO-BREAK SPACE}% of photographs" in shown


def test_a_long_set_is_cut(card: Card):
    shown = card(predicted(label_set=[f"class {n}" for n in range(30)]))
    assert "class 11</b> and 18 more" in shown
    assert "class 12" not in shown


def test_what_is_none_of_these_is_said_and_the_bars_stay(card: Card):
    shown = card(predicted(none_of_these=True))
    assert "Probably none of the 102 classes" in shown and "ff-banner" in shown
    assert "hold the right class" not in shown
    assert shown.count("<meter") == 2
    assert "ff-banner" not in card(predicted())


def test_bars_show_names_escaped_and_one_decimal(card: Card):
    shown = card(predicted())
    assert "98.8\N{NO-BREAK SPACE}%" in shown
    assert "1.2\N{NO-BREAK SPACE}%" in shown
    assert "42 ms on CPU (ONNX Runtime)" in shown
    assert "&lt;rose&gt;" in shown
    assert "<rose>" not in shown


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (1.0, "100.0\N{NO-BREAK SPACE}%"),
        (0.99999, "> 99.9\N{NO-BREAK SPACE}%"),
        (0.00001, "< 0.1\N{NO-BREAK SPACE}%"),
        (0.0, "0.0\N{NO-BREAK SPACE}%"),
    ],
)
def test_a_doubt_is_never_rounded_away(share: float, text: str):
    assert probability_text(share) == text


def test_the_text_to_copy_is_escaped_like_all_else(card: Card):
    shown = card(predicted())
    assert 'data-copy="&lt;rose&gt;\nVery sure' in shown


def test_an_average_over_several_photographs_is_called_one(card: Card):
    assert "Averaged over 3 photographs." in card(predicted(), photographs=3)
    assert "average" not in card(predicted())


def test_the_link_leads_to_the_first_answer_and_is_left_out_where_there_is_none(
    card: Card, shipped: Classifier
):
    shown = card(predicted(top=[Candidate("a&b c", "1", 0.9), Candidate("tulip", "2", 0.1)]))
    assert shipped.checkpoint.page.link.endswith("search={label}")
    assert 'search=a%26b%20c" target="_blank" rel="noopener noreferrer">About a&amp;b c' in shown
    assert "<a " not in card(predicted(none_of_these=True))
    plain = replace(shipped.checkpoint, page=PageTexts())
    assert "<a " not in answer(predicted(), plain, "CPU")
