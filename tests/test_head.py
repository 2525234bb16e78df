"""The head: how it is fitted, what its history holds, and that numpy and torch agree on it."""

import itertools
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from model import head as heads
from model.fit import class_weights, fit_head, one_cycle
from model.head import HISTORY_COLUMNS, Head, HeadConfig, Row, best_epoch, cross_entropy
from model.linear import Linear
from model.mlp import Mlp, build, to_head

LINEAR = HeadConfig(epochs=12, batch_size=32, lr=1e-2)
MLP = replace(LINEAR, head="mlp", hidden=(24, 16), dropout=0.1)
Features = tuple[np.ndarray, np.ndarray]


def clusters(
    counts: tuple[int, ...] = (40, 40, 40), views: int = 2, spread: float = 0.5, seed: int = 0
) -> Features:
    """Features [N, V, 10] around one centre a class, and their labels."""
    centres = np.random.default_rng(99).normal(0, 1, (len(counts), 10))
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    noise = rng.normal(0, spread, (len(labels), views, 10))
    return (centres[labels][:, None] + noise).astype(np.float16), labels.astype(np.int64)


def accuracy(head: Head, features: np.ndarray, labels: np.ndarray) -> float:
    return float((head.view_logits(features).argmax(axis=1) == labels).mean())


def weights(head: Head) -> np.ndarray:
    return np.concatenate([part.ravel() for layer in head.layers for part in layer])


@pytest.mark.parametrize("config", [LINEAR, MLP], ids=["linear", "mlp"])
def test_a_separable_problem_is_learnt(config: HeadConfig):
    fit = fit_head(*clusters(), *clusters(seed=1), 3, config)
    assert accuracy(fit.head, *clusters(seed=2)) > 0.95
    first, last = fit.history[0], fit.history[-1]
    assert last["train_loss"] < first["train_loss"]
    assert last["train_accuracy"] > 0.95
    assert len(fit.head.layers) == 1 + len(config.hidden if config.head == "mlp" else ())


@pytest.mark.parametrize("config", [LINEAR, MLP], ids=["linear", "mlp"])
def test_the_same_seed_gives_the_same_weights_and_another_seed_others(config: HeadConfig):
    data = (*clusters(views=4), *clusters(seed=1), 3)
    first, again = fit_head(*data, config), fit_head(*data, config)
    other = fit_head(*data, replace(config, seed=1))
    assert np.array_equal(weights(first.head), weights(again.head))
    assert not np.allclose(weights(first.head), weights(other.head))
    without_seconds = [[{**row, "seconds": 0} for row in f.history] for f in (first, again)]
    assert without_seconds[0] == without_seconds[1]


def test_every_epoch_has_a_row_with_every_column():
    rows: list[Row] = []
    fit = fit_head(*clusters(), *clusters(seed=1), 3, LINEAR, on_epoch=rows.append)
    assert fit.history == rows
    assert [row["epoch"] for row in rows] == list(range(1, 13))
    for row in rows:
        assert tuple(row) == HISTORY_COLUMNS
        assert 0 <= row["train_accuracy"] <= 1
        assert 0 <= row["valid_accuracy"] <= 1
        assert row["train_loss"] > 0
        assert row["seconds"] > 0
    rates = [row["learning_rate"] for row in rows]
    assert max(rates) > 0.8 * LINEAR.lr  # one cycle: up, then down
    assert rates[0] < max(rates) > rates[-1]


def test_the_best_epoch_on_valid_is_kept():
    hard = clusters(spread=2.5, counts=(20, 20, 20))
    valid = clusters(spread=2.5, counts=(30, 30, 30), seed=1)
    fit = fit_head(*hard, *valid, 3, replace(LINEAR, epochs=25, lr=0.1))
    best = fit.history[fit.best_epoch - 1]
    assert best["valid_accuracy"] == max(row["valid_accuracy"] for row in fit.history)
    assert fit.best_epoch < len(fit.history)  # or this test shows nothing
    assert accuracy(fit.head, *valid) == best["valid_accuracy"]
    logits = fit.head.view_logits(valid[0])
    assert cross_entropy(logits, valid[1]) == pytest.approx(best["valid_loss"])
    assert fit.history[-1]["valid_loss"] != pytest.approx(best["valid_loss"])


def row(epoch: int, accuracy: float, loss: float) -> Row:
    return {"epoch": epoch, "valid_accuracy": accuracy, "valid_loss": loss}


def test_among_equal_accuracies_the_lowest_loss_is_best():
    assert best_epoch([row(1, 0.9, 0.5), row(2, 0.9, 0.4), row(3, 0.8, 0.1)]) == 2
    assert best_epoch([row(1, 0.9, 0.5), row(2, 0.9, 0.5)]) == 1


def test_patience_stops_after_so_many_epochs_without_a_better_one():
    features, labels = clusters()
    wrong = (labels + 1) % 3  # the better it learns, the worse it does here
    config = replace(LINEAR, epochs=40, patience=3)
    fit = fit_head(features, labels, features, wrong, 3, config)
    assert len(fit.history) == fit.best_epoch + 3 < 40
    assert len(fit_head(features, labels, features, wrong, 3, replace(LINEAR)).history) == 12


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
        fit = fit_head(*train, *valid, 2, config)
        rare = valid[1] == 1
        recalls.append(accuracy(fit.head, valid[0][rare], valid[1][rare]))
    assert recalls[1] > recalls[0] + 0.05


def test_a_feature_that_never_changes_gives_no_infinite_weights():
    features, labels = clusters()
    features[..., 3] = 0.1  # not a binary fraction: its variance is tiny, not 0
    features[..., 4] = 0
    valid = clusters(seed=1)  # where those features do change
    fit = fit_head(features, labels, *valid, 3, LINEAR)
    assert all(np.isfinite(part).all() for layer in fit.head.layers for part in layer)
    assert np.isfinite(fit.head.std).all()
    assert (fit.head.std > 0).all()
    assert np.abs(fit.head.logits(valid[0])).max() < 1000
    assert all(np.isfinite(value) for epoch in fit.history for value in epoch.values())


def test_features_are_standardised_over_photographs_and_views():
    features, labels = clusters(views=3)
    features = features * np.float16(3) + np.float16(5)
    fit = fit_head(features, labels, features[:, :2], labels, 3, LINEAR)
    flat = features.reshape(-1, 10).astype(np.float64)
    assert fit.head.mean == pytest.approx(flat.mean(axis=0), abs=1e-3)
    assert fit.head.std == pytest.approx(flat.std(axis=0), rel=1e-3)


def test_large_features_keep_their_precision():
    features, labels = clusters()
    features = (features.astype(np.float32) * 500 + 20_000).astype(np.float16)
    fit = fit_head(features, labels, features, labels, 3, LINEAR)
    assert accuracy(fit.head, features, labels) > 0.9


@pytest.mark.parametrize("hidden", [(), (16,), (24, 16)])
def test_numpy_logits_are_those_of_the_torch_network_in_eval_mode(hidden: tuple[int, ...]):
    torch.manual_seed(0)
    network = build(10, 4, hidden, dropout=0.5).eval()
    rng = np.random.default_rng(0)
    mean, std = rng.normal(size=10), rng.uniform(0.5, 2, size=10)
    features = rng.normal(size=(7, 10)).astype(np.float32)
    head = to_head(network, mean, std)
    with torch.no_grad():
        expected = network(torch.from_numpy(((features - mean) / std).astype(np.float32))).numpy()
    found = head.logits(features)
    assert np.allclose(found, expected, atol=1e-5)
    assert found.dtype == np.float32
    assert head.num_classes == 4
    assert np.allclose(head.logits(features.reshape(7, 1, 10)), expected[:, None], atol=1e-5)


@pytest.mark.parametrize("hidden", [(), (16,)])
def test_view_logits_are_the_mean_of_the_views_logits(hidden: tuple[int, ...]):
    torch.manual_seed(0)
    head = to_head(build(10, 4, hidden, 0.0), np.zeros(10), np.ones(10))
    features = np.random.default_rng(0).normal(size=(5, 3, 10)).astype(np.float16)
    expected = np.mean([head.logits(features[:, view]) for view in range(3)], axis=0)
    assert np.allclose(head.view_logits(features), expected, atol=1e-4)


def test_every_view_is_learnt_from():
    features, labels = clusters()
    for useless in (0, 1):
        train = features.copy()
        train[:, useless] = 0
        fit = fit_head(train, labels, *clusters(seed=1), 3, LINEAR)
        assert accuracy(fit.head, *clusters(seed=2)) > 0.9


@pytest.mark.parametrize("weighted", [False, True])
def test_the_linear_head_takes_torchs_steps(weighted: bool):
    rng = np.random.default_rng(0)
    config = HeadConfig(lr=3e-2, weight_decay=0.5, label_smoothing=0.1)
    priors = np.array([0.5, 0.3, 0.2], np.float32)
    found = Linear(10, priors, config)
    network = build(10, 3, (), 0.0)
    torch.nn.init.zeros_(network[0].weight)
    network[0].bias.data = torch.from_numpy(np.log(priors))
    optimizer = torch.optim.AdamW(network.parameters(), lr=config.lr, weight_decay=0.5)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=config.lr, total_steps=40)
    for step in range(40):
        values = rng.normal(size=(16, 10)).astype(np.float32)
        labels = rng.integers(0, 3, 16)
        weights = rng.uniform(0.5, 2, 16).astype(np.float32) if weighted else None
        logits = found.step(values, labels, weights, *one_cycle(step, 40, config.lr))
        expected = network(torch.from_numpy(values))
        losses = functional.cross_entropy(
            expected, torch.from_numpy(labels), label_smoothing=0.1, reduction="none"
        )
        if weights is not None:
            losses = losses * torch.from_numpy(weights)
        optimizer.zero_grad()
        losses.mean().backward()
        optimizer.step()
        schedule.step()
        assert np.allclose(logits, expected.detach().numpy(), atol=1e-4)
    (layer,) = found.head(np.zeros(10, np.float32), np.ones(10, np.float32)).layers
    assert np.allclose(layer[0], network[0].weight.detach().numpy(), atol=1e-4)
    assert np.abs(layer[0]).max() > 0.1  # or this test shows nothing


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


def test_the_mlp_weighs_photographs():
    rng = np.random.default_rng(0)
    values, labels = rng.normal(size=(8, 10)).astype(np.float32), np.array([0, 1] * 4)
    heads_of = []
    for weights in (None, np.ones(8, np.float32), np.array([1, 0] * 4, np.float32)):
        learner = Mlp(10, np.array([0.5, 0.5], np.float32), replace(MLP, dropout=0.0), "cpu")
        for _ in range(30):
            learner.step(values, labels, weights, 1e-2, 0.9)
        heads_of.append(learner.head(np.zeros(10, np.float32), np.ones(10, np.float32)))
    plain, ones, first_only = (head.logits(values) for head in heads_of)
    assert np.allclose(plain, ones, atol=1e-4)
    assert (first_only.argmax(axis=1) == 0).all()


def test_a_linear_head_needs_no_torch():
    code = (
        "import sys, numpy as np;"
        "from model.fit import fit_head; from model.head import HeadConfig;"
        "x = np.random.default_rng(0).normal(size=(20, 2, 5)).astype(np.float16);"
        "fit_head(x, np.arange(20) % 2, x, np.arange(20) % 2, 2, HeadConfig(epochs=2));"
        "assert 'torch' not in sys.modules"
    )
    root = Path(__file__).resolve().parent.parent
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True)


def test_cross_entropy_is_torchs():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(0, 5, (20, 6)).astype(np.float32), rng.integers(0, 6, 20)
    expected = functional.cross_entropy(torch.from_numpy(logits), torch.from_numpy(labels)).item()
    assert cross_entropy(logits, labels) == pytest.approx(expected, rel=1e-5)
    assert np.isfinite(cross_entropy(np.array([[1e4, -1e4]]), np.array([1])))


def test_label_smoothing_keeps_the_head_from_being_sure():
    data = (*clusters(), *clusters(seed=1), 3)
    sure, unsure = (
        fit_head(*data, replace(LINEAR, epochs=40, label_smoothing=share)) for share in (0.0, 0.5)
    )
    features, _ = clusters(seed=2)
    assert np.ptp(unsure.head.logits(features)) < 0.5 * np.ptp(sure.head.logits(features))


def test_one_epoch_and_few_photographs_are_enough():
    fit = fit_head(*clusters((2, 2)), *clusters((1, 1), seed=1), 2, replace(LINEAR, epochs=1))
    assert len(fit.history) == 1
    assert fit.best_epoch == 1
    assert np.isfinite(weights(fit.head)).all()


@pytest.mark.parametrize(
    ("field", "value", "flag"),
    [
        ("dropout", 1.0, "--dropout"),
        ("epochs", 0, "--epochs"),
        ("batch_size", 0, "--batch-size"),
        ("lr", 0.0, "--lr"),
        ("lr", float("nan"), "--lr"),
        ("weight_decay", -1.0, "--weight-decay"),
        ("label_smoothing", 1.0, "--label-smoothing"),
        ("patience", -1, "--patience"),
        ("head", "forest", "--head"),
    ],
)
def test_a_value_out_of_range_is_an_error_that_names_its_flag(field: str, value, flag: str):
    with pytest.raises(ValueError, match=f"{flag} .*{value}"):
        HeadConfig(**{field: value})


@pytest.mark.parametrize("hidden", [(), (0,), (16, -1)])
def test_hidden_widths_out_of_range_are_an_error(hidden: tuple[int, ...]):
    with pytest.raises(ValueError, match="--hidden"):
        HeadConfig(head="mlp", hidden=hidden)
    assert HeadConfig(head="linear", hidden=hidden).hidden == hidden  # a linear head has none


@pytest.mark.parametrize("widths", [(6, 4), (6, 5, 4)])
def test_views_are_averaged_alike_in_blocks(widths: tuple[int, ...], monkeypatch):
    rng = np.random.default_rng(0)
    layers = [
        (rng.normal(size=(out, inside)).astype(np.float32), rng.normal(size=out).astype(np.float32))
        for inside, out in itertools.pairwise(widths)
    ]
    scorer = Head(np.zeros(6, np.float32), np.ones(6, np.float32), layers)
    features = rng.normal(size=(7, 2, 6)).astype(np.float16)
    monkeypatch.setattr(heads, "BLOCK", 3)
    expected = scorer.logits(features).mean(axis=1)
    assert scorer.view_logits(features) == pytest.approx(expected, abs=1e-5)
    assert scorer.view_logits(features[:0]).shape == (0, 4)


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
    fit = fit_head(train, labels, valid, valid_labels, 2, config)
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
        fit = fit_head(train, labels, train[:50], labels[:50], 2, config)
        assert fit.head.layers[0][1] == pytest.approx(expected, abs=1e-3)
