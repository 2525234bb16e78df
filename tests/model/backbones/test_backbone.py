"""The frozen backbone: what its features are, and that nothing of it ever changes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from PIL import Image
from tiny import some_pixels, torch_features

from model.backbones.backbone import Backbone, open_backbone
from model.backbones.extractor import block_groups
from model.backbones.spec import BackboneSpec


def state(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


# Frozen


@pytest.mark.parametrize("name", ["test_resnet", "test_vit"])
def test_parameters_and_buffers_stay_as_they_are(
    name: str, tiny_backbone: Callable[..., Backbone], monkeypatch
):
    backbone = tiny_backbone(name)
    before = state(backbone.module)
    monkeypatch.setattr(
        backbone, "engine", backbone.torch_engine
    )  # torch itself, not the exported copy
    for seed in range(3):
        backbone.features(some_pixels(backbone, seed=seed))
    after = backbone.module.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert not any(module.training for module in backbone.module.modules())
    assert not any(parameter.requires_grad for parameter in backbone.module.parameters())


def test_the_real_backbone_is_frozen_too(lite0: Backbone, monkeypatch):
    before = state(lite0.module)
    assert any(key.endswith("running_mean") for key in before)
    monkeypatch.setattr(lite0, "engine", lite0.torch_engine)
    lite0.features(some_pixels(lite0, 2))
    assert all(torch.equal(before[key], value) for key, value in lite0.module.state_dict().items())
    assert not any(module.training for module in lite0.module.modules())


def test_features_of_a_photograph_do_not_depend_on_its_batch(
    tiny_backbone: Callable[..., Backbone],
):
    backbone = tiny_backbone()
    pixels = some_pixels(backbone, 4)
    alone = np.concatenate([backbone.features(pixels[i : i + 1]) for i in range(4)])
    assert np.allclose(backbone.features(pixels), alone, atol=1e-4)


# What the features are


def test_a_transformer_takes_another_image_size(
    tiny_backbone: Callable[..., Backbone], tmp_path: Path
):
    backbone = tiny_backbone("test_vit", image_size=96, cache_dir=tmp_path / "new")
    assert backbone.transforms.image_size == 96
    assert backbone.features(some_pixels(backbone)).shape == (3, 256)


def test_lite0_has_three_stages_and_the_final_layer(lite0: Backbone):
    assert lite0.embed_dim == 112 + 192 + 320 + 1280 == 1904
    assert lite0.transforms.image_size == 256


@pytest.mark.parametrize(
    ("name", "stages", "dims"),
    [
        ("test_resnet", 0, [96]),
        ("test_resnet", 2, [192, 96, 96]),
        ("test_resnet", 3, [48, 192, 96, 96]),
        ("test_vit", 0, [64]),
        ("test_vit", 3, [64, 64, 64, 64]),
        ("test_resnet+test_vit", 1, [96, 96, 64, 64]),
    ],
)
def test_stages_stand_before_the_final_layer(
    name: str, stages: int, dims: list[int], tiny_backbone: Callable[..., Backbone]
):
    assert tiny_backbone(name, stages=stages).embed_dim == sum(dims)


@pytest.mark.parametrize("name", ["test_resnet", "test_vit"])
def test_features_are_timms_own_for_normalised_pixels(
    name: str, tiny_backbone: Callable[..., Backbone]
):
    backbone = tiny_backbone(name, stages=3)
    network: Any = tiny.network(name, 0).eval()
    pixels = some_pixels(backbone, 2)
    normal = (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5
    with torch.inference_mode():
        final, maps = network.forward_intermediates(normal, indices=3)
        last = network.forward_head(final, pre_logits=True)
        expected = torch.cat([*(stage.mean((2, 3)) for stage in maps), last], 1).numpy()
    assert np.allclose(backbone.features(pixels), expected, atol=1e-3 * np.abs(expected).max())


def test_block_groups_are_pooled_where_they_are_finer_than_strides(lite0: Backbone):
    module: Any = lite0.module
    network = module.members[0].network
    groups = block_groups(network)
    assert groups is not None
    pixels = torch.from_numpy(some_pixels(lite0, 1)).permute(0, 3, 1, 2).float()
    outputs: list[torch.Tensor] = []
    hooks = [g.register_forward_hook(lambda _m, _i, out: outputs.append(out)) for g in groups[-3:]]
    with torch.inference_mode():
        final = network.forward_features((pixels - 127) / 128)
        last = network.forward_head(final, pre_logits=True)
    for hook in hooks:
        hook.remove()
    expected = torch.cat([*(out.mean((2, 3)) for out in outputs), last], 1).numpy()
    assert [out.shape[1] for out in outputs] == [112, 192, 320]
    found = torch_features(lite0, some_pixels(lite0, 1))
    assert np.allclose(found, expected, atol=1e-3 * np.abs(expected).max())


def test_other_weights_give_other_features(tiny_backbone: Callable[..., Backbone]):
    first, second = tiny_backbone(seed=0), tiny_backbone(seed=1)
    pixels = some_pixels(first)
    assert not np.allclose(first.features(pixels), second.features(pixels))


def test_joined_features_stand_side_by_side(tiny_backbone: Callable[..., Backbone]):
    joined = tiny_backbone("test_resnet+test_vit")
    assert joined.transforms.image_size == 64  # the larger of 48 and 64: one frame for both
    resnet, vit = tiny_backbone("test_resnet"), tiny_backbone("test_vit")
    assert joined.embed_dim == resnet.embed_dim + vit.embed_dim
    pixels = some_pixels(joined)
    found = joined.features(pixels)
    assert np.allclose(found[:, resnet.embed_dim :], vit.features(pixels), atol=1e-3)


def test_the_resize_inside_a_joined_backbone_is_that_of_the_transforms(
    tiny_backbone: Callable[..., Backbone],
):
    joined = tiny_backbone("test_vit+test_resnet")
    rng = np.random.default_rng(0)
    photograph = rng.integers(64, 192, (64, 64, 3), np.uint8)
    expected = np.asarray(Image.fromarray(photograph).resize((48, 48), Image.Resampling.BICUBIC))
    module: Any = joined.module
    matrix = module.members[1].matrix.numpy()
    resized = matrix @ photograph.transpose(2, 0, 1).astype(np.float32) @ matrix.T
    assert np.abs(resized - expected.transpose(2, 0, 1)).max() < 2  # of 255; it is antialiased
    assert not module.members[0].resizes


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((1, 48, 48, 3), np.float32),
        np.zeros((1, 40, 48, 3), np.uint8),
        np.zeros((48, 48, 3), np.uint8),
        np.zeros((1, 3, 48, 48), np.uint8),
    ],
)
def test_pixels_of_another_shape_or_type_are_an_error(
    pixels: np.ndarray, tiny_backbone: Callable[..., Backbone]
):
    with pytest.raises(ValueError, match=r"expected uint8 \[N, 48, 48, 3\]"):
        tiny_backbone().features(pixels)


def test_a_checkpoint_of_other_weights_is_refused(
    tiny_backbone: Callable[..., Backbone], monkeypatch, tmp_path: Path
):
    spec = tiny_backbone(seed=0).spec
    tiny.install(monkeypatch, seed=1)
    with pytest.raises(ValueError, match="checkpoint was trained with"):
        Backbone(spec, cache_dir=tmp_path / "new")


def test_joining_a_backbone_with_itself_is_an_error(tiny_backbone: Callable[..., Backbone]):
    with pytest.raises(ValueError, match="names test_resnet twice"):
        tiny_backbone("test_resnet+test_vit+test_resnet")


def test_negative_stages_are_an_error(tiny_backbone: Callable[..., Backbone]):
    with pytest.raises(ValueError, match="--stages -1"):
        tiny_backbone(stages=-1)


# Specification


def test_the_key_depends_on_everything_that_decides_a_feature(
    tiny_backbone: Callable[..., Backbone],
):
    keys = [
        backbone.spec.key
        for backbone in (
            tiny_backbone(),
            tiny_backbone(seed=1),
            tiny_backbone(stages=1),
            tiny_backbone(image_size=64),
            tiny_backbone(framing="squash"),
            tiny_backbone(interpolation="bilinear"),
            tiny_backbone("test_vit"),
            tiny_backbone("test_resnet+test_vit"),
            tiny_backbone("test_vit+test_resnet"),
        )
    ]
    assert len(set(keys)) == len(keys)
    assert tiny_backbone().spec.key == keys[0]


def test_a_specification_comes_back_from_json(tiny_backbone: Callable[..., Backbone]):
    spec = tiny_backbone("test_resnet+test_vit", framing="pad").spec
    assert BackboneSpec.from_json(spec.to_json()) == spec
    assert spec.name == "test_resnet+test_vit"


def test_the_device_is_said_in_words(tiny_backbone: Callable[..., Backbone]):
    assert tiny_backbone().device_text == "CPU (ONNX Runtime)"


def test_opening_a_real_backbone_by_name_takes_its_size(engines: Path):
    backbone = open_backbone("efficientnet_lite0", stages=0, cache_dir=engines.parent)
    assert backbone.embed_dim == 1280
    assert (backbone.transforms.image_size, backbone.transforms.crop_pct) == (256, 0.95)
