"""Which device computes."""

import pytest
import torch

from model.backbones.device import resolve_device


def test_the_device_is_chosen_or_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert resolve_device("auto") == resolve_device("cpu") == "cpu"
    for device in ("cuda", "mps"):
        with pytest.raises(ValueError, match=f"'{device}' was asked for, .* Use --device cpu"):
            resolve_device(device)
    with pytest.raises(ValueError, match="'gpu' is not one of auto, cpu, cuda, mps"):
        resolve_device("gpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("auto") == "cuda"
