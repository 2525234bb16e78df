"""Features of checked photographs; the backbone computes only those that are not in the cache."""

import contextlib
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np

from model.backbones.backbone import Backbone
from model.cache import default_workers, progress_bar
from model.features.cluster import Cluster
from model.features.shards import FeatureCache, LostFeatures, storable
from model.features.tasks import Task, batches, frame, together
from model.photographs.dataset import Photos

_TASK_PHOTOGRAPHS = 8
_ATTEMPTS = 3  # to compute what is missing, as shards may turn out to be damaged


def extract(
    backbone: Backbone,
    photos: Photos,
    views: Sequence[str],
    *,
    cache_dir: Path,
    workers: int | None = None,
    title: str = "Computing features",
    cluster: Cluster | None = None,
) -> np.ndarray:
    """Return the features of photographs, computing only those that are not in the cache.

    Args:
        backbone: The backbone.
        photos: N checked photographs.
        views: V view names, as `transforms.view_names`.
        cache_dir: The cache folder.
        workers: Threads that decode, and that also run the backbone if it takes pictures one by
            one; by default one per core.
        title: Title of the progress bar.
        cluster: Ray cluster whose workers compute features with this backbone; None for threads of
            this process.

    Returns:
        float16 `[N, V, D]`; a large array is mapped from a temporary file.

    Raises:
        OSError: The cache cannot be written, its disk is full, or it loses what was written.
        ValueError: A file cannot be read any more or has changed, or a feature is not a finite
            number.
    """
    cache = FeatureCache(cache_dir, backbone)
    keys = [[cache.key(digest, view) for view in views] for digest in photos.digests]
    for _ in range(_ATTEMPTS):
        if tasks := _missing(cache, photos, keys, views):
            computed = (
                cluster.features(batches(tasks, backbone.batch_size))
                if cluster
                else _in_threads(backbone, tasks, workers or default_workers())
            )
            _run(backbone, cache, tasks, computed, title)
        try:
            flat = cache.gather([key for row in keys for key in row])
        except LostFeatures:
            continue
        return flat.reshape(len(photos), len(views), -1)
    raise OSError(
        f"{cache.folder} does not keep what is written there. Give another --cache-dir, and check "
        "the disk."
    )


def _missing(
    cache: FeatureCache, photos: Photos, keys: Sequence[Sequence[bytes]], views: Sequence[str]
) -> list[Task]:
    """Collect the views that are not in the cache; of identical files, only the first is used."""
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
    backbone: Backbone,
    cache: FeatureCache,
    tasks: list[Task],
    computed: Generator[list[np.ndarray]],
    title: str,
) -> None:
    """Write missing features to the cache as they are computed, even if the run is interrupted.

    Args:
        backbone: The backbone.
        cache: The cache they are written to.
        tasks: The photographs and views whose features are missing.
        computed: Yields the features of each of the tasks' `batches`, one array per task.
        title: Title of the progress bar.
    """
    try:
        with (
            progress_bar(sum(len(pictures) for pictures, _ in tasks), title) as bar,
            contextlib.closing(computed),
        ):
            for batch in batches(tasks, backbone.batch_size):
                for (pictures, views), features in zip(batch, next(computed), strict=True):
                    rows = storable(backbone, features, pictures[0][0])
                    keys = (cache.key(digest, view) for _, digest in pictures for view in views)
                    cache.add(zip(keys, rows, strict=True))
                    bar.update(len(pictures))
    finally:
        cache.flush()


def _in_threads(backbone: Backbone, tasks: list[Task], workers: int) -> Generator[list[np.ndarray]]:
    """Compute features in this process.

    All cores decode. A backbone that takes pictures one by one runs in the decoding threads. A
    backbone that takes many at once, such as one on a GPU, runs in the calling thread, because it
    would create its handles and buffers again in every other thread.
    """
    pool = ThreadPoolExecutor(workers)
    one_by_one = backbone.batch_size == 1

    def work(task: Task) -> np.ndarray:
        pixels = frame(backbone, task)
        return backbone.features(pixels) if one_by_one else pixels

    try:
        results = _ahead(pool, work, tasks, 4 * workers)
        for batch in batches(tasks, backbone.batch_size):
            made = [next(results) for _ in batch]
            yield made if one_by_one else together(backbone, made)
    finally:
        pool.shutdown(cancel_futures=True)


def _ahead(
    pool: ThreadPoolExecutor,
    work: Callable[[Task], np.ndarray],
    tasks: Sequence[Task],
    count: int,
) -> Iterator[np.ndarray]:
    """Yield results in order; at most `count` tasks are in progress or wait to be yielded."""
    futures: deque[Future[np.ndarray]] = deque()
    for task in tasks:
        futures.append(pool.submit(work, task))
        if len(futures) >= count:
            yield futures.popleft().result()
    while futures:
        yield futures.popleft().result()
