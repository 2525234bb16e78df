"""Finds exact and near copies: features propose pairs, and pixels decide.

Features alone cannot decide: on flowers, a photograph that was shrunk and cropped can be further
from its original than two different photographs of one bed are from each other. So every photograph
is compared with its nearest neighbours pixel by pixel. Before that, one of the two is moved, scaled
and rotated so that it fits the other, or the mirror image of the other, as well as possible.
"""

import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from threadpoolctl import threadpool_limits

from model.cache import default_workers, progress_bar
from model.splits.alignment import SIDE, compare

LIMIT = 0.9
"""Similarity above which a pair counts as one shot; planted copies of flowers have 0.96 or more."""

NEIGHBOURS = 3
"""Number of nearest neighbours to compare with each photograph: of 121 pairs that eight neighbours
per flower found, 117 are among the nearest three."""

_COMPONENTS = 128  # principal components, both of features and of brightness
_SAMPLE = 600  # photographs from which the principal components are computed
_BLOCK = 1024  # photographs projected at a time
_BATCH = 256
_BLOCK_ELEMENTS = 2**25  # elements of the cosine matrix in memory at a time


class Pair(NamedTuple):
    """Two photographs that show the same shot.

    Attributes:
        first: Index of the earlier photograph.
        second: Index of the later photograph.
        similarity: 1 for identical bytes, else the correlation of details, 0 to 1.
    """

    first: int
    second: int
    similarity: float


def exact_pairs(digests: Sequence[str]) -> list[Pair]:
    """Pair every photograph with the first one that has the same bytes.

    Args:
        digests: N SHA-256 hashes of the contents.

    Returns:
        Pairs; k copies give k - 1 pairs.
    """
    first: dict[str, int] = {}
    places = [first.setdefault(digest, index) for index, digest in enumerate(digests)]
    return [Pair(place, index, 1.0) for index, place in enumerate(places) if place != index]


def groups_of(pairs: np.ndarray, count: int) -> np.ndarray:
    """Put photographs that are connected by pairs into groups.

    Args:
        pairs: int64 `[P, 2]`.
        count: N.

    Returns:
        int64 `[N]`; photographs with the same number form a group.
    """
    links = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    return connected_components(links, directed=False)[1].astype(np.int64)


def grey(thumbnails: Sequence[bytes]) -> np.ndarray:
    """Decode thumbnails for comparison.

    Args:
        thumbnails: N JPEGs, see `signatures.thumbnail`.

    Returns:
        uint8 `[N, S, S]`: each photograph in grey, stretched to a square.
    """
    result = np.empty((len(thumbnails), SIDE, SIDE), np.uint8)
    for row, thumbnail in enumerate(thumbnails):
        picture = Image.open(io.BytesIO(thumbnail)).convert("L")
        result[row] = np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC))
    return result


@threadpool_limits.wrap(limits=1, user_api="blas")  # this function starts its own threads
def similarities(pictures: np.ndarray, pairs: np.ndarray, workers: int | None = None) -> np.ndarray:
    """Compare photographs pixel by pixel.

    Args:
        pictures: uint8 `[N, S, S]`, see `grey`.
        pairs: int64 `[P, 2]`.
        workers: Threads; by default one per core.

    Returns:
        float64 `[P]`, see `alignment.compare`.
    """
    batches = [pairs[start : start + _BATCH] for start in range(0, len(pairs), _BATCH)]
    found = np.zeros(len(pairs))
    with (
        ThreadPoolExecutor(workers or default_workers()) as pool,
        progress_bar(len(pairs), "Comparing pairs") as bar,
    ):
        for number, part in enumerate(pool.map(lambda batch: compare(pictures, batch), batches)):
            found[number * _BATCH : number * _BATCH + len(part)] = part
            bar.update(len(part))
    return found


def candidates(vectors: np.ndarray, neighbours: int = NEIGHBOURS) -> np.ndarray:
    """Pair each photograph with its nearest neighbours by cosine.

    Args:
        vectors: float32 `[N, D]`.
        neighbours: How many neighbours to take for each photograph.

    Returns:
        int64 `[P, 2]`, each pair once, the earlier photograph first.
    """
    count = len(vectors)
    neighbours = min(neighbours, count - 1)
    if neighbours < 1:
        return np.empty((0, 2), np.int64)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)
    pairs = []
    step = max(1, _BLOCK_ELEMENTS // count)
    for start in range(0, count, step):
        rows = np.arange(start, min(start + step, count))
        cosines = unit[rows] @ unit.T
        places = np.arange(len(rows))
        cosines[places, rows] = -np.inf
        for _ in range(neighbours):  # faster than a partition, because few neighbours are wanted
            nearest = cosines.argmax(axis=1)
            cosines[places, nearest] = -np.inf
            pairs.append(np.stack([rows, nearest], axis=1))
    return np.unique(np.sort(np.concatenate(pairs), axis=1), axis=0)


@threadpool_limits.wrap(limits=1, user_api="blas")  # spinning threads cost more on a busy machine
def components(features: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
    """Return the first principal components of standardised features, computed from a sample.

    Args:
        features: `[N, V, D]`, any float type; the views are averaged.
        rows: int64 `[M]`, indices of the photographs to return; by default all.

    Returns:
        float32 `[M, R]`, where R is at most 128 and at most the size of the sample.
    """
    rows = np.arange(len(features)) if rows is None else rows
    count = len(rows)
    drawn = np.linspace(0, count - 1, min(count, _SAMPLE)).astype(np.int64)
    sample = features[rows[drawn]].mean(axis=1, dtype=np.float32)
    mean, deviation = sample.mean(axis=0), sample.std(axis=0)
    scale = np.where(deviation > 1e-6, 1 / np.maximum(deviation, 1e-6), 0).astype(np.float32)
    sample = (sample - mean) * scale
    # With the sample S [M, D] and S S' = U diag(s) U', S' U holds its principal directions.
    directions = sample.T @ np.linalg.eigh(sample @ sample.T)[1][:, -_COMPONENTS:]
    directions /= np.maximum(np.linalg.norm(directions, axis=0), 1e-6)
    blocks = (features[rows[start : start + _BLOCK]] for start in range(0, count, _BLOCK))
    projected = [(b.mean(axis=1, dtype=np.float32) - mean) * scale @ directions for b in blocks]
    return np.concatenate(projected)
