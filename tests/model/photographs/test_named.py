"""The data sets that have a name: digits, and Oxford 102 Flowers."""

from collections.abc import Callable
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import scipy.io
from drawing import CLASSES, drawn_photograph
from loading import load_source
from torchvision.datasets import Flowers102

from model.photographs import images
from model.photographs import named as datasets
from model.photographs.dataset import DataSet


def sizes(loaded: DataSet) -> dict[str, int]:
    return {split: len(photos) for split, photos in loaded.splits.items()}


@pytest.fixture(scope="module")
def digits_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("digits")


def test_digits_are_there_without_a_network(digits_cache: Path, tmp_path: Path):
    options = {"data_dir": tmp_path, "cache_dir": digits_cache, "class_names": None}
    loaded = load_source("digits", **options)
    assert loaded.name == "digits"
    assert loaded.class_ids == [str(digit) for digit in range(10)]
    assert sum(sizes(loaded).values()) == 1797
    assert loaded.skipped == []
    photograph = images.decode(loaded.splits["train"].paths[0])
    assert photograph.size == (8, 8)
    assert np.asarray(photograph).max() > 200
    assert load_source("digits", **options).fingerprint == loaded.fingerprint


def test_a_path_is_loaded_as_a_folder(photos_dir: Callable, cache_dir: Path, tmp_path: Path):
    folder = photos_dir()
    loaded = load_source(str(folder), data_dir=tmp_path, cache_dir=cache_dir, class_names=None)
    assert loaded.name == str(folder)
    assert loaded.class_ids == list(CLASSES)


def stand_in_flowers(root: Path) -> int:
    """Write a small flowers-102 with torchvision's layout: every class in every split."""
    folder = root / "flowers-102"
    (folder / "jpg").mkdir(parents=True)
    classes = len(Flowers102.classes)
    labels, splits = [], {"trnid": [], "valid": [], "tstid": []}
    for split, copies in (("trnid", 2), ("valid", 1), ("tstid", 1)):
        for number in range(1, classes + 1):
            for _ in range(copies):
                labels.append(number)
                photograph = len(labels)
                splits[split].append(photograph)
                path = folder / "jpg" / f"image_{photograph:05}.jpg"
                drawn_photograph(number / classes, photograph, (16, 12)).save(path)
    scipy.io.savemat(folder / "imagelabels.mat", {"labels": np.array([labels])})
    scipy.io.savemat(folder / "setid.mat", {key: np.array([ids]) for key, ids in splits.items()})
    return len(labels)


def test_flowers102_is_read_in_its_official_split(tmp_path: Path, cache_dir: Path, monkeypatch):
    count = stand_in_flowers(tmp_path)
    monkeypatch.setattr(Flowers102, "_check_integrity", lambda self: self._images_folder.is_dir())
    monkeypatch.setattr(datasets, "_FLOWERS_PHOTOGRAPHS", count)
    options = {"data_dir": tmp_path, "cache_dir": cache_dir}
    loaded = load_source("flowers102", **options, class_names=None)
    assert sizes(loaded) == {"train": 204, "valid": 102, "test": 102}
    assert len(set(loaded.class_names)) == 102
    by_id = dict(zip(loaded.class_ids, loaded.class_names, strict=True))
    assert (by_id["1"], by_id["74"], by_id["102"]) == ("pink primrose", "rose", "blackberry lily")
    position = loaded.splits["valid"].paths.index(
        tmp_path / "flowers-102" / "jpg" / f"image_{204 + 74:05}.jpg"
    )
    assert loaded.class_ids[loaded.splits["valid"].labels[position]] == "74"

    names = tmp_path / "names.json"
    names.write_text('{"74": "Rosa"}')
    loaded = load_source("flowers102", **options, class_names=names)
    assert loaded.class_names[loaded.class_ids.index("74")] == "Rosa"


def test_an_incomplete_flowers_folder_is_an_error(tmp_path: Path, cache_dir: Path, monkeypatch):
    stand_in_flowers(tmp_path)
    monkeypatch.setattr(Flowers102, "_check_integrity", lambda self: True)
    with pytest.raises(ValueError, match=r"jpg has 408 of 8189 photographs\. Remove that folder"):
        load_source("flowers102", data_dir=tmp_path, cache_dir=cache_dir, class_names=None)


def test_flowers102_without_a_network_is_one_sentence(tmp_path: Path, cache_dir: Path, monkeypatch):
    def download(self: Flowers102) -> None:
        raise URLError("Temporary failure in name resolution")

    monkeypatch.setattr(Flowers102, "download", download)
    with pytest.raises(ConnectionError, match="could not be downloaded") as error:
        load_source("flowers102", data_dir=tmp_path, cache_dir=cache_dir, class_names=None)
    message = str(error.value)
    assert str(tmp_path / "flowers-102") in message
    assert "name resolution" in message
    assert "--data-dir" in message
    assert "\n" not in message
