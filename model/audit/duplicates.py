"""Exact and near duplicates: features propose pairs, pixels decide.

Features alone cannot tell: on flowers, a photograph that was shrunk and cropped can lie further
from its original than two photographs of one bed lie from each other. So every photograph is
compared with its nearest neighbours pixel by pixel, after one was scaled and shifted to fit the
other, or its mirror image, as well as it can.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from model.audit.alignment import SIDE, compare
from model.cache import default_workers, progress_bar
from model.features.read import decode_again
from model.photographs.dataset import Photos

LIMIT = 0.9
"""Similarity from which a pair is reported; on flowers, planted copies have 0.97 and more."""

NEIGHBOURS = 8
"""How many of a photograph's nearest neighbours are looked at."""

_BATCH = 256

BLOCK_ELEMENTS = 2**25
"""Elements of the similarity matrix that are in memory at a time."""


class Pair(NamedTuple):
    """Two photographs that are one.

    Attributes:
        first: Index of the one that comes first.
        second: Index of the other.
        similarity: 1 for the same bytes, else the correlation of details, `LIMIT` to 1.
    """

    first: int
    second: int
    similarity: float


def exact_pairs(digests: Sequence[str]) -> list[Pair]:
    """Pair every photograph whose bytes came before with the first that had them.

    Args:
        digests: N SHA-256 of the contents.

    Returns:
        Pairs, k - 1 of k copies.
    """
    first: dict[str, int] = {}
    places = [first.setdefault(digest, index) for index, digest in enumerate(digests)]
    return [Pair(place, index, 1.0) for index, place in enumerate(places) if place != index]


def near_pairs(photos: Photos, features: np.ndarray, *, workers: int | None = None) -> list[Pair]:
    """Find photographs that show the same shot: resized, recompressed, mirrored, cropped, edited.

    Args:
        photos: N photographs, no two with the same bytes.
        features: float32 `[N, D]`, alike for a photograph and its mirror image.
        workers: Threads; by default one a core.

    Returns:
        Pairs, the most similar first.

    Raises:
        ValueError: A file cannot be read any more, or has changed.
    """
    pairs = candidates(features)
    if not len(pairs):
        return []
    thumbnails = _thumbnails(photos, workers or default_workers())
    starts = range(0, len(pairs), _BATCH)
    with (
        ThreadPoolExecutor(workers or default_workers()) as pool,
        progress_bar(len(pairs), "Comparing pairs") as bar,
    ):
        found: list[Pair] = []
        batches = (pairs[start : start + _BATCH] for start in starts)
        for batch, similarities in pool.map(lambda b: (b, compare(thumbnails, b)), batches):
            found += [
                Pair(int(a), int(b), round(float(similarity), 6))
                for (a, b), similarity in zip(batch, similarities, strict=True)
                if similarity >= LIMIT
            ]
            bar.update(len(batch))
    return sorted(found, key=lambda pair: (-pair.similarity, pair.first, pair.second))


def groups_of(pairs: Sequence[Pair], count: int) -> list[np.ndarray]:
    """Join pairs that share a photograph.

    Args:
        pairs: The pairs.
        count: N.

    Returns:
        Groups of indices, int64 `[m]` with m of 2 or more.
    """
    ends = np.array([pair[:2] for pair in pairs], dtype=np.int64).reshape(-1, 2)
    links = coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(count, count))
    _, component = connected_components(links, directed=False)
    members = np.unique(ends)
    order = members[np.argsort(component[members], kind="stable")]
    cuts = np.flatnonzero(np.diff(component[order])) + 1
    return np.split(order, cuts) if len(order) else []


def candidates(features: np.ndarray) -> np.ndarray:
    """Pair each photograph with its nearest neighbours by cosine.

    Args:
        features: float32 `[N, D]`.

    Returns:
        int64 `[P, 2]`, each pair once, the photograph that comes first in front.
    """
    count = len(features)
    neighbours = min(NEIGHBOURS, count - 1)
    if neighbours < 1:
        return np.empty((0, 2), np.int64)
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    unit = (features / np.maximum(lengths, 1e-12)).astype(np.float32)
    pairs = []
    step = max(1, BLOCK_ELEMENTS // count)
    for start in range(0, count, step):
        rows = np.arange(start, min(start + step, count))
        cosines = unit[rows] @ unit.T
        cosines[np.arange(len(rows)), rows] = -np.inf
        nearest = np.argpartition(-cosines, neighbours - 1, axis=1)[:, :neighbours]
        pairs.append(np.stack([np.repeat(rows, neighbours), nearest.ravel()], axis=1))
    return np.unique(np.sort(np.concatenate(pairs), axis=1), axis=0)


def _thumbnails(photos: Photos, workers: int) -> np.ndarray:
    """Return uint8 `[N, S, S]`: every photograph in grey, squashed to a square."""

    def render(number: int) -> np.ndarray:
        grey = decode_again(photos.paths[number], photos.digests[number]).convert("L")
        return np.asarray(
            grey.resize((SIDE, SIDE), Image.Resampling.BICUBIC, reducing_gap=3.0), np.uint8
        )

    result = np.empty((len(photos), SIDE, SIDE), np.uint8)
    with (
        ThreadPoolExecutor(workers) as pool,
        progress_bar(len(photos), "Drawing thumbnails") as bar,
    ):
        for start in range(0, len(photos), 1024):  # a queue of bounded length
            chunk = range(start, min(start + 1024, len(photos)))
            for row, thumbnail in enumerate(pool.map(render, chunk), start):
                result[row] = thumbnail
                bar.update()
    return result
