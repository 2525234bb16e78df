"""Framing, the mirror image, and the random views."""

from typing import Any

import numpy as np
import pytest
from drawing import drawn_photograph
from PIL import Image

from model.backbones.transforms import Framing, Transforms, view_names

PHOTOGRAPH = drawn_photograph(0.3, seed=5, size=(60, 40))


def test_crop_takes_the_centre_of_the_short_side():
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[10:30, 20:40] = 200  # half of the short side, in the middle
    view = Transforms(20, crop_pct=0.5).center(Image.fromarray(pixels))
    assert view.shape == (20, 20, 3)
    assert view.dtype == np.uint8
    assert (view == 200).all()


def test_crop_with_everything_is_a_plain_resize():
    square = PHOTOGRAPH.resize((40, 40))
    expected = np.asarray(square.resize((24, 24), Image.Resampling.BICUBIC))
    assert np.array_equal(Transforms(24, crop_pct=1.0).center(square), expected)


def test_squash_shows_the_whole_photograph():
    view = Transforms(32, "squash", interpolation="bilinear").center(PHOTOGRAPH)
    expected = np.asarray(PHOTOGRAPH.resize((32, 32), Image.Resampling.BILINEAR))
    assert np.array_equal(view, expected)


def test_pad_keeps_proportions_on_a_plain_ground():
    view = Transforms(30, "pad").center(Image.new("RGB", (60, 40), (255, 0, 0)))
    red = (view == (255, 0, 0)).all(axis=2)
    assert red[5:25].all()
    assert not red[:5].any()
    assert not red[25:].any()
    assert len(np.unique(view[:5].reshape(-1, 3), axis=0)) == 1


def test_interpolation_is_used():
    bicubic, bilinear = (
        Transforms(24, interpolation=name).center(PHOTOGRAPH) for name in ("bicubic", "bilinear")
    )
    assert not np.array_equal(bicubic, bilinear)


@pytest.mark.parametrize("framing", ["crop", "pad", "squash"])
def test_the_mirror_view_is_the_flipped_centre_view(framing: Framing):
    transforms = Transforms(24, framing)
    center = transforms.view(PHOTOGRAPH, "center", "d")
    assert np.array_equal(transforms.view(PHOTOGRAPH, "mirror", "d"), center[:, ::-1])
    assert not np.array_equal(center, center[:, ::-1])


def test_views_are_named_by_seed_and_number():
    assert view_names(0, 7) == ["center", "mirror"]
    assert view_names(2, 7) == ["center", "mirror", "random-7-0", "random-7-1"]


def test_a_random_view_depends_on_photograph_seed_and_number_only():
    transforms = Transforms(32)
    first = transforms.view(PHOTOGRAPH, "random-0-0", "digest")
    assert np.array_equal(first, transforms.view(PHOTOGRAPH, "random-0-0", "digest"))
    for name, digest in (
        ("random-0-1", "digest"),
        ("random-1-0", "digest"),
        ("random-0-0", "other"),
    ):
        assert not np.array_equal(first, transforms.view(PHOTOGRAPH, name, digest))


def test_random_views_differ_in_framing_colour_and_side():
    transforms = Transforms(32)
    halves = np.zeros((64, 64, 3), np.uint8)
    halves[:, 32:] = (180, 90, 90)
    views = [transforms.view(Image.fromarray(halves), f"random-0-{k}", "d") for k in range(40)]
    mirrored = [view[:, :16].mean() > view[:, 16:].mean() for view in views]
    assert 5 < sum(mirrored) < 35
    brightest = [int(view.max()) for view in views]
    assert max(brightest) - min(brightest) > 20
    edges = {int(np.abs(np.diff(view[16, :, 0].astype(int))).argmax()) for view in views}
    assert len(edges) > 5


def test_random_views_show_a_good_part_of_the_photograph_and_little_filling():
    plain = Image.new("RGB", (90, 60), (250, 10, 10))
    for number in range(20):
        view = Transforms(32).view(plain, f"random-0-{number}", "d").astype(int)
        assert (view[..., 0] - view[..., 1] > 120).mean() > 0.8


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (500, 2), (7, 5)])
@pytest.mark.parametrize("framing", ["crop", "pad", "squash"])
def test_tiny_and_narrow_photographs_have_every_view(size: tuple[int, int], framing: Framing):
    image = drawn_photograph(0.6, 0, size)
    for name in view_names(2, 0):
        view = Transforms(32, framing).view(image, name, "d")
        assert view.shape == (32, 32, 3)
        assert view.dtype == np.uint8


@pytest.mark.parametrize(
    "fields",
    [
        {"image_size": 8},
        {"image_size": 4096},
        {"image_size": 64, "framing": "stretch"},
        {"image_size": 64, "crop_pct": 0.0},
        {"image_size": 64, "crop_pct": 1.5},
        {"image_size": 64, "interpolation": "nearest"},
    ],
)
def test_values_out_of_range_are_an_error(fields: dict):
    with pytest.raises(ValueError, match=r"is outside|is not"):
        Transforms(**fields)


def test_transforms_come_back_from_json():
    transforms = Transforms(64, "pad", 0.9, "bilinear")
    stored: dict[str, Any] = transforms.to_json()
    assert Transforms(**stored) == transforms


def test_decoding_leaves_twice_the_pixels_that_are_seen():
    assert Transforms(256, crop_pct=0.95).least_side == 640
    assert Transforms(448, crop_pct=0.875).least_side == 1024
    assert Transforms(448, "squash", 0.875).least_side == 896
