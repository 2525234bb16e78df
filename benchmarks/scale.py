"""Time and peak memory of training for growing numbers of photographs and classes.

    python benchmarks/scale.py --sizes 1000 10000 100000 --rows 1000000x1000 100000x10000
    python benchmarks/scale.py --sizes --rows 50000x1000 --in-memory 25    # a small row, quickly

The photographs are generated: small JPEGs in 20 classes, each with a different comment, so that no
two files are equal. The backbone is a tiny random network, so the measurement covers everything
else: listing, checking, decoding, features, head, evidence, evaluation and checkpoint. Each run is
a separate process. The first run starts with an empty cache; the second repeats the command, finds
the features in the cache, and fits the head again. torch and timm create the tiny network (a
packaged one needs neither); they are imported before the clock starts, and account for about 800 MB
of the memory. The peak includes the pages of mapped files; without them it is that of anonymous
memory, which the system cannot reclaim (on Linux; 0 elsewhere).

A row has generated features instead of photographs: 2,048 float16 values each, stored class by
class in a temporary file. In a separate process a linear head is fitted to them in 2 epochs, with
embedding and evidence, then calibrated and measured, and the photographs are audited. The peak is
that of anonymous memory. One in twenty photographs has another class's features; the head cannot
recognise it, and the audit should find it. Rows need Linux.
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

# `python benchmarks/...` puts benchmarks/ on the path, not the folder above it; left there,
# benchmarks/cuda.py would be taken for NVIDIA's package `cuda`, which torch imports.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from model.cache import IN_MEMORY
from model.commands import console

ROOT = Path(__file__).resolve().parent.parent
_CLASSES = 20
_PICTURES = 25  # distinct pictures per class
_SIDE = 48  # px
_ROW_COLUMNS = (
    "Photographs x classes",
    "Fit s",
    "Measure s",
    "Audit s",
    "Peak MB",
    "Top-1",
    "Possible",
    "Found by the audit",
)


def make_photographs(folder: Path, count: int) -> None:
    """Write `count` JPEGs, no two of them equal, into class folders."""
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
    """Train in this process with a tiny network; print seconds and peak memory (MB) as JSON."""
    import resource

    import timm
    import torch

    import train
    from benchmarks.scale_parts.peak import Peak
    from model.backbones import backbone, torch_engine

    def load_network(name: str, image_size: int | None = None) -> tuple[Any, str, dict[str, Any]]:
        torch.manual_seed(0)
        network = timm.create_model(name, pretrained=False)
        half = (0.5, 0.5, 0.5)
        config = {"input_size": (3, _SIDE, _SIDE), "crop_pct": 0.95, "mean": half, "std": half}
        return network, "0" * 64, {**config, "interpolation": "bicubic"}

    backbone.load_network = torch_engine.load_network = load_network
    anonymous, started = Peak(), time.perf_counter()
    train.main(train.parse(arguments))
    seconds = time.perf_counter() - started
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    found = {"seconds": seconds, "peak": peak / 1e6, "anonymous": anonymous.stop() / 1e6}
    print(json.dumps(found))


def run(photographs: Path, work: Path) -> dict[str, float]:
    """Train in a separate process.

    Args:
        photographs: Folder of the photographs.
        work: Folder for the cache and the checkpoint.

    Returns:
        `seconds`, without the start of the interpreter; `peak` memory and the part of it that is
        `anonymous`, in MB.
    """
    command = [sys.executable, __file__, "--train-here", str(photographs), "--device", "cpu"]
    command += ["--backbone", "test_resnet", "--out", str(work / "out"), "--overwrite"]
    command += ["--cache-dir", str(work / "cache"), "--epochs", "10"]
    result = subprocess.run(
        command, cwd=ROOT, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    return json.loads(result.stdout.splitlines()[-1])


def run_row(row: str, in_memory: int) -> tuple[str, ...]:
    """Fit, measure and audit generated features in a separate process.

    Args:
        row: `PHOTOGRAPHSxCLASSES`.
        in_memory: Largest array, in bytes, that is held in memory instead of mapped from a file.

    Returns:
        The cells of the row in the table.
    """
    count, classes = map(int, row.split("x"))
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--row-here", str(count), str(classes)]
        result = subprocess.run(
            [*command, folder, str(in_memory)], cwd=ROOT, check=True, stdout=subprocess.PIPE
        )
    found = json.loads(result.stdout.splitlines()[-1])
    times = (f"{found[part]:,.0f}" for part in ("fit", "measure", "audit"))
    shares = (f"{found[name]:.2%}" for name in ("top1", "possible", "found"))
    return f"{count:,} x {classes:,}", *times, f"{found['peak'] / 1e6:,.0f}", *shares


def _row(text: str) -> str:
    """Check that an argument has the form `PHOTOGRAPHSxCLASSES`, and return it."""
    count, by, classes = text.partition("x")
    if not (
        by and count.isdecimal() and classes.isdecimal() and int(count) >= 2 * int(classes) > 2
    ):
        raise argparse.ArgumentTypeError(
            f"'{text}' is not PHOTOGRAPHSxCLASSES with at least 2 classes and 2 photographs of each"
        )
    return text


def main() -> int:
    """Train twice for each size, print the table, and then measure and print the rows.

    Returns:
        Exit status 0.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=console.HelpFormatter, prog="scale.py"
    )
    parser.add_argument(
        "--sizes",
        type=int,
        nargs="*",
        default=[1000, 10_000, 100_000],
        metavar="N",
        help="photographs to train on",
    )
    parser.add_argument(
        "--rows",
        type=_row,
        nargs="*",
        default=["1000000x1000", "100000x10000"],
        metavar="NxC",
        help="photographs and classes of generated features",
    )
    parser.add_argument(
        "--in-memory",
        type=int,
        default=IN_MEMORY // 10**6,
        metavar="MB",
        help="arrays of a row that are larger than this are mapped from a file",
    )
    options = parser.parse_args()
    if min(options.sizes, default=5 * _CLASSES) < 5 * _CLASSES:
        raise ValueError(f"--sizes must be {5 * _CLASSES} or more.")
    if options.sizes:
        _train_all(options.sizes)
    if options.rows:
        rows = [run_row(row, 10**6 * options.in_memory) for row in options.rows]
        print(console.table(_ROW_COLUMNS, rows))
    return 0


def _train_all(sizes: list[int]) -> None:
    """Train twice for each number of photographs, and print the table."""
    rows = []
    took: dict[str, dict[str, float]] = {}
    for size in sizes:
        with tempfile.TemporaryDirectory() as temporary:
            work = Path(temporary)
            make_photographs(work / "photographs", size)
            took = {name: run(work / "photographs", work) for name in ("first", "second")}
        rows += [
            (
                f"{size:,}, {name}",
                f"{one['seconds']:.1f}",
                f"{one['seconds'] / size * 1e3:.2f}",
                f"{one['peak']:,.0f}",
                f"{one['anonymous']:,.0f}",
            )
            for name, one in took.items()
        ]
    columns = ("Photographs, run", "Seconds", "ms each", "Peak MB", "Anonymous MB")
    print(console.table(columns, rows))
    share = f"{took['second']['seconds'] / took['first']['seconds']:.1%}".replace("%", " %")
    print(f"second run {share} of the first")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--train-here"]:
        _train_here(sys.argv[2:])
    elif sys.argv[1:2] == ["--row-here"]:
        from benchmarks.scale_parts import heads

        heads.run_here(sys.argv[2:])
    else:
        sys.exit(console.run("scale.py", main))
