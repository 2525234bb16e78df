"""The classifier: photographs in, predictions out. All that the page, the CLI and the API need."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from model import checkpoint as checkpoints
from model.backbone import Backbone, serving_threads
from model.cache import default_cache_dir
from model.evaluate import softmax


@dataclass(frozen=True)
class Candidate:
    """One class and its probability, 0-1."""

    label: str
    class_id: str
    probability: float


@dataclass(frozen=True)
class Prediction:
    """What the classifier says of one photograph.

    Attributes:
        top: The most probable classes, highest first.
        seconds: Time from decoded photograph to probabilities, in s.
    """

    top: list[Candidate]
    seconds: float


class Classifier:
    """A checkpoint, ready to predict."""

    def __init__(
        self,
        folder: Path = checkpoints.SHIPPED,
        *,
        device: str = "auto",
        cache_dir: Path | None = None,
        threads: int | None = None,
    ) -> None:
        """Load a checkpoint and its backbone.

        Args:
            folder: The checkpoint folder; by default the shipped one.
            device: `auto`, `cpu`, `cuda` or `mps`.
            cache_dir: Keeps the exported backbone; by default the user's cache folder.
            threads: Threads for one batch on a CPU; by default the cores, at most 4.

        Raises:
            ConnectionError: The backbone's weights cannot be downloaded.
            FileNotFoundError: There is no checkpoint.
            ValueError: The checkpoint or the device cannot be used.
        """
        self.checkpoint = checkpoints.load(folder)
        self.backbone = Backbone(
            self.checkpoint.backbone,
            device=device,
            cache_dir=cache_dir or default_cache_dir(),
            threads=threads or serving_threads(),
        )
        found, expected = self.backbone.embed_dim, len(self.checkpoint.head.mean)
        if found != expected:
            raise ValueError(
                f"Checkpoint {folder} cannot be used: its head takes {expected} features, but "
                f"backbone {self.checkpoint.backbone.name} gives {found}."
            )

    def logits(self, images: Sequence[Image.Image]) -> np.ndarray:
        """Score decoded photographs; the views' logits are averaged.

        Args:
            images: N upright RGB photographs, as `images.decode` returns them.

        Returns:
            float32 `[N, C]`.
        """
        views = self.checkpoint.views
        transforms = self.backbone.transforms
        pixels = np.stack([transforms.view(image, view, "") for image in images for view in views])
        features = self.backbone.features(pixels).reshape(len(images), len(views), -1)
        return self.checkpoint.head.view_logits(features)

    def predict(self, images: Sequence[Image.Image], top: int = 5) -> list[Prediction]:
        """Classify decoded photographs.

        Args:
            images: N upright RGB photographs, as `images.decode` returns them.
            top: How many classes to name; more than there are means all.

        Returns:
            N predictions.

        Raises:
            ValueError: `top` is below 1.
        """
        if top < 1:
            raise ValueError(f"top is {top}; expected 1 or more.")
        if not images:
            return []
        started = time.perf_counter()
        probabilities = softmax(self.logits(images))
        seconds = (time.perf_counter() - started) / len(images)
        names, ids = self.checkpoint.class_names, self.checkpoint.class_ids
        return [
            Prediction(
                [Candidate(names[i], ids[i], float(row[i])) for i in np.argsort(-row)[:top]],
                seconds,
            )
            for row in probabilities
        ]
