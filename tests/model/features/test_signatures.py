"""Copies are told from other photographs by what the data set is like; thumbnails are small."""

import hashlib
import io
from pathlib import Path

import numpy as np
from drawing import drawn_photograph, patterns, recompressed
from PIL import Image

from model.features.signatures import differing_bits, same_below, signature
from model.features.summaries import summarise
from model.photographs import images
from model.photographs.dataset import Photos
from model.photographs.scan import list_folder


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
    train = [e.path for e in list_folder(flowers102_dir / "train").entries][::32]
    valid = [e.path for e in list_folder(flowers102_dir / "valid").entries][::16]
    signatures, *_ = summarise(photos_of(train), cache_dir=cache_dir)
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
    signatures, thumbnails, _ = summarise(photos_of(paths), cache_dir=tmp_path, workers=2)
    assert signatures.shape == (3, 32)
    opened = [Image.open(io.BytesIO(jpeg)) for jpeg in thumbnails]
    assert [image.size for image in opened] == [(96, 64), (24, 96), (50, 40)]
    assert {image.format for image in opened} == {"JPEG"}
