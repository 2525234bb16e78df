"""How a head is fitted, and what its history holds."""

import subprocess
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from model import cache
from model.cache import Scratch
from model.heads.fit import Examples, class_weights, fit_head, one_cycle
from model.heads.head import HISTORY_COLUMNS, Head, HeadConfig, Row, cross_entropy

LINEAR = HeadConfig(epochs=12, batch_size=32, lr=1e-2)
MLP = replace(LINEAR, head="mlp", hidden=(24, 16), dropout=0.1)


def clusters(
    counts: tuple[int, ...] = (40, 40, 40), views: int = 2, spread: float = 0.5, seed: int = 0
) -> Examples:
    """Features [N, V, 10] around one centre a class, and their labels."""
    centres = np.random.default_rng(99).normal(0, 1, (len(counts), 10))
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    noise = rng.normal(0, spread, (len(labels), views, 10))
    return Examples((centres[labels][:, None] + noise).astype(np.float16), labels.astype(np.int64))


def accuracy(head: Head, features: np.ndarray, labels: np.ndarray) -> float:
    return float((head.view_logits(features).argmax(axis=1) == labels).mean())


def weights(head: Head) -> np.ndarray:
    return np.concatenate([part.ravel() for layer in head.layers for part in layer])


@pytest.mark.parametrize("config", [LINEAR, MLP], ids=["linear", "mlp"])
def test_a_separable_problem_is_learnt(config: HeadConfig):
    fit = fit_head(clusters(), clusters(seed=1), 3, config)
    assert accuracy(fit.head, *clusters(seed=2)) > 0.95
    first, last = fit.history[0], fit.history[-1]
    assert last["train_loss"] < first["train_loss"]
    assert last["train_accuracy"] > 0.95
    assert len(fit.head.layers) == 1 + len(config.hidden if config.head == "mlp" else ())


@pytest.mark.parametrize("config", [LINEAR, MLP], ids=["linear", "mlp"])
def test_the_same_seed_gives_the_same_weights_and_another_seed_others(config: HeadConfig):
    data = (clusters(views=4), clusters(seed=1), 3)
    first, again = fit_head(*data, config), fit_head(*data, config)
    other = fit_head(*data, replace(config, seed=1))
    assert np.array_equal(weights(first.head), weights(again.head))
    assert not np.allclose(weights(first.head), weights(other.head))
    without_seconds = [[{**row, "seconds": 0} for row in f.history] for f in (first, again)]
    assert without_seconds[0] == without_seconds[1]


def test_every_epoch_has_a_row_with_every_column():
    rows: list[Row] = []
    fit = fit_head(clusters(), clusters(seed=1), 3, LINEAR, on_epoch=rows.append)
    assert fit.history == rows
    assert [row["epoch"] for row in rows] == list(range(1, 13))
    for row in rows:
        assert tuple(row) == HISTORY_COLUMNS
        assert 0 <= row["train_accuracy"] <= 1
        assert 0 <= row["valid_accuracy"] <= 1
        assert row["train_loss"] > 0
        assert row["seconds"] > 0
    rates = [row["learning_rate"] for row in rows]
    assert LINEAR.lr and max(rates) > 0.8 * LINEAR.lr  # one cycle: up, then down
    assert rates[0] < max(rates) > rates[-1]


def test_the_best_epoch_on_valid_is_kept():
    hard = clusters(spread=2.5, counts=(20, 20, 20))
    valid = clusters(spread=2.5, counts=(30, 30, 30), seed=1)
    fit = fit_head(hard, valid, 3, replace(LINEAR, epochs=25, lr=0.1))
    best = fit.history[fit.best_epoch - 1]
    assert best["valid_accuracy"] == max(row["valid_accuracy"] for row in fit.history)
    assert fit.best_epoch < len(fit.history)  # or this test shows nothing
    assert accuracy(fit.head, *valid) == best["valid_accuracy"]
    logits = fit.head.view_logits(valid[0])
    assert cross_entropy(logits, valid[1]) == pytest.approx(best["valid_loss"])
    assert fit.history[-1]["valid_loss"] != pytest.approx(best["valid_loss"])


def test_patience_stops_after_so_many_epochs_without_a_better_one():
    features, labels = clusters()
    wrong = (labels + 1) % 3  # the better it learns, the worse it does here
    config = replace(LINEAR, epochs=40, patience=3)
    fit = fit_head(Examples(features, labels), Examples(features, wrong), 3, config)
    assert len(fit.history) == fit.best_epoch + 3 < 40
    assert (
        len(
            fit_head(
                Examples(features, labels), Examples(features, wrong), 3, replace(LINEAR)
            ).history
        )
        == 12
    )


def test_class_weights_are_inverse_to_the_counts():
    found = class_weights(np.array([0, 0, 0, 1, 2, 2]), 3)
    assert found == pytest.approx([6 / 9, 6 / 3, 6 / 6])
    assert class_weights(np.array([0, 1]), 2).tolist() == [1, 1]


def test_balance_helps_a_rare_class():
    train = clusters((300, 12), spread=2.5)
    valid = clusters((200, 200), spread=2.5, seed=1)
    recalls = []
    for balance in (False, True):
        config = replace(LINEAR, epochs=5, balance=balance)
        fit = fit_head(train, valid, 2, config)
        rare = valid[1] == 1
        recalls.append(accuracy(fit.head, valid[0][rare], valid[1][rare]))
    assert recalls[1] > recalls[0] + 0.05


def test_a_feature_that_never_changes_gives_no_infinite_weights():
    features, labels = clusters()
    features[..., 3] = 0.1  # not a binary fraction: its variance is tiny, not 0
    features[..., 4] = 0
    valid = clusters(seed=1)  # where those features do change
    fit = fit_head(Examples(features, labels), valid, 3, LINEAR)
    assert all(np.isfinite(part).all() for layer in fit.head.layers for part in layer)
    assert np.isfinite(fit.head.std).all()
    assert (fit.head.std > 0).all()
    assert np.abs(fit.head.logits(valid[0])).max() < 1000
    assert all(np.isfinite(value) for epoch in fit.history for value in epoch.values())


def test_features_are_standardised_over_photographs_and_views():
    features, labels = clusters(views=3)
    features = features * np.float16(3) + np.float16(5)
    fit = fit_head(Examples(features, labels), Examples(features[:, :2], labels), 3, LINEAR)
    flat = features.reshape(-1, 10).astype(np.float64)
    assert fit.head.mean == pytest.approx(flat.mean(axis=0), abs=1e-3)
    assert fit.head.std == pytest.approx(flat.std(axis=0), rel=1e-3)


def test_large_features_keep_their_precision():
    features, labels = clusters()
    features = (features.astype(np.float32) * 500 + 20_000).astype(np.float16)
    fit = fit_head(Examples(features, labels), Examples(features, labels), 3, LINEAR)
    assert accuracy(fit.head, features, labels) > 0.9


def test_every_view_is_learnt_from():
    features, labels = clusters()
    for useless in (0, 1):
        train = features.copy()
        train[:, useless] = 0
        fit = fit_head(Examples(train, labels), clusters(seed=1), 3, LINEAR)
        assert accuracy(fit.head, *clusters(seed=2)) > 0.9


@pytest.mark.parametrize("steps", [4, 25, 1000])
def test_the_schedule_is_torchs(steps: int):
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.AdamW([parameter], lr=0.1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=steps)
    for step in range(steps):
        group = optimizer.param_groups[0]
        assert one_cycle(step, steps, 0.1) == pytest.approx((group["lr"], group["betas"][0]))
        optimizer.step()
        if step < steps - 1:
            schedule.step()


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_the_schedule_of_a_few_steps_begins_at_the_highest_rate(steps: int):
    rates = [one_cycle(step, steps, 0.1)[0] for step in range(steps)]
    assert rates[0] == pytest.approx(0.1)
    assert rates == sorted(rates, reverse=True)


def test_a_linear_head_needs_no_torch():
    code = (
        "import sys, numpy as np;"
        "from model.heads.fit import Examples, fit_head; from model.heads.head import HeadConfig;"
        "x = np.random.default_rng(0).normal(size=(20, 2, 5)).astype(np.float16);"
        "data = Examples(x, np.arange(20) % 2); fit_head(data, data, 2, HeadConfig(epochs=2));"
        "assert 'torch' not in sys.modules"
    )
    root = Path(__file__).resolve().parents[3]
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True)


def test_label_smoothing_keeps_the_head_from_being_sure():
    data = (clusters(), clusters(seed=1), 3)
    sure, unsure = (
        fit_head(*data, replace(LINEAR, epochs=40, label_smoothing=share)) for share in (0.0, 0.5)
    )
    features, _ = clusters(seed=2)
    assert np.ptp(unsure.head.logits(features)) < 0.5 * np.ptp(sure.head.logits(features))


def test_one_epoch_and_few_photographs_are_enough():
    fit = fit_head(clusters((2, 2)), clusters((1, 1), seed=1), 2, replace(LINEAR, epochs=1))
    assert len(fit.history) == 1
    assert fit.best_epoch == 1
    assert np.isfinite(weights(fit.head)).all()


def unequal(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Features [N, 2, D] of a class with 1,000 photographs in many clusters, and one with 10."""
    rng = np.random.default_rng(seed)
    centers = np.random.default_rng(0).normal(0, 1.0, (20, 200))
    rare = np.random.default_rng(1).normal(0, 1.0, 200)
    labels = np.repeat([0, 1], [1000, 10])
    places = np.where(labels[:, None] == 0, centers[rng.integers(20, size=1010)], rare)
    features = places[:, None] + rng.normal(0, 1.5, (1010, 2, 200))
    return features.astype(np.float16), labels


def recalls(balance: bool) -> list[float]:
    train, labels = unequal(2)
    valid, valid_labels = unequal(3)
    config = HeadConfig(balance=balance, epochs=20)
    fit = fit_head(Examples(train, labels), Examples(valid, valid_labels), 2, config)
    answers = fit.head.view_logits(valid).argmax(axis=1)
    return [float((answers[valid_labels == c] == c).mean()) for c in (0, 1)]


def test_a_thousand_photographs_beside_ten_are_not_missed():
    assert recalls(balance=False)[0] > 0.98


def test_balance_finds_the_rare_class_without_losing_the_common_one():
    common, rare = recalls(balance=True)
    assert common > 0.95
    assert rare > 0.7


def test_the_bias_begins_at_the_classes_shares():
    train, labels = unequal(2)
    for balance, expected in (
        (False, np.log([1000 / 1010, 10 / 1010])),
        (True, np.log([0.5, 0.5])),
    ):
        config = HeadConfig(balance=balance, epochs=1, lr=1e-9, weight_decay=0.0)
        fit = fit_head(Examples(train, labels), Examples(train[:50], labels[:50]), 2, config)
        assert fit.head.layers[0][1] == pytest.approx(expected, abs=1e-3)


def test_features_and_logits_in_files_take_no_memory(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(cache, "BLOCK_VALUES", 500_000)
    rng, files = np.random.default_rng(0), Scratch(tmp_path, 0)
    labels = np.repeat(np.arange(500), 40)
    features = files.array((len(labels), 1, 800), np.float16)
    features[:, 0] = rng.normal(size=(500, 800))[labels]
    config = HeadConfig(head="linear", epochs=1)
    tracemalloc.start()
    fit = fit_head(
        Examples(features, labels),
        Examples(features[::2], labels[::2]),
        500,
        config,
        scratch=Scratch(tmp_path, 3_000_000),
    )
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert fit.history[0]["valid_accuracy"] > 0.99
    assert isinstance(fit.valid_logits, np.memmap)
    assert features.nbytes == 32_000_000 and fit.valid_logits.nbytes == 20_000_000
    assert peak < 27_000_000, "the head, its optimizer and a block of features take most of it"
