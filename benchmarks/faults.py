"""Injects faults from outside, and checks that nothing is lost and what the user sees.

    python benchmarks/faults.py

There are five kinds, each with its seed: damaged photographs among sound ones, edited checkpoints,
photographs that are replaced while a run reads them, runs that are killed at any moment, and full
disks. A fault counts as held if sound photographs get answers, every refusal is one sentence, the
next run gives the same weights, bit for bit, as an undisturbed run, and nothing is left behind. It
takes about 20 minutes on two cores. The full disks are tmpfs mounts of 1 to 6 MB, which need
root; if they cannot be mounted, the benchmark says so.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

import numpy as np

# `python benchmarks/...` puts benchmarks/ on the path instead of the folder above it.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.client import Client, first_page, serve
from benchmarks.fault_parts import runs
from benchmarks.fault_parts.checkpoint_edits import edited, outcome, random_edits
from benchmarks.fault_parts.damaged_files import files, originals
from benchmarks.fault_parts.runs import Place
from model.checkpoints.checkpoint import SHIPPED
from model.commands import console

_SOUND = 5  # sound photographs among the damaged ones
_EDIT_SECONDS = 30


@dataclass
class Tally:
    """Counts one kind of fault.

    Attributes:
        name: The kind of fault.
        tried: How often it was injected.
        lost: Descriptions of faults that were not held.
        seen: What the user saw -> how often.
    """

    name: str
    tried: int = 0
    lost: list[str] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)

    def add(self, seen: str, problem: str = "") -> None:
        """Count a fault, and describe the problem if it was not held."""
        self.tried += 1
        self.seen[seen] += 1
        if problem:
            self.lost.append(problem)


def damaged_files(home: Path, count: int, seed: int) -> Tally:
    """Classify a folder of damaged photographs that also has sound ones."""
    tally = Tally("damaged photographs")
    folder = home / "damaged"
    folder.mkdir()
    kinds = originals()
    streams = [files(content, seed + number) for number, content in enumerate(kinds.values())]
    for number in range(count):
        (folder / f"{number:04}.jpg").write_bytes(next(streams[number % len(streams)]))
    for number in range(_SOUND):
        runs.draw(number).save(folder / f"sound{number}.png")
    command = [sys.executable, "-m", "model", "predict", str(folder), "--json", "--device", "cpu"]
    done = subprocess.run(
        [*command, "--cache-dir", str(home / "cache")],
        cwd=runs.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    rows = {Path(row["path"]).name: row for row in map(json.loads, done.stdout.splitlines())}
    quiet = "Traceback" not in done.stderr
    for number in range(_SOUND):
        if "top" not in rows.get(f"sound{number}.png", {}):
            tally.lost.append(f"sound{number}.png has no answer; exit {done.returncode}")
    for number in range(count):
        row = rows.get(f"{number:04}.jpg")
        answered = row is not None and ("top" in row or bool(row.get("error")))
        seen = "an answer" if row and "top" in row else "the reason, beside the file's name"
        tally.add(seen, "" if answered and quiet else f"damaged file {number} of seed {seed}")
    return tally


def edited_checkpoints(home: Path, count: int, seed: int) -> Tally:
    """Load, use and show edited copies of the shipped checkpoint."""
    tally = Tally("edited checkpoints")
    for number in range(count):
        (edit,) = random_edits(SHIPPED, 1, seed + number)
        place = f"{edit.file}: {edit.what}"
        started, problem, message = time.monotonic(), "", ""
        folder = edited(SHIPPED, edit, home / "edited")
        try:  # in a separate process, so that a crash is noticed
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                message = pool.submit(outcome, folder, home / "cache").result(timeout=120)
        except (BrokenProcessPool, Exception) as error:
            problem = f"{place}: {type(error).__name__} {error}"
        if message and (not message.isprintable() or len(message) > 1000):
            problem = f"{place}: {message[:200]!r}"
        if time.monotonic() - started > _EDIT_SECONDS:
            problem = f"{place}: {time.monotonic() - started:.0f} s"
        tally.add("one sentence" if message else "the page and answers", problem)
    return tally


def changed_files(home: Path, data: Path, undisturbed: float, count: int, seed: int) -> Tally:
    """Replace a photograph while a run reads it, and compare with a run that starts with it."""
    tally = Tally("photographs changed while read")
    rng = np.random.default_rng(seed)
    photographs = sorted(data.rglob("*.jpg"))
    for number in range(count):
        path = photographs[int(rng.integers(len(photographs)))]
        before = path.read_bytes()
        place = Place.below(home / "changed", data)
        started, process = time.monotonic(), runs.start(place)
        time.sleep(float(rng.uniform(0.2, 0.9)) * undisturbed)
        runs.draw(10_000 + number).save(path, quality=90)
        first = runs.finish(process, started)
        second, fresh = runs.train(place), Place.below(home / "fresh", data)
        third = runs.train(fresh)
        problem = ""
        if not (first.status == 0 or first.is_sentence):
            problem = f"change {number}: exit {first.status}, {first.said[-200:]}"
        elif second.status or third.status:
            problem = f"change {number}: the next run ends with {second.said[-200:]}"
        elif place.head() != fresh.head():
            problem = f"change {number}: the cache gives other weights than the photographs"
        tally.add("a checkpoint" if first.status == 0 else "one sentence", problem)
        path.write_bytes(before)
    return tally


def killed_runs(
    home: Path, data: Path, undisturbed: float, head: bytes, count: int, seed: int
) -> Tally:
    """Kill runs, run them again, and compare the results with an undisturbed run."""
    tally = Tally("runs killed")
    rng = np.random.default_rng(seed)
    for _ in range(count):
        place = Place.below(home / "killed", data)
        after = float(rng.uniform(0.15, 1.0)) * undisturbed
        running = runs.kill(place, after)
        ended = runs.train(place)
        problem = ""
        if ended.status:
            problem = f"kill after {after:.2f} s: {ended.said[-200:]}"
        elif place.head() != head:
            problem = f"kill after {after:.2f} s: other weights"
        elif left := place.left_over():
            problem = f"kill after {after:.2f} s: left over {', '.join(left)}"
        tally.add("the same checkpoint" if running else "it had just ended", problem)
    return tally


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[None]:
    """Mount a file system of some megabytes at a new folder until the block ends.

    Raises:
        PermissionError: Mounting is not allowed here.
    """
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PermissionError(done.stderr.strip() or "mount failed")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def full_disks(home: Path, data: Path, head: bytes) -> Tally:
    """Train with a full disk under the cache and the checkpoint; upload to a full folder."""
    tally = Tally("full disks")
    place = Place.below(home / "full", data)
    disk = home / "disk"
    if not hasattr(os, "geteuid") or os.geteuid():
        print("Full disks are not tested, because mounting one needs root.")
        return tally
    for kind in ("cache", "checkpoint"):
        with small_disk(disk / kind, 1):
            (disk / kind / "filler").write_bytes(bytes(950_000))
            moved = place._replace(cache=disk / kind / "cache")
            if kind == "checkpoint":
                moved = place._replace(out=disk / kind / "out")
            ended = runs.train(moved)
            problem = (
                "" if ended.is_sentence else f"{kind}: exit {ended.status} {ended.said[-200:]}"
            )
            (disk / kind / "filler").unlink()
        ended = runs.train(place)
        if not problem and (ended.status or place.head() != head):
            problem = f"{kind}: afterwards exit {ended.status}, {ended.said[-200:]}"
        tally.add("one sentence", problem)
    tally.add("one sentence", _full_upload_folder(disk / "uploads", home))
    return tally


def _full_upload_folder(folder: Path, home: Path) -> str:
    """Upload to a full folder, then again when it has room; return a description of any problem."""
    photograph = home / "noise.png"
    noise = np.random.default_rng(0).integers(0, 256, (900, 900, 3), np.uint8)
    runs.Image.fromarray(noise).save(photograph)
    with small_disk(folder, 6):
        options, variable = ("--cache-dir", str(home / "cache")), {"GRADIO_TEMP_DIR": str(folder)}
        try:
            with serve("--device", "cpu", *options, **variable) as (address, process):
                first_page(address, process)
                (folder / "filler").write_bytes(bytes(4_500_000))
                try:
                    Client(address).predict(photograph.read_bytes())
                    return "uploads: a full folder accepted the photograph"
                except ValueError as error:
                    if "no room" not in str(error):
                        return f"uploads: {error}"
                (folder / "filler").unlink()
                Client(address).predict(photograph.read_bytes())
        except (ValueError, OSError) as error:
            return f"uploads: {error}"
    return ""


def parse() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=console.HelpFormatter, prog="faults.py"
    )
    parser.add_argument("--files", type=int, default=300, help="damaged photographs")
    parser.add_argument("--checkpoints", type=int, default=100, help="edited checkpoints")
    parser.add_argument("--changes", type=int, default=20, help="photographs changed while read")
    parser.add_argument("--kills", type=int, default=50, help="runs killed")
    parser.add_argument("--seed", type=int, default=0, help="seed of everything")
    return parser.parse_args()


def main() -> int:
    """Inject the faults, count them, and print the table.

    Returns:
        Exit status 0 if every fault was held, else 1.
    """
    options = parse()
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        data = home / "photographs"
        runs.draw_folder(data)
        tallies = [
            damaged_files(home, options.files, options.seed),
            edited_checkpoints(home, options.checkpoints, options.seed),
        ]
        place = Place.below(home / "undisturbed", data)
        runs.train(place)  # warms the file system's caches
        place = Place.below(home / "undisturbed", data)
        seconds, head = runs.train(place).seconds, place.head()
        tallies += [
            changed_files(home, data, seconds, options.changes, options.seed),
            killed_runs(home, data, seconds, head, options.kills, options.seed),
            full_disks(home, data, head),
        ]
    rows = [
        (
            tally.name,
            tally.tried,
            len(tally.lost),
            "; ".join(f"{seen} ({count})" for seen, count in tally.seen.most_common()),
        )
        for tally in tallies
    ]
    print(console.table(("Fault", "Tried", "Lost", "What the user saw"), rows))
    lost = [problem for tally in tallies for problem in tally.lost]
    for problem in lost[:20]:
        print(f"Lost: {problem}")
    tried = sum(tally.tried for tally in tallies)
    print(f"faults {tried} tried, {tried - len(lost)} held")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(console.run("faults.py", main))
