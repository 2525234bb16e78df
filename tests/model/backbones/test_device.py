"""Which device computes."""

import pytest
import torch

from model.backbones import device as devices
from model.backbones.device import require_torch, resolve_device


def test_the_device_is_chosen_or_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert resolve_device("auto") == resolve_device("cpu") == "cpu"
    for device in ("cuda", "mps"):
        with pytest.raises(ValueError, match=f"'{device}' was requested, .* Use --device cpu"):
            resolve_device(device)
    with pytest.raises(ValueError, match="'gpu' is not one of auto, cpu, cuda, mps"):
        resolve_device("gpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("auto") == "cuda"


def test_without_torch_it_is_the_cpu_or_a_sentence(monkeypatch):
    monkeypatch.setattr(devices, "find_spec", lambda name: None)
    assert resolve_device("auto") == resolve_device("cpu") == "cpu"
    needed = "needs torch, which is not installed: pip install -r requirements.txt"
    for device in ("cuda", "mps"):
        with pytest.raises(ValueError, match=f"Device '{device}' {needed}"):
            resolve_device(device)
    with pytest.raises(ValueError, match=f"^This {needed}$"):
        require_torch("This")
