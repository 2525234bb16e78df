"""The engine: a graph that agrees with torch, or torch."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tiny import some_pixels, torch_features

from model.backbones import backbone as backbones
from model.backbones import onnx_export
from model.backbones.backbone import Backbone


def assert_engine_agrees(backbone: Backbone) -> None:
    assert backbone.engine.name == "ONNX Runtime", backbone.note
    for count in (1, 5):
        pixels = some_pixels(backbone, count, seed=count)
        found, expected = backbone.features(pixels), torch_features(backbone, pixels)
        assert found.dtype == np.float32
        assert found.shape == expected.shape == (count, backbone.embed_dim)
        assert np.abs(found - expected).max() <= 1e-3 * np.abs(expected).max()


def test_engine_agrees_with_torch_on_the_packaged_weights(lite0: Backbone):
    assert_engine_agrees(lite0)
    pixels = some_pixels(lite0, 4)
    module: Any = lite0.module
    classifier = module.members[0].network.classifier.weight.detach().numpy()
    last = slice(-classifier.shape[1], None)
    found, expected = (
        np.argsort(-features[:, last] @ classifier.T)[:, :5]
        for features in (lite0.features(pixels), torch_features(lite0, pixels))
    )
    assert np.array_equal(found, expected)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("test_resnet", {}),
        ("test_vit", {}),
        ("test_resnet", {"image_size": 80, "stages": 0}),
        ("test_resnet+test_vit", {}),
        ("test_vit+test_resnet", {"framing": "pad", "stages": 1}),
    ],
)
def test_engine_agrees_with_torch_on_other_networks(
    name: str, options: dict, tiny_backbone: Callable[..., Backbone]
):
    assert_engine_agrees(tiny_backbone(name, **options))


def test_a_second_opening_uses_the_exported_model(
    tiny_backbone: Callable[..., Backbone], tmp_path: Path, monkeypatch
):
    pixels = np.zeros((2, 48, 48, 3), np.uint8)
    first = tiny_backbone(cache_dir=tmp_path / "new").features(pixels)

    def export(*_args: object) -> None:
        raise AssertionError("exported again")

    monkeypatch.setattr(onnx_export, "export", export)
    again = tiny_backbone(cache_dir=tmp_path / "new")
    assert np.array_equal(again.features(pixels), first)
    assert again.engine.name == "ONNX Runtime"


def test_an_engine_that_disagrees_is_not_used(
    tiny_backbone: Callable[..., Backbone], tmp_path: Path, monkeypatch
):
    real = backbones.OnnxEngine

    def wrong(path: Path) -> SimpleNamespace:
        features = real(path).features
        return SimpleNamespace(features=lambda pixels: features(pixels) * 1.01)

    monkeypatch.setattr(backbones, "OnnxEngine", wrong)
    for _ in range(2):  # nor the second time: the bad model is not kept
        backbone = tiny_backbone(cache_dir=tmp_path / "new")
        assert backbone.engine.name == "torch"
        assert "ONNX Runtime differs from torch" in backbone.note
        pixels = some_pixels(backbone)
        assert np.allclose(backbone.features(pixels), torch_features(backbone, pixels))


def test_an_engine_that_gives_no_numbers_is_not_used(
    tiny_backbone: Callable[..., Backbone], tmp_path: Path, monkeypatch
):
    broken = SimpleNamespace(features=lambda _: np.full((2, 432), np.nan, np.float32))
    monkeypatch.setattr(backbones, "OnnxEngine", lambda *_: broken)
    assert tiny_backbone(cache_dir=tmp_path / "new").engine.name == "torch"


def test_a_network_that_cannot_be_exported_runs_in_torch_with_a_note(
    tiny_backbone: Callable[..., Backbone], tmp_path: Path, monkeypatch
):
    def export(*_args: object, **_options: object) -> None:
        raise torch.onnx.errors.UnsupportedOperatorError("aten::nonsense", 18, None)

    monkeypatch.setattr(torch.onnx, "export", export)
    backbone = tiny_backbone(cache_dir=tmp_path / "new")
    assert backbone.engine.name == "torch"
    assert "test_resnet" in backbone.note
    assert np.isfinite(backbone.features(some_pixels(backbone))).all()


@pytest.mark.parametrize("damage", ["cut", "bit"])
def test_a_damaged_exported_model_is_named_and_made_anew(
    damage: str,
    tiny_backbone: Callable[..., Backbone],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
):
    cache = tmp_path / "new"
    tiny_backbone(cache_dir=cache)
    (exported,) = (cache / "engines").glob("*.onnx")
    content = bytearray(exported.read_bytes())
    content[len(content) // 2] ^= 64  # in the weights: the graph can still be loaded
    exported.write_bytes(content if damage == "bit" else content[:1000])
    assert_engine_agrees(tiny_backbone(cache_dir=cache))
    assert f"{exported} is damaged" in caplog.text
