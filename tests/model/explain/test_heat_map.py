"""Heat maps: their sum is the logit, exactly where it can be, and they lie where they should."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image

from model.backbones.backbone import Backbone
from model.backbones.tail import find_tail
from model.backbones.transforms import EVALUATION_VIEWS, Transforms
from model.classifier import Classifier
from model.explain.heat_map import (
    HeatMap,
    attribute,
    heat_maps,
    local_weights,
    overlaps,
    overlay,
)
from model.heads.head import Head
from model.photographs import images


def some_head(width: int, classes: int = 4, hidden: tuple[int, ...] = (), seed: int = 0) -> Head:
    rng = np.random.default_rng(seed)
    widths = [width, *hidden, classes]
    layers = [
        (
            rng.normal(0, before**-0.5, (after, before)).astype(np.float32),
            rng.normal(0, 1, after).astype(np.float32),
        )
        for before, after in itertools.pairwise(widths)
    ]
    mean = rng.normal(0, 0.3, width).astype(np.float32)
    return Head(mean, rng.uniform(0.5, 2, width).astype(np.float32), layers)


def some_pixels(backbone: Backbone, count: int = 2) -> np.ndarray:
    size = backbone.transforms.image_size
    coarse = np.random.default_rng(0).integers(0, 256, (count, 8, 8, 3), np.uint8)
    places = np.arange(size) * 8 // size
    frames = coarse[:, places][:, :, places]
    return np.stack([frames, frames[:, :, ::-1]], axis=1)


def assert_sums_to_the_logits(backbone: Backbone, head: Head) -> list[HeatMap]:
    pixels = some_pixels(backbone)
    found = heat_maps(backbone, head, pixels, EVALUATION_VIEWS)
    features = backbone.features(pixels.reshape(-1, *pixels.shape[2:]))
    logits = head.view_logits(features.reshape(2, 2, -1))
    for heat, row in zip(found, logits, strict=True):
        assert heat.label == row.argmax()
        assert heat.logit == pytest.approx(row.max(), abs=1e-3)
        assert heat.values.sum() + heat.elsewhere == pytest.approx(heat.logit, abs=1e-4)
        assert heat.values.dtype == np.float32
        assert np.isfinite(heat.values).all()
    return found


@pytest.mark.parametrize(
    ("stages", "pooling"), [(0, "mean"), (1, "mean"), (3, "mean"), (2, "second-order")]
)
def test_the_map_plus_the_bias_is_the_logit_of_a_linear_head_on_pooled_maps(
    stages: int, pooling: str, tiny_backbone: Callable[..., Backbone]
):
    backbone = tiny_backbone(stages=stages, pooling=pooling)
    head = some_head(backbone.embed_dim)
    for heat in assert_sums_to_the_logits(backbone, head):
        bias = head.layers[0][1][heat.label]
        assert heat.elsewhere == pytest.approx(float(bias), abs=1e-3)
        assert heat.values.sum() == pytest.approx(heat.logit - float(bias), abs=1e-3)
        assert np.ptp(heat.values) > 0


def test_the_map_plus_the_bias_is_the_logit_of_the_shipped_classifier(
    shipped: Classifier, flower: Path
):
    frame = shipped.backbone.transforms.center(images.decode(flower))
    head = shipped.checkpoint.head
    pixels = np.stack([frame, frame[:, ::-1]])[None]
    (heat,) = heat_maps(shipped.backbone, head, pixels, shipped.checkpoint.views)
    assert heat.elsewhere == pytest.approx(float(head.layers[0][1][heat.label]), abs=1e-3)
    temperature = shipped.checkpoint.calibration.trust.temperature
    highest = float(shipped.assess([images.decode(flower)]).logits.max())
    assert heat.logit == pytest.approx(highest * temperature, 1e-4)
    assert heat.values.shape == (18, 18)  # the finest of 16, 8, 18 and 9


def test_an_mlp_is_attributed_by_its_exact_linear_piece(tiny_backbone: Callable[..., Backbone]):
    backbone = tiny_backbone()
    head = some_head(backbone.embed_dim, hidden=(32, 16))
    assert_sums_to_the_logits(backbone, head)
    features = backbone.features(some_pixels(backbone)[0])
    weights = local_weights(head, features, np.array([1, 3]))
    step = np.random.default_rng(1).normal(0, 1e-3, features.shape).astype(np.float32)
    moved = head.logits(features + step) - head.logits(features)
    expected = (weights * step).sum(axis=1)
    assert moved[[0, 1], [1, 3]] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("name", ["test_vit", "test_resnet+test_vit"])
@pytest.mark.parametrize("hidden", [(), (16,)])
def test_other_backbones_and_heads_sum_to_the_logit_too(
    name: str, hidden: tuple[int, ...], tiny_backbone: Callable[..., Backbone]
):
    backbone = tiny_backbone(name)
    found = assert_sums_to_the_logits(backbone, some_head(backbone.embed_dim, hidden=hidden))
    assert all(np.ptp(heat.values) > 0 for heat in found)


def test_a_class_token_alone_is_attributed_through_the_last_block(
    tiny_backbone: Callable[..., Backbone],
):
    backbone = tiny_backbone("test_vit", stages=0)
    (maps,) = backbone.maps(some_pixels(backbone)[0])[1]
    assert maps.info == (0, 64, 0, 1)
    found = assert_sums_to_the_logits(backbone, some_head(backbone.embed_dim))
    assert all(np.ptp(heat.values) > 0 for heat in found)


def test_gradients_reach_places_where_torch_alone_computes(
    tiny_backbone: Callable[..., Backbone], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    spec = tiny_backbone("test_vit", stages=0).spec
    # As on a GPU: no engine is exported, so that features are asked for before anything else.
    monkeypatch.setattr("model.backbones.backbone.open_onnx", lambda *_: (None, ""))
    backbone = Backbone(spec, device="cpu", cache_dir=tmp_path)
    head = some_head(backbone.embed_dim)
    for heat in assert_sums_to_the_logits(backbone, head):
        assert np.ptp(heat.values) > 0


def test_torch_and_the_engine_give_the_same_heat(
    tiny_backbone: Callable[..., Backbone], monkeypatch
):
    backbone = tiny_backbone("test_resnet+test_vit")
    head = some_head(backbone.embed_dim)
    assert backbone.engine.name == "ONNX Runtime"
    fast = assert_sums_to_the_logits(backbone, head)
    monkeypatch.setattr(backbone, "engine", backbone.torch_engine)
    slow = assert_sums_to_the_logits(backbone, head)
    for first, second in zip(fast, slow, strict=True):
        scale = np.abs(second.values).max()
        assert np.allclose(first.values, second.values, atol=2e-3 * scale)


@pytest.mark.parametrize("name", timm.list_models("test_*"))
def test_the_tail_of_any_architecture_is_found(name: str):
    torch.manual_seed(0)
    network: Any = timm.create_model(name, pretrained=False).eval().requires_grad_(False)
    size = network.pretrained_cfg["input_size"][-1]
    tail = find_tail(network, size)
    assert tail.found
    pixels = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(3))
    with torch.no_grad(), tail.watch() as watched:
        final = network.forward_features(pixels)
        last = network.forward_head(final, pre_logits=True)
    activations = watched[0] if watched else final
    weights = torch.randn(last.shape, generator=torch.Generator().manual_seed(4))
    places = tail.attribute(activations, weights)
    assert places.ndim == 3
    assert places.shape[1] == places.shape[2] > 1
    assert places.abs().max() > 0
    if tail.is_mean:  # then gradient times activation leaves nothing over
        expected = (last * weights).sum(1)
        assert torch.allclose(places.sum((1, 2)), expected, atol=1e-3 * float(expected.abs().max()))


def test_a_network_without_places_leaves_the_logit_elsewhere(
    tiny_backbone: Callable[..., Backbone],
):
    backbone = tiny_backbone()
    head = some_head(backbone.embed_dim)
    features, _ = backbone.maps(some_pixels(backbone)[0])
    (heat,) = attribute(backbone, head, features, [], EVALUATION_VIEWS)
    assert heat.values.tolist() == [[0]]
    assert heat.elsewhere == heat.logit


def test_a_class_that_is_asked_for_is_the_one_attributed(tiny_backbone: Callable[..., Backbone]):
    backbone = tiny_backbone()
    head = some_head(backbone.embed_dim)
    pixels = some_pixels(backbone)
    first, second = heat_maps(backbone, head, pixels, EVALUATION_VIEWS, np.array([2, 0]))
    assert (first.label, second.label) == (2, 0)
    assert first.elsewhere == pytest.approx(float(head.layers[0][1][2]), abs=1e-3)


def test_the_mirror_view_is_turned_back(tiny_backbone: Callable[..., Backbone]):
    backbone = tiny_backbone()
    head = some_head(backbone.embed_dim)
    pixels = some_pixels(backbone, 1)
    both = heat_maps(backbone, head, pixels, EVALUATION_VIEWS, np.array([0]))[0].values
    one = heat_maps(backbone, head, pixels[:, :1], ["center"], np.array([0]))[0].values
    other = heat_maps(backbone, head, pixels[:, 1:], ["center"], np.array([0]))[0].values
    assert np.allclose(both, (one + other[:, ::-1]) / 2, atol=1e-5)


@pytest.mark.parametrize(("side", "cells"), [(18, 16), (16, 8), (9, 9), (7, 5)])
def test_a_coarser_map_is_split_by_area_with_its_sum_kept(side: int, cells: int):
    areas = overlaps(side, cells)
    assert areas.shape == (side, cells)
    assert np.allclose(areas.sum(axis=0), 1)
    assert np.allclose(areas.sum(axis=1), cells / side)
    assert areas.min() >= 0
    assert areas[0, 0] > 0 == areas[0, -1]


# The picture


def brightest(picture: Image.Image) -> tuple[float, float]:
    """The middle of what glows, as shares of width and height."""
    pixels = np.asarray(picture).astype(np.float64)
    glow = np.maximum(pixels[..., 0] - pixels[..., 2] - 30, 0)  # red over blue
    y, x = np.indices(glow.shape)
    return (
        float((x * glow).sum() / glow.sum() / glow.shape[1]),
        float((y * glow).sum() / glow.sum() / glow.shape[0]),
    )


@pytest.mark.parametrize(
    ("framing", "size", "place", "expected"),
    [
        # the place is (row, column) of an 8 x 8 grid; expected are shares of the photograph
        ("squash", (400, 200), (1, 6), (6.5 / 8, 1.5 / 8)),
        ("crop", (200, 200), (1, 6), (0.05 + 0.9 * 6.5 / 8, 0.05 + 0.9 * 1.5 / 8)),
        ("crop", (400, 200), (4, 6), (0.275 + 0.45 * 6.5 / 8, 0.05 + 0.9 * 4.5 / 8)),
        ("crop", (200, 400), (1, 4), (0.05 + 0.9 * 4.5 / 8, 0.275 + 0.45 * 1.5 / 8)),
        ("pad", (400, 200), (4, 6), (6.5 / 8, (4.5 / 8 - 0.25) / 0.5)),
        ("pad", (200, 400), (6, 4), ((4.5 / 8 - 0.25) / 0.5, 6.5 / 8)),
    ],
)
def test_the_glow_lies_over_the_place_in_every_framing(
    framing: str,
    size: tuple[int, int],
    place: tuple[int, int],
    expected: tuple[float, float],
):
    values = np.zeros((8, 8), np.float32)
    values[place] = 1
    transforms = Transforms(64, framing, 0.9)  # type: ignore[arg-type]
    picture = overlay(Image.new("RGB", size, (120, 120, 120)), HeatMap(values, 0, 1, 0), transforms)
    assert picture.size == size
    assert brightest(picture) == pytest.approx(expected, abs=0.03)


def test_evidence_against_the_class_does_not_glow():
    values = np.full((4, 4), -1, np.float32)
    grey = Image.new("RGB", (80, 60), (120, 120, 120))
    pixels = np.asarray(overlay(grey, HeatMap(values, 0, 0, 0), Transforms(64, "squash")))
    assert np.ptp(pixels) == 0
    assert pixels.max() < 120


def test_what_the_backbone_did_not_see_is_outlined_and_stays_as_it_is():
    values = np.zeros((4, 4), np.float32)
    grey = Image.new("RGB", (300, 100), (120, 120, 120))
    pixels = np.asarray(overlay(grey, HeatMap(values, 0, 0, 0), Transforms(64, "crop", 0.9)))
    assert (pixels[50, 20] == 120).all() and pixels[50, 150].max() < 120
    line = (pixels == 255).all(axis=2)
    assert line[50].sum() == 4 and line[:, 150].sum() == 4
    whole = np.asarray(overlay(grey, HeatMap(values, 0, 0, 0), Transforms(64, "squash")))
    assert whole.max() < 120, "nothing was left out, so there is no line"


def test_a_large_photograph_is_painted_smaller():
    heat = HeatMap(np.eye(4, dtype=np.float32), 0, 0, 0)
    picture = overlay(Image.new("RGB", (3000, 1500)), heat, Transforms(64), max_side=600)
    assert picture.size == (600, 300)
