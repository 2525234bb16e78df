"""Features of checked photographs: those that no earlier run computed go through the backbone."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np

from model.backbones.backbone import Backbone
from model.cache import default_workers, progress_bar
from model.features.read import decode_again
from model.features.shards import FeatureCache, LostFeatures, storable
from model.photographs.dataset import Photos

_TASK_PHOTOGRAPHS = 8
_ATTEMPTS = 3  # to have all features, where shards turn out to be damaged

Task = tuple[list[tuple[Path, str]], tuple[str, ...]]
"""Photographs (path and SHA-256), and the views of them that are missing."""


def frame(backbone: Backbone, task: Task) -> np.ndarray:
    """Decode photographs and render the views.

    Args:
        backbone: The backbone.
        task: N photographs and V views.

    Returns:
        uint8 `[N * V, S, S, 3]`, the views of each side by side.

    Raises:
        ValueError: A file cannot be read any more, or has changed.
    """
    pixels = []
    for path, digest in task[0]:
        image = decode_again(path, digest, least_side=backbone.transforms.least_side)
        pixels += backbone.transforms.views(image, task[1], digest)
    return np.stack(pixels)


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
        workers: Threads that decode, and run the backbone where it takes pictures one by one; by
            default one a core.
        title: What the progress bar says.

    Returns:
        float16 `[N, V, D]`.

    Raises:
        OSError: The cache cannot be written, or does not keep what is written.
        ValueError: A file cannot be read any more or has changed, or a feature is no number.
    """
    cache = FeatureCache(cache_dir, backbone)
    keys = [[cache.key(digest, view) for view in views] for digest in photos.digests]
    for _ in range(_ATTEMPTS):
        if tasks := _missing(cache, photos, keys, views):
            _run(backbone, cache, tasks, workers or default_workers(), title)
        try:
            flat = cache.gather([key for row in keys for key in row])
        except LostFeatures:
            continue
        return flat.reshape(len(photos), len(views), -1)
    raise OSError(
        f"{cache.folder} does not keep what is written there. Give another --cache-dir, and have "
        "the disk checked."
    )


def _missing(
    cache: FeatureCache, photos: Photos, keys: Sequence[Sequence[bytes]], views: Sequence[str]
) -> list[Task]:
    """Gather the views that are not in the cache; of copies, those of the first."""
    groups: dict[tuple[str, ...], list[tuple[Path, str]]] = {}
    seen: set[str] = set()
    for path, digest, row in zip(photos.paths, photos.digests, keys, strict=True):
        missing = tuple(view for view, key in zip(views, row, strict=True) if key not in cache)
        if missing and digest not in seen:
            seen.add(digest)
            groups.setdefault(missing, []).append((path, digest))
    return [
        (group[start : start + _TASK_PHOTOGRAPHS], missing)
        for missing, group in groups.items()
        for start in range(0, len(group), _TASK_PHOTOGRAPHS)
    ]


def _run(
    backbone: Backbone, cache: FeatureCache, tasks: list[Task], workers: int, title: str
) -> None:
    """Compute the missing features, and keep them even when the run is interrupted.

    Decoding takes all cores. A backbone that takes pictures one by one runs in the same threads;
    one that wants many at once, as a GPU does, runs in this thread, beside them: it would make its
    handles and buffers anew in every other.
    """
    pool = ThreadPoolExecutor(workers)
    one_by_one = backbone.batch_size == 1

    def work(task: Task) -> tuple[Task, np.ndarray]:
        pixels = frame(backbone, task)
        return task, backbone.features(pixels) if one_by_one else pixels

    def keep(task: Task, features: np.ndarray) -> None:
        (pictures, views), rows = task, storable(backbone, features, task[0][0][0])
        keys = (cache.key(digest, view) for _, digest in pictures for view in views)
        cache.add(zip(keys, rows, strict=True))
        bar.update(len(pictures))

    try:
        with progress_bar(sum(len(pictures) for pictures, _ in tasks), title) as bar:
            waiting: list[tuple[Task, np.ndarray]] = []
            for task, result in _ahead(pool, work, tasks, 4 * workers):
                if one_by_one:
                    keep(task, result)
                    continue
                waiting.append((task, result))
                if sum(len(pixels) for _, pixels in waiting) >= backbone.batch_size:
                    _together(backbone, waiting, keep)
            _together(backbone, waiting, keep)
    finally:
        pool.shutdown(cancel_futures=True)
        cache.flush()


def _together(
    backbone: Backbone,
    waiting: list[tuple[Task, np.ndarray]],
    keep: Callable[[Task, np.ndarray], None],
) -> None:
    """Compute the features of several tasks in one call, and empty the list."""
    if waiting:
        features = backbone.features(np.concatenate([pixels for _, pixels in waiting]))
        ends = np.cumsum([len(pixels) for _, pixels in waiting])[:-1]
        for (task, _), rows in zip(waiting, np.split(features, ends), strict=True):
            keep(task, rows)
        waiting.clear()


def _ahead(
    pool: ThreadPoolExecutor,
    work: Callable[[Task], tuple[Task, np.ndarray]],
    tasks: Sequence[Task],
    count: int,
) -> Iterator[tuple[Task, np.ndarray]]:
    """Yield results in order, while `count` tasks at most are worked on or wait to be taken."""
    futures: deque[Future[tuple[Task, np.ndarray]]] = deque()
    for task in tasks:
        futures.append(pool.submit(work, task))
        if len(futures) >= count:
            yield futures.popleft().result()
    while futures:
        yield futures.popleft().result()
