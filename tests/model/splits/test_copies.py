"""Copies: exact ones by their bytes, altered ones by features and pixels."""

import io
import itertools
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageFilter, ImageOps
from scenes import SIZE, scene

from model.features.signatures import thumbnail
from model.splits import copies
from model.splits.copies import Pair


def cropped(image: Image.Image, left: float, top: float, share: float = 0.9) -> Image.Image:
    width, height = image.size
    x, y = left * width, top * height
    return image.crop((round(x), round(y), round(x + share * width), round(y + share * height)))


def recompressed(image: Image.Image) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=40)
    return Image.open(file)


def turned(image: Image.Image) -> Image.Image:
    """The same scene by a camera that was held 6 degrees askew; corners cut off."""
    return cropped(image.rotate(6, Image.Resampling.BICUBIC), 0.08, 0.08, 0.84)


ALTERATIONS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "resized": lambda image: image.resize((90, 68), Image.Resampling.LANCZOS),
    "recompressed": lambda image: image,
    "mirrored": ImageOps.mirror,
    "turned": turned,
    "cropped at a corner": lambda image: cropped(image, 0.1, 0.1),
    "cropped at one side": lambda image: image.crop((16, 0, *SIZE)),
    "cropped all round": lambda image: cropped(image, 0.1, 0.1, 0.8),
    "darkened": lambda image: image.point(lambda value: int(value * 0.6 + 10)),
    "all": lambda image: ImageOps.mirror(cropped(image, 0.0, 0.1)).resize((100, 75)),
}


def near(pictures: list[Image.Image]) -> list[tuple[int, int]]:
    """Pairs among pictures that are as alike as copies, all of them compared with one another."""
    grey = copies.grey([thumbnail(picture) for picture in pictures])
    pairs = np.array(list(itertools.combinations(range(len(pictures)), 2)), np.int64).reshape(-1, 2)
    found = copies.similarities(grey, pairs, workers=1)
    assert ((found >= 0) & (found <= 1 + 1e-9)).all()
    return [tuple(pair) for pair in pairs[found >= copies.LIMIT].tolist()]


@pytest.mark.parametrize("alteration", ALTERATIONS)
def test_an_altered_copy_is_found_among_other_photographs(alteration: str):
    originals = [scene(seed) for seed in range(4)]
    assert near([*originals, recompressed(ALTERATIONS[alteration](originals[1]))]) == [(1, 4)]


def test_photographs_alike_in_the_large_only_are_no_copies():
    coarse = scene(0).filter(ImageFilter.GaussianBlur(4))
    pictures = [Image.blend(coarse, scene(seed, detail=0.8), 0.25) for seed in range(1, 4)]
    assert near(pictures) == []


def test_plain_pictures_are_no_copies_and_no_error():
    assert near([Image.new("RGB", SIZE, "white"), Image.new("RGB", (9, 400), "red")]) == []


def test_only_neighbours_are_candidates():
    angles = np.linspace(0, 3, copies.NEIGHBOURS + 3)
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    last = len(angles) - 1
    assert [0, last] not in copies.candidates(vectors).tolist()
    vectors[last] = vectors[0]
    assert [0, last] in copies.candidates(vectors).tolist()


def test_one_photograph_has_no_candidate():
    assert copies.candidates(np.ones((1, 3), np.float32)).shape == (0, 2)


def test_components_tell_what_features_told_and_take_any_number_of_views():
    rng = np.random.default_rng(0)
    kinds = rng.normal(size=(3, 600))
    features = kinds[np.arange(60) % 3][:, None] + 0.1 * rng.normal(size=(60, 2, 600))
    found = copies.candidates(copies.components(features.astype(np.float16)), neighbours=2)
    assert (found[:, 0] % 3 == found[:, 1] % 3).all()


def test_constant_features_have_components():
    assert np.isfinite(copies.components(np.ones((5, 1, 9), np.float16))).all()


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch):
    features = np.random.default_rng(0).normal(size=(50, 6)).astype(np.float32)
    whole = copies.candidates(features)
    monkeypatch.setattr(copies, "_BLOCK_ELEMENTS", 7 * 50)
    assert np.array_equal(copies.candidates(features), whole)


def test_exact_copies_are_paired_with_the_first():
    found = copies.exact_pairs(["a", "b", "a", "c", "b", "a"])
    assert found == [Pair(0, 2, 1.0), Pair(1, 4, 1.0), Pair(0, 5, 1.0)]


def test_pairs_that_share_a_photograph_are_one_group():
    found = copies.groups_of(np.array([(0, 4), (4, 2), (1, 5)]), 7)
    assert found[0] == found[4] == found[2] and found[1] == found[5]
    assert len(set(found.tolist())) == 4
    assert len(set(copies.groups_of(np.empty((0, 2), np.int64), 7).tolist())) == 7
