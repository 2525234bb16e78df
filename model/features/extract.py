"""Features of checked photographs: those that no earlier run computed go through the backbone."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path

import numpy as np

from model.backbones.backbone import Backbone
from model.cache import default_workers, progress_bar
from model.features.read import read_again
from model.features.shards import FeatureCache, storable
from model.photographs import images
from model.photographs.dataset import Photos

_TASK_PHOTOGRAPHS = 8  # CUDA wants some at once; ONNX Runtime takes them one by one


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
        ValueError: A file cannot be read any more, or has changed.
    """
    pixels = []
    for path, digest in pictures:
        content = read_again(path, digest)
        image = images.decode(content, least_side=backbone.transforms.least_side)
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
        ValueError: A file cannot be read any more or has changed, or a feature is no number.
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
                features = storable(backbone, future.result(), pictures[0][0])
                cache.add(
                    (cache.key(digest, view), features[row, column])
                    for row, (_, digest) in enumerate(pictures)
                    for column, view in enumerate(views)
                )
                bar.update(len(pictures))
    finally:
        pool.shutdown(cancel_futures=True)
        cache.flush()
