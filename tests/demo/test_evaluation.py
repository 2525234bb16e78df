"""The Evaluation tab without a browser: sentences, the matrix, a pair, the table of classes."""

import json
import re
from dataclasses import replace

import gradio as gr
import pytest
from small_checkpoint import evaluated, pictured

from demo.evaluation import words
from demo.evaluation.matrix import matrix, unconfused
from demo.evaluation.pair import chosen_pair, pair
from demo.tabs.evaluation import ROWS, class_figures, evaluation_tab, found_text
from model.checkpoints.checkpoint import Checkpoint
from model.trust.metrics import confused_pairs

EVIL = '"><img src=x onerror="alert(1)">'
NAMES = ["oxeye daisy", "dog rose", "tulip"]
FLOWERS = [[9, 1, 0], [3, 7, 0], [0, 0, 4]]


def grid(checkpoint: Checkpoint) -> str:
    values = checkpoint.metrics["splits"]["valid"]
    return matrix(confused_pairs(values), values, checkpoint.class_names)


def others(checkpoint: Checkpoint) -> str:
    values = checkpoint.metrics["splits"]["valid"]
    return unconfused(confused_pairs(values), values, checkpoint.class_names)


def large(classes: int) -> Checkpoint:
    """Every class is taken for the next one once, of five photographs."""
    counts = [[0] * classes for _ in range(classes)]
    for label in range(classes):
        counts[label][label], counts[label][(label + 1) % classes] = 4, 1
    return evaluated([f"class {label}" for label in range(classes)], counts)


def test_the_first_sentence_holds_share_count_and_interval():
    shown = words.top(evaluated(NAMES, FLOWERS), "valid", 2)
    assert "<b>83.3\u00a0%</b> of 24 photographs that it was not trained on" in shown
    assert "expect between 64.1 and 93.3\u00a0%" in shown
    assert "The best epoch was chosen on the same photographs." in shown


def test_five_answers_are_counted_only_where_there_are_more_classes():
    assert "top five" not in words.top(evaluated(NAMES, FLOWERS), "valid", 2)
    assert "right class in the top five; between" in words.top(large(6), "valid", 6)


def test_the_share_of_right_answers_stands_in_the_sentence_and_in_one_figure():
    shown = words.top(evaluated(NAMES, FLOWERS), "valid", 2)
    assert shown.count("83.3") == 2
    assert "of these photographs not called “none of these”" in shown
    assert "macro F1" not in shown


def test_recall_precision_and_sets_have_one_plain_name_each():
    checkpoint = evaluated(NAMES, FLOWERS)
    frame = class_figures(checkpoint, "valid")
    assert list(frame.columns) == ["Class", "Recognised", "Answers right", "Photos"]
    assert list(frame.iloc[0]) == ["dog rose", 70.0, 87.5, 10]
    weakest, trust = words.weakest_table(checkpoint, "valid"), words.honesty(checkpoint, "valid")
    assert "Recall" not in weakest
    assert "A set lists the classes that a photograph may show" in trust
    assert "on four fifths of the validation photographs" in trust
    checkpoint.metrics["splits"]["test"] = checkpoint.metrics["splits"]["valid"]
    assert "measured on the test photographs" in words.honesty(checkpoint, "test")


def test_groups_of_the_split_are_explained():
    checkpoint = evaluated(NAMES, FLOWERS)
    checkpoint.metrics["data"] |= {"groups": 4, "grouped_by": "copies"}
    assert "form 4 groups that belong together" in words.top(checkpoint, "valid", 2)


def test_every_confusion_is_a_button_with_its_count_and_a_sentence():
    shown = grid(evaluated(NAMES, FLOWERS))
    label = "3 of 10 photographs of dog rose were mistaken for oxeye daisy"
    assert re.search(f'data-true="1" data-predicted="0"[^>]*aria-label="{label}">3</button>', shown)
    assert shown.count("<button") == 2
    assert shown.count('tabindex="0"') == 1, "Tab enters the grid once"
    assert "1 class without confusion" in others(evaluated(NAMES, FLOWERS))
    assert 'title="tulip"' not in shown


def test_hostile_names_are_escaped_wherever_they_stand():
    checkpoint = pictured(evaluated([EVIL, "b" + EVIL, "c" + EVIL], FLOWERS), ["x"], [0])
    values = checkpoint.metrics["splits"]["valid"]
    confused = confused_pairs(values)
    alone = evaluated([EVIL, "b" + EVIL, "c" + EVIL], [[3, 0, 0], [0, 3, 0], [0, 0, 3]])
    for shown in (
        grid(checkpoint),
        others(alone),
        words.pairs_table(confused, checkpoint, "valid"),
        words.weakest_table(checkpoint, "valid"),
        pair(checkpoint, values, confused, 0, 1),
    ):
        assert "<img src=x" not in shown
        assert 'onerror="' not in shown
        assert "&lt;img" in shown


def test_without_a_confusion_it_says_so():
    perfect = evaluated(NAMES, [[3, 0, 0], [0, 3, 0], [0, 0, 3]])
    assert "No photograph of this split was mistaken for another class." in grid(perfect)
    assert "3 classes without confusion" in others(perfect)


def test_figures_without_confusions_are_not_called_perfect():
    checkpoint = evaluated(NAMES, FLOWERS)
    del checkpoint.metrics["splits"]["valid"]["confusion_matrix"]
    assert "does not say which classes were confused" in grid(checkpoint)
    assert not others(checkpoint)
    assert "had an error" not in words.top(checkpoint, "valid", 0)


def test_weakest_classes_come_first_and_small_ones_are_named():
    shown = words.weakest_table(evaluated(NAMES, FLOWERS), "valid")
    assert shown.index("dog rose") < shown.index("oxeye daisy")
    assert "7 of 10 (70.0\u00a0%)" in shown
    assert "tulip" not in shown
    assert "1 class has fewer than 5 photographs here" in shown


def test_a_pair_shows_both_directions_and_photographs_where_they_are_kept():
    checkpoint = evaluated(NAMES, FLOWERS)
    values = checkpoint.metrics["splits"]["valid"]
    confused = confused_pairs(values)
    plain = pair(checkpoint, values, confused, 1, 0)
    assert "3 of 10 photographs of “dog rose” were mistaken for “oxeye daisy”." in plain
    assert "1 of 10 photographs of “oxeye daisy” was mistaken for “dog rose”." in plain
    assert "<img" not in plain
    files = [f"{number}.jpg" for number in range(10)]
    kept = pictured(checkpoint, files, [0] * 2 + [1] * 8)
    shown = pair(kept, values, confused, 1, 0)
    assert shown.count('alt="Training photograph of oxeye daisy"') == 2
    assert shown.count('alt="Training photograph of dog rose"') == 6, "no more than fit"


@pytest.mark.parametrize(
    "sent",
    [None, "1", [], {"true": 1}, {"true": 1.0, "predicted": 0}, {"true": [], "predicted": 0}],
)
def test_what_is_no_pair_is_refused(sent: object):
    confused = {(1, 0): 3}
    assert chosen_pair({"true": 1, "predicted": 0}, confused) == (1, 0)
    with pytest.raises(gr.Error, match="no such pair"):
        chosen_pair(sent, confused)


def test_the_search_finds_part_of_a_name_in_any_case():
    checkpoint = evaluated(NAMES, FLOWERS)
    assert list(class_figures(checkpoint, "valid", " ROSE ")["Class"]) == ["dog rose"]
    assert list(class_figures(checkpoint, "valid")["Class"]) == ["dog rose", "oxeye daisy", "tulip"]


def test_the_search_says_how_many_classes_it_found():
    checkpoint = evaluated(NAMES, FLOWERS)
    assert found_text(checkpoint, "  ") == ""
    assert found_text(checkpoint, "zzz") == "No class contains “zzz”."
    assert found_text(checkpoint, "ROSE ") == "1 class"
    assert found_text(checkpoint, "e") == "2 classes"
    assert len(found_text(checkpoint, "z" * 10_000)) < 120


def test_a_thousand_classes_stay_a_small_page():
    checkpoint = large(1000)
    with gr.Blocks(analytics_enabled=False) as page:
        evaluation_tab(checkpoint)
    assert len(json.dumps(page.config["components"], default=str)) < 100_000
    assert grid(checkpoint).count('scope="row"') == 40
    assert "These 40 of 1,000 confused classes have the most errors" in grid(checkpoint)
    assert len(class_figures(checkpoint, "valid")) == ROWS
    assert list(class_figures(checkpoint, "valid", "class 999")["Class"]) == ["class 999"]


@pytest.mark.parametrize("count", [0, 10**12])
def test_counts_that_do_not_fit_together_are_shown_all_the_same(count: int):
    checkpoint = evaluated(NAMES, FLOWERS)
    values = dict(checkpoint.metrics["splits"]["valid"])
    values["per_class"] = [{**row, "support": count} for row in values["per_class"]]
    odd = replace(checkpoint, metrics={**checkpoint.metrics, "splits": {"valid": values}})
    assert "mistaken for" in grid(odd)
    assert "Weakest" in words.weakest_table(odd, "valid")


def test_classes_with_parents_have_a_row_a_level_and_others_none():
    checkpoint = evaluated(["rose", "iris"], [[5, 1], [0, 4]])
    assert words.by_level(checkpoint, "valid") == ""
    levels = [
        {"level": 1, "nodes": 1, "top1": 1.0, "answered": 0.2, "answered_right": 1.0},
        {"level": 2, "nodes": 2, "top1": 0.9, "answered": 0.7, "answered_right": None},
    ]
    checkpoint.metrics["splits"]["valid"] |= {
        "levels": levels,
        "answered": 0.9,
        "answered_right": 0.98,
    }
    shown = words.by_level(checkpoint, "valid")
    assert "<td>level 1</td><td>1</td><td>100.0\u00a0%</td>" in shown
    assert "90.0\u00a0% of the photographs have one" in shown


def test_classes_of_pairs_that_were_not_kept_count_as_confused():
    checkpoint = evaluated(
        ["a", "b", "c", "d"], [[3, 1, 0, 0], [0, 2, 0, 0], [0, 0, 1, 3], [0] * 4]
    )
    values = checkpoint.metrics["splits"]["valid"]
    del values["confusion_matrix"]
    values["confusions"] = [[2, 3, 3]]
    assert "Every class was confused with another." in others(checkpoint)
    assert "These 2 of 4 confused classes have the most errors." in grid(checkpoint)
