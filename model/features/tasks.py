"""Tasks for the backbone: which photographs and views, and which of them go through it together.

One machine and a cluster take the same steps in the same order, because the other pictures in a
batch may change the last bit of a feature.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor
from pathlib import Path

import numpy as np

from model.backbones.backbone import Backbone
from model.backbones.transforms import EVALUATION_VIEWS
from model.features.files import decode_again

Task = tuple[list[tuple[Path, str]], tuple[str, ...]]
"""Photographs (path and SHA-256), and the views of them that are missing."""


def frame(backbone: Backbone, task: Task) -> np.ndarray:
    """Decode photographs and render the views.

    Args:
        backbone: The backbone.
        task: N photographs and V views.

    Returns:
        uint8 `[N * V, S, S, 3]`, photograph by photograph.

    Raises:
        ValueError: A file cannot be read any more, or has changed.
    """
    pixels = []
    for path, digest in task[0]:
        image = decode_again(path, digest, least_side=backbone.transforms.least_side)
        pixels += backbone.transforms.views(image, task[1], digest)
    return np.stack(pixels)


def batches(tasks: Iterable[Task], size: int) -> Iterator[list[Task]]:
    """Group tasks whose pictures go through the backbone in one call.

    Args:
        tasks: In the order in which they are computed.
        size: Fewest pictures in a group, such as `Backbone.batch_size`; only the last group may be
            smaller.

    Yields:
        Groups of tasks, in order.
    """
    batch: list[Task] = []
    for task in tasks:
        batch.append(task)
        if sum(len(photographs) * len(views) for photographs, views in batch) >= size:
            yield batch
            batch = []
    if batch:
        yield batch


def together(backbone: Backbone, pixels: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Compute the features of several blocks of pictures in one call.

    Args:
        backbone: The backbone.
        pixels: Blocks of pictures, uint8 `[N, S, S, 3]` each.

    Returns:
        The features of each block, float32 `[N, D]`.
    """
    if not pixels:
        return []
    features = backbone.features(np.concatenate(pixels))
    return np.split(features, np.cumsum([len(block) for block in pixels])[:-1])


def compute(backbone: Backbone, batch: list[Task], pool: Executor) -> list[np.ndarray]:
    """Compute the features of one group of tasks.

    Args:
        backbone: The backbone.
        batch: A group from `batches`.
        pool: Threads that decode.

    Returns:
        The features of each task, float32 `[N * V, D]`.

    Raises:
        ValueError: A file cannot be read any more, or has changed.
    """
    return together(backbone, list(pool.map(lambda task: frame(backbone, task), batch)))


def files_together(backbone: Backbone | None) -> int:
    """Return how many new files go through a backbone in one call, with evaluation's views."""
    return 1 if backbone is None else -(-backbone.batch_size // len(EVALUATION_VIEWS))
