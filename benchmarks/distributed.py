"""Workers of a Ray cluster compared with plain processes that run the same code without Ray.

    python benchmarks/distributed.py PHOTOS --photographs 96 --rounds 5

Each worker and each process uses one thread; all are warm before the clock starts. One or two
workers and one or two processes are measured in turns, and medians are printed. Then one of two
workers is killed during the work.

The last line compares two workers with twice the speed of one. The line above it makes the same
comparison for plain processes, and shows what the machine allows: if its cores are busy with other
work, both figures are below 100 %.
"""

import argparse
import hashlib
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np

# See train_speed.py: benchmarks/cuda.py must not hide NVIDIA's package `cuda`.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from model.backbones.backbone import Backbone, open_backbone
from model.backbones.transforms import EVALUATION_VIEWS
from model.commands import console
from model.features.cluster import FILES, Cluster
from model.features.joining import connect
from model.features.tasks import Task, batches, compute
from model.photographs import scan

_opened: dict[Path, Backbone] = {}  # the backbone of this process


def make_tasks(photos: Path, count: int) -> list[list[Task]]:
    """Return tasks for photographs that are spread evenly over a folder of class folders.

    Raises:
        ValueError: `count` is below 16, or the folder has fewer photographs.
    """
    paths = [entry.path.absolute() for entry in scan.list_folder(photos, splits=False).entries]
    if not 16 <= count <= len(paths):
        raise ValueError(f"--photographs {count}: expected 16 to {len(paths):,} of {photos}.")
    chosen = [paths[at] for at in np.linspace(0, len(paths) - 1, count).astype(int)]
    files = [(path, hashlib.sha256(path.read_bytes()).hexdigest()) for path in chosen]
    groups = [files[start : start + FILES] for start in range(0, count, FILES)]
    return list(batches([(group, EVALUATION_VIEWS) for group in groups], 1))


def open_in_process(cache_dir: Path) -> Backbone:
    """Open the backbone, but only once in each process."""
    if cache_dir not in _opened:
        _opened[cache_dir] = open_backbone(device="cpu", cache_dir=cache_dir)
    return _opened[cache_dir]


def plain(cache_dir: Path, batch: list[Task]) -> list[np.ndarray]:
    """Compute a batch in a plain process."""
    with ThreadPoolExecutor(1) as pool:
        return compute(open_in_process(cache_dir), batch, pool)


def run_plain(
    pool: ProcessPoolExecutor, cache_dir: Path, tasks: Sequence[list[Task]]
) -> list[np.ndarray]:
    """Compute all tasks in plain processes."""
    results = pool.map(plain, [cache_dir] * len(tasks), tasks)
    return [rows for batch in results for rows in batch]


def run_cluster(cluster: Cluster, tasks: Sequence[list[Task]]) -> list[np.ndarray]:
    """Compute all tasks on the workers of a cluster."""
    return [rows for batch in cluster.features(tasks) for rows in batch]


def run_and_kill(cluster: Cluster, tasks: Sequence[list[Task]]) -> list[np.ndarray]:
    """Compute all tasks on the workers of a cluster, and kill one after the first result."""
    computed = cluster.features(tasks)
    found = list(next(computed))
    os.kill(cluster.processes[0], signal.SIGKILL)
    return found + [rows for batch in computed for rows in batch]


def same(first: list[np.ndarray], second: list[np.ndarray]) -> bool:
    """Tell whether features are the same bit for bit."""
    return all(map(np.array_equal, first, second)) and len(first) == len(second)


def timed(work: Callable[[], list[np.ndarray]], expected: list[np.ndarray]) -> float:
    """Return the duration of some work, in s.

    Raises:
        ValueError: The features are not the expected ones.
    """
    started = time.perf_counter()
    found = work()
    seconds = time.perf_counter() - started
    if not same(found, expected):
        raise ValueError("Features differ between processes.")
    return seconds


def main() -> int:
    """Run the measurements, and print the table.

    Returns:
        Exit status 0.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=console.HelpFormatter, prog="distributed.py"
    )
    parser.add_argument("photos", type=Path, metavar="PHOTOS", help="a folder of class folders")
    parser.add_argument("--photographs", type=int, default=96, help="photographs in each pass")
    parser.add_argument("--rounds", type=int, default=5, help="passes of each kind")
    options = parser.parse_args()
    tasks = make_tasks(options.photos, options.photographs)
    with tempfile.TemporaryDirectory() as temporary:
        cache_dir = Path(temporary)
        context, backbone = get_context("spawn"), open_in_process(cache_dir)
        with (
            ProcessPoolExecutor(1, context) as one,
            ProcessPoolExecutor(2, context) as two,
            connect("auto", backbone, cache_dir=cache_dir, actors=2) as cluster,
        ):
            kinds: dict[str, Callable[[], list[np.ndarray]]] = {
                "1 worker": lambda: run_cluster(cluster.part(1), tasks),
                "1 process": lambda: run_plain(one, cache_dir, tasks),
                "2 workers": lambda: run_cluster(cluster, tasks),
                "2 processes": lambda: run_plain(two, cache_dir, tasks),
            }
            expected = kinds["1 process"]()
            for work in kinds.values():
                timed(work, expected)  # warm
            taken = {kind: [] for kind in kinds}
            for _ in range(options.rounds):
                for kind, work in kinds.items():
                    taken[kind].append(timed(work, expected))
            killed = timed(lambda: run_and_kill(cluster, tasks), expected)
    speed = {
        kind: options.photographs / statistics.median(seconds) for kind, seconds in taken.items()
    }
    rows = [
        (
            kind,
            f"{speed[kind]:.1f}",
            f"{options.photographs / max(seconds):.1f}-{options.photographs / min(seconds):.1f}",
        )
        for kind, seconds in taken.items()
    ]
    print(f"{options.photographs} photographs, {options.rounds} rounds, {backbone.spec.name}")
    print(console.table(("One thread each", "Photographs/s", "Range"), rows))
    print(
        f"one of 2 workers killed: {killed:.1f} s instead of "
        f"{statistics.median(taken['2 workers']):.1f} s, same features"
    )
    print(f"worker against process {speed['1 worker'] / speed['1 process']:.0%}")
    print(f"2 processes against twice 1: {speed['2 processes'] / speed['1 process'] / 2:.0%}")
    print(f"scaling efficiency {50 * speed['2 workers'] / speed['1 worker']:.0f} %")
    return 0


if __name__ == "__main__":
    sys.exit(console.run("distributed.py", main))
