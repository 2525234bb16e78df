"""ICC profiles: colours as browsers show them, and profiles that are none."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from model.photographs import colour, images
from model.photographs.colour import to_srgb

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def matrix_profile(gamma: float, primaries: tuple[tuple[float, float, float], ...]) -> bytes:
    """Write a display profile: a gamma and the XYZ of red, green and blue."""

    def xyz(values: tuple[float, ...]) -> bytes:
        return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in values))

    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    text = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"test\0" + bytes(78)
    tags = {b"desc": text + bytes(-len(text) % 4), b"wtpt": xyz((0.9642, 1.0, 0.8249))}
    names = (b"rXYZ", b"gXYZ", b"bXYZ")
    tags |= {name: xyz(value) for name, value in zip(names, primaries, strict=True)}
    tags |= {b"rTRC": curve, b"gTRC": curve, b"bTRC": curve, b"cprt": b"text\0\0\0\0none\0\0\0\0"}
    table, body, place = struct.pack(">I", len(tags)), b"", 132 + 12 * len(tags)
    for name, content in tags.items():
        table += name + struct.pack(">II", place + len(body), len(content))
        body += content
    head = struct.pack(
        ">I4sI4s4s4s", place + len(body), b"lcms", 0x02400000, b"mntr", b"RGB ", b"XYZ "
    )
    head = head.ljust(36, b"\0") + b"acsp"
    head = head.ljust(68, b"\0") + struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + table + body


# Adobe RGB (1998), adapted to D50
ADOBE = matrix_profile(
    2.19921875,
    ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457)),
)


def saved(image: Image.Image, kind: str, profile: bytes) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, icc_profile=profile, **({"quality": 95} if kind == "JPEG" else {}))
    return file.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_a_wide_gamut_is_converted(kind: str):
    plain = images.decode(saved(Image.new("RGB", (32, 32), (60, 160, 60)), kind, b""))
    wide = images.decode(saved(Image.new("RGB", (32, 32), (60, 160, 60)), kind, ADOBE))
    before, after = (np.asarray(image)[8, 8].astype(int) for image in (plain, wide))
    assert np.abs(before - [60, 160, 60]).max() <= 4
    assert after[0] < 15 and abs(after[1] - 160) < 8  # a green that sRGB has hardly room for


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_strips_and_reduction_change_no_colour(mode: str):
    large = Image.new(mode, (2600, 2600), (60, 160, 60, 255)[: len(mode)])
    small = Image.new(mode, (64, 64), (60, 160, 60, 255)[: len(mode)])
    found = [
        np.asarray(images.decode(saved(image, "PNG", ADOBE)))[5, 5] for image in (large, small)
    ]
    assert np.array_equal(*found)


def test_srgb_by_any_name_costs_no_level():
    picture = Image.effect_noise((64, 64), 90).convert("RGB")
    assert to_srgb(picture, SRGB) is picture
    assert to_srgb(picture, None) is picture


@pytest.mark.parametrize(
    "profile",
    [
        b"nonsense",
        ADOBE[:200],
        ADOBE[:16] + b"CMYK" + ADOBE[20:],
        ADOBE + bytes(colour._MAX_BYTES),
        bytes(len(ADOBE)),
    ],
)
def test_a_profile_that_is_none_is_ignored(profile: bytes):
    picture = Image.new("RGB", (8, 8), (60, 160, 60))
    assert to_srgb(picture, profile) is picture


def test_a_grey_profile_is_applied_to_grey_only():
    linear = matrix_profile(1.0, ((0.4, 0.2, 0.1), (0.4, 0.7, 0.1), (0.16, 0.1, 0.6)))
    assert to_srgb(Image.new("L", (8, 8), 90), linear).mode == "L"
    assert (
        images.decode(saved(Image.new("L", (8, 8), 90), "PNG", linear)).getpixel((0, 0))
        == (90,) * 3
    )


def test_several_threads_share_a_transform():
    from concurrent.futures import ThreadPoolExecutor

    picture = Image.effect_noise((300, 300), 90).convert("RGB")
    expected = to_srgb(picture, ADOBE).tobytes()
    with ThreadPoolExecutor(8) as pool:
        results = pool.map(lambda _: to_srgb(picture, ADOBE).tobytes(), range(64))
    assert set(results) == {expected}
