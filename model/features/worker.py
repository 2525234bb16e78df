"""A worker of a cluster: takes the steps of `tasks` and `files`, after comparing versions.

This module does not need Ray: `joining` makes an actor of the class `Worker`.
"""

import functools
import os
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from model.backbones.backbone import Backbone
from model.backbones.spec import BackboneSpec
from model.backbones.transforms import EVALUATION_VIEWS
from model.features import versions
from model.features.files import Reading, read_file
from model.features.inputs import PredictionInputs, prediction_inputs
from model.features.tasks import Task, compute, files_together, together
from model.photographs import images

_PROBE_TOLERANCE = 1e-3  # relative; other processors differ by less, other weights by more


@dataclass(frozen=True)
class Job:
    """Everything that workers must have in common with the process that gives them tasks.

    Attributes:
        spec: The backbone, from `BackboneSpec.to_json`.
        device: The device, from `Backbone.device`.
        torch: Whether torch runs the backbone.
        cache_dir: The cache folder, absolute.
        marker: A folder in the cache folder that all machines must see.
        max_pixels: Limit for `images.allow`, in pixels.
        threads: Threads for decoding in each worker, and for torch.
        versions: The versions from `versions.of`.
        probe: Features of `probe_pixels`, float32 `[1, D]`.
    """

    spec: dict[str, Any]
    device: str
    torch: bool
    cache_dir: Path
    marker: Path
    max_pixels: int
    threads: int
    versions: dict[str, str]
    probe: np.ndarray


def probe_pixels(backbone: Backbone) -> np.ndarray:
    """Return a picture of noise that is the same on all machines, uint8 `[1, S, S, 3]`."""
    size = backbone.transforms.image_size
    return np.random.default_rng(0).integers(0, 256, (1, size, size, 3), np.uint8)


class Worker:
    """Reads files and computes features on the machine where it is started."""

    def __init__(self, job: Job) -> None:
        """Remember the job; the first call, and the first call after a restart, checks it.

        Args:
            job: What the worker must agree with.
        """
        self._job = job

    def introduce(self) -> tuple[int, bool]:
        """Open the backbone, and compare everything that affects a feature.

        Returns:
            The process id, and whether the features of a test picture are the same bit for bit.

        Raises:
            ValueError: Something differs; the message names the machine.
        """
        return os.getpid(), self._opened[2]

    @functools.cached_property
    def _opened(self) -> tuple[Backbone, ThreadPoolExecutor, bool]:
        job, machine = self._job, f"The worker on {socket.gethostname()}"
        if different := versions.differences(job.versions, versions.of(torch=job.torch)):
            raise ValueError(
                f"{machine} has {', '.join(different)}. Features would differ: install the same "
                "versions on all machines."
            )
        if not job.marker.is_dir():
            raise ValueError(
                f"{machine} does not see {job.cache_dir}. The cache must lie on a file system that "
                "all machines of the cluster see."
            )
        images.allow(job.max_pixels)
        if job.torch:
            import torch

            torch.set_num_threads(job.threads)  # their number may change the last bit
        spec = BackboneSpec.from_json(job.spec)
        try:
            backbone = Backbone(spec, device=job.device, cache_dir=job.cache_dir)
            if job.torch:
                backbone.engine = backbone.torch_engine
            elif backbone.engine is backbone.torch_engine:
                raise ValueError(backbone.note)
            found = backbone.features(probe_pixels(backbone))
        except (ValueError, OSError, ImportError) as error:
            raise ValueError(f"{machine} cannot open backbone {spec.name}: {error}") from error
        scale = max(float(np.abs(job.probe).max()), 1e-12)
        close = found.shape == job.probe.shape and (
            np.abs(found - job.probe).max() <= _PROBE_TOLERANCE * scale
        )
        if not close:
            raise ValueError(
                f"{machine} has other weights of backbone {spec.name}: its features of a test "
                "picture differ. Install the same weights on all machines."
            )
        return backbone, ThreadPoolExecutor(job.threads), np.array_equal(found, job.probe)

    def features(self, batch: list[Task]) -> list[np.ndarray]:
        """Compute the features of a group of tasks, as `tasks.compute` does."""
        backbone, pool, _ = self._opened
        return compute(backbone, batch, pool)

    def predict(
        self, paths: list[Path], views: Sequence[str], signatures: bool
    ) -> tuple[list[str], PredictionInputs | None]:
        """Compute the inputs of the answers for some photographs.

        Args:
            paths: N files, absolute.
            views: Names of the views that the checkpoint averages.
            signatures: Whether the checkpoint has evidence, so that signatures are needed.

        Returns:
            For each file the reason why it cannot be used, or ""; and the inputs for the usable
            files, or None if no file is usable.
        """
        backbone, pool, _ = self._opened
        least_side = backbone.transforms.least_side

        def one(path: Path) -> Image.Image | str:
            try:
                return images.decode(path, least_side=least_side)
            except images.BadImageError as error:
                return str(error)

        found = list(pool.map(one, paths))
        decoded = [one for one in found if isinstance(one, Image.Image)]
        reasons = [one if isinstance(one, str) else "" for one in found]
        if not decoded:
            return reasons, None
        return reasons, prediction_inputs(backbone, views, decoded, signatures=signatures)

    def read(self, paths: list[Path], summaries: bool, views: bool) -> list[Reading | str]:
        """Read files without knowledge of earlier runs; the caller leaves out known files.

        Args:
            paths: The files, absolute.
            summaries: Summarise the photographs.
            views: Compute the features for evaluation.

        Returns:
            For each file, its reading or the reason why it cannot be used.
        """
        backbone, pool, _ = self._opened

        def frame(digest: str, image: Image.Image) -> np.ndarray:
            return np.stack(backbone.transforms.views(image, EVALUATION_VIEWS, digest))

        def one(path: Path) -> Reading | str:
            try:
                return read_file(path, summaries=summaries, frame=frame if views else None)
            except images.BadImageError as error:
                return str(error)

        found = list(pool.map(one, paths))
        framed = [
            (at, reading, reading.views)
            for at, reading in enumerate(found)
            if isinstance(reading, Reading) and reading.views is not None
        ]
        size = files_together(backbone)
        for start in range(0, len(framed), size):
            chosen = framed[start : start + size]
            computed = together(backbone, [pixels for _, _, pixels in chosen])
            for (at, reading, _), features in zip(chosen, computed, strict=True):
                found[at] = reading._replace(views=None, features=features)
        return found
