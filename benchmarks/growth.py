"""Costs per photograph on the machine that collects a cluster's results.

    python benchmarks/growth.py

No files are read and no network runs: photographs, features and thumbnails are generated, and a
stand-in replaces the cluster. The benchmark measures the work that one process must do for all
photographs, however many machines there are. It measures processor time, which does not include
waiting for a disk and is hardly affected by other programs. docs/scaling.md extrapolates the
figures to 10 million photographs.
"""

import argparse
import hashlib
import os
import pickle
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

# `python benchmarks/...` puts benchmarks/ on the path, not the folder above it.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.client import resident
from model.backbones.backbone import open_backbone
from model.commands import console
from model.explain.evidence import MAX_WIDTH, Evidence
from model.features.cluster import FILES
from model.features.files import Reading
from model.features.read import FilePass
from model.features.signatures import SIGNATURE_BYTES, Summary
from model.splits import copies

_THUMBNAIL_BYTES = 3400  # the mean of the flowers
_KEYS = 2  # per photograph: centre and mirror image


def named(count: int) -> list[Path]:
    """Generate paths that are as long as those of a large data set."""
    folder = Path("/shared/photographs")
    return [folder / f"class{at % 1000:04}" / f"photograph-{at:08}.jpg" for at in range(count)]


def memory(count: int) -> float:
    """Return the memory for a photograph's path, hash, keys and their positions, in bytes."""
    before = resident(os.getpid())
    paths = named(count)
    texts = [str(path) for path in paths]
    digests = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
    keys = [[hashlib.md5(f"{d}{v}".encode()).digest() for v in range(_KEYS)] for d in digests]
    places = {key: (at // 4096, at % 4096) for at, row in enumerate(keys) for key in row}
    taken = (resident(os.getpid()) - before) * 2**20
    assert len(places) == _KEYS * len(paths)
    return taken / count


class StandIn:
    """A stand-in for a cluster: returns generated results, pickled as if from another process."""

    def __init__(self, width: int) -> None:
        """Generate features of this width."""
        self._features = np.ones((_KEYS, width), np.float32)
        self._thumbnail = bytes(_THUMBNAIL_BYTES)

    def read(self, chunks: Any, **_options: bool) -> Iterator[tuple[Path, Reading]]:
        """Yield a reading for each path."""
        for chunk in chunks:
            for start in range(0, len(chunk), FILES):
                found = [(path, self._reading(path)) for path in chunk[start : start + FILES]]
                yield from pickle.loads(pickle.dumps(found, 5))

    def _reading(self, path: Path) -> Reading:
        name = str(path).encode()
        summary = Summary(bytes(SIGNATURE_BYTES), self._thumbnail, None)
        digest = hashlib.sha256(name).hexdigest()
        return Reading((name, 1000, 1, 1), digest, True, summary, None, self._features)


def writing(count: int) -> tuple[float, float]:
    """Return how many photographs one core stores in a second, and the cache bytes for each."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        backbone = open_backbone(pooling="second-order", device="cpu", cache_dir=folder)
        cluster: Any = StandIn(backbone.embed_dim)
        started = time.process_time()
        with FilePass(folder, backbone=backbone, summaries=True, cluster=cluster) as files:
            files.read(named(count), [])
        taken = time.process_time() - started
        written = [*folder.glob("*.sqlite"), *(folder / "features").rglob("*.npy")]
        size = sum(path.stat().st_size for path in written)
    return count / taken, size / count


def nearest(count: int) -> float:
    """Return the processor time, in s, of the search for pairs of similar photographs."""
    vectors = np.random.default_rng(0).normal(size=(count, 128)).astype(np.float32)
    started = time.process_time()
    copies.candidates(vectors)
    return time.process_time() - started


def searching(count: int) -> float:
    """Return the processor time, in s, of the search for one photograph's evidence."""
    rng = np.random.default_rng(0)
    evidence = Evidence(
        rng.integers(-127, 128, (count, MAX_WIDTH), np.int8),
        np.ones(count, np.float32),
        np.zeros(count, np.int32),
        np.zeros((count, 16), np.uint8),
        np.zeros((count, SIGNATURE_BYTES), np.uint8),
        [""] * count,
        0,
    )
    query = np.ones((1, MAX_WIDTH), np.float32)
    evidence.nearest(query)
    started = time.process_time()
    evidence.nearest(query)
    return time.process_time() - started


def measure(count: int) -> list[tuple[str, str]]:
    """Measure each cost, and return the rows of the table."""
    bytes_each = memory(10 * count)
    speed, written = writing(count)
    rows = [
        ("memory for paths, hashes, keys", f"{bytes_each:,.0f} bytes per photograph"),
        ("cache on disk", f"{written:,.0f} bytes per photograph"),
        ("results that one core keeps", f"{speed:,.0f} photographs/s"),
    ]
    for size in (count, 2 * count):
        rows.append((f"similar pairs among {size:,}", f"{nearest(size):.2f} s of a core"))
    for size in (5 * count, 10 * count):
        rows.append((f"evidence among {size:,}", f"{searching(size):.3f} s of a core"))
    return rows


def main() -> int:
    """Run the measurements, and print the table.

    Returns:
        Exit status 0.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=console.HelpFormatter, prog="growth.py"
    )
    parser.add_argument(
        "--photographs",
        type=int,
        default=20_000,
        help="photographs for storing results; other rows scale with it",
    )
    options = parser.parse_args()
    count = options.photographs
    if count < 1000 or not Path("/proc/self/status").exists():
        raise ValueError("It needs Linux, and --photographs of 1000 or more.")
    with threadpool_limits(1, user_api="blas"):  # waiting threads would count as work
        rows = measure(count)
    print(console.table(("What", "Figure"), rows))
    return 0


if __name__ == "__main__":
    sys.exit(console.run("growth.py", main))
