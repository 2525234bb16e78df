"""The classifier: photographs in, predictions out. All that the page, the CLI and the API need."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from model import calibrate
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
        label_set: The classes that hold the right one as often as the checkpoint promises, most
            probable first; never empty.
        none_of_these: Whether the photograph is unlike everything the classifier knows.
        unknown_score: How unlike: 0 for the median of known photographs, 1 for the oddest
            twentieth; `none_of_these` begins at the checkpoint's `unknown_threshold`.
        seconds: Time from decoded photograph to probabilities, in s.
    """

    top: list[Candidate]
    label_set: list[str]
    none_of_these: bool
    unknown_score: float
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values: `top`, `set`, `none_of_these`, `unknown_score`."""
        return {
            "top": [asdict(candidate) for candidate in self.top],
            "set": self.label_set,
            "none_of_these": self.none_of_these,
            "unknown_score": self.unknown_score,
        }


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

    def assess(self, images: Sequence[Image.Image]) -> calibrate.Assessment:
        """Score decoded photographs; the views' logits are averaged.

        Args:
            images: N upright RGB photographs, as `images.decode` returns them.

        Returns:
            Calibrated logits, sets and "none of these".
        """
        views = self.checkpoint.views
        transforms = self.backbone.transforms
        pixels = np.stack([transforms.view(image, view, "") for image in images for view in views])
        features = self.backbone.features(pixels).reshape(len(images), len(views), -1)
        return calibrate.assess(self.checkpoint.calibration, self.checkpoint.head, features)

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
        found = self.assess(images)
        seconds = (time.perf_counter() - started) / len(images)
        return [self._prediction(found, number, top, seconds) for number in range(len(images))]

    def _prediction(
        self, found: calibrate.Assessment, number: int, top: int, seconds: float
    ) -> Prediction:
        names, ids = self.checkpoint.class_names, self.checkpoint.class_ids
        probabilities = softmax(found.logits[number])
        order = np.argsort(-probabilities, kind="stable")
        return Prediction(
            [Candidate(names[i], ids[i], float(probabilities[i])) for i in order[:top]],
            [names[i] for i in order if found.sets[number, i]],
            bool(found.none_of_these[number]),
            float(found.unknown_scores[number]),
            seconds,
        )
