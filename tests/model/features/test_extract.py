"""Features on disk: what is computed again and what is not, and what a killed run leaves behind."""

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from drawing import draw_class, drawn_photograph, same_photograph
from loading import load_source
from systems import SIGNALS

from model.backbones.backbone import Backbone
from model.backbones.transforms import EVALUATION_VIEWS, view_names
from model.cache import Scratch
from model.features import extract as features
from model.features import shards
from model.features.extract import extract
from model.features.shards import FeatureCache, LostFeatures
from model.photographs import images
from model.photographs.dataset import Photos

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def photos(photos_dir: Callable[..., Path], cache_dir: Path) -> Photos:
    loaded = load_source(photos_dir(count=5), cache_dir=cache_dir)
    return loaded.splits["train"]


def counting(backbone: Backbone) -> list[int]:
    """Make a backbone count the pictures it is given, one entry a call."""
    calls: list[int] = []
    real = backbone.features

    def count(pixels: np.ndarray) -> np.ndarray:
        calls.append(len(pixels))
        return real(pixels)

    assert backbone.embed_dim  # its own call does not count
    backbone.features = count  # type: ignore[method-assign]
    return calls


def test_a_second_run_does_not_call_the_backbone(
    photos: Photos, tiny_backbone: Callable[..., Backbone], cache_dir: Path
):
    backbone = tiny_backbone()
    calls = counting(backbone)
    first = extract(backbone, photos, EVALUATION_VIEWS, cache_dir=cache_dir)
    assert sum(calls) == 2 * len(photos)
    assert first.shape == (len(photos), 2, backbone.embed_dim)
    assert first.dtype == np.float16
    again = tiny_backbone()
    calls = counting(again)
    second = extract(again, photos, EVALUATION_VIEWS, cache_dir=cache_dir)
    assert calls == []
    assert np.array_equal(first, second)


def test_features_are_those_of_the_rendered_views(
    photos: Photos, tiny_backbone: Callable[..., Backbone], cache_dir: Path
):

    backbone = tiny_backbone()
    views = view_names(1, 0)
    found = extract(backbone, photos, views, cache_dir=cache_dir)
    for number in (0, len(photos) - 1):
        image = images.decode(photos.paths[number])
        pixels = [backbone.transforms.view(image, v, photos.digests[number]) for v in views]
        expected = backbone.features(np.stack(pixels))
        assert np.allclose(found[number], expected, atol=2e-3 * np.abs(expected).max())


def test_the_mirror_view_is_the_flipped_centre_view(
    photos: Photos, tiny_backbone: Callable[..., Backbone], cache_dir: Path
):

    backbone = tiny_backbone()
    found = extract(backbone, photos, EVALUATION_VIEWS, cache_dir=cache_dir)
    centre = backbone.transforms.center(images.decode(photos.paths[0]))
    expected = backbone.features(centre[None, :, ::-1])[0]
    assert np.allclose(found[0, 1], expected, atol=2e-3 * np.abs(expected).max())
    assert not np.array_equal(found[0, 0], found[0, 1])


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"image_size": 64},
        {"framing": "pad"},
        {"interpolation": "bilinear"},
        {"stages": 1},
        {"name": "test_vit"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_cache_misses_when_weights_or_transforms_change(
    change: dict, photos: Photos, tiny_backbone: Callable[..., Backbone], cache_dir: Path
):
    extract(tiny_backbone(), photos, EVALUATION_VIEWS, cache_dir=cache_dir)
    changed = tiny_backbone(**change)
    calls = counting(changed)
    extract(changed, photos, EVALUATION_VIEWS, cache_dir=cache_dir)
    assert sum(calls) == 2 * len(photos)


@pytest.mark.parametrize(
    ("module", "constant"),
    [("photographs.images", "DECODER_VERSION"), ("features.shards", "VIEWS_VERSION")],
)
def test_cache_misses_when_decoder_or_views_change(
    module: str,
    constant: str,
    photos: Photos,
    tiny_backbone: Callable[..., Backbone],
    cache_dir: Path,
    monkeypatch,
):
    backbone = tiny_backbone()
    extract(backbone, photos, EVALUATION_VIEWS, cache_dir=cache_dir)
    monkeypatch.setattr(f"model.{module}.{constant}", 99)
    calls = counting(backbone)
    extract(backbone, photos, EVALUATION_VIEWS, cache_dir=cache_dir)
    assert sum(calls) == 2 * len(photos)


def test_only_a_changed_photograph_is_computed_again(
    photos_dir: Callable[..., Path], tiny_backbone: Callable[..., Backbone], cache_dir: Path
):
    folder = photos_dir(count=3, splits=("train", "valid"))
    backbone = tiny_backbone()
    before = load_source(folder, cache_dir=cache_dir).splits["train"]
    extract(backbone, before, EVALUATION_VIEWS, cache_dir=cache_dir)
    drawn_photograph(0.9, seed=12345).save(before.paths[4])
    before.paths[0].rename(before.paths[0].with_name("renamed.jpg"))  # the content is the key
    calls = counting(backbone)
    after = load_source(folder, cache_dir=cache_dir).splits["train"]
    extract(backbone, after, EVALUATION_VIEWS, cache_dir=cache_dir)
    assert calls == [2]


def test_more_views_compute_only_the_new_ones(
    photos: Photos, tiny_backbone: Callable[..., Backbone], cache_dir: Path
):
    backbone = tiny_backbone()
    two = extract(backbone, photos, view_names(0, 0), cache_dir=cache_dir)
    calls = counting(backbone)
    four = extract(backbone, photos, view_names(2, 0), cache_dir=cache_dir)
    assert sum(calls) == 2 * len(photos)
    assert np.array_equal(four[:, :2], two)
    assert not np.array_equal(four[:, 2], four[:, 3])


def test_another_seed_misses_random_views_only(
    photos: Photos, tiny_backbone: Callable[..., Backbone], cache_dir: Path
):
    backbone = tiny_backbone()
    first = extract(backbone, photos, view_names(1, 0), cache_dir=cache_dir)
    calls = counting(backbone)
    other = extract(backbone, photos, view_names(1, 7), cache_dir=cache_dir)
    assert sum(calls) == len(photos)
    assert np.array_equal(first[:, :2], other[:, :2])
    assert not np.array_equal(first[:, 2], other[:, 2])


def test_the_order_of_photographs_does_not_matter(
    photos: Photos, tiny_backbone: Callable[..., Backbone], cache_dir: Path
):
    backbone = tiny_backbone()
    straight = extract(backbone, photos, EVALUATION_VIEWS, cache_dir=cache_dir)
    order = np.random.default_rng(0).permutation(len(photos))
    calls = counting(backbone)
    shuffled = extract(backbone, photos.take(order), EVALUATION_VIEWS, cache_dir=cache_dir)
    assert calls == []
    assert np.array_equal(shuffled, straight[order])


def test_the_number_of_threads_does_not_matter(
    photos: Photos, tiny_backbone: Callable[..., Backbone], cache_dir: Path, tmp_path: Path
):
    backbone = tiny_backbone()
    one, four = (
        extract(backbone, photos, view_names(1, 0), cache_dir=tmp_path / str(w), workers=w)
        for w in (1, 4)
    )
    assert np.allclose(one, four, atol=2e-3 * np.abs(one).max())


def test_copies_are_computed_once(
    photos_dir: Callable[..., Path], tiny_backbone: Callable[..., Backbone], cache_dir: Path
):
    folder = photos_dir(count=3, splits=("train", "valid"))
    original = folder / "train" / "rose" / "000.jpg"
    same_photograph(original, *(original.with_name(f"copy{k}.jpg") for k in range(3)))
    photos = load_source(folder, cache_dir=cache_dir).splits["train"]
    assert len(photos) == 12
    backbone = tiny_backbone()
    calls = counting(backbone)
    found = extract(backbone, photos, EVALUATION_VIEWS, cache_dir=cache_dir)
    assert sum(calls) == 2 * 9
    copies = [i for i, digest in enumerate(photos.digests) if photos.digests.count(digest) > 1]
    assert len(copies) == 4
    assert all(np.array_equal(found[copies[0]], found[i]) for i in copies)


def damage_file(path: Path, how: str) -> None:
    """Cut, empty, overwrite or remove a file, or change one bit of it."""
    content = bytearray(path.read_bytes())
    if how == "gone":
        path.unlink()
        return
    content[len(content) // 2] ^= 1
    damaged = {"cut": content[:-100], "empty": b"", "text": b"not an array", "bit": content}
    path.write_bytes(damaged[how])


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "bit"])
def test_a_damaged_shard_is_computed_again(
    damage: str,
    photos: Photos,
    tiny_backbone: Callable[..., Backbone],
    cache_dir: Path,
    caplog: pytest.LogCaptureFixture,
):
    backbone = tiny_backbone()
    first = extract(backbone, photos, EVALUATION_VIEWS, cache_dir=cache_dir)
    (shard,) = FeatureCache(cache_dir, backbone).folder.glob("*.npy")
    damage_file(shard, damage)
    calls = counting(backbone)
    second = extract(backbone, photos, EVALUATION_VIEWS, cache_dir=cache_dir)
    assert sum(calls) == 2 * len(photos)
    assert np.allclose(first, second, atol=2e-3 * np.abs(first).max())
    assert f"{shard} is damaged" in caplog.text


@pytest.mark.parametrize("damage", ["cut", "empty", "bit", "gone"])
def test_a_shard_that_is_damaged_after_it_was_found_is_computed_again(
    damage: str,
    photos: Photos,
    tiny_backbone: Callable[..., Backbone],
    cache_dir: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch,
):
    backbone = tiny_backbone()
    first = extract(backbone, photos, EVALUATION_VIEWS, cache_dir=cache_dir)
    (shard,) = FeatureCache(cache_dir, backbone).folder.glob("*.npy")
    real = FeatureCache.gather

    def gather(cache: FeatureCache, keys: list[bytes]) -> np.ndarray:
        if shard.exists():
            damage_file(shard, damage)
        return real(cache, keys)

    monkeypatch.setattr(FeatureCache, "gather", gather)
    calls = counting(backbone)
    second = extract(backbone, photos, EVALUATION_VIEWS, cache_dir=cache_dir)
    assert sum(calls) == 2 * len(photos)
    assert np.array_equal(first, second)
    assert f"{shard} is damaged" in caplog.text


def test_a_cache_that_never_keeps_what_is_written_is_an_error(
    photos: Photos, tiny_backbone: Callable[..., Backbone], cache_dir: Path, monkeypatch
):
    def gather(cache: FeatureCache, keys: list[bytes]) -> np.ndarray:
        raise LostFeatures

    monkeypatch.setattr(FeatureCache, "gather", gather)
    with pytest.raises(OSError, match="does not keep what is written there"):
        extract(tiny_backbone(), photos, EVALUATION_VIEWS, cache_dir=cache_dir)


def test_a_shard_that_another_run_is_writing_is_left_alone(
    photos: Photos, tiny_backbone: Callable[..., Backbone], cache_dir: Path
):
    backbone = tiny_backbone()
    cache = FeatureCache(cache_dir, backbone)
    with shards.atomic_path(cache.folder / "shard.npy") as temporary:
        temporary.write_bytes(b"half a sha")
        other = FeatureCache(cache_dir, backbone)
        assert temporary.exists()
        assert len(list(other.folder.glob("[!.]*.npy"))) == 0


def test_an_error_keeps_what_was_computed(
    photos: Photos, tiny_backbone: Callable[..., Backbone], cache_dir: Path, monkeypatch
):
    monkeypatch.setattr(features, "_TASK_PHOTOGRAPHS", 2)
    backbone = tiny_backbone()
    real, calls = backbone.features, []

    def interrupted(pixels: np.ndarray) -> np.ndarray:
        calls.append(len(pixels))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(pixels)

    assert backbone.embed_dim
    monkeypatch.setattr(backbone, "features", interrupted)
    with pytest.raises(KeyboardInterrupt):
        extract(backbone, photos, EVALUATION_VIEWS, cache_dir=cache_dir, workers=1)
    monkeypatch.setattr(backbone, "features", real)
    calls = counting(backbone)
    extract(backbone, photos, EVALUATION_VIEWS, cache_dir=cache_dir)
    assert sum(calls) <= 2 * len(photos) - 8


def test_a_full_disk_is_named_and_the_next_run_goes_on_from_what_was_written(
    photos: Photos, tiny_backbone: Callable[..., Backbone], cache_dir: Path, monkeypatch
):
    monkeypatch.setattr(features, "_TASK_PHOTOGRAPHS", 1)
    monkeypatch.setattr(shards, "_SHARD_SECONDS", 0.0)  # a shard for every photograph
    backbone, written = tiny_backbone(), []
    real = Path.write_bytes

    def write(path: Path, content: bytes) -> int:
        if len(written) == 3:
            real(path, content[:100])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written.append(path)
        return real(path, content)

    folder = FeatureCache(cache_dir, backbone).folder
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", write)
        with pytest.raises(OSError, match=r"No space left on device\); 3 features are") as error:
            extract(backbone, photos, ["center"], cache_dir=cache_dir, workers=1)
    assert str(error.value).startswith(f"{folder} cannot be written")
    assert len(list(folder.iterdir())) == 3
    calls = counting(backbone)
    extract(backbone, photos, ["center"], cache_dir=cache_dir)
    assert sum(calls) == len(photos) - 3


def test_features_that_are_no_numbers_are_an_error(
    photos: Photos, tiny_backbone: Callable[..., Backbone], cache_dir: Path, monkeypatch
):
    backbone = tiny_backbone()
    width = backbone.embed_dim
    for bad in (np.nan, np.inf, 1e6):
        monkeypatch.setattr(
            backbone, "features", lambda pixels, bad=bad: np.full((len(pixels), width), bad)
        )
        with pytest.raises(ValueError, match="not finite numbers"):
            extract(backbone, photos, EVALUATION_VIEWS, cache_dir=cache_dir)


def test_a_photograph_that_was_replaced_after_the_check_stops_the_run_and_is_named(
    photos: Photos, tiny_backbone: Callable[..., Backbone], cache_dir: Path
):
    backbone = tiny_backbone()
    drawn_photograph(0.9, 777).save(photos.paths[2])
    with pytest.raises(ValueError, match=rf"{photos.paths[2]} has changed since it was checked"):
        extract(backbone, photos, EVALUATION_VIEWS, cache_dir=cache_dir)
    cache = FeatureCache(cache_dir, backbone)
    assert FeatureCache.key(photos.digests[2], EVALUATION_VIEWS[0]) not in cache


def test_a_photograph_that_has_vanished_is_an_error_with_its_path(
    photos: Photos, tiny_backbone: Callable[..., Backbone], cache_dir: Path
):
    photos.paths[2].unlink()
    with pytest.raises(ValueError, match=rf"{photos.paths[2]} no such file .*sound when it was"):
        extract(tiny_backbone(), photos, EVALUATION_VIEWS, cache_dir=cache_dir)


KILLED_RUN = """
import sys, time
from pathlib import Path
import pytest
sys.path[:0] = [{root!r}, {tests!r}]
import tiny
tiny.install(pytest.MonkeyPatch())
from model.backbones import backbone
from loading import load_source
from model.features import extract as features, shards
shards._SHARD_SECONDS = 0.0
features._TASK_PHOTOGRAPHS = 1
cache = Path({cache!r})
photos = load_source(Path({folder!r}), cache_dir=cache).splits["train"]
network = backbone.open_backbone("test_resnet", cache_dir=cache)
real, network.embed_dim = network.features, network.embed_dim
def slow(pixels):
    time.sleep(0.05)
    return real(pixels)
network.features = slow
print("started", flush=True)
features.extract(network, photos, ["center"], cache_dir=cache, workers=1)
print("finished", flush=True)
"""


@SIGNALS
def test_kill_9_keeps_the_written_shards_and_the_next_run_goes_on(
    photos_dir: Callable[..., Path], tiny_backbone: Callable[..., Backbone], cache_dir: Path
):
    folder = photos_dir(count=3, splits=("train", "valid"))
    draw_class(folder / "train" / "rose" / "more", 1, 3, 200)
    backbone = tiny_backbone()
    shards = FeatureCache(cache_dir, backbone).folder
    script = KILLED_RUN.format(
        root=str(ROOT), tests=str(ROOT / "tests"), cache=str(cache_dir), folder=str(folder)
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 60
        while len(list(shards.glob("*.npy"))) < 5:
            assert process.poll() is None, "it ended before it was killed"
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        os.kill(process.pid, signal.SIGKILL)
    output = process.communicate()[0]
    assert process.returncode == -signal.SIGKILL
    assert b"finished" not in output

    photos = load_source(folder, cache_dir=cache_dir).splits["train"]
    calls = counting(backbone)
    found = extract(backbone, photos, ["center"], cache_dir=cache_dir)
    assert len(photos) - 40 < sum(calls) <= len(photos) - 4
    assert np.isfinite(found).all()
    calls.clear()
    extract(backbone, photos, ["center"], cache_dir=cache_dir)
    assert calls == []


def test_many_features_are_mapped_from_a_file_that_is_gone(
    photos: Photos, tiny_backbone: Callable[..., Backbone], cache_dir: Path, monkeypatch
):
    backbone = tiny_backbone()
    first = extract(backbone, photos, EVALUATION_VIEWS, cache_dir=cache_dir)
    folder = FeatureCache(cache_dir, backbone).folder
    before = set(folder.iterdir())
    monkeypatch.setattr(shards, "Scratch", lambda folder: Scratch(folder, 100))
    mapped = extract(backbone, photos, EVALUATION_VIEWS, cache_dir=cache_dir)
    assert isinstance(mapped, np.memmap)
    assert np.array_equal(mapped, first)
    assert set(folder.iterdir()) == before
