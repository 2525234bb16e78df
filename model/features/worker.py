"""What a process of a cluster does: the steps of `tasks` and `files`, with versions compared first.

Nothing of Ray is needed here: `cluster` makes an actor of this class.
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

_PROBE_TOLERANCE = 1e-3  # relative; engines of other processors differ by less, other weights not


@dataclass(frozen=True)
class Job:
    """What all workers must agree on with the process that gives them their tasks.

    Attributes:
        spec: The backbone, as `BackboneSpec.to_json`.
        device: As `Backbone.device`.
        torch: torch runs the backbone.
        cache_dir: The cache folder, absolute.
        marker: A folder in it that all machines must see.
        max_pixels: As `images.allow`.
        threads: Threads that decode in each worker, and that torch has.
        versions: As `versions.of`.
        probe: What the backbone makes of `probe_pixels`, float32 `[1, D]`.
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
    """Return a picture of noise, uint8 `[1, S, S, 3]`: the same on all machines."""
    size = backbone.transforms.image_size
    return np.random.default_rng(0).integers(0, 256, (1, size, size, 3), np.uint8)


class Worker:
    """Reads files and computes features on whatever machine it is started."""

    def __init__(self, job: Job) -> None:
        """Remember the job; it is looked at when the first task comes, and after a restart again.

        Args:
            job: What to agree on.
        """
        self._job = job

    def introduce(self) -> tuple[int, bool]:
        """Open the backbone, and compare all that decides a feature.

        Returns:
            The process's id, and whether its features are the same bit for bit.

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

            torch.set_num_threads(job.threads)  # how many there are may decide a last bit
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
        """Compute features; as `tasks.compute`."""
        backbone, pool, _ = self._opened
        return compute(backbone, batch, pool)

    def predict(
        self, paths: list[Path], views: Sequence[str], signatures: bool
    ) -> tuple[list[str], PredictionInputs | None]:
        """Compute what the answers for some photographs are made from.

        Args:
            paths: N files, absolute.
            views: Names of the views that the checkpoint averages.
            signatures: The checkpoint keeps evidence, with which signatures are compared.

        Returns:
            N reasons why a file cannot be used, "" where it can; and what was computed of those
            that can, or None where no file can be used.
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
        """Read files, with no knowledge of earlier runs: whoever asks leaves out what is known.

        Args:
            paths: The files, absolute.
            summaries: Summarise the photographs.
            views: Compute the features that evaluation needs.

        Returns:
            What each holds, or why it cannot be used.
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
