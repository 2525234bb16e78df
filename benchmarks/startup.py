"""Start-up: a cold `python -m model predict` and the demo's first page, beside the bare imports.

    python benchmarks/startup.py --rounds 3

Every measurement is a process of its own; a round is one of each, and medians over rounds are
printed; one round before them is not counted. On two quiet cores 5 rounds printed medians of 3.9 s
for the imports, 0.6 s for predict (ratio 0.16) and 3.8 s for the demo's first page (demo ratio
0.96): neither imports torch.
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

from benchmarks.client import first_page, serve
from model.commands import console

ROOT = Path(__file__).resolve().parent.parent


def _run(*arguments: str) -> None:
    subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def _demo(cache_dir: Path) -> None:
    with serve("--cache-dir", str(cache_dir)) as (address, process):
        first_page(address, process)


def main() -> int:
    """Measure and print the table.

    Returns:
        Exit status 0.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=console.HelpFormatter, prog="startup.py"
    )
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="processes of each kind")
    console.add_cache_dir(parser)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        photograph = Path(temporary, "photograph.jpg")
        Image.radial_gradient("L").convert("RGB").resize((500, 375)).save(photograph)
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
