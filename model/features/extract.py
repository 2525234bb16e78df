"""Features of photographs: each goes through the backbone once a view, then stays on disk."""

import hashlib
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path

import numpy as np
from PIL import Image

from model.backbones.backbone import Backbone
from model.backbones.spec import EXTRACTOR_VERSION
from model.backbones.transforms import EVALUATION_VIEWS, VIEWS_VERSION
from model.cache import atomic_path, default_workers, progress_bar
from model.photographs import images
from model.photographs.dataset import Photos

_TASK_PHOTOGRAPHS = 8  # CUDA wants some at once; ONNX Runtime takes them one by one
_SHARD_SECONDS = 15.0  # what a killed run loses at most
_SHARD_ROWS = 4096
_IN_MEMORY = 500_000_000  # bytes; features beyond are mapped from a temporary file


class FeatureCache:
    """Features on disk for one backbone: `.npy` shards of (key, features), each written at once.

    A key names a photograph's content and a view; the folder names backbone weights, transforms
    and the versions of decoder and views. Nothing is ever changed in place.
    """

    def __init__(self, cache_dir: Path, backbone: Backbone) -> None:
        """Open the cache and index its shards.

        Args:
            cache_dir: The cache folder.
            backbone: Whose features these are.
        """
        versions = f"{images.DECODER_VERSION}.{VIEWS_VERSION}.{EXTRACTOR_VERSION}"
        self.folder = cache_dir / "features" / f"{backbone.spec.key}-{versions}"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.dtype = np.dtype([("key", "V16"), ("features", "<f2", (backbone.embed_dim,))])
        self.notes: list[str] = []
        self._shards: list[np.ndarray] = []
        self._rows: dict[bytes, tuple[int, int]] = {}
        self._pending: list[tuple[bytes, np.ndarray]] = []
        self._written = time.monotonic()
        for path in sorted(self.folder.glob("[!.]*.npy")):
            self._index(path)

    def _index(self, path: Path) -> None:
        try:
            shard = np.load(path, mmap_mode="r")
            if shard.dtype != self.dtype:
                raise ValueError(f"holds {shard.dtype}")
        except (ValueError, EOFError, OSError) as error:
            self.notes.append(f"Cache file {path} is damaged ({error}); it is computed again.")
            path.unlink(missing_ok=True)
            return
        number = len(self._shards)
        self._shards.append(shard)
        for row, key in enumerate(shard["key"].tolist()):
            self._rows[key] = (number, row)

    @staticmethod
    def key(digest: str, view: str) -> bytes:
        """Return the key of a photograph (hexadecimal SHA-256) and view."""
        return hashlib.sha256(f"{digest} {view}".encode()).digest()[:16]

    def __contains__(self, key: bytes) -> bool:
        """Tell whether these features are on disk."""
        return key in self._rows

    def add(self, rows: Iterable[tuple[bytes, np.ndarray]]) -> None:
        """Add computed features; written when there are enough, or after some seconds."""
        self._pending += rows
        age = time.monotonic() - self._written
        if len(self._pending) >= _SHARD_ROWS or age >= _SHARD_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what was added as one shard."""
        if self._pending:
            shard = np.empty(len(self._pending), self.dtype)
            for row, (key, features) in enumerate(self._pending):
                shard[row] = (key, features)
            path = self.folder / f"{uuid.uuid4().hex}.npy"
            with atomic_path(path) as temporary:
                np.save(temporary, shard)
            self._index(path)
            self._pending = []
        self._written = time.monotonic()

    def gather(self, keys: Sequence[bytes]) -> np.ndarray:
        """Read features.

        Args:
            keys: N keys, all on disk.

        Returns:
            float16 `[N, D]`; where they are many, mapped from a file that nobody else sees, so
            that the system may take their memory back.
        """
        places = np.array([self._rows[key] for key in keys], dtype=np.int64).reshape(-1, 2)
        shape = (len(keys), self.dtype["features"].shape[0])
        if 2 * shape[0] * shape[1] <= _IN_MEMORY:
            result = np.empty(shape, np.float16)
        else:
            with tempfile.TemporaryFile(dir=self.folder) as file:
                result = np.memmap(file, np.float16, "w+", shape=shape)
        for number in np.unique(places[:, 0]):
            chosen = np.flatnonzero(places[:, 0] == number)
            result[chosen] = self._shards[number]["features"][places[chosen, 1]]
        return result


class EvaluationFeatures:
    """Features of the views that prediction averages, computed while a photograph is checked.

    It need not be decoded again then. Every photograph needs them, whichever split it will be in;
    `extract` computes what is missing.
    """

    def __init__(self, cache_dir: Path, backbone: Backbone) -> None:
        """Open the cache.

        Args:
            cache_dir: The cache folder.
            backbone: Whose features these are.
        """
        self._cache, self._backbone = FeatureCache(cache_dir, backbone), backbone
        self._lock = threading.Lock()

    def __enter__(self) -> "EvaluationFeatures":
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Write what was added, also when the run is interrupted."""
        with self._lock:
            self._cache.flush()
        for note in self._cache.notes:
            print(note, file=sys.stderr)

    @staticmethod
    def suit(backbone: Backbone) -> bool:
        """Tell whether photographs one by one, as `images.decode` gives them, are what it wants."""
        by_one = backbone.engine == "ONNX Runtime"
        return by_one and backbone.transforms.least_side == images.LEAST_SIDE

    def add(self, digest: str, image: Image.Image) -> None:
        """Compute the features of a decoded photograph; may be called from several threads.

        Args:
            digest: SHA-256 of the file's content, hexadecimal.
            image: RGB.

        Raises:
            ValueError: A feature is not a finite number.
        """
        keys = {view: self._cache.key(digest, view) for view in EVALUATION_VIEWS}
        missing = [view for view, key in keys.items() if key not in self._cache]
        if not missing:
            return
        pixels = np.stack(self._backbone.transforms.views(image, missing, digest))
        features = _storable(self._backbone, self._backbone.features(pixels), digest)
        with self._lock:
            self._cache.add((keys[view], row) for view, row in zip(missing, features, strict=True))


def _storable(backbone: Backbone, features: np.ndarray, photograph: object) -> np.ndarray:
    """Return features as float16, in which they are kept.

    Raises:
        ValueError: A feature is not a finite number there.
    """
    if not np.isfinite(features).all() or np.abs(features).max() > 65504:
        raise ValueError(
            f"Backbone {backbone.spec.name} gives features that are not finite numbers "
            f"(first photograph: {photograph})."
        )
    return features.astype(np.float16)


def compute(
    backbone: Backbone, pictures: Sequence[tuple[Path, str]], views: Sequence[str]
) -> np.ndarray:
    """Decode photographs, render the views and run the backbone.

    Args:
        backbone: The backbone.
        pictures: N (path, SHA-256) pairs.
        views: V view names.

    Returns:
        float32 `[N, V, D]`.

    Raises:
        ValueError: A file cannot be decoded any more.
    """
    pixels = []
    for path, digest in pictures:
        try:
            image = images.decode(path, least_side=backbone.transforms.least_side)
        except images.BadImageError as error:
            raise ValueError(f"{path} {error}; it was sound when it was checked.") from error
        pixels += backbone.transforms.views(image, views, digest)
    features = backbone.features(np.stack(pixels))
    return features.reshape(len(pictures), len(views), -1)


def extract(
    backbone: Backbone,
    photos: Photos,
    views: Sequence[str],
    *,
    cache_dir: Path,
    workers: int | None = None,
    title: str = "Computing features",
) -> np.ndarray:
    """Return the features of photographs, computing only those that are not in the cache.

    Args:
        backbone: The backbone.
        photos: N checked photographs.
        views: V view names, as `transforms.view_names`.
        cache_dir: The cache folder.
        workers: Threads; each decodes and runs the backbone on its own. By default one a core.
        title: What the progress bar says.

    Returns:
        float16 `[N, V, D]`.

    Raises:
        ValueError: A file cannot be decoded any more, or a feature is not a finite number.
    """
    cache = FeatureCache(cache_dir, backbone)
    keys = [[cache.key(digest, view) for view in views] for digest in photos.digests]
    groups: dict[tuple[str, ...], list[tuple[Path, str]]] = {}
    seen: set[str] = set()
    for path, digest, row in zip(photos.paths, photos.digests, keys, strict=True):
        missing = tuple(view for view, key in zip(views, row, strict=True) if key not in cache)
        if missing and digest not in seen:
            seen.add(digest)
            groups.setdefault(missing, []).append((path, digest))
    tasks = [
        (group[start : start + _TASK_PHOTOGRAPHS], missing)
        for missing, group in groups.items()
        for start in range(0, len(group), _TASK_PHOTOGRAPHS)
    ]
    if tasks:
        _run(backbone, cache, tasks, workers or default_workers(), title)
    for note in cache.notes:
        print(note, file=sys.stderr)
    flat = cache.gather([key for row in keys for key in row])
    return flat.reshape(len(photos), len(views), -1)


def _run(
    backbone: Backbone,
    cache: FeatureCache,
    tasks: list[tuple[list[tuple[Path, str]], tuple[str, ...]]],
    workers: int,
    title: str,
) -> None:
    """Compute the missing features in threads, and keep them even when the run is interrupted."""
    total = sum(len(pictures) for pictures, _ in tasks)
    pool = ThreadPoolExecutor(workers)
    try:
        with progress_bar(total, title) as bar:
            futures: dict[Future[np.ndarray], int] = {
                pool.submit(compute, backbone, *task): number for number, task in enumerate(tasks)
            }
            for future in as_completed(futures):
                pictures, views = tasks[futures.pop(future)]
                features = _storable(backbone, future.result(), pictures[0][0])
                cache.add(
                    (cache.key(digest, view), features[row, column])
                    for row, (_, digest) in enumerate(pictures)
                    for column, view in enumerate(views)
                )
                bar.update(len(pictures))
    finally:
        pool.shutdown(cancel_futures=True)
        cache.flush()
