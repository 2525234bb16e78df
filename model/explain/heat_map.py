"""Where the classifier looked: attributes the predicted logit to places in the photograph."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from model.backbones.backbone import Backbone
from model.backbones.maps import SMOOTHING, Maps
from model.backbones.transforms import MIRROR, Transforms
from model.heads.head import Head

_GLOW = (
    "57106e 6a176e 7f1e6c 932667 a82e5f ba3655 cc4248 dd513a ea632a f37819 f98c0a fca50a fbbe23 "
    "f6d746 f1ef75"
)
"""Matplotlib's `inferno` (CC0) from 0.25 to 0.95, accurate to 5 of 255, so that serving does not
need matplotlib."""


@dataclass(frozen=True)
class HeatMap:
    """The contribution of each place in a framed photograph to the logit of one class.

    `values.sum() + elsewhere == logit`. If all features are plain means of maps and the head is
    linear, the map is exact class activation mapping, and `elsewhere` is the head's bias. Values
    are relative to the average training photograph: a place is above 0 if it supports the class
    more than an average place does.

    Attributes:
        values: float32 `[H, W]`, logits, on a grid over the backbone's frame.
        elsewhere: The part of the logit that is attributed to no place.
        logit: The class's logit, averaged over the views.
        label: The class's index.
    """

    values: np.ndarray
    elsewhere: float
    logit: float
    label: int


def local_weights(head: Head, features: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return, for each photograph, the gradient of one logit with respect to the features.

    The gradient of a linear head is the same everywhere. An MLP with ReLU is linear around each
    photograph, so its gradient is exact there too.

    Args:
        head: The head.
        features: float32 `[N, D]`.
        classes: int `[N]`, the class whose logit is taken for each photograph.

    Returns:
        float32 `[N, D]`.
    """
    values = (features - head.mean) / head.std
    active = []
    for weight, bias in head.layers[:-1]:
        values = values @ weight.T + bias
        active.append(values > 0)
        values = np.maximum(values, 0)
    gradient = head.layers[-1][0][classes]
    for (weight, _), mask in zip(head.layers[-2::-1], active[::-1], strict=True):
        gradient = (gradient * mask) @ weight
    return gradient / head.std


def overlaps(side: int, cells: int) -> np.ndarray:
    """Divide a line into `side` strips and into `cells` cells, and compute their overlap.

    Args:
        side: Number of strips.
        cells: Number of cells.

    Returns:
        float32 `[side, cells]`, the share of each cell that lies in each strip.
    """
    low = np.maximum.outer(np.arange(side) / side, np.arange(cells) / cells)
    high = np.minimum.outer(np.arange(1, side + 1) / side, np.arange(1, cells + 1) / cells)
    return (np.maximum(high - low, 0) * cells).astype(np.float32)


def attribute(
    backbone: Backbone,
    head: Head,
    features: np.ndarray,
    maps: Sequence[Maps],
    views: Sequence[str],
    classes: np.ndarray | None = None,
) -> list[HeatMap]:
    """Attribute logits to places, using the backbone pass that was made for the prediction.

    Args:
        backbone: The backbone.
        head: The head.
        features: float32 `[N * V, D]` from `backbone.maps`, with a photograph's views in
            succession.
        maps: The maps from `backbone.maps`.
        views: V view names; the map of `mirror` is flipped back.
        classes: The class to explain for each photograph, int `[N]`; by default the class with the
            highest logit.

    Returns:
        N heat maps, on the grid of the finest map.

    Source: Zhou et al., "Learning Deep Features for Discriminative Localization", CVPR 2016.
    """
    rows = features.reshape(-1, len(views), features.shape[1])
    logits = head.view_logits(rows)
    chosen = logits.argmax(axis=1) if classes is None else np.asarray(classes)
    weights = local_weights(head, features, np.repeat(chosen, len(views)))
    parts = [_part(backbone, head, entry, weights) for entry in maps]
    side = max((part.shape[1] for part in parts), default=1)
    total = np.zeros((len(features), side, side), np.float32)
    for part in parts:
        split = overlaps(side, part.shape[1])
        total += split @ part @ split.T
    total = total.reshape(len(rows), len(views), side, side)
    for number, view in enumerate(views):
        if view == MIRROR:
            total[:, number] = total[:, number, :, ::-1].copy()
    values = total.mean(axis=1)
    return [
        HeatMap(
            heat, float(row[label]) - float(heat.sum(dtype=np.float64)), float(row[label]), label
        )
        for heat, row, label in zip(values, logits, chosen.tolist(), strict=True)
    ]


def _part(backbone: Backbone, head: Head, maps: Maps, weights: np.ndarray) -> np.ndarray:
    """Return the contribution of each place in one set of maps: float32 `[N * V, h, w]`."""
    own = slice(maps.info.offset, maps.info.offset + maps.info.width)
    if maps.info.member is not None:
        return backbone.attribute_tail(maps, weights[:, own])
    count, width, height, breadth = maps.values.shape
    values = maps.values.reshape(count, width, -1)
    if maps.info.order == 2:
        flat = _of_moments(values, weights[:, own])
    else:
        flat = (weights[:, None, own] @ values)[:, 0]
    average = weights[:, own] @ head.mean[own]
    return (flat.reshape(count, height, breadth) - average[:, None, None]) / (height * breadth)


def _of_moments(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Attribute second moments, as `pooling` defines them, to places.

    Args:
        values: float32 `[N, k, P]`, the projected map.
        weights: Weights of the features, float32 `[N, k (k + 1) / 2]`.

    Returns:
        float32 `[N, P]`, whose mean over places is the weighted sum of the features.
    """
    moments = values @ values.transpose(0, 2, 1) / values.shape[2]
    mean = np.trace(moments, axis1=1, axis2=2)[:, None, None] / values.shape[1]
    rows, columns = np.triu_indices(values.shape[1])
    each = np.zeros_like(moments)
    each[:, rows, columns] = weights
    each /= np.sqrt(np.abs(moments) + SMOOTHING * mean + 1e-12)
    return ((each @ values) * values).sum(axis=1)


def heat_maps(
    backbone: Backbone,
    head: Head,
    pixels: np.ndarray,
    views: Sequence[str],
    classes: np.ndarray | None = None,
) -> list[HeatMap]:
    """Attribute the logits of framed photographs to places.

    Args:
        backbone: The backbone.
        head: The head.
        pixels: uint8 `[N, V, S, S, 3]`, the views of each photograph.
        views: V view names.
        classes: The class to explain for each photograph, int `[N]`; by default the class with the
            highest logit.

    Returns:
        N heat maps.
    """
    features, maps = backbone.maps(pixels.reshape(-1, *pixels.shape[2:]))
    return attribute(backbone, head, features, maps, views, classes)


def _frame_box(width: int, height: int, transforms: Transforms) -> tuple[float, ...]:
    """Return the photograph's left, top, right and bottom edge; the frame spans 0-1."""
    if transforms.framing == "squash":
        return 0, 0, 1, 1
    short, long = min(width, height), max(width, height)
    side = short * transforms.crop_pct if transforms.framing == "crop" else long
    x, y = width / side / 2, height / side / 2
    return 0.5 - x, 0.5 - y, 0.5 + x, 0.5 + y


@functools.cache
def _colours() -> np.ndarray:
    """Return the colours of 256 strengths from 0 to 1, float32 `[256, 3]`."""
    stops = np.array([list(bytes.fromhex(stop)) for stop in _GLOW.split()]) / 255
    where, known = np.linspace(0, 1, 256), np.linspace(0, 1, len(stops))
    return np.stack([np.interp(where, known, c) for c in stops.T], axis=1).astype(np.float32)


def overlay(
    image: Image.Image, heat: HeatMap, transforms: Transforms, *, max_side: int = 1024
) -> Image.Image:
    """Highlight the places in a photograph that support the class.

    The photograph is darkened and loses most of its colour. Places with values above 0 glow from
    violet through orange to pale yellow, and keep the photograph's light and shade. The part
    outside the frame, which the backbone never saw, is unchanged and set off by a white line.

    Args:
        image: The decoded photograph, RGB.
        heat: Its heat map.
        transforms: The transforms that framed it.
        max_side: The longest side of the result, in px.

    Returns:
        RGB, in the photograph's proportions.
    """
    shrink = min(1.0, max_side / max(image.size))
    size = (max(1, round(image.width * shrink)), max(1, round(image.height * shrink)))
    pixels = np.asarray(image.resize(size, Image.Resampling.LANCZOS), np.float32) / 255
    strength, inside = _strength(heat, _frame_box(*image.size, transforms), size)
    grey = (pixels @ np.array([0.299, 0.587, 0.114], np.float32))[..., None]
    ground = np.where(inside[..., None], 0.65 * (grey + 0.3 * (pixels - grey)), pixels)
    glow = _colours()[np.rint(strength * 255).astype(np.uint8)]
    lit = 0.35 + 0.4 * strength[..., None]  # dark evidence, such as a flower's disc, must glow too
    glow = glow * (lit + (1.15 - lit) * grey)  # keeps light and shade, so that petals stay visible
    rising = ((strength - 0.08) / 0.42).clip(0, 1)
    alpha = (0.85 * rising**2 * (3 - 2 * rising))[..., None]
    mixed = ground * (1 - alpha) + glow * alpha
    mixed[_edge(inside)] = 1
    return Image.fromarray((mixed.clip(0, 1) * 255).astype(np.uint8))


def _edge(inside: np.ndarray) -> np.ndarray:
    """Return the 2 px wide line around the frame, bool `[H, W]`."""
    from scipy.ndimage import binary_dilation

    return binary_dilation(inside, iterations=2) & ~inside


def _strength(
    heat: HeatMap, box: tuple[float, ...], size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Interpolate the map to pixels, 0-1 `[H, W]`; also return which are in the frame, bool."""
    from scipy.ndimage import gaussian_filter, map_coordinates

    left, top, right, bottom = box
    rows, columns = heat.values.shape
    x = (left + (right - left) * (np.arange(size[0]) + 0.5) / size[0])[None]
    y = (top + (bottom - top) * (np.arange(size[1]) + 0.5) / size[1])[:, None]
    inside = (x >= 0) & (x <= 1) & (y >= 0) & (y <= 1)
    positive = gaussian_filter(np.maximum(heat.values, 0), rows / 16, mode="reflect")
    across, down = np.meshgrid(x[0] * columns - 0.5, y[:, 0] * rows - 0.5)
    smooth = map_coordinates(positive, [down, across], order=3, mode="nearest")
    highest = max(float(positive.max()), 1e-12)
    return np.where(inside, (smooth / highest).clip(0, 1), 0), inside
