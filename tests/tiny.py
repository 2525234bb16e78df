"""Tiny random networks in place of pretrained ones: a test needs no download and little time."""

from typing import Any

import numpy as np
import pytest
import timm
import torch
from torch import nn

from model.backbones import backbone, torch_engine, weights
from model.backbones.backbone import Backbone

SIZES = {"test_resnet": 48, "test_vit": 64}
"""Input side in px of each tiny network."""

_real_load_network = weights.load_network


def sha256(name: str, seed: int) -> str:
    """The made-up hash of a tiny network's weights."""
    return f"{seed:02x}{len(name):02x}".ljust(64, "f")


def network(name: str, seed: int) -> nn.Module:
    """A tiny random network whose BatchNorm statistics are not the initial ones."""
    size: dict[str, Any] = {"img_size": SIZES[name]} if "vit" in name else {}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made = timm.create_model(name, pretrained=False, **size)
        for module in made.modules():
            if isinstance(module, nn.BatchNorm2d):
                assert module.running_mean is not None and module.running_var is not None
                nn.init.uniform_(module.weight, 0.7, 1.3)
                nn.init.normal_(module.bias, 0, 0.2)
                nn.init.normal_(module.running_mean, 0, 0.1)
                nn.init.uniform_(module.running_var, 0.5, 1.5)
    return made


def install(monkeypatch: pytest.MonkeyPatch, seed: int = 0) -> None:
    """Make `open_backbone("test_resnet")` give a tiny network; packaged names stay real."""

    def load_network(
        name: str, image_size: int | None = None
    ) -> tuple[nn.Module, str, dict[str, Any]]:
        if name not in SIZES:
            return _real_load_network(name, image_size)
        config = {
            "input_size": (3, SIZES[name], SIZES[name]),
            "crop_pct": 0.95,
            "interpolation": "bicubic",
            "mean": (0.5, 0.5, 0.5),
            "std": (0.5, 0.5, 0.5),
        }
        return network(name, seed), sha256(name, seed), config

    for module in (backbone, torch_engine):
        monkeypatch.setattr(module, "load_network", load_network)


def some_pixels(backbone: Backbone, count: int = 3, seed: int = 0) -> np.ndarray:
    """Coarse random pixels as a backbone takes them: uint8 [count, S, S, 3]."""
    size = backbone.transforms.image_size
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (count, 8, 8, 3), np.uint8)
    return coarse.repeat(-(-size // 8), axis=1).repeat(-(-size // 8), axis=2)[:, :size, :size]


def torch_features(backbone: Backbone, pixels: np.ndarray) -> np.ndarray:
    """What torch computes, whatever engine the backbone uses."""
    with torch.inference_mode():
        return backbone.module(torch.from_numpy(pixels)).numpy()


def program(module: str) -> str:
    """Python code for `-c`: `python -m module` in the repository, with tiny networks."""
    return (
        "import runpy, sys; sys.path.insert(0, 'tests'); import tiny;"
        "from model.backbones import backbone;"
        "tiny.install(type('P', (), {'setattr': staticmethod(setattr)}));"
        f"runpy.run_module('{module}', run_name='__main__')"
    )
