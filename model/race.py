"""Compares backbones before training: which one recognises most of your photographs?"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.stats import binomtest

from model.backbones.backbone import Backbone, open_backbone
from model.backbones.transforms import CENTER
from model.features.extract import extract
from model.heads.choose_pooling import MOST, PoolingChoice, choose_pooling
from model.photographs.dataset import Collection, Listing
from model.splits.looks import group_photographs

_BLOCK = 100  # photographs between two looks at the clock
_TIMED = 7  # pictures that are timed


@dataclass(frozen=True)
class Entrant:
    """The result of one backbone.

    Attributes:
        name: Its name, in the form that `--backbone` takes.
        choice: Accuracy with each pooling, by leaving each photograph out in turn.
        milliseconds: Median time per picture, in ms.
        width: D, the number of features with the better pooling.
    """

    name: str
    choice: PoolingChoice
    milliseconds: float
    width: int

    @property
    def accuracy(self) -> float:
        """The accuracy with the better pooling, 0-1."""
        return self.choice.accuracies[self.choice.pooling == "second-order"]

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % confidence interval of the accuracy (Wilson's)."""
        count = self.choice.photographs
        found = binomtest(round(self.accuracy * count), count).proportion_ci(method="wilson")
        return float(found.low), float(found.high)


def sample(listing: Listing, count: int, seed: int) -> Listing:
    """Draw photographs, each class in proportion to its size and none from a test split.

    Args:
        listing: The photographs.
        count: The most photographs to draw.
        seed: Seed of the draw.

    Returns:
        A listing of these photographs, in an order in which every prefix is such a draw as well.
    """
    rng = np.random.default_rng(seed)
    places: dict[str, list[int]] = {}
    for index, entry in enumerate(listing.entries):
        if entry.split == "test":  # test photographs must not influence the choice of a backbone
            continue
        places.setdefault(entry.class_id, []).append(index)
    ranked = [
        ((rank + rng.random()) / len(indices), index)
        for _, indices in sorted(places.items())
        for rank, index in enumerate(rng.permutation(indices).tolist())
    ]
    return replace(listing, entries=[listing.entries[index] for _, index in sorted(ranked)[:count]])


def race(
    data: Collection,
    names: Sequence[str],
    *,
    seconds: float,
    group_by: str = "auto",
    seed: int = 0,
    device: str = "auto",
    cache_dir: Path,
    on_note: Callable[[str], None] | None = None,
) -> list[Entrant]:
    """Compare backbones on the same photographs, with a ridge head that leaves each one out.

    Args:
        data: Photographs of a listing from `sample`, so that the first ones represent all.
        names: Backbones, see `open_backbone`.
        seconds: Time limit in s; the comparison uses the photographs that all have seen by then.
        group_by: Photographs to leave out together, see `groups.group`.
        seed: See `choose_pooling`.
        device: See `device.resolve_device`.
        cache_dir: The cache folder.
        on_note: Called with a sentence if the time limit was reached.

    Returns:
        The backbones, the most accurate first.

    Raises:
        ConnectionError: Weights cannot be downloaded.
        ValueError: A name is unknown, or there are fewer than 2 classes or 2 photographs per class.
    """
    started = time.perf_counter()
    backbones = [
        open_backbone(name, pooling="second-order", device=device, cache_dir=cache_dir)
        for name in names
    ]
    count = min(len(data.photos), MOST)
    if len(data.class_ids) < 2 or count < 2 * len(data.class_ids):
        raise ValueError(
            f"{data.name} has {count} usable photographs of {len(data.class_ids)} classes; a race "
            "needs at least 2 classes, and at least 2 photographs of each."
        )
    groups = group_photographs(data, group_by, cache_dir=cache_dir).numbers
    least = min(count, max(_BLOCK, 4 * len(data.class_ids)))
    found: list[list[np.ndarray]] = [[] for _ in backbones]
    done = 0
    while done < count and (done < least or time.perf_counter() - started < seconds):
        block = data.photos.take(range(done, min(done + _BLOCK, count)))
        for backbone, features in zip(backbones, found, strict=True):
            title = f"{backbone.spec.name}, {done + 1}-{done + len(block)} of {count}"
            rows = extract(backbone, block, [CENTER], cache_dir=cache_dir, title=title)
            features.append(rows[:, 0])
        done += len(block)
    if done < count and on_note:
        on_note(f"After {seconds:g} s, all backbones have seen {done:,} of {count:,} photographs.")
    labels = data.photos.labels[:done]
    entrants = []
    for backbone, features in zip(backbones, found, strict=True):
        choice = choose_pooling(
            np.concatenate(features),
            backbone.mean_width,
            labels,
            groups[:done],
            seed=seed,
        )
        width = backbone.embed_dim if choice.pooling == "second-order" else backbone.mean_width
        entrants.append(Entrant(backbone.spec.name, choice, _milliseconds(backbone), width))
    return sorted(entrants, key=lambda one: (-one.accuracy, one.milliseconds))


def _milliseconds(backbone: Backbone) -> float:
    size = backbone.transforms.image_size
    pixels = np.random.default_rng(0).integers(0, 256, (1, size, size, 3), np.uint8)
    took = []
    for _ in range(_TIMED):
        started = time.perf_counter()
        backbone.features(pixels)
        took.append(time.perf_counter() - started)
    return 1000 * float(np.median(took))
