"""Copies of a photograph, recognised by a signature of its light and shade; and its thumbnail."""

import io
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from model.cache import default_workers, open_database, progress_bar, write_rows
from model.photographs import images
from model.photographs.dataset import Photos

SIGNATURE_BYTES = 32
_SIDE = 16  # fields a side; _SIDE**2 bits are SIGNATURE_BYTES
_THUMBNAIL_SIDE = 96  # px
_CHUNK = 1024  # photographs that are in the queue, or asked for, at a time
_COMPARED = 50  # photographs at a time
_LEAVE_ONE_OUT = 1000  # photographs whose nearest other one is searched for the threshold


def signature(image: Image.Image) -> np.ndarray:
    """Describe a photograph's light and shade coarsely: a copy of it differs in a few bits.

    Each bit says whether one of 17 x 16 fields is brighter than its left neighbour.

    Args:
        image: A decoded photograph, RGB.

    Returns:
        uint8 `[32]`, 256 bits.

    Source: N. Krawetz, "Kind of Like That" (difference hash), 2013.
    """
    size = (_SIDE + 1, _SIDE)
    grey = np.asarray(image.convert("L").resize(size, Image.Resampling.BOX)).astype(np.int16)
    return np.packbits((grey[:, 1:] > grey[:, :-1]).ravel())


def thumbnail(image: Image.Image) -> bytes:
    """Shrink a decoded photograph to a JPEG of at most 96 px a side, without metadata."""
    scale = min(1.0, _THUMBNAIL_SIDE / max(image.size))
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    small = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=1.5)
    small.info.clear()
    file = io.BytesIO()
    small.save(file, "JPEG", quality=80, optimize=True)
    return file.getvalue()


class Summaries:
    """Signatures and thumbnails on disk, by the photograph's content."""

    def __init__(self, cache_dir: Path) -> None:
        """Open the list.

        Args:
            cache_dir: The cache folder.
        """
        file = cache_dir / f"thumbnails-{images.DECODER_VERSION}.sqlite"
        columns = "thumbnail (digest BLOB PRIMARY KEY, signature BLOB, jpeg BLOB)"
        self._database = open_database(file, columns)
        self._lock = threading.Lock()
        self._new: list[tuple[bytes, bytes, bytes]] = []

    def __enter__(self) -> "Summaries":
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Write what was added, also when the run is interrupted, and close the list."""
        try:
            with self._lock:
                self._write()
        finally:
            self._database.close()

    def add(self, digest: str, image: Image.Image) -> None:
        """Summarise a decoded photograph; may be called from several threads.

        Args:
            digest: SHA-256 of the file's content, hexadecimal.
            image: RGB.
        """
        row = bytes.fromhex(digest)[:16], signature(image).tobytes(), thumbnail(image)
        with self._lock:
            self._new.append(row)
            if len(self._new) >= _CHUNK:
                self._write()

    def _write(self) -> None:
        if self._new:
            rows, self._new = self._new, []
            write_rows(self._database, "INSERT OR IGNORE INTO thumbnail VALUES (?, ?, ?)", rows)

    def find(self, digests: Sequence[str]) -> dict[str, tuple[bytes, bytes]]:
        """Read what is there.

        Args:
            digests: SHA-256 of contents, hexadecimal.

        Returns:
            Digest -> signature and thumbnail.
        """
        with self._lock:
            self._write()
        found = {}
        for start in range(0, len(digests), _CHUNK):
            keys = {
                bytes.fromhex(digest)[:16]: digest for digest in digests[start : start + _CHUNK]
            }
            marks = ",".join("?" * len(keys))
            query = f"SELECT digest, signature, jpeg FROM thumbnail WHERE digest IN ({marks})"
            for key, bits, jpeg in self._database.execute(query, list(keys)):
                found[keys[key]] = bits, jpeg
        return found


def summarise(
    photos: Photos, *, cache_dir: Path, workers: int | None = None
) -> tuple[np.ndarray, list[bytes]]:
    """Make signatures and thumbnails, in threads; those made before are read from the cache.

    Args:
        photos: N checked photographs.
        cache_dir: The cache folder.
        workers: Threads; by default one a core.

    Returns:
        Signatures uint8 `[N, 32]` and N thumbnails.

    Raises:
        ValueError: A file cannot be decoded any more.
    """
    wanted = dict(zip(photos.digests, photos.paths, strict=True))
    with Summaries(cache_dir) as summaries:
        found = summaries.find(list(wanted))
        missing = [digest for digest in wanted if digest not in found]
        if missing:
            _summarise_missing(summaries, wanted, missing, workers or default_workers())
            found |= summaries.find(missing)
    rows = [found[digest] for digest in photos.digests]
    bits = np.frombuffer(b"".join(bits for bits, _ in rows), np.uint8)
    return bits.reshape(-1, SIGNATURE_BYTES), [jpeg for _, jpeg in rows]


def _summarise_missing(
    summaries: Summaries, paths: dict[str, Path], missing: list[str], workers: int
) -> None:
    """Decode the photographs that were checked by a run which wanted no thumbnails."""

    def one(digest: str) -> None:
        path = paths[digest]
        try:
            summaries.add(digest, images.decode(path))
        except images.BadImageError as error:
            raise ValueError(f"{path} {error}; it was sound when it was checked.") from error

    pool = ThreadPoolExecutor(workers)
    try:
        with progress_bar(len(missing), "Thumbnails") as bar:
            for start in range(0, len(missing), _CHUNK):
                for _ in pool.map(one, missing[start : start + _CHUNK]):
                    bar.update()
    finally:
        pool.shutdown(cancel_futures=True)


def differing_bits(queries: np.ndarray, signatures: np.ndarray) -> np.ndarray:
    """Compare signatures.

    Args:
        queries: uint8 `[M, 32]`.
        signatures: uint8 `[N, 32]`.

    Returns:
        How many bits differ: uint16 `[M, N]`.
    """
    # eight bytes at a time; an array of the file may start at any byte
    columns = np.ascontiguousarray(np.ascontiguousarray(signatures).view(np.uint64).T)
    asked = np.ascontiguousarray(queries).view(np.uint64)
    bits = np.zeros((len(asked), len(signatures)), np.uint16)
    for row, words in zip(bits, asked, strict=True):
        for word, column in zip(words, columns, strict=True):
            row += np.bitwise_count(word ^ column)
    return bits


def same_below(signatures: np.ndarray) -> int:
    """Choose how many bits a copy may differ in, from how near different photographs are.

    Most photographs' nearest other one is a different photograph, and a copy differs in far fewer
    bits: a third of the median distance to it, so that the data set's own copies, being few, do
    not matter. Series of near-identical pictures lower the threshold with the median.
    """
    count = len(signatures)
    sample = np.linspace(0, count - 1, min(count, _LEAVE_ONE_OUT)).astype(np.int64)
    nearest = []
    for start in range(0, len(sample), _COMPARED):
        chosen = sample[start : start + _COMPARED]
        bits = differing_bits(signatures[chosen], signatures)
        bits[np.arange(len(chosen)), chosen] = 8 * signatures.shape[1]  # of itself: none is nearer
        nearest += bits.min(axis=1).tolist()
    return int(np.median(nearest) // 3)
