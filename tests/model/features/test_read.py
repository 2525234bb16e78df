"""The pass over the files: what it computes belongs to the bytes that it hashed."""

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from drawing import drawn_photograph
from loading import load_source

from model.backbones.backbone import Backbone
from model.backbones.transforms import EVALUATION_VIEWS
from model.features import store
from model.features.evaluation_views import EvaluationViews
from model.features.extract import extract
from model.features.read import FilePass
from model.photographs import images


def replacing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace a file by another photograph right after it is read for the first time."""
    real = images.read

    def read(asked: Path) -> bytes:
        content = real(asked)
        monkeypatch.setattr(images, "read", real)
        drawn_photograph(0.9, 4711).save(path)
        return content

    monkeypatch.setattr(images, "read", read)


def test_a_file_replaced_while_it_is_read_is_not_remembered_under_the_old_hash(
    tmp_path: Path, monkeypatch
):
    path = tmp_path / "photograph.jpg"
    drawn_photograph(0.1, 1).save(path)
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    later = store.time.time_ns() + 60 * 10**9
    monkeypatch.setattr(store.time, "time_ns", lambda: later)  # it was written long ago
    replacing(path, monkeypatch)
    with FilePass(tmp_path / "cache", summaries=True) as files:
        assert files.read([path], []) == [before]
    after = hashlib.sha256(path.read_bytes()).hexdigest()
    assert after != before
    with FilePass(tmp_path / "cache") as files:
        assert files.read([path], []) == [after]


def test_features_of_a_checked_photograph_need_no_second_decoding(
    photos_dir: Callable[..., Path],
    tiny_backbone: Callable[..., Backbone],
    tmp_path: Path,
    monkeypatch,
):
    folder, backbone = photos_dir(count=4), tiny_backbone()
    expected = extract(
        backbone,
        load_source(folder, cache_dir=tmp_path / "other").splits["train"],
        EVALUATION_VIEWS,
        cache_dir=tmp_path / "other",
    )
    assert EvaluationViews.suit(backbone)
    loaded = load_source(folder, cache_dir=tmp_path / "new", backbone=backbone)

    def decode(*_args: object, **_options: object) -> None:
        raise AssertionError("decoded again")

    monkeypatch.setattr(images, "decode", decode)
    for split, photos in loaded.splits.items():
        found = extract(backbone, photos, EVALUATION_VIEWS, cache_dir=tmp_path / "new")
        if split == "train":
            assert np.array_equal(found, expected)


def test_what_is_in_the_cache_is_not_framed_again(
    tiny_backbone: Callable[..., Backbone], tmp_path: Path
):
    backbone, image = tiny_backbone(), drawn_photograph(0.3, 0)
    with EvaluationViews(tmp_path, backbone) as views:
        framed = views.frame("0" * 64, image)
        assert framed is not None
        views.add([("0" * 64, framed)])
    with EvaluationViews(tmp_path, backbone) as views:
        assert views.frame("0" * 64, image) is None
        assert views.frame("1" * 64, image) is not None


def test_a_network_that_wants_larger_photographs_computes_its_features_later(
    tiny_backbone: Callable[..., Backbone],
):
    assert EvaluationViews.suit(tiny_backbone())
    assert not EvaluationViews.suit(tiny_backbone(image_size=320))


def test_torch_computes_batches_in_the_calling_thread(
    photos_dir: Callable[..., Path],
    tiny_backbone: Callable[..., Backbone],
    tmp_path: Path,
    monkeypatch,
):
    folder, backbone = photos_dir(count=7), tiny_backbone()
    one_by_one = load_source(folder, cache_dir=tmp_path / "onnx", backbone=backbone)
    expected = extract(
        backbone, one_by_one.splits["train"], EVALUATION_VIEWS, cache_dir=tmp_path / "onnx"
    )
    monkeypatch.setattr(backbone, "engine", backbone.torch_engine)
    calls, real = [], backbone.features

    def features(pixels: np.ndarray) -> np.ndarray:
        assert threading.current_thread() is threading.main_thread()
        calls.append(len(pixels))
        return real(pixels)

    monkeypatch.setattr(backbone, "features", features)
    loaded = load_source(folder, cache_dir=tmp_path / "torch", backbone=backbone)
    assert calls == [8, 8, 8, 8, 8, 2]  # 21 photographs, two views each
    photos = loaded.splits["train"]
    found = extract(backbone, photos, EVALUATION_VIEWS, cache_dir=tmp_path / "torch")
    assert calls == [8, 8, 8, 8, 8, 2]
    assert np.allclose(found, expected, atol=2e-3 * np.abs(expected).max())
    later = extract(backbone, photos, ["center"], cache_dir=tmp_path / "later", workers=3)
    assert np.allclose(later[:, 0], found[:, 0], atol=2e-3 * np.abs(expected).max())
