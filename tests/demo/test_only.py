"""The answer limited to some classes: the visitor's choice, the owner's, and a program's."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from drawing import drawn_photograph
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from demo.__main__ import parse
from demo.choices import MOST_LISTED, Unchecked
from demo.page import build
from demo.tabs.only import (
    Question,
    ask,
    from_call,
    offered,
    only_part,
    only_words,
    read_back,
    storage_key,
)
from model.backbones.backbone import Backbone
from model.classifier import Classifier
from model.photographs.class_names import MAX_CLASSES


@pytest.fixture
def classifier(
    trained: Path, tiny_backbone: Callable[..., Backbone], cache_dir: Path
) -> Classifier:
    return Classifier(trained, device="cpu", cache_dir=cache_dir)


def components(demo: gr.Blocks, elem_id: str) -> list[dict[str, Any]]:
    """The settings of the components of a page that have an id."""
    found = [part["props"] for part in demo.config["components"]]
    return [props for props in found if props.get("elem_id") == elem_id]


def test_a_batch_answers_each_question_among_its_own_classes(classifier: Classifier):
    image = drawn_photograph(1 / 3, 7)
    questions = [Question(image), Question(image, classifier.resolve(["tulip", "daisy"]))]
    free, limited = ask(classifier.predict_each, 5)(questions)
    assert free.top[0].class_id == "rose" and free.set_aside is None
    assert {one.class_id for one in limited.top} == {"tulip", "daisy"}
    (explained,) = ask(classifier.predict_each, 1, explain=True)(questions[:1])
    assert explained.heat is not None and len(explained.top) == 1


def test_a_programs_list_is_resolved(classifier: Classifier):
    assert from_call(classifier, ["tulip", "Dog rose", "rose"]) == (1, 2)
    assert from_call(classifier, ["tulip", "rose", "daisy"]) is None


@pytest.mark.parametrize(
    ("classes", "says"),
    [
        (None, "must be a list of ids or names"),
        ("rose", "must be a list of ids or names"),
        ([["rose"]], "must be a list of ids or names"),
        ({"rose": 1}, "must be a list of ids or names"),
        ([], "list of classes is empty"),
        (["rose"] * (MAX_CLASSES + 1), "25,001 classes were sent; at most 25,000"),
        (["<b>rose"], "&lt;b&gt;rose&#39; (close to it: "),
    ],
)
def test_what_is_no_list_of_classes_is_refused_as_text(
    classes: object, says: str, classifier: Classifier
):
    with pytest.raises(gr.Error) as error:
        from_call(classifier, classes)
    assert says in error.value.message and "<b>" not in error.value.message


@pytest.mark.parametrize(
    ("stored", "found"),
    [
        (["tulip", "rose", "tulip"], ["tulip", "rose"]),
        (["gone", "rose", 7, None, ["daisy"], {"x": 1}], ["rose"]),
        (None, []),
        ("rose", []),
        ({"rose": 1}, []),
    ],
)
def test_what_a_browser_has_kept_may_be_anything(
    stored: object, found: list[str], classifier: Classifier
):
    assert read_back(stored, offered(classifier)) == found


def test_a_choice_of_before_stays_within_what_is_answered_now(classifier: Classifier):
    assert len(offered(classifier)) == 3 and only_words(classifier) == ""
    classifier.allowed = classifier.resolve(["tulip", "Oxeye daisy"])
    assert offered(classifier) == [("Garden tulip", "tulip"), ("Oxeye daisy", "daisy")]
    assert read_back(["rose", "tulip"], offered(classifier)) == ["tulip"]
    assert only_words(classifier) == "Here it answers only with 2 of its 3 classes."


def test_pages_that_offer_other_classes_remember_apart(classifier: Classifier):
    first = storage_key(offered(classifier))
    assert storage_key(offered(classifier)[::-1]) == first
    classifier.allowed = classifier.resolve(["tulip", "daisy"])
    assert storage_key(offered(classifier)) != first


def test_a_page_of_very_many_classes_has_no_list_to_choose_from(classifier: Classifier):
    with gr.Blocks() as demo:
        only_part(classifier)
    assert components(demo, "only")[0]["visible"]
    assert len(components(demo, "only-classes")[0]["choices"]) == 3
    many = [f"class {number}" for number in range(MOST_LISTED + 1)]
    classifier.checkpoint = replace(classifier.checkpoint, class_ids=many, class_names=many)
    with gr.Blocks() as demo:
        only_part(classifier)
    assert not components(demo, "only")[0]["visible"]
    assert components(demo, "only-classes")[0]["choices"] == []


def test_the_pages_value_may_be_anything(classifier: Classifier):
    with gr.Blocks():
        part = only_part(classifier)
    assert isinstance(part.chosen, Unchecked)
    for sent in (["gone", "tulip"], ["tulip", 3]):
        assert part.allowed(part.chosen.preprocess(sent)) == (2,)
        assert part.ids(sent) == ["tulip"]
    for sent in (None, [], "tulip", ["gone"], ["tulip", "rose", "daisy"]):
        assert part.allowed(part.chosen.preprocess(sent)) is None


def test_ids_that_differ_by_a_space_or_are_names_of_others_stay_apart(classifier: Classifier):
    classifier.checkpoint = replace(
        classifier.checkpoint, class_ids=["rose", "rose ", "a"], class_names=["a", "b", "c"]
    )
    with gr.Blocks():
        part = only_part(classifier)
    assert part.allowed(["rose "]) == (1,)
    assert part.allowed(["a", "rose"]) == (0, 2)


def test_the_owners_choice_is_an_option_and_restricts_the_whole_page(classifier: Classifier):
    assert parse(["--only", "classes.txt"]).only == Path("classes.txt")
    assert parse([]).only is None
    classifier.allowed = classifier.resolve(["tulip", "daisy"])
    demo = build(classifier)
    values = [str(part["props"].get("value")) for part in demo.config["components"]]
    assert any(
        "photographs. Here it answers only with 2 of its 3 classes.</p>" in text for text in values
    )
    (only,) = components(demo, "only-classes")
    assert [name for name, _ in only["choices"]] == ["Garden tulip", "Oxeye daisy"]


def test_predict_only_answers_among_the_classes_that_were_sent(demo_address: str, flower: Path):
    client = Client(demo_address, verbose=False)
    free, trust = client.predict(handle_file(flower), api_name="/predict")
    few = ["sunflower", "74", "Sunflower"]
    answer, details = client.predict(handle_file(flower), few, api_name="/predict_only")
    assert "set_aside" not in trust
    assert {entry["label"] for entry in answer["confidences"]} == {"sunflower", "rose"}
    assert sum(entry["confidence"] for entry in answer["confidences"]) == pytest.approx(1)
    assert 0.9 < details["set_aside"] <= 1
    assert details["best_set_aside"]["label"] == free["label"]
    assert details["unknown_score"] == pytest.approx(trust["unknown_score"], abs=1e-3)


@pytest.mark.parametrize(
    ("classes", "says"),
    [(["sunflowr<b>"], "sunflowr&lt;b&gt;"), ([], "is empty"), ("rose", "list"), ({}, "list")],
)
def test_predict_only_names_what_is_no_class(
    classes: object, says: str, demo_address: str, flower: Path
):
    with pytest.raises(AppError, match=says):
        Client(demo_address, verbose=False).predict(
            handle_file(flower), classes, api_name="/predict_only"
        )
