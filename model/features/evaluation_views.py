"""Features of the views that evaluation and prediction average, computed in the file check."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
from PIL import Image

from model.backbones.backbone import Backbone
from model.backbones.transforms import EVALUATION_VIEWS
from model.features.shards import FeatureCache, storable
from model.photographs import images

Framed = tuple[str, np.ndarray]
"""SHA-256 of a file's content in hexadecimal, and its views, uint8 `[V, S, S, 3]`."""


class EvaluationViews:
    """Features of the views that prediction averages, computed while a photograph is checked.

    This saves decoding the photograph a second time. Every photograph needs these features,
    whichever split it will be in. `extract` computes those that are missing.
    """

    def __init__(self, cache_dir: Path, backbone: Backbone) -> None:
        """Open the cache.

        Args:
            cache_dir: The cache folder.
            backbone: The backbone that computes the features.
        """
        self._cache, self._backbone = FeatureCache(cache_dir, backbone), backbone
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        """Open a context that saves what was computed."""
        return self

    def __exit__(self, *_: object) -> None:
        """Write the added features, even if the run is interrupted."""
        with self._lock:
            self._cache.flush()

    @staticmethod
    def suit(backbone: Backbone) -> bool:
        """Tell whether photographs are decoded large enough for a backbone by default."""
        return backbone.transforms.least_side == images.LEAST_SIDE

    def frame(self, digest: str, image: Image.Image) -> np.ndarray | None:
        """Render the views of a decoded photograph; may be called from several threads.

        Args:
            digest: SHA-256 of the file's content, hexadecimal.
            image: RGB.

        Returns:
            uint8 `[V, S, S, 3]`; None if all its features are in the cache already.
        """
        if all(self._cache.key(digest, view) in self._cache for view in EVALUATION_VIEWS):
            return None
        return np.stack(self._backbone.transforms.views(image, EVALUATION_VIEWS, digest))

    def add(self, framed: Sequence[Framed]) -> None:
        """Compute features and add them to the cache; may be called from several threads.

        Args:
            framed: Views that `frame` rendered.

        Raises:
            ValueError: A feature is not a finite number.
        """
        pixels = np.concatenate([views for _, views in framed])
        self.keep([digest for digest, _ in framed], self._backbone.features(pixels))

    def keep(self, digests: Sequence[str], features: np.ndarray) -> None:
        """Add computed features to the cache; may be called from several threads.

        Args:
            digests: SHA-256 of N photographs' contents, hexadecimal.
            features: Features of their views, float32 `[N * V, D]`.

        Raises:
            ValueError: A feature is not a finite number.
        """
        rows = storable(self._backbone, features, digests[0])
        keys = [self._cache.key(digest, view) for digest in digests for view in EVALUATION_VIEWS]
        with self._lock:
            self._cache.add(zip(keys, rows, strict=True))
