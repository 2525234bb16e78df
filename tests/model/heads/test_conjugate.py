"""The ridge head: conjugate gradients arrive at what the normal equations give."""

import numpy as np
import pytest

from model.heads.conjugate import PENALTY, Ridge
from model.heads.fit import FEW, Examples, fit_head, resolve
from model.heads.head import HeadConfig


def some_data(count: int = 60, width: int = 200, classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = np.arange(count) % classes
    values = rng.normal(size=(count, width)).astype(np.float32)
    values[np.arange(count), labels] += 4
    return values, labels


@pytest.mark.parametrize("weighted", [False, True])
def test_it_converges_to_the_solution_of_the_normal_equations(weighted: bool):
    values, labels = some_data()
    weights = np.linspace(0.5, 1.5, len(labels)).astype(np.float32) if weighted else None
    fitted = Ridge(values.copy(), labels, 4, weights, smoothing=0.1)
    for _ in range(80):
        _, accuracy, _ = fitted.epoch()
    assert accuracy == 1
    found = fitted.head(np.zeros(200, np.float32), np.ones(200, np.float32)).logits(values)

    w = np.ones(len(labels)) if weights is None else weights.astype(np.float64)
    x, y = values.astype(np.float64), np.eye(4)[labels]
    middle, shares = (w[:, None] * x).mean(axis=0), (w[:, None] * y).mean(axis=0)
    x = x - middle
    gram = x.T @ (w[:, None] * x)
    penalty = PENALTY * np.trace(gram) / min(x.shape)
    solution = np.linalg.solve(gram + penalty * np.eye(200), x.T @ (w[:, None] * (y - shares)))
    expected = np.log(0.925 / 0.025) * (x @ solution + shares)  # softmax: 0.925, 3 times 0.025
    assert found == pytest.approx(expected, abs=1e-3)


def test_a_class_without_photographs_and_constant_features_do_no_harm():
    values, labels = some_data()
    values[:, 100:] = 0
    fitted = Ridge(values, labels, 5, None, smoothing=0.0)
    for _ in range(300):  # far beyond convergence
        loss, accuracy, step = fitted.epoch()
        assert np.isfinite([loss, step]).all()
    assert accuracy == 1


def test_auto_takes_least_squares_for_few_photographs():
    assert resolve(HeadConfig(), 100, 201) == "ridge"
    assert resolve(HeadConfig(), 101, 201) == "linear"
    assert resolve(HeadConfig(), FEW - 1, 100_000) == "ridge"
    assert resolve(HeadConfig(), FEW, 100_000) == "linear"
    assert resolve(HeadConfig(head="mlp"), 10, 201) == "mlp"


@pytest.mark.parametrize("views", [1, 2, 3])
def test_every_view_of_each_photograph_is_used(views: int):
    values, labels = some_data(40)
    rng = np.random.default_rng(3)
    noise = rng.normal(size=(40, views, 200)) * 3
    noise -= noise.mean(axis=1, keepdims=True)  # only all views together are without noise
    examples = Examples((values[:, None] + noise).astype(np.float16), labels)
    clean = Examples(values[:, None].astype(np.float16), labels)
    found = fit_head(examples, clean, 4, HeadConfig(head="ridge", balance=True))
    assert found.history[-1]["valid_accuracy"] == 1


def test_weights_of_classes_and_patience_reach_it():
    values, labels = some_data(63)
    labels[:40] = 0
    examples = Examples(values[:, None].astype(np.float16), labels)
    config = HeadConfig(head="ridge", balance=True, patience=2, epochs=50)
    fitted = fit_head(examples, examples, 4, config)
    assert fitted.kind == "ridge"
    assert len(fitted.history) < 50
