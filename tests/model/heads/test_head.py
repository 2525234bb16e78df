"""The head: its options, its logits, and which epoch is best."""

import itertools

import numpy as np
import pytest
import torch
from torch.nn import functional

from model.heads.head import Head, HeadConfig, Row, best_epoch, cross_entropy


def row(epoch: int, accuracy: float, loss: float) -> Row:
    return {"epoch": epoch, "valid_accuracy": accuracy, "valid_loss": loss}


def test_among_equal_accuracies_the_lowest_loss_is_best():
    assert best_epoch([row(1, 0.9, 0.5), row(2, 0.9, 0.4), row(3, 0.8, 0.1)]) == 2
    assert best_epoch([row(1, 0.9, 0.5), row(2, 0.9, 0.5)]) == 1


def test_cross_entropy_is_torchs():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(0, 5, (20, 6)).astype(np.float32), rng.integers(0, 6, 20)
    expected = functional.cross_entropy(torch.from_numpy(logits), torch.from_numpy(labels)).item()
    assert cross_entropy(logits, labels) == pytest.approx(expected, rel=1e-5)
    assert np.isfinite(cross_entropy(np.array([[1e4, -1e4]]), np.array([1])))


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
    monkeypatch.setattr("model.heads.head.BLOCK", 3)
    expected = scorer.logits(features).mean(axis=1)
    assert scorer.view_logits(features) == pytest.approx(expected, abs=1e-5)
    assert scorer.view_logits(features[:0]).shape == (0, 4)
