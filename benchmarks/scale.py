"""Growth: time and peak memory of training as the photographs become more.

    python benchmarks/scale.py --sizes 1000 10000 100000

Photographs are made on the spot: small JPEGs, each with a comment of its own, so that no two
files are the same, in 20 classes. The backbone is a tiny random network: what is measured is
everything else: listing, checking, decoding, features, head, evidence, evaluation, checkpoint.
Every run is a process of its own; the second finds the first one's cache.
On two busy cores that command printed 1.8 ms a photograph in the first run at 100,000 (180 s, peak
1,614 MB, of which about 1,000 MB are torch and the process itself) and 0.44 ms in the second (44 s,
1,567 MB): 24 % of the first, since a tiny network's features are hardly more work than the head,
which is fitted anew.
"""

import argparse
import io
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

# `python benchmarks/...` puts benchmarks/ on the path, not the folder above it.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from model import console

ROOT = Path(__file__).resolve().parent.parent
_CLASSES = 20
_PICTURES = 25  # different ones a class
_SIDE = 48  # px


def make_photographs(folder: Path, count: int) -> None:
    """Write `count` JPEGs, all different files, into class folders."""
    rng = np.random.default_rng(0)
    for number in range(_CLASSES):
        home = folder / f"class{number:02d}"
        home.mkdir(parents=True)
        pictures = []
        for _ in range(_PICTURES):
            pixels = rng.normal(60 + 7 * number, 40, (_SIDE, _SIDE, 3)).clip(0, 255)
            file = io.BytesIO()
            Image.fromarray(pixels.astype(np.uint8)).save(file, "JPEG", quality=60)
            pictures.append(file.getvalue())
        for index in range(number, count, _CLASSES):
            comment = f"photograph {index}".encode()
            marker = b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment
            picture = pictures[index // _CLASSES % _PICTURES]
            (home / f"{index:06d}.jpg").write_bytes(picture[:2] + marker + picture[2:])


def _train_here(arguments: list[str]) -> None:
    """Train in this process with a tiny network, and print seconds and peak memory as JSON."""
    import resource

    import timm
    import torch

    import train
    from model import backbone

    def load_network(name: str, image_size: int | None = None) -> tuple[Any, str, dict[str, Any]]:
        torch.manual_seed(0)
        network = timm.create_model(name, pretrained=False)
        half = (0.5, 0.5, 0.5)
        config = {"input_size": (3, _SIDE, _SIDE), "crop_pct": 0.95, "mean": half, "std": half}
        return network, "0" * 64, {**config, "interpolation": "bicubic"}

    backbone.load_network = load_network
    started = time.perf_counter()
    train.main(train.parse(arguments))
    seconds = time.perf_counter() - started
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    metrics = Path(arguments[arguments.index("--out") + 1], "metrics.json").read_text("utf-8")
    head = json.loads(metrics)["seconds"]["head"]
    print(json.dumps({"seconds": seconds, "head": head, "peak": peak / 1e6}))


def run(photographs: Path, work: Path) -> dict[str, float]:
    """Train in a process of its own.

    Returns:
        `seconds`, without the interpreter's start, those of the `head`, and `peak` memory in MB.
    """
    command = [sys.executable, __file__, "--train-here", str(photographs), "--device", "cpu"]
    command += ["--backbone", "test_resnet", "--out", str(work / "out"), "--overwrite"]
    command += ["--cache-dir", str(work / "cache"), "--epochs", "10"]
    result = subprocess.run(
        command, cwd=ROOT, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    return json.loads(result.stdout.splitlines()[-1])


def main() -> int:
    """Make the photographs, train twice a size, print the table.

    Returns:
        Exit status 0.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=console.HelpFormatter, prog="scale.py"
    )
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=[1000, 10_000, 100_000], metavar="N"
    )
    options = parser.parse_args()
    if min(options.sizes) < 5 * _CLASSES:
        raise ValueError(f"--sizes must be {5 * _CLASSES} or more.")
    rows = []
    first: dict[str, float] = {}
    second: dict[str, float] = {}
    for size in options.sizes:
        with tempfile.TemporaryDirectory() as temporary:
            work = Path(temporary)
            make_photographs(work / "photographs", size)
            first, second = (run(work / "photographs", work) for _ in range(2))
        rows += [
            (
                f"{size:,}, {name}",
                f"{took['seconds']:.1f}",
                f"{took['head']:.1f}",
                f"{took['seconds'] / size * 1e3:.2f}",
                f"{took['peak']:,.0f}",
            )
            for name, took in (("first", first), ("second", second))
        ]
    print(
        console.table(("Photographs, run", "Seconds", "of them head", "ms each", "Peak MB"), rows)
    )
    print(f"second run {second['seconds'] / first['seconds']:.1%} of the first".replace("%", " %"))
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--train-here"]:
        _train_here(sys.argv[2:])
    else:
        sys.exit(console.run("scale.py", main))
