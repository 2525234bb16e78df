"""Summaries of checked photographs; those that are missing are made."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from model.cache import default_workers, progress_bar
from model.features.files import decode_again
from model.features.signatures import SIGNATURE_BYTES, summary
from model.features.store import PhotographStore
from model.photographs import images
from model.photographs.dataset import Photos
from model.photographs.exif import Shot

_CHUNK = 1024  # photographs that are in the queue at a time


class Summaries(NamedTuple):
    """Summaries of N photographs.

    Attributes:
        signatures: uint8 `[N, 32]`, from `signatures.signature`.
        thumbnails: N JPEGs of at most 96 px a side.
        shots: Camera and time of each photograph; None if the file does not say.
    """

    signatures: np.ndarray
    thumbnails: list[bytes]
    shots: list[Shot | None]

    def take(self, indices: Sequence[int]) -> "Summaries":
        """Return the summaries at these indices, in this order."""
        return Summaries(
            self.signatures[indices],
            [self.thumbnails[i] for i in indices],
            [self.shots[i] for i in indices],
        )


def summarise(photos: Photos, *, cache_dir: Path, workers: int | None = None) -> Summaries:
    """Summarise photographs; summaries from earlier runs are read from the store.

    Args:
        photos: N checked photographs.
        cache_dir: The cache folder.
        workers: Threads; by default one per core.

    Returns:
        N summaries.

    Raises:
        OSError: The store cannot be written, or loses what was written.
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
    bits = np.frombuffer(b"".join(row.signature for row in rows), np.uint8)
    return Summaries(
        bits.reshape(-1, SIGNATURE_BYTES),
        [row.thumbnail for row in rows],
        [row.shot for row in rows],
    )


def _make(store: PhotographStore, paths: dict[str, Path], missing: list[str], workers: int) -> None:
    """Summarise photographs that were checked by a run without summaries."""

    def one(digest: str) -> None:
        image = decode_again(paths[digest], digest, exif=True)
        store.add_summary(digest, summary(image))

    pool = ThreadPoolExecutor(workers)
    try:
        with progress_bar(len(missing), "Thumbnails") as bar:
            for start in range(0, len(missing), _CHUNK):
                for _ in pool.map(one, missing[start : start + _CHUNK]):
                    bar.update()
    finally:
        pool.shutdown(cancel_futures=True)
