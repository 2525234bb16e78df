"""The frozen backbone: weights, features, and an engine that agrees with torch."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tiny
import torch
from PIL import Image

from model import backbone as backbones
from model.backbone import Backbone, BackboneSpec, open_backbone, resolve_device
from model.extractor import block_groups


def some_pixels(backbone: Backbone, count: int = 3, seed: int = 0) -> np.ndarray:
    size = backbone.transforms.image_size
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (count, 8, 8, 3), np.uint8)
    return coarse.repeat(-(-size // 8), axis=1).repeat(-(-size // 8), axis=2)[:, :size, :size]


def torch_features(backbone: Backbone, pixels: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return backbone.module(torch.from_numpy(pixels)).numpy()


def state(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def assert_engine_agrees(backbone: Backbone) -> None:
    assert backbone.engine == "ONNX Runtime", backbone.note
    for count in (1, 5):
        pixels = some_pixels(backbone, count, seed=count)
        found, expected = backbone.features(pixels), torch_features(backbone, pixels)
        assert found.dtype == np.float32
        assert found.shape == expected.shape == (count, backbone.embed_dim)
        assert np.abs(found - expected).max() <= 1e-3 * np.abs(expected).max()


# The engine


def test_engine_agrees_with_torch_on_the_packaged_weights(lite0: Backbone):
    assert_engine_agrees(lite0)
    pixels = some_pixels(lite0, 4)
    classifier = lite0.module.members[0].network.classifier.weight.detach().numpy()
    last = slice(-classifier.shape[1], None)
    top5 = [
        np.argsort(-features[:, last] @ classifier.T)[:, :5]
        for features in (lite0.features(pixels), torch_features(lite0, pixels))
    ]
    assert np.array_equal(*top5)


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

    monkeypatch.setattr(Backbone, "_export", export)
    again = tiny_backbone(cache_dir=tmp_path / "new")
    assert np.array_equal(again.features(pixels), first)
    assert again.engine == "ONNX Runtime"


def test_an_engine_that_disagrees_is_not_used(
    tiny_backbone: Callable[..., Backbone], tmp_path: Path, monkeypatch
):
    real = backbones._session

    def session(path: Path) -> SimpleNamespace:
        run = real(path).run
        return SimpleNamespace(run=lambda *arguments: [run(*arguments)[0] * 1.01])

    monkeypatch.setattr(backbones, "_session", session)
    for _ in range(2):  # nor the second time: the bad model is not kept
        backbone = tiny_backbone(cache_dir=tmp_path / "new")
        assert backbone.engine == "torch"
        assert "ONNX Runtime differs from torch" in backbone.note
        pixels = some_pixels(backbone)
        assert np.allclose(backbone.features(pixels), torch_features(backbone, pixels))


def test_an_engine_that_gives_no_numbers_is_not_used(
    tiny_backbone: Callable[..., Backbone], tmp_path: Path, monkeypatch
):
    broken = SimpleNamespace(run=lambda *_: [np.full((1, 432), np.nan, np.float32)])
    monkeypatch.setattr(backbones, "_session", lambda *_: broken)
    assert tiny_backbone(cache_dir=tmp_path / "new").engine == "torch"


def test_a_network_that_cannot_be_exported_runs_in_torch_with_a_note(
    tiny_backbone: Callable[..., Backbone], tmp_path: Path, monkeypatch
):
    def export(*_args: object, **_options: object) -> None:
        raise torch.onnx.errors.UnsupportedOperatorError("aten::nonsense", 18, None)

    monkeypatch.setattr(torch.onnx, "export", export)
    backbone = tiny_backbone(cache_dir=tmp_path / "new")
    assert backbone.engine == "torch"
    assert "test_resnet" in backbone.note
    assert np.isfinite(backbone.features(some_pixels(backbone))).all()


def test_a_damaged_exported_model_is_made_anew(
    tiny_backbone: Callable[..., Backbone], tmp_path: Path
):
    cache = tmp_path / "new"
    tiny_backbone(cache_dir=cache)
    (exported,) = (cache / "engines").glob("*.onnx")
    exported.write_bytes(exported.read_bytes()[:1000])
    assert_engine_agrees(tiny_backbone(cache_dir=cache))


def test_a_transformer_takes_another_image_size(
    tiny_backbone: Callable[..., Backbone], tmp_path: Path
):
    backbone = tiny_backbone("test_vit", image_size=96, cache_dir=tmp_path / "new")
    assert backbone.transforms.image_size == 96
    assert backbone.features(some_pixels(backbone)).shape == (3, 256)


# Frozen


@pytest.mark.parametrize("name", ["test_resnet", "test_vit"])
def test_parameters_and_buffers_stay_as_they_are(
    name: str, tiny_backbone: Callable[..., Backbone], monkeypatch
):
    backbone = tiny_backbone(name)
    before = state(backbone.module)
    monkeypatch.setattr(backbone, "_session", None)  # torch itself, not the exported copy
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
    monkeypatch.setattr(lite0, "_session", None)
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
    network = tiny.network(name, 0).eval()
    pixels = some_pixels(backbone, 2)
    normal = (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5
    with torch.inference_mode():
        final, maps = network.forward_intermediates(normal, indices=3)
        last = network.forward_head(final, pre_logits=True)
        expected = torch.cat([*(stage.mean((2, 3)) for stage in maps), last], 1).numpy()
    assert np.allclose(backbone.features(pixels), expected, atol=1e-3 * np.abs(expected).max())


def test_block_groups_are_pooled_where_they_are_finer_than_strides(lite0: Backbone):
    network = lite0.module.members[0].network
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
    matrix = joined.module.members[1].matrix.numpy()
    resized = matrix @ photograph.transpose(2, 0, 1).astype(np.float32) @ matrix.T
    assert np.abs(resized - expected.transpose(2, 0, 1)).max() < 2  # of 255; it is antialiased
    assert not joined.module.members[0].resizes


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


# Specification and device


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


def test_the_device_is_said_in_words(tiny_backbone: Callable[..., Backbone]):
    assert tiny_backbone().device_text == "CPU (ONNX Runtime)"


def test_opening_a_real_backbone_by_name_takes_its_size(engines: Path):
    backbone = open_backbone("efficientnet_lite0", stages=0, cache_dir=engines.parent)
    assert backbone.embed_dim == 1280
    assert (backbone.transforms.image_size, backbone.transforms.crop_pct) == (256, 0.95)
