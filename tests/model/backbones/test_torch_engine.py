"""The width of a backbone in torch is known by shapes alone."""

from typing import Any

import numpy as np
import pytest
import timm
import torch

from model.backbones.spec import BackboneSpec, Member
from model.backbones.torch_engine import TorchEngine
from model.backbones.transforms import Transforms

HALF = (0.5, 0.5, 0.5)
NAMES = [
    *timm.list_models("test_*"),
    "resnet18",
    "mobilenetv3_small_050",
    "swin_tiny_patch4_window7_224",
]


@pytest.mark.parametrize("stages", [0, 2])
@pytest.mark.parametrize("name", NAMES)
def test_the_width_is_that_of_the_features_and_nothing_is_computed(
    name: str, stages: int, monkeypatch
):
    network: Any = timm.create_model(name, pretrained=False).eval()
    size = network.pretrained_cfg["input_size"][-1]
    spec = BackboneSpec((Member(name, "0" * 64, size, HALF, HALF),), stages, Transforms(size))
    engine = TorchEngine(spec, [network], device="cpu")
    devices = set()
    real = network.forward_features

    def forward_features(pixels: torch.Tensor) -> torch.Tensor:
        devices.add(pixels.device.type)
        return real(pixels)

    monkeypatch.setattr(network, "forward_features", forward_features)
    try:
        width = engine.width
    except ValueError as error:
        assert "update timm" in str(error)
        pytest.skip(f"timm {timm.__version__} does not return the stages of {name}")
    assert devices <= {"meta"}
    pixels = np.zeros((1, size, size, 3), np.uint8)
    assert engine.features(pixels).shape == (1, width)


def test_a_network_that_does_not_return_its_stages_is_refused_in_a_sentence(monkeypatch):
    network = timm.create_model("test_nfnet", pretrained=False).eval()
    monkeypatch.delattr(type(network), "forward_intermediates", raising=False)
    spec = BackboneSpec((Member("test_nfnet", "0" * 64, 64, HALF, HALF),), 2, Transforms(64))
    with pytest.raises(ValueError, match=r"does not return the stages of test_nfnet.*--stages 0"):
        _ = TorchEngine(spec, [network], device="cpu").width
