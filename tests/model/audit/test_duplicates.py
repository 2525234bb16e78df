"""Copies: exact ones by their bytes, altered ones by features and pixels."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter, ImageOps

from model.audit import duplicates
from model.audit.duplicates import Pair
from model.photographs.dataset import Photos

SIZE = (160, 120)


def scene(seed: int, detail: float = 1.5) -> Image.Image:
    """A photograph-like picture: blurred noise with coarse and fine structure."""
    rng = np.random.default_rng(seed)
    picture = np.zeros((SIZE[1], SIZE[0], 3))
    for radius, weight in ((20, 1.0), (6, 1.0), (detail, 1.0)):
        noise = Image.fromarray(rng.integers(0, 256, (SIZE[1], SIZE[0], 3), np.uint8))
        layer = np.asarray(noise.filter(ImageFilter.GaussianBlur(radius))).astype(float)
        picture += weight * (layer - layer.mean()) / layer.std()
    return Image.fromarray((128 + 30 * picture).clip(0, 255).astype(np.uint8))


def cropped(image: Image.Image, left: float, top: float, share: float = 0.9) -> Image.Image:
    width, height = image.size
    x, y = left * width, top * height
    return image.crop((round(x), round(y), round(x + share * width), round(y + share * height)))


def hashed(paths: list[Path]) -> Photos:
    """Photographs of one class, as they are now."""
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    return Photos(paths, np.zeros(len(paths), np.int64), digests)


ALTERATIONS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "resized": lambda image: image.resize((90, 68), Image.Resampling.LANCZOS),
    "recompressed": lambda image: image,
    "mirrored": ImageOps.mirror,
    "cropped at a corner": lambda image: cropped(image, 0.1, 0.1),
    "cropped at one side": lambda image: image.crop((16, 0, *SIZE)),
    "cropped all round": lambda image: cropped(image, 0.1, 0.1, 0.8),
    "darkened": lambda image: image.point(lambda value: int(value * 0.6 + 10)),
    "all": lambda image: ImageOps.mirror(cropped(image, 0.0, 0.1)).resize((100, 75)),
}


def near(folder: Path, pictures: list[Image.Image], quality: int = 92) -> list[Pair]:
    """Pairs among pictures that lie at one place in feature space, so that pixels decide."""
    paths = [folder / f"{i}.jpg" for i in range(len(pictures))]
    for path, picture in zip(paths, pictures, strict=True):
        picture.save(path, quality=quality)
    return duplicates.near_pairs(hashed(paths), np.ones((len(paths), 4), np.float32), workers=1)


@pytest.mark.parametrize("alteration", ALTERATIONS)
def test_an_altered_copy_is_found_among_other_photographs(alteration: str, tmp_path: Path):
    originals = [scene(seed) for seed in range(4)]
    found = near(tmp_path, [*originals, ALTERATIONS[alteration](originals[1])], quality=40)
    assert [(pair.first, pair.second) for pair in found] == [(1, 4)]
    assert duplicates.LIMIT <= found[0].similarity <= 1


def test_photographs_alike_in_the_large_only_are_no_copies(tmp_path: Path):
    coarse = scene(0).filter(ImageFilter.GaussianBlur(4))
    pictures = [Image.blend(coarse, scene(seed, detail=0.8), 0.25) for seed in range(1, 4)]
    assert near(tmp_path, pictures) == []


def test_plain_pictures_are_no_copies_and_no_error(tmp_path: Path):
    assert (
        near(tmp_path, [Image.new("RGB", SIZE, "white"), Image.new("RGB", (9, 400), "red")]) == []
    )


def test_one_photograph_has_no_pair(tmp_path: Path):
    assert near(tmp_path, [scene(0)]) == []


def test_only_neighbours_in_feature_space_are_compared(tmp_path: Path):
    count = duplicates.NEIGHBOURS + 3
    pictures = [scene(seed) for seed in range(count)]
    pictures[-1] = pictures[0].copy()
    features = np.zeros((count, 2), np.float32)
    angles = np.linspace(0, 3, count)
    features[:, 0], features[:, 1] = np.cos(angles), np.sin(angles)
    paths = [tmp_path / f"{i}.png" for i in range(count)]
    for path, picture in zip(paths, pictures, strict=True):
        picture.save(path)
    assert duplicates.near_pairs(hashed(paths), features, workers=1) == []
    features[-1] = features[0]
    found = duplicates.near_pairs(hashed(paths), features, workers=1)
    assert [(pair.first, pair.second) for pair in found] == [(0, count - 1)]


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch):
    features = np.random.default_rng(0).normal(size=(50, 6)).astype(np.float32)
    whole = duplicates.candidates(features)
    monkeypatch.setattr(duplicates, "BLOCK_ELEMENTS", 7 * 50)
    assert np.array_equal(duplicates.candidates(features), whole)


def test_a_file_that_vanished_is_named(tmp_path: Path):
    paths = [tmp_path / "a.png", tmp_path / "gone.png"]
    for path in paths:
        scene(0).save(path)
    photos = hashed(paths)
    paths[1].unlink()
    with pytest.raises(ValueError, match=r"gone\.png .*it was sound when it was checked"):
        duplicates.near_pairs(photos, np.ones((2, 3), np.float32), workers=1)
    scene(1).save(paths[1])
    with pytest.raises(ValueError, match=r"gone\.png has changed since it was checked"):
        duplicates.near_pairs(photos, np.ones((2, 3), np.float32), workers=1)


def test_exact_copies_are_paired_with_the_first():
    found = duplicates.exact_pairs(["a", "b", "a", "c", "b", "a"])
    assert found == [Pair(0, 2, 1.0), Pair(1, 4, 1.0), Pair(0, 5, 1.0)]


def test_pairs_that_share_a_photograph_are_one_group():
    pairs = [Pair(0, 4, 1.0), Pair(4, 2, 0.95), Pair(1, 5, 1.0)]
    found = sorted(group.tolist() for group in duplicates.groups_of(pairs, 7))
    assert found == [[0, 2, 4], [1, 5]]
    assert duplicates.groups_of([], 7) == []
