"""Compares pairs of photographs pixel by pixel, each pair once, and keeps the results on disk."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from model.features.store import PhotographStore
from model.photographs import images
from model.splits import alignment, copies

_EXCEEDED = 0.1
_DRAWN = 300  # random pairs that measure how similar different photographs are


class Comparisons:
    """The similarities of N photographs; pairs that an earlier run compared come from the cache."""

    def __init__(
        self,
        digests: Sequence[str],
        thumbnails: Sequence[bytes],
        *,
        cache_dir: Path,
        workers: int | None = None,
    ) -> None:
        """Prepare the comparison without comparing anything yet.

        Args:
            digests: N SHA-256 hashes of the contents.
            thumbnails: N JPEGs, see `signatures.thumbnail`.
            cache_dir: The cache folder.
            workers: Threads; by default one per core.
        """
        self._digests, self._thumbnails = digests, thumbnails
        self._cache_dir, self._workers = cache_dir, workers

    def light(self) -> np.ndarray:
        """Describe the brightness of each photograph and its mirror image: `[N, 2, 256]`."""
        pictures = copies.grey(self._thumbnails)
        fields = pictures.reshape(len(pictures), 16, 4, 16, 4).mean(axis=(2, 4), dtype=np.float32)
        both = np.stack([fields, fields[:, :, ::-1]], axis=1)
        return both.reshape(len(pictures), 2, -1)

    def similarities(self, pairs: np.ndarray) -> np.ndarray:
        """Return the similarities of pairs.

        Args:
            pairs: int64 `[P, 2]`.

        Returns:
            float64 `[P]`, see `alignment.compare`.
        """
        # The second photograph is fitted to the first, so the order must not depend on the caller.
        swapped = [self._digests[a] > self._digests[b] for a, b in pairs.tolist()]
        pairs = np.where(np.array(swapped, bool)[:, None], pairs[:, ::-1], pairs)
        keys = [(self._digests[a], self._digests[b]) for a, b in pairs.tolist()]
        with PhotographStore(self._cache_dir, images.version()) as store:
            known = store.similarities(keys, alignment.VERSION)
            missing = np.array([i for i, key in enumerate(keys) if key not in known], np.int64)
            if len(missing):
                members, places = np.unique(pairs[missing], return_inverse=True)
                pictures = copies.grey([self._thumbnails[i] for i in members])
                computed = copies.similarities(pictures, places.reshape(-1, 2), self._workers)
                found = dict(zip([keys[i] for i in missing], computed.tolist(), strict=True))
                store.add_similarities(found, alignment.VERSION)
                known |= found
        return np.array([known[key] for key in keys])

    def likeness(self, labels: np.ndarray) -> float:
        """Measure how similar unrelated photographs of one class are.

        Args:
            labels: int64 `[N]`.

        Returns:
            The 90th percentile of the similarity of random pairs, 0-1, so that a burst may make up
            most of a class. Photographs have 0, because most pairs are given up at once. Scanned
            digits have 0.6: any two of one class nearly coincide once scaled and moved.
        """
        rng = np.random.default_rng(0)
        order = np.argsort(labels, kind="stable")
        first = rng.integers(0, len(labels), _DRAWN)
        start = np.searchsorted(labels[order], labels[first])
        end = np.searchsorted(labels[order], labels[first], side="right")
        second = order[rng.integers(start, end)]
        pairs = np.stack([first, second], axis=1)[first != second]
        return float(np.quantile(self.similarities(pairs), _EXCEEDED)) if len(pairs) else 0.0
