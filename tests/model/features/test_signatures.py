"""Copies are told from other photographs by what the data set is like; thumbnails are small."""

import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
from drawing import drawn_photograph, patterns, recompressed
from PIL import Image

from model.features import signatures as copies
from model.features.signatures import differing_bits, same_below, signature, summarise
from model.photographs import images
from model.photographs.dataset import Photos
from model.photographs.scan import check_photographs, list_photographs


def photos_of(paths: list[Path]) -> Photos:
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    return Photos(paths, np.zeros(len(paths), np.int64), digests)


def signatures(count: int) -> np.ndarray:
    return np.stack([signature(picture) for picture in patterns(count)])


def test_bits_are_counted_pair_by_pair():
    rows = np.zeros((3, 32), np.uint8)
    rows[1, 4], rows[2] = 0b101, 255
    assert differing_bits(rows[:2], rows).tolist() == [[0, 2, 256], [2, 0, 254]]


def test_what_counts_as_a_copy_follows_from_the_data():
    wide = same_below(signatures(30))
    base = np.tile(signature(patterns(1)[0]), (30, 1))
    base[np.arange(30), np.arange(30)] ^= 0b1110_0000  # different photographs, 6 bits apart
    assert 20 < wide < 64
    assert same_below(base) == 2


def test_the_data_sets_own_copies_do_not_loosen_or_tighten_it():
    alone = signatures(30)
    with_copies = np.concatenate([alone, alone[:3]])
    assert abs(same_below(with_copies) - same_below(alone)) <= 2


def test_real_copies_are_recognised_and_others_are_not(flowers102_dir: Path, cache_dir: Path):
    train = [p for p, _ in list_photographs(flowers102_dir / "train", [])][::32]
    valid = [p for p, _ in list_photographs(flowers102_dir / "valid", [])][::16]
    signatures, _ = summarise(photos_of(train), cache_dir=cache_dir)
    limit = same_below(signatures)
    copies = [signature(recompressed(images.decode(path), 60, 0.5)) for path in train[::8]]
    bits = differing_bits(np.stack(copies), signatures)
    assert bits.argmin(axis=1).tolist() == list(range(0, len(train), 8))
    assert bits.min(axis=1).max() <= limit
    others = np.stack([signature(images.decode(path)) for path in valid])
    assert differing_bits(others, signatures).min() > limit


def test_thumbnails_are_small_jpegs_in_the_order_of_the_paths(tmp_path: Path):
    paths = []
    for index, size in enumerate([(300, 200), (100, 400), (50, 40)]):
        paths.append(tmp_path / f"{index}.png")
        drawn_photograph(0.3, index, size).save(paths[-1])
    signatures, thumbnails = summarise(photos_of(paths), cache_dir=tmp_path, workers=2)
    assert signatures.shape == (3, 32)
    opened = [Image.open(io.BytesIO(jpeg)) for jpeg in thumbnails]
    assert [image.size for image in opened] == [(96, 64), (24, 96), (50, 40)]
    assert {image.format for image in opened} == {"JPEG"}


def test_a_second_run_reads_what_the_first_made(tmp_path: Path, monkeypatch):
    paths = []
    for index in range(4):
        paths.append(tmp_path / f"{index}.png")
        drawn_photograph(0.3, index).save(paths[-1])
    first = summarise(photos_of(paths[:3]), cache_dir=tmp_path)
    decoded = []
    real = images.decode
    monkeypatch.setattr(copies.images, "decode", lambda path: decoded.append(path) or real(path))
    again = summarise(photos_of([paths[2], paths[3], paths[0]]), cache_dir=tmp_path)
    assert decoded == [paths[3]]
    assert again[1][0] == first[1][2] and again[1][2] == first[1][0]
    assert (again[0][[0, 2]] == first[0][[2, 0]]).all()


def test_a_file_that_went_bad_is_named(tmp_path: Path):
    path = tmp_path / "gone.jpg"
    drawn_photograph(0.3, 0).save(path)
    photos = photos_of([path])
    path.write_text("text")
    with pytest.raises(ValueError, match=r"gone\.jpg is not a photograph"):
        summarise(photos, cache_dir=tmp_path)


def test_a_thumbnail_carries_no_metadata(tmp_path: Path):
    exif = Image.Exif()
    exif[0x010F] = "A camera"
    path = tmp_path / "photograph.jpg"
    drawn_photograph(0.3, 0).save(path, exif=exif, comment=b"somewhere")
    small = Image.open(io.BytesIO(summarise(photos_of([path]), cache_dir=tmp_path)[1][0]))
    assert not small.getexif()
    assert "comment" not in small.info


def test_what_the_check_decoded_is_not_decoded_for_its_thumbnail(tmp_path: Path, monkeypatch):
    paths = [tmp_path / f"{index}.jpg" for index in range(3)]
    for index, path in enumerate(paths):
        drawn_photograph(0.3, index).save(path)
    expected = summarise(photos_of(paths), cache_dir=tmp_path / "other")
    (tmp_path / "bad.jpg").write_bytes(paths[0].read_bytes()[:500])
    skipped: list = []
    with copies.Summaries(tmp_path) as summaries:
        digests = check_photographs(
            [*paths, tmp_path / "bad.jpg"], skipped, cache_dir=tmp_path, keep=summaries.add
        )
    assert [bad.path.name for bad in skipped] == ["bad.jpg"]
    assert digests[:3] == photos_of(paths).digests

    def decode(*_args: object, **_options: object) -> None:
        raise AssertionError("decoded again")

    monkeypatch.setattr(copies.images, "decode", decode)
    signatures, thumbnails = summarise(photos_of(paths), cache_dir=tmp_path)
    assert (signatures == expected[0]).all()
    assert thumbnails == expected[1]


def test_a_list_that_cannot_be_written_is_one_clear_error(tmp_path: Path):
    with (
        pytest.raises(OSError, match=r"The cache cannot be written .* --cache-dir"),
        copies.Summaries(tmp_path) as summaries,
    ):
        summaries._database.execute("PRAGMA max_page_count = 3")
        for index in range(200):
            summaries.add(f"{index:032x}".ljust(64, "0"), drawn_photograph(0.3, index))
    with copies.Summaries(tmp_path) as again:  # and nothing is half there
        assert not again.find([f"{index:032x}".ljust(64, "0") for index in range(200)])
