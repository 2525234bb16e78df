"""Several classifiers side by side: what is said of their figures, the table, the charts."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from demo.compare import STYLES, apart, comparability, comparison_chart, comparison_table
from model.checkpoints.checkpoint import Checkpoint, load
from model.heads.head import Row


@pytest.fixture
def checkpoint(trained: Path) -> Checkpoint:
    return load(trained)


def of_data(checkpoint: Checkpoint, seed: int = 0, **data: object) -> Checkpoint:
    values = {**checkpoint.metrics["data"], **data}
    return replace(checkpoint, metrics={**checkpoint.metrics, "data": values, "seed": seed})


def history(*accuracies: float) -> list[Row]:
    return [
        Row(
            epoch=epoch,
            train_loss=1.0,
            train_accuracy=0.5,
            valid_loss=1 - accuracy,
            valid_accuracy=accuracy,
            learning_rate=0.1,
            seconds=1.0,
        )
        for epoch, accuracy in enumerate(accuracies, 1)
    ]


def test_it_is_said_whether_figures_are_of_the_same_photographs(checkpoint: Checkpoint):
    same = of_data(checkpoint)
    assert "on the same validation photographs" in comparability([checkpoint, same])
    other = of_data(checkpoint, name="roses", fingerprint="a" * 64)
    assert "the data sets are photographs and roses" in comparability([checkpoint, other])
    seeded = of_data(checkpoint, seed=7, fingerprint="a" * 64)
    assert "split with the seeds 0, 7" in comparability([checkpoint, seeded])
    changed = of_data(checkpoint, fingerprint="a" * 64)
    said = comparability([checkpoint, changed])  # by another --valid-fraction, perhaps
    assert "The photographs of photographs or their split differ, so" in said
    assert "changed" not in said
    silent = of_data(checkpoint, fingerprint=None)
    assert "so these may differ" in comparability([checkpoint, silent])


def test_the_table_has_the_figures_of_each_and_a_sample_of_its_line(checkpoint: Checkpoint):
    poisoned = of_data(checkpoint, name="<img src=x>")
    shown = comparison_table({"one": checkpoint, "<b>two</b>": poisoned})
    assert "1 one" in shown and "2 &lt;b&gt;two" in shown and "<img" not in shown
    best = checkpoint.training["best_epoch"]
    assert shown.count(f"{best} of {len(checkpoint.history)}") == 2
    for style in STYLES[:2]:
        assert f'stroke="{style.colour}"' in shown
    assert "linear head" in shown and "test_resnet" in shown


@pytest.mark.parametrize("measure", ["loss", "accuracy"])
def test_each_curve_has_a_colour_a_dash_its_best_epoch_and_its_number(measure: str):
    runs = [history(0.5, 0.9, 0.8), history(0.7, 0.6), history(0.2)]
    drawn = json.loads(comparison_chart(runs, ["a", "b", "c"], measure).plot)
    layers, rows = drawn["layer"], drawn["datasets"]
    assert len(layers) == 9
    for number in range(3):
        line, best, end = layers[3 * number : 3 * number + 3]
        style = STYLES[number]
        assert line["mark"]["stroke"] == best["mark"]["fill"] == style.colour
        assert tuple(line["mark"]["strokeDash"]) == style.dash
        assert len(rows[line["data"]["name"]]) == len(runs[number])
        assert [row["epoch"] for row in rows[best["data"]["name"]]] == [[2], [1], [1]][number]
        assert rows[end["data"]["name"]][0]["number"] == f"{number + 1}"


def test_a_long_history_is_thinned():
    long = history(*[0.5] * 5000)
    drawn = json.loads(comparison_chart([long, long], ["a", "b"], "loss").plot)
    assert max(map(len, drawn["datasets"].values())) < 200


def luminance(colour: str) -> float:
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = [p / 12.92 if p <= 0.04 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_every_line_stands_out_from_both_themes_and_no_two_look_alike():
    dark = luminance("#18222a")
    for style in STYLES:
        own = luminance(style.colour)
        assert 1.05 / (own + 0.05) >= 3 <= (own + 0.05) / (dark + 0.05), style
    assert len({style.dash for style in STYLES}) == len({s.colour for s in STYLES}) == len(STYLES)


def test_numbers_at_the_ends_of_curves_do_not_cover_one_another():
    moved = apart([0.99, 0.2, 0.98, 0.99, 0.01], 0, 1)
    ranked = sorted(moved)
    assert all(b - a > 0.07 for a, b in pairwise(ranked))
    assert ranked[0] >= 0 and ranked[-1] <= 1
    assert moved[1] == 0.2
