"""What the parts of `cuda.py` share: device, photographs, classifiers, and what went wrong."""

import gc
import time
import traceback
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from model.backbones.backbone import Backbone, open_backbone
from model.cache import default_workers
from model.classifier import Classifier
from model.photographs import images


def say(*parts: object) -> None:
    """Print at once, so that a run that is cut off has shown what it measured."""
    print(*parts, flush=True)


class Bench:
    """What the parts share: the device, its counts, the photographs, and what went wrong.

    Attributes:
        device: `cuda` or `cpu`.
        backbone: Name of the packaged backbone that speed is measured on.
        home: A temporary folder.
        made: (file, class) of the drawn photographs.
        failed: The parts that raised an error.
    """

    def __init__(
        self, device: str, backbone: str, home: Path, made: list[tuple[Path, int]]
    ) -> None:
        """Keep the arguments."""
        self.device, self.backbone, self.home, self.made = device, backbone, home, made
        self.failed: list[str] = []

    def attempt(self, name: str, part: Callable[[], Any]) -> Any:
        """Run a part; its error is printed and counted, so that the other parts still run."""
        started = time.perf_counter()
        try:
            return part()
        except Exception as error:  # any error: this may be the first run on a GPU ever
            self.failed.append(name)
            traceback.print_exc()
            say(f"FAILED {name}: {type(error).__name__}: {error}")
            return None
        finally:
            gc.collect()  # hooks make cycles, and networks that linger count as peak memory
            say(f"({name}: {time.perf_counter() - started:.1f} s)")

    def open(self) -> Backbone:
        """Open the backbone whose speed is measured."""
        threads = default_workers()
        return open_backbone(
            self.backbone, device=self.device, cache_dir=self.home / "cache", threads=threads
        )

    def classifier(self, device: str) -> Classifier:
        """Open the shipped classifier."""
        return Classifier(device=device, cache_dir=self.home / "cache", threads=default_workers())

    def synchronize(self) -> None:
        """Wait for the GPU, if there is one."""
        if self.device == "cuda":
            import torch

            torch.cuda.synchronize()

    def peak(self, run: Callable[[], object]) -> str:
        """Run something and return the peak of GPU memory allocated by torch meanwhile, in MB."""
        if self.device != "cuda":
            run()
            return "-"
        import torch

        torch.cuda.reset_peak_memory_stats()
        run()
        return f"{torch.cuda.max_memory_allocated() / 1e6:,.0f}"


def framed(backbone: Backbone, files: Iterable[Path], views: list[str]) -> np.ndarray:
    """Decode and frame photographs: uint8 `[N * V, S, S, 3]`."""

    def frame(path: Path) -> list[np.ndarray]:
        image = images.decode(path, least_side=backbone.transforms.least_side)
        return backbone.transforms.views(image, views)

    with ThreadPoolExecutor(default_workers()) as pool:
        return np.stack([view for part in pool.map(frame, files) for view in part])
