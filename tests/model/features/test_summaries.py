"""Thumbnails and signatures are made once, of the bytes that were checked."""

import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
from drawing import drawn_photograph
from PIL import Image

from model.features.read import read_photos
from model.features.signatures import Summary
from model.features.store import PhotographStore
from model.features.summaries import summarise
from model.photographs import images
from model.photographs.dataset import Entry, Listing, Photos


def photos_of(paths: list[Path]) -> Photos:
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    return Photos(paths, np.zeros(len(paths), np.int64), digests)


def test_a_second_run_reads_what_the_first_made(tmp_path: Path, monkeypatch):
    paths = []
    for index in range(4):
        paths.append(tmp_path / f"{index}.png")
        drawn_photograph(0.3, index).save(paths[-1])
    first = summarise(photos_of(paths[:3]), cache_dir=tmp_path)
    decoded = []
    real = images.decode
    monkeypatch.setattr(
        images, "decode", lambda content, **_: decoded.append(content) or real(content)
    )
    again = summarise(photos_of([paths[2], paths[3], paths[0]]), cache_dir=tmp_path)
    assert decoded == [paths[3].read_bytes()]
    assert again[1][0] == first[1][2] and again[1][2] == first[1][0]
    assert (again[0][[0, 2]] == first[0][[2, 0]]).all()


def test_a_file_that_has_changed_since_it_was_checked_is_named(tmp_path: Path):
    path = tmp_path / "gone.jpg"
    drawn_photograph(0.3, 0).save(path)
    photos = photos_of([path])
    drawn_photograph(0.6, 1).save(path)
    with pytest.raises(ValueError, match=r"gone\.jpg has changed since it was checked"):
        summarise(photos, cache_dir=tmp_path)
    with PhotographStore(tmp_path, images.version()) as store:
        assert not store.summaries(photos.digests)


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
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(paths[0].read_bytes()[:500])
    listing = Listing("drawn", tmp_path, [Entry(path, "a") for path in [*paths, bad]])
    collection = read_photos(listing, cache_dir=tmp_path, summaries=True)
    assert [bad.path.name for bad in collection.skipped] == ["bad.jpg"]
    assert collection.photos.digests == photos_of(paths).digests

    def decode(*_args: object, **_options: object) -> None:
        raise AssertionError("decoded again")

    monkeypatch.setattr(images, "decode", decode)
    signatures, thumbnails, _ = summarise(photos_of(paths), cache_dir=tmp_path)
    assert (signatures == expected[0]).all()
    assert thumbnails == expected[1]


def test_a_store_that_cannot_be_written_is_one_clear_error(tmp_path: Path):
    large = Summary(bytes(32), bytes(2000), None)
    with (
        pytest.raises(OSError, match=r"sqlite cannot be written .* --cache-dir"),
        PhotographStore(tmp_path, images.version()) as store,
    ):
        store._database.execute("PRAGMA max_page_count = 6")
        for index in range(200):
            store.add_summary(f"{index:032x}".ljust(64, "0"), large)
    with PhotographStore(tmp_path, images.version()) as again:  # and nothing is half there
        assert not again.summaries([f"{index:032x}".ljust(64, "0") for index in range(200)])


def test_when_a_photograph_was_taken_is_remembered(tmp_path: Path):
    exif = Image.Exif()
    exif[0x010F] = "A camera"
    exif.get_ifd(0x8769)[0x9003] = "2024:05:06 07:08:09"
    paths = [tmp_path / "dated.jpg", tmp_path / "undated.jpg"]
    drawn_photograph(0.3, 0).save(paths[0], exif=exif)
    drawn_photograph(0.3, 1).save(paths[1])
    made = summarise(photos_of(paths), cache_dir=tmp_path).shots
    assert made[0] and made[0].camera == "A camera" and made[1] is None
    assert summarise(photos_of(paths), cache_dir=tmp_path).shots == made
