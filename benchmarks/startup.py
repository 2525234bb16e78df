"""Start-up time of `python -m model predict` and of the demo, compared with the bare imports.

    python benchmarks/startup.py --rounds 3
    python benchmarks/startup.py --classes 10000
    python benchmarks/startup.py --checkpoint runs/roses

Every measurement is a new process. Each round measures every kind once; after a warm-up round that
is not counted, the medians of the rounds are printed. On two quiet cores, 5 rounds gave medians of
3.9 s for the imports, 0.6 s for predict (ratio 0.16) and 3.8 s for the demo's first page (demo
ratio 0.96). Neither command imports torch.

With --classes or --checkpoint it measures a page instead: the demo starts with the checkpoint, and
Chromium visits the page once per round with an empty cache. The page counts as opened as soon as it
accepts a photograph. --classes creates a checkpoint from generated features and a packaged
backbone.
"""

import argparse
import functools
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from PIL import Image

# `python benchmarks/...` puts benchmarks/ on the path, not the folder above it; left there,
# benchmarks/cuda.py would be taken for NVIDIA's package `cuda`, which torch imports.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.client import first_page, memory, serve
from model.commands import console
from model.photographs.class_names import MAX_CLASSES

ROOT = Path(__file__).resolve().parent.parent


def _run(*arguments: str) -> None:
    subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def _demo(cache_dir: Path) -> None:
    with serve("--cache-dir", str(cache_dir)) as (address, process):
        first_page(address, process)


def _measure_page(checkpoint: str, photograph: Path, rounds: int, cache_dir: Path) -> None:
    """Serve a checkpoint, visit its page, and print the times and the memory."""
    from benchmarks.startup_parts.visit import visit  # only this needs a browser

    started = time.perf_counter()
    arguments = ("--checkpoint", checkpoint, "--cache-dir", str(cache_dir), "--device", "cpu")
    with serve(*arguments) as (address, process):
        first_page(address, process)
        up = time.perf_counter() - started
        visits = [visit(address, photograph) for _ in range(rounds)]
        used = memory(process)
    rows = [(f"visit {number}", *one.cells()) for number, one in enumerate(visits, 1)]
    print(console.table(("", "Opened s", "Answered s", "Sent kB", "Document kB"), rows))
    print(f"server up after {up:.2f} s, {used:,.0f} MB of memory")
    print(f"page opened {statistics.median(one.opened for one in visits):.2f} s")


def _make(folder: Path, classes: int, parents: bool, cache_dir: Path) -> None:
    from benchmarks.startup_parts.many_classes import make
    from model.backbones.backbone import DEFAULT_BACKBONE, open_backbone

    started = time.perf_counter()
    backbone = open_backbone(DEFAULT_BACKBONE, device="cpu", cache_dir=cache_dir)
    make(folder, backbone, classes, parents=parents)
    print(f"checkpoint of {classes:,} classes made in {time.perf_counter() - started:.1f} s")


def main() -> int:
    """Run the measurements, and print the table.

    Returns:
        Exit status 0.

    Raises:
        FileNotFoundError: A page is to be measured, but Chromium is not installed.
        OSError: The demo does not start.
        ValueError: --classes is out of range.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=console.HelpFormatter, prog="startup.py"
    )
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="processes of each kind")
    page = parser.add_argument_group("a page")
    given = page.add_mutually_exclusive_group()
    given.add_argument("--checkpoint", metavar="CHECKPOINT", help="measure its page")
    given.add_argument(
        "--classes", type=int, metavar="N", help="measure the page of a checkpoint of N classes"
    )
    page.add_argument("--parents", action="store_true", help="the N classes have parents")
    console.add_cache_dir(parser)
    options = parser.parse_args()
    if options.classes is not None and not 10 <= options.classes <= MAX_CLASSES:
        raise ValueError(f"--classes {options.classes} is outside 10 to {MAX_CLASSES:,}.")
    with tempfile.TemporaryDirectory() as temporary:
        photograph = Path(temporary, "photograph.jpg")
        Image.radial_gradient("L").convert("RGB").resize((500, 375)).save(photograph)
        if options.classes or options.checkpoint:
            checkpoint = options.checkpoint or str(Path(temporary, "checkpoint"))
            if options.classes:
                _make(Path(checkpoint), options.classes, options.parents, options.cache_dir)
            _measure_page(checkpoint, photograph, options.rounds, options.cache_dir)
            return 0
        cache = ("--cache-dir", str(options.cache_dir))
        kinds: dict[str, Callable[[], None]] = {
            "import torch, gradio": functools.partial(_run, "-c", "import torch, gradio"),
            "python -m model predict": functools.partial(
                _run, "-m", "model", "predict", str(photograph), *cache
            ),
            "python -m demo, first page": functools.partial(_demo, options.cache_dir),
        }
        seconds: dict[str, list[float]] = {kind: [] for kind in kinds}
        for number in range(options.rounds + 1):
            for kind, run in kinds.items():
                started = time.perf_counter()
                run()
                if number:
                    seconds[kind].append(time.perf_counter() - started)
    medians = {kind: statistics.median(times) for kind, times in seconds.items()}
    base = medians["import torch, gradio"]
    rows = [
        (kind, f"{middle:.2f}", f"{min(seconds[kind]):.2f}", f"{middle / base:.2f}")
        for kind, middle in medians.items()
    ]
    print(console.table(("Process", "Median s", "Least s", "Ratio"), rows))
    print(f"predict ratio {medians['python -m model predict'] / base:.2f}")
    print(f"demo ratio {medians['python -m demo, first page'] / base:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(console.run("startup.py", main))
