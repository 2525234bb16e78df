"""The Training history tab: axes that can be read, sentences for those who see no chart."""

import json

import gradio as gr
import pytest
from small_checkpoint import made

from demo.charts import (
    history_axis,
    history_chart,
    history_text,
    left_out_text,
    reliability_chart,
)
from demo.tabs.history import history_tab
from model.heads.head import Row

FAST = [0.3, 0.9] + [0.97 + 0.001 * epoch for epoch in range(20)]


def history(accuracies: list[float]) -> list[Row]:
    rows: list[Row] = []
    for epoch, accuracy in enumerate(accuracies, 1):
        row = {"train_accuracy": accuracy, "valid_accuracy": accuracy, "learning_rate": 0.1}
        losses = {"train_loss": 2 * (1 - accuracy), "valid_loss": 2 * (1 - accuracy)}
        rows.append({**row, **losses, "epoch": epoch, "seconds": 1.0})
    return rows


def test_the_first_epochs_may_lie_outside_and_then_it_is_said():
    rows = history(FAST)
    axis = history_axis(rows, "accuracy")
    assert axis.left_out == 2
    assert 0.9 < axis.low < 0.97
    said = left_out_text(rows, "accuracy")
    assert "Values of epochs 1 to 2 lie below that" in said
    assert "training has 30.0\u00a0% and validation 30.0\u00a0%." in said
    assert "the axis ends at 0.07" in left_out_text(rows, "loss")


@pytest.mark.parametrize("measure", ["accuracy", "loss"])
@pytest.mark.parametrize(
    "accuracies",
    [
        [0.5],
        [0.1, 0.99, 0.99],  # few epochs
        [0.3 + 0.02 * epoch for epoch in range(20)],  # no jump at the start
        [*FAST, 0.2],  # bad again in the end
    ],
)
def test_everything_is_shown_otherwise(accuracies: list[float], measure: str):
    rows = history(accuracies)
    axis = history_axis(rows, measure)
    values = [row[f"valid_{measure}"] for row in rows]
    assert axis.low <= min(values)
    assert max(values) <= axis.high
    assert left_out_text(rows, measure) == ""


def test_a_chart_says_what_it_shows():
    rows = history(FAST)
    said = (
        "Validation accuracy rises from 30.0\u00a0% in epoch 1 to 98.9\u00a0% in epoch 22, the best"
    )
    assert history_text(rows, "accuracy").startswith(f"{said} of 22. ")
    assert "loss falls from 1.4 in epoch 1 to 0.022 in epoch 22" in history_text(rows, "loss")
    assert "is 50.0\u00a0% in epoch 1, the best of 1." in history_text(history([0.5]), "accuracy")
    for measure in ("accuracy", "loss"):
        chart = json.loads(history_chart(rows, measure).plot)
        assert chart["description"] == history_text(rows, measure)
    group = {"confidence": 0.5, "accuracy": 1 / 3, "photographs": 3.0}
    chart = json.loads(reliability_chart([group]).plot)
    assert (
        "33.3\u00a0% are right where the probability is about 50.0\u00a0%" in chart["description"]
    )


def test_epochs_are_explained_and_percentages_are_written_alike():
    with gr.Blocks(analytics_enabled=False) as page:
        history_tab(made())
    shown = json.dumps(page.config["components"], default=str, ensure_ascii=False)
    assert "One epoch is one pass over the training photographs." in shown
    assert "50.0\u00a0%" in shown
    assert "50.00%" not in shown
    assert "nats" not in shown
