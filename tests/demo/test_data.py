"""The Data tab: photographs where thumbnails are kept, sentences and counts elsewhere."""

from dataclasses import replace
from typing import Any

from small_checkpoint import audited, evaluated, pictured

from demo.page import build
from demo.tabs.data import data_panels
from model.checkpoints.checkpoint import Checkpoint
from model.classifier import Classifier

NAMES = ["oxeye daisy", "dog rose", "tulip"]
FILES = ["0/a.jpg", "1/b.jpg", "1/c.jpg"]


def row(path: str, label: str, *, suggested: str = "", other: str = "") -> dict[str, Any]:
    found = {"path": path, "label": label, "score": 9.0}
    return found | {"suggested_label": suggested, "other_path": other}


def checked(**changes: Any) -> Checkpoint:
    """A checkpoint whose audit found a label error, a copy and an outlier."""
    findings = {
        "label_error": [
            row("train/0/a.jpg", "0", suggested="1"),
            row("valid/2/v.jpg", "2", suggested="1"),
        ],
        "exact_duplicate": [row("train/1/c.jpg", "1", other="train/1/b.jpg")],
        "near_duplicate": [row("valid/1/w.jpg", "1", other="train/1/b.jpg")],
        "outlier": [row("valid/2/u.jpg", "2")],
    }
    summary = audited(
        class_names=dict(zip("012", NAMES, strict=True)),
        counts={"label_error": 12, "exact_duplicate": 1, "near_duplicate": 4, "outlier": 1},
        across_splits=3,
        photographs=100,
        findings=findings,
        leaks=[
            {
                "split": "valid",
                "photographs": 30,
                "accuracy": 0.9,
                "copies": 3,
                "accuracy_without": 0.85,
            }
        ],
        **changes,
    )
    return replace(evaluated(NAMES, [[9, 1, 0], [3, 7, 0], [0, 0, 4]]), audit=summary)


def test_without_thumbnails_there_are_sentences_and_no_file_names():
    shown = data_panels(checked())
    for part in (
        "12 photographs (12.0\u00a0%) are probably mislabelled. Wrong labels teach",
        "5 pairs of copies: 1 exact, 4 resized, cropped or edited",
        "Within a split: 2. Across splits: 3.",
        "Of the 30 validation photographs, 3 are copies of training photographs",
        "90.0\u00a0% with them and on 85.0\u00a0% without them",
        "1 photograph looks unlike all others",
        "Remove those that do not belong.",
        "Labelled as",
        "Suggested",
        "These are the most suspicious, 2 of the 12 photographs.",
    ):
        assert part in shown
    assert "<img" not in shown
    assert ".jpg" not in shown


def test_photographs_are_shown_with_their_names_where_thumbnails_are_kept():
    shown = data_panels(pictured(checked(), FILES, [0, 1, 1]))
    assert shown.count("<img") == 3, "the label error, and the exact copy beside its original"
    for part in ("train/0/a.jpg", "train/1/b.jpg", "train/1/c.jpg"):
        assert part in shown
    assert "valid/" not in shown, "no training photograph has that name"
    assert "Labelled as oxeye daisy. Suggested: dog rose" in shown


def test_photographs_of_classes_with_parents_are_found_by_class_and_file():
    checkpoint = checked()
    assert checkpoint.audit
    checkpoint.audit["findings"]["label_error"] = [row("garden/0/a.jpg", "0", suggested="1")]
    assert "garden/0/a.jpg" in data_panels(pictured(checkpoint, FILES, [0, 1, 1]))


def test_a_photograph_of_the_same_name_in_other_data_is_not_shown():
    shown = data_panels(pictured(checked(), FILES, [2, 2, 2]))
    assert "<img" not in shown
    assert ".jpg" not in shown


def test_pairs_of_classes_are_counted_over_all_label_errors_where_they_were_stored():
    pairs = [["0", "1", 7], ["2", "1", 5]]
    shown = data_panels(checked(label_pairs=pairs))
    assert '<td>oxeye daisy</td><td>dog rose</td><td class="number">7</td>' in shown
    assert "most suspicious" not in shown


def test_hostile_texts_are_escaped():
    evil = "<img src=x onerror=alert(1)>"
    names = dict.fromkeys("012", evil)
    checkpoint = pictured(checked(), FILES, [0, 1, 1])
    assert checkpoint.audit is not None
    hostile = replace(checkpoint, audit={**checkpoint.audit, "class_names": names, "data": evil})
    shown = data_panels(hostile)
    assert "<img src=x" not in shown
    assert "&lt;img src=x" in shown


def test_the_page_has_the_tab_only_where_an_audit_was_saved(shipped: Classifier):
    def tabs(classifier: Classifier) -> list[str]:
        parts = build(classifier).config["components"]
        return [part["props"]["label"] for part in parts if part["type"] == "tabitem"]

    expected = ["Classify", "Many photographs", "Training history", "Evaluation", "Data", "About"]
    assert tabs(shipped) == expected
    audit, shipped.checkpoint.audit = shipped.checkpoint.audit, None
    try:
        assert tabs(shipped) == [name for name in expected if name != "Data"]
    finally:
        shipped.checkpoint.audit = audit
    assert not data_panels(evaluated(NAMES, [[1, 0, 0], [0, 1, 0], [0, 0, 1]]))
