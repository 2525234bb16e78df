"""Training runs in separate processes, on drawn photographs: killed, disturbed or undisturbed."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
_CLASSES, _PHOTOGRAPHS = ("red", "green", "blue"), 20
_SECONDS = 180  # for one run


def draw(seed: int) -> Image.Image:
    """Draw clouds of 400 x 300 px in a class's colour; the class follows from the seed."""
    rng = np.random.default_rng(seed)
    rough = rng.integers(0, 120, (9, 12, 3)).astype(np.uint8)
    rough[..., seed % len(_CLASSES)] += 100
    return Image.fromarray(rough).resize((400, 300), Image.Resampling.BICUBIC)


def draw_folder(folder: Path) -> list[Path]:
    """Draw a folder of class folders; return its photographs."""
    paths = []
    for seed in range(len(_CLASSES) * _PHOTOGRAPHS):
        path = folder / _CLASSES[seed % len(_CLASSES)] / f"{seed:03}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        draw(seed).save(path, quality=90)
        paths.append(path)
    return paths


class Place(NamedTuple):
    """Where a run reads and writes.

    Attributes:
        data: The photographs.
        out: The checkpoint folder, the only one in its parent folder.
        cache: The cache folder.
        temporary: The process's temporary folder.
    """

    data: Path
    out: Path
    cache: Path
    temporary: Path

    @classmethod
    def below(cls, home: Path, data: Path) -> "Place":
        """Choose the paths of a run in an empty folder."""
        shutil.rmtree(home, ignore_errors=True)
        place = cls(data, home / "runs" / "out", home / "cache", home / "temporary")
        for folder in (place.out.parent, place.cache, place.temporary):
            folder.mkdir(parents=True)
        return place

    def head(self) -> bytes:
        """Return the weights that were trained."""
        return (self.out / "head.safetensors").read_bytes()

    def left_over(self) -> list[str]:
        """List what a run should have removed or moved into place."""
        found = [path for path in self.out.parent.iterdir() if path != self.out]
        found += self.temporary.iterdir()
        found += [path for path in self.cache.rglob(".*")]
        found += [path for path in self.out.glob(".*")]
        return sorted(path.name for path in found)


class Ended(NamedTuple):
    """How a run ended.

    Attributes:
        status: Its exit status.
        said: What it wrote on stderr, without progress bars.
        seconds: How long it took.
    """

    status: int
    said: str
    seconds: float

    @property
    def is_sentence(self) -> bool:
        """Whether it failed with exit status 2 and one sentence."""
        return self.status == 2 and "error: " in self.said and "Traceback" not in self.said


def start(place: Place) -> "subprocess.Popen[str]":
    """Start training."""
    command = [sys.executable, "train.py", str(place.data), "--out", str(place.out)]
    command += ["--cache-dir", str(place.cache), "--backbone", "efficientnet_lite0"]
    command += ["--epochs", "4", "--device", "cpu", "--overwrite"]
    variables = os.environ | {"TMPDIR": str(place.temporary)}
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=variables,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: "subprocess.Popen[str]", started: float) -> Ended:
    """Wait until a run ends.

    Raises:
        subprocess.TimeoutExpired: It does not; it is killed.
    """
    try:
        _, said = process.communicate(timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    lines = [line.rpartition("\r")[2] for line in said.splitlines() if "img/s" not in line]
    return Ended(process.returncode, "\n".join(lines).strip(), time.monotonic() - started)


def train(place: Place) -> Ended:
    """Train without disturbing the run."""
    started = time.monotonic()
    return finish(start(place), started)


def kill(place: Place, after: float) -> bool:
    """Start training and kill it; return whether it was still running."""
    process = start(place)
    try:
        process.wait(after)
        return False
    except subprocess.TimeoutExpired:
        return True
    finally:
        process.kill()
        process.communicate()
