"""The linear head's steps are torch's."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from model.heads.fit import one_cycle
from model.heads.head import HeadConfig
from model.heads.linear import Linear
from model.heads.mlp import build


@pytest.mark.parametrize("weighted", [False, True])
def test_the_linear_head_takes_torchs_steps(weighted: bool):
    rng = np.random.default_rng(0)
    rate = 3e-2
    config = HeadConfig(lr=rate, weight_decay=0.5, label_smoothing=0.1)
    priors = np.array([0.5, 0.3, 0.2], np.float32)
    found = Linear(10, priors, config)
    network = build(10, 3, (), 0.0)
    linear = network[0]
    assert isinstance(linear, torch.nn.Linear)
    torch.nn.init.zeros_(linear.weight)
    linear.bias.data = torch.from_numpy(np.log(priors))
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=0.5)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=rate, total_steps=40)
    for step in range(40):
        values = rng.normal(size=(16, 10)).astype(np.float32)
        labels = rng.integers(0, 3, 16)
        weights = rng.uniform(0.5, 2, 16).astype(np.float32) if weighted else None
        logits = found.step(values, labels, weights, *one_cycle(step, 40, rate))
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
    assert np.allclose(layer[0], linear.weight.detach().numpy(), atol=1e-4)
    assert np.abs(layer[0]).max() > 0.1  # or this test shows nothing
