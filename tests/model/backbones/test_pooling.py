"""Second-order pooling: what its features are, and that those of mean pooling stay the same."""

import json
from collections.abc import Callable

import numpy as np
import pytest
import torch
from tiny import some_pixels, torch_features

from model.backbones.backbone import Backbone, open_backbone
from model.backbones.maps import SMOOTHING
from model.backbones.pooling import SecondOrder, directions
from model.backbones.spec import BackboneSpec

NAMES = ["test_resnet", "test_vit", "test_resnet+test_vit"]


def test_features_are_second_moments_by_their_own_root():
    values = np.random.default_rng(0).normal(size=(3, 80, 5, 5)).astype(np.float32)
    pool = SecondOrder(80)
    projected = pool.project(torch.from_numpy(values))
    found = pool(projected).numpy()
    basis = directions(80).astype(np.float64)
    assert found.shape == (3, 64 * 65 // 2)
    for row, photograph in zip(found, values.astype(np.float64), strict=True):
        z = basis.T @ photograph.reshape(80, 25)
        moments = z @ z.T / 25
        smoothing = SMOOTHING * np.diag(moments).mean()
        expected = (moments / np.sqrt(np.abs(moments) + smoothing))[np.triu_indices(64)]
        assert row == pytest.approx(expected, abs=1e-4)


def test_directions_are_orthonormal_and_no_more_than_channels():
    for channels, count in ((24, 24), (64, 64), (320, 64)):
        basis = directions(channels)
        assert basis.shape == (channels, count)
        assert basis.T @ basis == pytest.approx(np.eye(count), abs=1e-5)
    assert np.array_equal(directions(96), directions(96))


def test_a_map_of_zeros_has_features_of_zero():
    pool = SecondOrder(16)
    assert not pool(pool.project(torch.zeros(1, 16, 4, 4))).any()


@pytest.mark.parametrize("name", NAMES)
def test_the_first_features_are_those_of_mean_pooling(
    name: str, tiny_backbone: Callable[..., Backbone]
):
    mean, second = tiny_backbone(name), tiny_backbone(name, pooling="second-order")
    pixels = some_pixels(mean)
    assert mean.mean_width == mean.embed_dim == second.mean_width
    assert second.embed_dim > second.mean_width
    found = second.features(pixels)
    assert found[:, : mean.embed_dim] == pytest.approx(mean.features(pixels), abs=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_both_engines_agree(name: str, tiny_backbone: Callable[..., Backbone]):
    backbone = tiny_backbone(name, pooling="second-order")
    assert backbone.engine.name == "ONNX Runtime"
    assert backbone.torch_engine.mean_width == backbone.mean_width
    pixels = some_pixels(backbone)
    expected = torch_features(backbone, pixels)
    assert backbone.features(pixels) == pytest.approx(
        expected, abs=1e-4 * float(np.abs(expected).max())
    )


def test_second_moments_need_two_stages(tmp_path):
    with pytest.raises(ValueError, match="--stages 2 or more, not 1"):
        open_backbone(stages=1, pooling="second-order", device="cpu", cache_dir=tmp_path)


def test_a_specification_with_mean_pooling_is_written_as_it_always_was(lite0: Backbone):
    values = lite0.spec.to_json()
    assert "pooling" not in values
    assert BackboneSpec.from_json(values) == lite0.spec
    second = BackboneSpec(lite0.spec.members, 3, lite0.spec.transforms, "second-order")
    assert BackboneSpec.from_json(json.loads(json.dumps(second.to_json()))) == second
    assert second.key != lite0.spec.key
