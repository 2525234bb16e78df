"""The decoder: every format, orientation and colour mode, and every way a file can be bad."""

import io
import os
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image, PngImagePlugin, TiffImagePlugin

from model.photographs import images
from model.photographs.raw import is_raw

pillow_heif.register_heif_opener()

# The library silences Pillow once; pytest restores the filters after every test.
pytestmark = pytest.mark.filterwarnings("ignore:::PIL")

RED, GREEN, BLUE, YELLOW = (220, 30, 30), (30, 160, 60), (40, 60, 200), (230, 210, 40)
QUADRANTS = np.zeros((32, 48, 3), np.uint8)
QUADRANTS[:16, :24], QUADRANTS[:16, 24:] = RED, GREEN
QUADRANTS[16:, :24], QUADRANTS[16:, 24:] = BLUE, YELLOW

SAVE_OPTIONS = {
    "JPEG": {"quality": 95},
    "PNG": {},
    "WEBP": {"quality": 95},
    "BMP": {},
    "GIF": {},
    "TIFF": {},
    "AVIF": {"quality": 90},
    "HEIF": {"quality": 95},
}


def encoded(image: Image.Image, file_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def assert_quadrants(image: Image.Image, tolerance: int = 16) -> None:
    assert image.mode == "RGB"
    assert image.size == (48, 32)
    pixels = np.asarray(image).astype(int)
    for (x, y), colour in zip(
        ((12, 8), (36, 8), (12, 24), (36, 24)), (RED, GREEN, BLUE, YELLOW), strict=True
    ):
        assert np.abs(pixels[y, x] - colour).max() <= tolerance, (x, y, pixels[y, x], colour)


def reason(content: bytes) -> str:
    """The reason `decode` refuses the content, after making sure that `check` refuses it too."""
    with pytest.raises(images.BadImageError) as checked:
        images.check(content)
    with pytest.raises(images.BadImageError) as decoded:
        images.decode(content)
    assert str(checked.value)
    return str(decoded.value)


def png(width: int, height: int, depth: int, colour_type: int, rows: bytes, *extra: bytes) -> bytes:
    """A PNG file put together by hand; `rows` are the filtered scan lines."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0))
    others = b"".join(chunk(part[:4], part[4:]) for part in extra)
    return (
        b"\x89PNG\r\n\x1a\n"
        + header
        + others
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("file_format", SAVE_OPTIONS)
def test_every_format_decodes_to_the_right_colours(file_format: str, tmp_path: Path):
    content = encoded(Image.fromarray(QUADRANTS), file_format, **SAVE_OPTIONS[file_format])
    images.check(content)
    assert_quadrants(images.decode(content), 0 if file_format in ("PNG", "BMP", "TIFF") else 16)
    path = tmp_path / "any name"
    path.write_bytes(content)
    assert_quadrants(images.decode(path))


def test_every_format_named_for_people_has_endings():
    assert set(images.FORMATS) == set(SAVE_OPTIONS)
    assert {
        ".jpg",
        ".jpeg",
        ".png",
        ".webp",
        ".bmp",
        ".gif",
        ".tif",
        ".avif",
        ".heic",
    } <= images.SUFFIXES


# What the EXIF standard says of the stored rows and columns: where row 0 and column 0 are seen.
SIDES = {
    1: ("top", "left"),
    2: ("top", "right"),
    3: ("bottom", "right"),
    4: ("bottom", "left"),
    5: ("left", "top"),
    6: ("right", "top"),
    7: ("right", "bottom"),
    8: ("left", "bottom"),
}


def stored(upright: np.ndarray, orientation: int) -> np.ndarray:
    """The pixels a camera stores so that `orientation` shows `upright`."""
    row_side, column_side = SIDES[orientation]
    pixels = upright.transpose(1, 0, 2) if row_side in ("left", "right") else upright
    if row_side in ("bottom", "right"):
        pixels = pixels[::-1]
    if column_side in ("bottom", "right"):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def orientation_tag(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()


@pytest.mark.parametrize("orientation", SIDES)
@pytest.mark.parametrize("file_format", ["JPEG", "PNG"])
def test_exif_orientation_is_applied(orientation: int, file_format: str):
    image = Image.fromarray(stored(QUADRANTS, orientation))
    content = encoded(image, file_format, exif=orientation_tag(orientation))
    images.check(content)
    assert_quadrants(images.decode(content), tolerance=24)


@pytest.mark.parametrize("file_format", ["WEBP", "TIFF", "AVIF", "HEIF"])
def test_orientation_is_applied_once_where_the_format_has_its_own(file_format: str):
    image = Image.fromarray(stored(QUADRANTS, 6))
    options = {**SAVE_OPTIONS[file_format], "exif": orientation_tag(6)}
    assert_quadrants(images.decode(encoded(image, file_format, **options)), tolerance=24)


def test_orientation_of_a_grey_photograph_is_applied():
    grey = Image.fromarray(stored(QUADRANTS, 8)).convert("L")
    decoded = images.decode(encoded(grey, "JPEG", exif=orientation_tag(8)))
    assert decoded.size == (48, 32)


@pytest.mark.parametrize("orientation", [0, 9, 77])
def test_an_orientation_outside_the_standard_is_ignored(orientation: int):
    content = encoded(Image.fromarray(QUADRANTS), "JPEG", exif=orientation_tag(orientation))
    assert_quadrants(images.decode(content))


def test_broken_exif_does_not_lose_the_photograph():
    content = encoded(Image.fromarray(QUADRANTS), "JPEG", exif=b"Exif\x00\x00MM\x00\x2a\xff\xff")
    images.check(content)
    assert_quadrants(images.decode(content))


@pytest.mark.parametrize("file_format", ["JPEG", "TIFF"])
def test_cmyk_becomes_rgb(file_format: str):
    image = Image.fromarray(QUADRANTS).convert("CMYK")
    content = encoded(image, file_format)
    images.check(content)
    assert_quadrants(images.decode(content), tolerance=30)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "BMP", "TIFF"])
def test_grey_becomes_three_equal_channels(file_format: str):
    grey = Image.fromarray(np.tile(np.array([0, 100, 255], np.uint8).repeat(16), (32, 1)))
    content = encoded(grey, file_format)
    images.check(content)
    pixels = np.asarray(images.decode(content)).astype(int)
    assert np.abs(pixels[16, [8, 24, 40]] - [[0] * 3, [100] * 3, [255] * 3]).max() <= 6


def test_black_and_white_decodes():
    content = encoded(Image.fromarray(QUADRANTS[..., 0] > 100), "PNG")
    images.check(content)
    assert np.asarray(images.decode(content))[8, [12, 36]].tolist() == [[255] * 3, [0] * 3]


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_not_clipped(file_format: str):
    levels = np.array([0, 257 * 50, 257 * 128, 65535], np.uint16)
    image = Image.fromarray(np.tile(levels.repeat(4), (16, 1)))
    assert image.mode == "I;16"
    content = encoded(image, file_format)
    images.check(content)
    assert np.asarray(images.decode(content))[8, [1, 5, 9, 13], 0].tolist() == [0, 50, 128, 255]


def test_a_dark_sixteen_bit_photograph_stays_dark():
    image = Image.fromarray(np.full((16, 16), 200, np.uint16))
    assert np.asarray(images.decode(encoded(image, "PNG"))).max() == 1


def test_big_endian_sixteen_bit_tiff_is_scaled():
    image = Image.frombytes("I;16B", (16, 16), np.full((16, 16), 257 * 128, ">u2").tobytes())
    assert np.unique(np.asarray(images.decode(encoded(image, "TIFF")))).tolist() == [128]


def test_sixteen_bit_colour_png_is_scaled():
    row = b"\x00" + struct.pack(">HHH", 65535, 257 * 128, 0) * 8
    content = png(8, 8, 16, 2, row * 8)
    images.check(content)
    assert np.asarray(images.decode(content))[4, 4].tolist() == [255, 128, 0]


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-3.0, 5.0)])
def test_float_tiff_uses_the_whole_range(low: float, high: float):
    image = Image.fromarray(np.tile(np.linspace(low, high, 16, dtype=np.float32), (16, 1)))
    content = encoded(image, "TIFF")
    images.check(content)
    pixels = np.asarray(images.decode(content))
    assert (pixels[0, 0, 0], pixels[0, -1, 0]) == (0, 255)


def test_float_tiff_with_holes_decodes():
    values = np.tile(np.linspace(0, 1, 16, dtype=np.float32), (16, 1))
    values[3, 3] = np.nan
    images.check(encoded(Image.fromarray(values), "TIFF"))
    assert np.asarray(images.decode(encoded(Image.fromarray(values), "TIFF")))[3, -1, 0] == 255


@pytest.mark.parametrize("file_format", ["PNG", "GIF", "BMP", "TIFF"])
def test_palette_becomes_its_colours(file_format: str):
    image = Image.fromarray(QUADRANTS).convert("P", palette=Image.Palette.ADAPTIVE, colors=8)
    content = encoded(image, file_format)
    images.check(content)
    assert_quadrants(images.decode(content), tolerance=8)


@pytest.mark.parametrize("file_format", ["PNG", "GIF"])
def test_a_transparent_palette_entry_is_white(file_format: str):
    image = Image.new("P", (16, 16), 0)
    image.putpalette([200, 0, 0, 0, 0, 200])
    image.paste(1, (8, 0, 16, 16))
    content = encoded(image, file_format, transparency=0)
    images.check(content)
    pixels = np.asarray(images.decode(content))
    assert pixels[8, 4].tolist() == [255, 255, 255]
    assert pixels[8, 12].tolist() == [0, 0, 200]


def test_a_transparent_colour_of_a_png_is_white():
    row = b"\x00" + bytes([10, 20, 30]) * 4 + bytes([200, 100, 0]) * 4
    content = png(8, 8, 8, 2, row * 8, b"tRNS" + struct.pack(">HHH", 10, 20, 30))
    images.check(content)
    pixels = np.asarray(images.decode(content))
    assert pixels[4, 1].tolist() == [255, 255, 255]
    assert pixels[4, 6].tolist() == [200, 100, 0]


@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "TIFF"])
def test_alpha_lies_over_white(file_format: str):
    pixels = np.zeros((16, 16, 4), np.uint8)
    pixels[:, :8] = (200, 0, 0, 0)  # a hidden colour
    pixels[:, 8:] = (0, 0, 0, 128)
    options = {"lossless": True, "exact": True} if file_format == "WEBP" else {}
    content = encoded(Image.fromarray(pixels), file_format, **options)
    images.check(content)
    decoded = np.asarray(images.decode(content))
    assert decoded[8, 4].tolist() == [255, 255, 255]
    assert np.abs(decoded[8, 12].astype(int) - 127).max() <= 1


def test_grey_with_alpha_lies_over_white():
    pixels = np.zeros((16, 16, 2), np.uint8)
    pixels[:, 8:, 1] = 255
    content = encoded(Image.fromarray(pixels, "LA"), "PNG")
    images.check(content)
    decoded = np.asarray(images.decode(content))
    assert decoded[8, 4].tolist() == [255, 255, 255]
    assert decoded[8, 12].tolist() == [0, 0, 0]


@pytest.mark.parametrize("file_format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_the_first_frame_of_an_animation_is_taken(file_format: str):
    first = Image.fromarray(QUADRANTS)
    options = {"lossless": True} if file_format == "WEBP" else {}
    content = encoded(
        first, file_format, save_all=True, append_images=[Image.new("RGB", (48, 32))], **options
    )
    images.check(content)
    assert_quadrants(images.decode(content), tolerance=8)


def big_png() -> bytes:
    return png(10_000, 10_000, 8, 2, b"\x00" * 100)


def big_gif() -> bytes:
    content = bytearray(encoded(Image.new("P", (8, 8)), "GIF"))
    content[6:10] = struct.pack("<HH", 10_000, 10_000)
    return bytes(content)


def big_bmp() -> bytes:
    content = bytearray(encoded(Image.new("RGB", (8, 8)), "BMP"))
    content[18:26] = struct.pack("<ii", 10_000, 10_000)
    return bytes(content)


def big_jpeg() -> bytes:
    content = bytearray(encoded(Image.new("RGB", (8, 8)), "JPEG"))
    frame = content.index(b"\xff\xc0")
    content[frame + 5 : frame + 9] = struct.pack(">HH", 10_000, 10_000)
    return bytes(content)


def big_webp() -> bytes:
    content = bytearray(encoded(Image.new("RGBA", (8, 8)), "WEBP", exif=b"Exif\x00\x00"))
    header = content.index(b"VP8X")
    content[header + 12 : header + 15] = (9_999).to_bytes(3, "little")
    content[header + 15 : header + 18] = (9_999).to_bytes(3, "little")
    return bytes(content)


@pytest.mark.parametrize("big", [big_png, big_gif, big_bmp, big_jpeg])
def test_a_small_file_of_too_many_pixels_is_refused_before_decoding(big, monkeypatch):
    content = big()
    assert len(content) < 20_000

    def load(_image: Image.Image) -> None:
        raise AssertionError("pixels were decoded")

    monkeypatch.setattr(images, "_load", load)
    started = time.perf_counter()
    assert "10000 x 10000 = 100 million px; the limit is 40 million (--max-pixels)" in reason(
        content
    )
    assert time.perf_counter() - started < 1


def test_a_webp_that_claims_too_many_pixels_is_refused():
    started = time.perf_counter()
    assert reason(big_webp())
    assert time.perf_counter() - started < 2


def test_a_bomb_that_pillow_itself_refuses_has_a_reason():
    said = "has too many px; the limit is 40 million (--max-pixels)"
    assert reason(png(60_000, 60_000, 8, 2, b"\x00")) == said


def test_larger_photographs_can_be_allowed(monkeypatch):
    monkeypatch.setattr(images, "_limit", images.MAX_PIXELS)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
    content, standard = encoded(Image.fromarray(QUADRANTS), "PNG"), images.version()
    images.allow(48 * 32 - 1)
    assert images.version() != standard
    assert reason(content).endswith("the limit is 0.001535 million (--max-pixels)")
    images.allow(48 * 32)
    assert_quadrants(images.decode(content))
    images.allow(200_000_000)
    assert Image.MAX_IMAGE_PIXELS == 200_000_000
    with pytest.raises(ValueError, match="--max-pixels 0 must be 1 or more"):
        images.allow(0)


def test_forty_million_pixels_are_allowed(monkeypatch):
    monkeypatch.setattr(images, "_limit", 48 * 32)
    assert_quadrants(images.decode(encoded(Image.fromarray(QUADRANTS), "PNG")))
    monkeypatch.setattr(images, "_limit", 48 * 32 - 1)
    assert "limit" in reason(encoded(Image.fromarray(QUADRANTS), "PNG"))


def test_an_empty_file_is_refused(tmp_path: Path):
    path = tmp_path / "empty.jpg"
    path.touch()
    for source in (path, b""):
        with pytest.raises(images.BadImageError, match=r"^is empty \(0 bytes\)$"):
            images.decode(source)
    assert reason(b"") == "is empty (0 bytes)"


@pytest.mark.parametrize(
    "content", [b"This is a text file called rose.jpg.", b"\x00" * 500, b"<svg></svg>", b"%PDF-1.4"]
)
def test_what_is_no_photograph_is_refused(content: bytes):
    assert reason(content).startswith("is not a photograph; expected JPEG, PNG, WebP")


def test_a_format_outside_the_list_is_refused():
    assert reason(encoded(Image.fromarray(QUADRANTS), "PPM")).startswith("is not a photograph")


def test_a_missing_file_and_a_folder_have_a_reason(tmp_path: Path):
    with pytest.raises(images.BadImageError, match="no such file"):
        images.decode(tmp_path / "none.jpg")
    with pytest.raises(images.BadImageError, match="is not a file"):
        images.decode(tmp_path)


@pytest.mark.parametrize("file_format", [f for f in SAVE_OPTIONS if f != "BMP"] + ["BMP"])
@pytest.mark.parametrize("share", [0.3, 0.6])
def test_a_truncated_file_is_refused(file_format: str, share: float):
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 256, (64, 64, 3), np.uint8))
    content = encoded(noise, file_format, **SAVE_OPTIONS[file_format])
    images.check(content)
    assert reason(content[: int(len(content) * share)])


@pytest.mark.parametrize("file_format", SAVE_OPTIONS)
def test_a_header_alone_is_refused(file_format: str):
    content = encoded(Image.fromarray(QUADRANTS), file_format, **SAVE_OPTIONS[file_format])
    for length in (4, 16, 30):
        assert reason(content[:length])


@pytest.mark.parametrize("progressive", [False, True])
def test_check_agrees_with_decode_wherever_a_jpeg_is_cut(progressive: bool):
    rng = np.random.default_rng(1)
    noise = Image.fromarray(rng.integers(0, 256, (96, 96, 3), np.uint8))
    content = encoded(noise, "JPEG", progressive=progressive)
    outcomes = set()
    for length in (*range(0, len(content), 97), *range(len(content) - 8, len(content) + 1)):
        sound = []
        for read in (images.check, images.decode):
            try:
                read(content[:length])
                sound.append(True)
            except images.BadImageError:
                sound.append(False)
        assert sound[0] == sound[1], length
        outcomes.add(sound[0])
    assert outcomes == {True, False}


def test_damage_in_the_middle_of_a_png_is_refused():
    rng = np.random.default_rng(0)
    content = bytearray(
        encoded(Image.fromarray(rng.integers(0, 256, (64, 64, 3), np.uint8)), "PNG")
    )
    content[len(content) // 2] ^= 0xFF
    assert "damaged" in reason(bytes(content))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="This system has no named pipes.")
def test_a_pipe_called_jpg_is_refused_and_not_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(images.BadImageError, match="is not a file"):
        images.decode(tmp_path / "pipe.jpg")


def test_a_file_over_the_limit_is_not_read(tmp_path: Path, monkeypatch):
    path = tmp_path / "large.jpg"
    path.write_bytes(bytes(200))
    monkeypatch.setattr(images, "MAX_BYTES", 100)
    with pytest.raises(images.BadImageError, match="has 200 bytes; the limit is 100"):
        images.decode(path)


def large_jpeg(width: int, height: int, **options) -> bytes:
    """A JPEG with smooth colours and fine stripes, red at the left and blue at the right."""
    x, y = np.arange(width), np.arange(height)[:, None]
    stripes = 20 * ((x + y) // 3 % 2)
    red = (200 * (1 - x / width) + stripes).astype(np.uint8)
    blue = (200 * x / width + stripes).astype(np.uint8)
    return encoded(Image.fromarray(np.stack([red, red // 2, blue], axis=2)), "JPEG", **options)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((1279, 1279), (1279, 1279)),
        ((1280, 1280), (640, 640)),
        ((4032, 3024), (1008, 756)),
        ((700, 5200), (700, 5200)),
        ((6000, 5200), (750, 650)),
    ],
)
def test_a_large_jpeg_is_decoded_small_with_640_px_left(size: tuple, expected: tuple):
    content = large_jpeg(*size)
    assert images.decode(content).size == expected
    assert images.decode(content, least_side=None).size == size


def test_more_pixels_are_left_for_networks_that_see_more():
    content = large_jpeg(2600, 2600)
    assert images.decode(content, least_side=1200).size == (1300, 1300)
    assert images.decode(content, least_side=1400).size == (2600, 2600)
    assert images.decode(content, least_side=None).size == (2600, 2600)


def test_a_large_jpeg_is_upright_and_in_its_colours():
    content = large_jpeg(2000, 1400, exif=orientation_tag(6))
    small = images.decode(content)
    assert small.size == (700, 1000)
    pixels = np.asarray(small).astype(int)
    assert pixels[20, :, 0].mean() > 150 > pixels[-20, :, 0].mean()
    whole = images.decode(content, least_side=None).resize(small.size, Image.Resampling.BOX)
    assert np.abs(np.asarray(whole).astype(int) - pixels).mean() < 2


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_a_large_jpeg_of_another_mode_is_decoded_small(mode: str):
    image = Image.open(io.BytesIO(large_jpeg(1400, 1300))).convert(mode)
    small = images.decode(encoded(image, "JPEG"))
    assert (small.mode, small.size) == ("RGB", (700, 650))


def test_other_formats_are_reduced_right_after_decoding():
    image = Image.open(io.BytesIO(large_jpeg(1400, 1300)))
    content = encoded(image, "PNG")
    assert images.decode(content).size == (700, 650)
    assert images.decode(content, least_side=None).size == (1400, 1300)


def test_features_of_a_small_decoding_are_those_of_the_whole(lite0, flower: Path):
    image = Image.open(flower).convert("RGB").resize((3000, 3000), Image.Resampling.LANCZOS)
    grain = np.random.default_rng(0).normal(0, 5, (3000, 3000, 1))
    content = encoded(
        Image.fromarray((np.asarray(image) + grain).clip(0, 255).astype(np.uint8)), "JPEG"
    )
    whole, small = (
        lite0.features(lite0.transforms.center(images.decode(content, least_side=side))[None])[0]
        for side in (None, lite0.transforms.least_side)
    )
    cosine = float(whole @ small / np.linalg.norm(whole) / np.linalg.norm(small))
    assert 1 - cosine < 1e-3


def test_a_telephones_jpeg_with_a_second_picture_is_decoded_small():
    first = Image.open(io.BytesIO(large_jpeg(1400, 1300)))
    file = io.BytesIO()
    first.save(file, "MPO", save_all=True, append_images=[first.resize((70, 65))])
    assert Image.open(io.BytesIO(file.getvalue())).format == "MPO"
    images.check(file.getvalue())
    assert images.decode(file.getvalue()).size == (700, 650)


# as browsers show them


def test_an_orientation_in_xmp_is_not_obeyed():
    xmp = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf'
        b'-syntax-ns#"><rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" '
        b'tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'
    )
    for kind in ("JPEG", "PNG", "WEBP", "TIFF"):
        info = PngImagePlugin.PngInfo()
        info.add_itxt("XML:com.adobe.xmp", xmp.decode())
        options = {"pnginfo": info} if kind == "PNG" else {"xmp": xmp}
        assert images.decode(encoded(Image.new("RGB", (30, 20)), kind, **options)).size == (30, 20)


def test_what_a_gifs_first_frame_leaves_of_its_canvas_is_white():
    file = io.BytesIO()
    Image.new("P", (20, 10), 1).save(file, "GIF")
    content = bytearray(file.getvalue())
    content[6:10] = (40).to_bytes(2, "little") + (30).to_bytes(2, "little")  # the canvas
    image = images.decode(bytes(content))
    assert image.size == (40, 30)
    assert image.getpixel((30, 20)) == (255, 255, 255)
    assert image.getpixel((5, 5)) != (255, 255, 255)


def test_transparent_grey_of_16_bits_is_white():
    grey = np.full((8, 8), 1000, np.uint16)
    grey[2:4] = 40_000
    file = io.BytesIO()
    Image.fromarray(grey).save(file, "PNG", transparency=1000)
    image = images.decode(file.getvalue())
    assert image.getpixel((0, 0)) == (255, 255, 255)
    assert image.getpixel((0, 2)) == (156, 156, 156)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            b"\xff\xd8\xff\xc1\x00\x0b\x0c\x00\x10\x00\x10\x01\x01\x11\x00",
            "JPEG of an unsupported kind",
        ),
        (b"IIU\x00" + bytes(200), "camera's raw file of an unsupported"),
        (b"II+\x00\x08\x00\x00\x00" + bytes(200), "TIFF of an unsupported"),
    ],
)
def test_a_kind_that_is_not_supported_is_called_that(content: bytes, said: str):
    assert said in reason(content)


def test_a_tiff_of_floating_point_colours_is_called_that():
    file = io.BytesIO()
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[339] = (3, 3, 3)
    Image.new("RGB", (8, 8)).save(file, "TIFF", tiffinfo=tags)
    assert "is a TIFF of an unsupported kind" in reason(file.getvalue())


@pytest.mark.parametrize("tag", [(50706, b"\x01\x04\x00\x00"), (262, 32803)])
def test_a_raw_files_preview_is_not_taken_for_the_photograph(tag: tuple[int, object]):
    file = io.BytesIO()
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    if tag[0] == 262:
        image = Image.open(io.BytesIO(encoded(Image.new("RGB", (8, 8)), "TIFF")))
        assert isinstance(image, TiffImagePlugin.TiffImageFile)
        image.tag_v2[262] = 32803
        assert is_raw(image, b"")
        return
    tags[tag[0]] = tag[1]
    tags.tagtype[tag[0]] = 1
    Image.new("RGB", (160, 120)).save(file, "TIFF", tiffinfo=tags)
    assert reason(file.getvalue()) == "is a camera's raw file; export it as JPEG"
    ordinary = encoded(Image.new("RGB", (160, 120)), "TIFF")
    assert images.decode(ordinary).size == (160, 120)
    canon = ordinary[:8] + b"CR" + ordinary[10:]
    assert is_raw(Image.open(io.BytesIO(ordinary)), canon)
