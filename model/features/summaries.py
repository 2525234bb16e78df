"""Signatures and thumbnails of photographs that were checked, made where they are missing."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from model.cache import default_workers, progress_bar
from model.features.read import decode_again
from model.features.signatures import SIGNATURE_BYTES, summary
from model.features.store import PhotographStore
from model.photographs import images
from model.photographs.dataset import Photos

_CHUNK = 1024  # photographs that are in the queue at a time


def summarise(
    photos: Photos, *, cache_dir: Path, workers: int | None = None
) -> tuple[np.ndarray, list[bytes]]:
    """Return signatures and thumbnails; those made before are read from the store.

    Args:
        photos: N checked photographs.
        cache_dir: The cache folder.
        workers: Threads; by default one a core.

    Returns:
        Signatures uint8 `[N, 32]` and N thumbnails.

    Raises:
        ValueError: A file cannot be read any more, or has changed.
    """
    paths = dict(zip(photos.digests, photos.paths, strict=True))
    with PhotographStore(cache_dir, images.version()) as store:
        found = store.summaries(list(paths))
        missing = [digest for digest in paths if digest not in found]
        if missing:
            _make(store, paths, missing, workers or default_workers())
            found |= store.summaries(missing)
    if len(found) < len(paths):
        raise OSError(f"{cache_dir} does not keep what is written there. Give another --cache-dir.")
    rows = [found[digest] for digest in photos.digests]
    bits = np.frombuffer(b"".join(bits for bits, _ in rows), np.uint8)
    return bits.reshape(-1, SIGNATURE_BYTES), [jpeg for _, jpeg in rows]


def _make(store: PhotographStore, paths: dict[str, Path], missing: list[str], workers: int) -> None:
    """Decode the photographs that were checked by a run which wanted no thumbnails."""

    def one(digest: str) -> None:
        image = decode_again(paths[digest], digest)
        store.add_summary(digest, *summary(image))

    pool = ThreadPoolExecutor(workers)
    try:
        with progress_bar(len(missing), "Thumbnails") as bar:
            for start in range(0, len(missing), _CHUNK):
                for _ in pool.map(one, missing[start : start + _CHUNK]):
                    bar.update()
    finally:
        pool.shutdown(cancel_futures=True)
