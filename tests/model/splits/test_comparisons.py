"""Comparisons: kept between runs, whatever the order, and how alike plain drawings are."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from scenes import frames, scene

from model.features.signatures import thumbnail
from model.splits import copies
from model.splits.comparisons import Comparisons


def comparisons(pictures: list[Image.Image], cache: Path, order: list[int]) -> Comparisons:
    digests = [f"{99 - i:02}".ljust(64, "0") for i in order]
    return Comparisons(digests, [thumbnail(pictures[i]) for i in order], cache_dir=cache, workers=1)


def test_what_was_compared_is_not_compared_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pictures = [*frames(0, 3), scene(1)]
    pairs = np.array([(0, 1), (0, 2), (0, 3), (1, 3)])
    first = comparisons(pictures, tmp_path, [0, 1, 2, 3]).similarities(pairs)
    assert first[:2].min() > 0.9 and first[2:].max() < 0.9
    asked = []
    real = copies.similarities
    monkeypatch.setattr(
        copies, "similarities", lambda p, pairs, w: asked.append(len(pairs)) or real(p, pairs, w)
    )
    again = comparisons(pictures, tmp_path, [3, 2, 1, 0])  # the same photographs, in another order
    assert np.array_equal(again.similarities(3 - pairs), first)
    assert asked == []
    again.similarities(np.array([(0, 1), (0, 3)]))
    assert asked == [1]


def test_drawings_of_one_kind_are_more_alike_than_photographs(tmp_path: Path):
    rings = []
    for seed in range(12):
        ring = Image.new("L", (8, 8))
        left, top = np.random.default_rng(seed).uniform(0.5, 1.5, 2)
        ImageDraw.Draw(ring).ellipse((left, top, left + 5, top + 5), outline=255, width=2)
        rings.append(ring.convert("RGB"))
    labels, order = np.zeros(12, np.int64), list(range(12))
    photographs = comparisons([scene(seed) for seed in order], tmp_path / "photographs", order)
    assert photographs.likeness(labels) < 0.1
    assert comparisons(rings, tmp_path / "rings", order).likeness(labels) > 0.4
    assert photographs.likeness(np.arange(12)) == 0  # no pair of one class
