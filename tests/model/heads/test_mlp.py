"""The MLP head: its steps, and that numpy and torch agree on it."""

import numpy as np
import pytest
import torch

from model.heads.head import HeadConfig
from model.heads.mlp import Mlp, build, to_head


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


def test_the_mlp_weighs_photographs():
    rng = np.random.default_rng(0)
    values, labels = rng.normal(size=(8, 10)).astype(np.float32), np.array([0, 1] * 4)
    config, heads_of = HeadConfig(head="mlp", hidden=(24, 16), dropout=0.0), []
    for weights in (None, np.ones(8, np.float32), np.array([1, 0] * 4, np.float32)):
        learner = Mlp(10, np.array([0.5, 0.5], np.float32), config, "cpu")
        for _ in range(30):
            learner.step(values, labels, weights, 1e-2, 0.9)
        heads_of.append(learner.head(np.zeros(10, np.float32), np.ones(10, np.float32)))
    plain, ones, first_only = (head.logits(values) for head in heads_of)
    assert np.allclose(plain, ones, atol=1e-4)
    assert (first_only.argmax(axis=1) == 0).all()
