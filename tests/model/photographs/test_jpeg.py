"""JPEGs that cannot be decoded at a part of their size, and those that lack a part of their end."""

import functools
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from drawing import drawn_photograph, lossless_jpeg
from PIL import Image

from model.photographs import images
from model.photographs.jpeg import can_be_scaled

ROOT = Path(__file__).resolve().parents[3]
LARGE = (1400, 1300)  # px; a smaller one's damage to memory may go unnoticed


def saved(**how: object) -> bytes:
    file = io.BytesIO()
    drawn_photograph(0.2, 3, LARGE).save(file, "JPEG", **how)
    return file.getvalue()


def frame_of(content: bytes) -> bytes:
    """The frame header of a JPEG, marker and length included."""
    start = next(
        content.find(bytes([0xFF, sof, 0]))
        for sof in (0xC0, 0xC2)
        if content.find(bytes([0xFF, sof, 0])) > 0
    )
    return content[start : start + 2 + int.from_bytes(content[start + 2 : start + 4])]


@pytest.mark.parametrize("how", [{}, {"progressive": True}, {"quality": 95, "subsampling": 0}])
def test_ordinary_jpegs_are_decoded_at_a_part_of_their_size(how: dict):
    content = saved(**how)
    assert can_be_scaled(content)
    assert images.decode(content, least_side=200).size == (350, 325)
    images.check(content)


def test_grey_and_four_channel_jpegs_are_ordinary():
    for mode in ("L", "CMYK"):
        file = io.BytesIO()
        drawn_photograph(0.2, 3, LARGE).convert(mode).save(file, "JPEG")
        assert can_be_scaled(file.getvalue())
        assert images.decode(file.getvalue(), least_side=200).size == (350, 325)


@pytest.mark.parametrize("call", ["images.decode(content)", "images.check(content)"])
def test_a_lossless_jpeg_does_not_end_the_process(call: str, tmp_path: Path):
    (tmp_path / "lossless.jpg").write_bytes(lossless_jpeg(*LARGE))
    program = (
        "import sys; from pathlib import Path; from model.photographs import images;"
        f"content = Path(sys.argv[1]).read_bytes(); [{call} for _ in range(20)]"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "lossless.jpg")], cwd=ROOT, check=False
    )
    assert done.returncode == 0


def test_a_lossless_jpeg_is_decoded_at_its_whole_size():
    image = images.decode(lossless_jpeg(*LARGE), least_side=None)
    assert image.size == LARGE
    assert np.unique(np.asarray(image)).tolist() == [128]


def test_a_file_with_two_frame_headers_is_not_scaled():
    ordinary = saved()
    two = ordinary[:2] + frame_of(ordinary) + ordinary[2:]
    assert not can_be_scaled(two)
    assert not can_be_scaled(lossless_jpeg(*LARGE, frame_of(ordinary)))


@pytest.mark.parametrize("marker", [0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCF])
def test_other_kinds_of_frames_are_not_scaled(marker: int):
    content = saved()
    start = content.index(frame_of(content))
    assert not can_be_scaled(content[: start + 1] + bytes([marker]) + content[start + 2 :])


def test_other_precisions_and_numbers_of_components_are_not_scaled():
    content = saved()
    start = content.index(frame_of(content))
    for offset, value in ((4, 12), (9, 2), (9, 5)):
        changed = bytearray(content)
        changed[start + offset] = value
        assert not can_be_scaled(bytes(changed))


def test_what_is_no_jpeg_is_not_scaled():
    content = saved()
    for other in (b"", b"\xff", b"\xff\xd8", content[:200], b"GIF89a" + content, content[1:]):
        assert not can_be_scaled(other)


@functools.cache
def pictured(width: int = 900, height: int = 700, **options: object) -> bytes:
    """A JPEG with something in every part of it."""
    rng = np.random.default_rng(0)
    rough = Image.fromarray(rng.integers(0, 256, (height // 20, width // 20, 3), np.uint8))
    file = io.BytesIO()
    rough.resize((width, height)).save(file, "JPEG", quality=90, **options)
    return file.getvalue()


@pytest.mark.parametrize("lacking", [1, 2, 3, 20, 200])
def test_a_jpeg_that_lacks_its_last_bytes_is_read(lacking: int):
    content = pictured()
    images.check(content[:-lacking])
    found = np.asarray(images.decode(content[:-lacking])).astype(int)
    whole = np.asarray(images.decode(content)).astype(int)
    assert (np.abs(found - whole).max(axis=2) > 0).mean() <= 0.02


@pytest.mark.parametrize("share", [0.3, 0.5, 0.8, 0.95])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_that_is_cut_in_the_middle_is_refused(share: float, progressive: bool):
    content = pictured(progressive=progressive)
    cut = content[: int(share * len(content))]
    for call in (images.check, images.decode):
        with pytest.raises(images.BadImageError, match="damaged or truncated"):
            call(cut)


LARGE_AND_SMALL = [(300, 200), (2000, 1500), (4000, 3000)]
KINDS = [{}, {"restart_marker_rows": 1}]


@pytest.mark.parametrize("size", LARGE_AND_SMALL)
@pytest.mark.parametrize("kind", [*KINDS, {"progressive": True}], ids=str)
def test_a_jpeg_that_is_cut_is_refused_at_every_size(size: tuple, kind: dict):
    content = pictured(*size, **kind)
    for share in (0.17, 0.5, 0.8, 0.95):
        with pytest.raises(images.BadImageError, match="damaged or truncated"):
            images.check(content[: int(share * len(content))])
    with pytest.raises(images.BadImageError, match="damaged or truncated"):
        images.decode(content[: len(content) // 2])


@pytest.mark.parametrize("size", LARGE_AND_SMALL)
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_jpeg_that_lacks_little_is_read_at_every_size(size: tuple, kind: dict):
    content = pictured(*size, **kind)
    for lacking in (1, 2, 3, len(content) // 100):
        images.check(content[:-lacking])
    cut = content[: -(len(content) // 100)]
    found, whole = (np.asarray(images.decode(file)).astype(int) for file in (cut, content))
    assert 0 < (np.abs(found - whole).max(axis=2) > 0).mean() <= 0.02


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_a_grey_or_four_channel_jpeg_that_is_cut_is_refused(mode: str):
    file = io.BytesIO()
    Image.open(io.BytesIO(pictured(2000, 1500))).convert(mode).save(file, "JPEG", quality=90)
    content = file.getvalue()
    images.check(content[: int(0.99 * len(content))])
    with pytest.raises(images.BadImageError, match="damaged or truncated"):
        images.check(content[: int(0.97 * len(content))])


def test_a_large_jpeg_with_a_header_alone_is_refused():
    content = bytearray(pictured())
    start = content.index(frame_of(bytes(content)))
    content[start + 5 : start + 9] = (6000).to_bytes(2) + (6500).to_bytes(2)
    with pytest.raises(images.BadImageError, match="damaged or truncated"):
        images.check(bytes(content[:2000]))
