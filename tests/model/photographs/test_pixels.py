"""Conversion to RGB in strips: the same pixels as of the whole, at a part of the size."""

import numpy as np
import pytest
from PIL import Image

from model.photographs import pixels


def noise(mode: str, size: tuple[int, int] = (97, 61), seed: int = 0) -> Image.Image:
    """A picture of random pixels in a mode of Pillow."""
    rng, (width, height) = np.random.default_rng(seed), size
    if mode == "I;16":
        return Image.fromarray(rng.integers(0, 2**16, (height, width)).astype(np.uint16))
    if mode == "F":
        return Image.fromarray(rng.normal(0, 1e4, (height, width)).astype(np.float32))
    if mode == "I":
        return Image.fromarray(rng.integers(-(10**6), 10**6, (height, width)).astype(np.int32))
    if mode == "P":
        return noise("RGB", size, seed).quantize(17)
    bands = len(Image.new(mode, (1, 1)).getbands())
    values = rng.integers(0, 256, (height, width, bands)).astype(np.uint8)
    return Image.frombytes(mode, size, values.tobytes())


MODES = ("RGB", "RGBA", "L", "LA", "P", "CMYK", "YCbCr", "I;16", "I", "F")


@pytest.mark.parametrize("factor", [1, 2, 8])
@pytest.mark.parametrize("mode", MODES)
def test_strips_change_nothing(mode: str, factor: int, monkeypatch: pytest.MonkeyPatch):
    picture = noise(mode)
    whole = pixels.to_rgb(picture, factor)
    monkeypatch.setattr(pixels, "_STRIP", 97 * 8)
    assert np.array_equal(np.asarray(pixels.to_rgb(picture, factor)), np.asarray(whole))
    assert whole.mode == "RGB"
    assert whole.size == (-(-97 // factor), -(-61 // factor))


@pytest.mark.parametrize("mode", MODES)
def test_a_reduced_picture_is_the_mean_of_the_whole_one(mode: str):
    whole = np.asarray(pixels.to_rgb(noise(mode, (96, 64)))).astype(float)
    reduced = np.asarray(pixels.to_rgb(noise(mode, (96, 64)), 4)).astype(float)
    means = whole.reshape(16, 4, 24, 4, 3).mean(axis=(1, 3))
    assert np.abs(reduced - means).max() <= 0.51


@pytest.mark.parametrize(
    ("size", "least_side", "factor"),
    [
        ((4032, 3024), 640, 4),
        ((1279, 5000), 640, 2),  # more than 4 million px would be left
        ((1279, 5000), 700, 2),
        ((4000, 3000), 2048, 1),
        ((1280, 1280), 640, 2),
        ((1279, 1279), 640, 1),
        ((8000, 5000), 640, 4),
        ((62_000, 640), 640, 4),
        ((40_000_000, 1), 640, 16),
        ((8000, 5000), None, 1),
        ((3, 2), 1, 2),
    ],
)
def test_pictures_are_reduced_as_far_as_their_short_side_allows(
    size: tuple[int, int], least_side: int | None, factor: int
):
    assert pixels.reduction(size, least_side) == factor


def test_an_unknown_mode_has_a_reason(monkeypatch: pytest.MonkeyPatch):
    def convert(*_: object, **__: object) -> None:
        raise ValueError("conversion not supported")

    picture = Image.new("LAB", (4, 4))
    monkeypatch.setattr(Image.Image, "convert", convert)
    with pytest.raises(pixels.UnsupportedMode, match="colour mode LAB"):
        pixels.to_rgb(picture)
