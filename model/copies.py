"""Copies of a photograph, recognised by a signature of its light and shade; and its thumbnail."""

import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from model import images
from model.cache import default_workers

SIGNATURE_BYTES = 32
_SIDE = 16  # fields a side; _SIDE**2 bits are SIGNATURE_BYTES
_THUMBNAIL_SIDE = 96  # px
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
    small = image.copy()
    small.thumbnail((_THUMBNAIL_SIDE, _THUMBNAIL_SIDE), Image.Resampling.LANCZOS)
    small.info.clear()
    file = io.BytesIO()
    small.save(file, "JPEG", quality=80, optimize=True)
    return file.getvalue()


def summarise(paths: Sequence[Path], workers: int | None = None) -> tuple[np.ndarray, list[bytes]]:
    """Decode photographs once for their signatures and thumbnails, in threads.

    Args:
        paths: N checked photographs.
        workers: Threads; by default one a core.

    Returns:
        Signatures uint8 `[N, 32]` and N thumbnails.

    Raises:
        BadImageError: A file cannot be decoded any more.
    """

    def one(path: Path) -> tuple[np.ndarray, bytes]:
        image = images.decode(path)
        return signature(image), thumbnail(image)

    with ThreadPoolExecutor(workers or default_workers()) as pool:
        results = list(pool.map(one, paths))
    return np.stack([bits for bits, _ in results]), [jpeg for _, jpeg in results]


def differing_bits(queries: np.ndarray, signatures: np.ndarray) -> np.ndarray:
    """Compare signatures.

    Args:
        queries: uint8 `[M, 32]`.
        signatures: uint8 `[N, 32]`.

    Returns:
        How many bits differ: uint16 `[M, N]`.
    """
    rows = [np.bitwise_count(query ^ signatures).sum(axis=1, dtype=np.uint16) for query in queries]
    return np.stack(rows)


def same_below(signatures: np.ndarray) -> int:
    """Choose how many bits a copy may differ in, from how near different photographs are.

    Most photographs' nearest other one is a different photograph, and a copy differs in far fewer
    bits: a third of the median distance to it, so that the data set's own copies, being few, do
    not matter. Series of near-identical pictures lower the threshold with the median.
    """
    count = len(signatures)
    sample = np.linspace(0, count - 1, min(count, _LEAVE_ONE_OUT)).astype(np.int64)
    nearest = []
    for index in sample.tolist():
        bits = differing_bits(signatures[index][None], signatures)[0]
        bits[index] = np.iinfo(bits.dtype).max
        nearest.append(min(int(bits.min()), 8 * signatures.shape[1]))
    return int(np.median(nearest) // 3)
