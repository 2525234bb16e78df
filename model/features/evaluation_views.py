"""Features of the views that evaluation and prediction average, made of a decoded photograph."""

import threading
from pathlib import Path
from typing import Self

import numpy as np
from PIL import Image

from model.backbones.backbone import Backbone
from model.backbones.transforms import EVALUATION_VIEWS
from model.features.shards import FeatureCache, storable
from model.photographs import images


class EvaluationViews:
    """Features of the views that prediction averages, computed while a photograph is checked.

    It need not be decoded again then. Every photograph needs them, whichever split it will be in;
    `extract` computes what is missing.
    """

    def __init__(self, cache_dir: Path, backbone: Backbone) -> None:
        """Open the cache.

        Args:
            cache_dir: The cache folder.
            backbone: Whose features these are.
        """
        self._cache, self._backbone = FeatureCache(cache_dir, backbone), backbone
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        """Open a context that saves what was computed."""
        return self

    def __exit__(self, *_: object) -> None:
        """Write what was added, also when the run is interrupted."""
        with self._lock:
            self._cache.flush()

    @staticmethod
    def suit(backbone: Backbone) -> bool:
        """Tell whether photographs one by one, as `images.decode` gives them, are what it wants."""
        by_one = backbone.engine == "ONNX Runtime"
        return by_one and backbone.transforms.least_side == images.LEAST_SIDE

    def add(self, digest: str, image: Image.Image) -> None:
        """Compute the features of a decoded photograph; may be called from several threads.

        Args:
            digest: SHA-256 of the file's content, hexadecimal.
            image: RGB.

        Raises:
            ValueError: A feature is not a finite number.
        """
        keys = {view: self._cache.key(digest, view) for view in EVALUATION_VIEWS}
        missing = [view for view, key in keys.items() if key not in self._cache]
        if not missing:
            return
        pixels = np.stack(self._backbone.transforms.views(image, missing, digest))
        features = storable(self._backbone, self._backbone.features(pixels), digest)
        with self._lock:
            self._cache.add((keys[view], row) for view, row in zip(missing, features, strict=True))
