"""The demo under load over HTTP: requests/s, latency, errors and memory.

    python benchmarks/serve_load.py --clients 1 8 32 --seconds 60
    python benchmarks/serve_load.py --replicas 1 2

The demo runs as a separate process with the shipped checkpoint, once with its default options and
once with `--batch 1`; the two are measured in turns. Each client is a thread that repeatedly
uploads a photograph, calls `/predict` and reads the answer. Between the turns, while no client is
active, the classifier is measured in this process, including decoding. Clients share the cores with
the server, so their own CPU time is printed as well. `--requests N` then sends N more requests, to
see whether memory grows. With `--requests 5000`, on two quiet cores, it printed an efficiency of
91 %, no errors, a p95 for one client of 1.2 times the in-process median, and 16.9 answers a second
with 32 clients; `--batch 1` gave 11.4. With several photographs in a batch neither core waits for
the other.

With `--replicas`, pages with the given numbers of single-threaded replicas are measured in turns
instead, and then one replica is killed; see `serve_replicas`. The efficiency is then that of the
page with the most replicas: its answers a second for each replica, divided by those of the
classifier in this process with one thread.
"""

import argparse
import io
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

# `python benchmarks/...` puts benchmarks/ on the path, not the folder above it; left there,
# benchmarks/cuda.py would be taken for NVIDIA's package `cuda`, which torch imports.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import serve_replicas
from benchmarks.client import first_page, memory, serve
from benchmarks.load import Load, ask
from demo.batch import BATCH
from model.classifier import Classifier
from model.commands import console
from model.photographs import images

_PHOTOGRAPHS = 16
_PAUSE_SECONDS = 5.0  # of measurement in this process between two turns of the server


def draw(seed: int) -> bytes:
    """Draw a photograph-like JPEG of 640 x 480 px, about 60 kB."""
    rng = np.random.default_rng(seed)
    rough = Image.fromarray(rng.integers(0, 256, (60, 80, 3), np.uint8))
    file = io.BytesIO()
    rough.resize((640, 480), Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
    return file.getvalue()


def in_process(
    classifier: Classifier, photographs: Sequence[bytes], batch: int, load: Load
) -> None:
    """Decode and classify in this process for a few seconds; add the measurements to `load`."""
    started, cpu = time.perf_counter(), time.process_time()
    number = 0
    while time.perf_counter() - started < _PAUSE_SECONDS:
        begun = time.perf_counter()
        chosen = [photographs[(number + i) % len(photographs)] for i in range(batch)]
        classifier.predict([images.decode(content) for content in chosen])
        load.latencies += [time.perf_counter() - begun] * batch
        number += batch
    load.seconds += time.perf_counter() - started
    load.client_cpu += time.process_time() - cpu


def _rate(classifier: Classifier, photographs: Sequence[bytes]) -> float:
    """Return how many answers per second a classifier gives in this process, in batches."""
    load = Load()
    in_process(classifier, photographs, BATCH, load)
    return load.rate


def parse() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=console.HelpFormatter, prog="serve_load.py"
    )
    parser.add_argument(
        "--clients", type=int, nargs="+", default=[1, 8, 32], metavar="N", help="clients at once"
    )
    parser.add_argument("--seconds", type=float, default=60, help="for each number of clients")
    parser.add_argument("--turns", type=int, default=3, help="turns that divide these seconds")
    parser.add_argument(
        "--requests", type=int, default=0, metavar="N", help="more requests, for the memory"
    )
    parser.add_argument(
        "--replicas",
        type=int,
        nargs="+",
        metavar="N",
        help="compare pages with these numbers of replicas instead; takes 3 minutes, and ignores "
        "--seconds",
    )
    console.add_cache_dir(parser)
    return parser.parse_args()


def main() -> int:
    """Start the demo, measure it, and print the table.

    Returns:
        Exit status 0; 1 if a page with replicas lost a request.
    """
    options = parse()
    photographs = [draw(seed) for seed in range(_PHOTOGRAPHS)]
    cache = ("--cache-dir", str(options.cache_dir), "--device", "cpu")
    if options.replicas:
        single = Classifier(device="cpu", cache_dir=options.cache_dir, threads=1)
        return serve_replicas.run(
            options.replicas, photographs, lambda: _rate(single, photographs), *cache
        )
    classifier = Classifier(device="cpu", cache_dir=options.cache_dir)
    alone, together = Load(), Load()
    loads = {(b, n): Load() for n in options.clients for b in (BATCH, 1)}
    with serve(*cache) as batched, serve(*cache, "--batch", "1") as single:
        servers = {BATCH: batched, 1: single}
        for address, process in servers.values():
            first_page(address, process)
            ask(address, 4, photographs, Load(), 600, 20)  # warm-up
        before = memory(batched[1])
        for _ in range(options.turns):
            for (batch, clients), load in loads.items():
                in_process(classifier, photographs, 1, alone)
                in_process(classifier, photographs, BATCH, together)
                seconds = options.seconds / options.turns
                ask(servers[batch][0], clients, photographs, load, seconds, 10**9)
        after = memory(batched[1])
        soak, ends = Load(), []
        for _ in range(2):
            ask(batched[0], 8, photographs, soak, 1e9, options.requests // 2)
            ends.append(memory(batched[1]))
    columns = ("", "Answers", "a second", "p50 ms", "p95 ms", "p99 ms", "Errors", "Clients' CPU s")
    rows = [alone.row("in process"), together.row(f"in process, {BATCH} at once")]
    for (batch, clients), load in loads.items():
        rows.append(load.row(f"{clients} clients{', --batch 1' if batch == 1 else ''}"))
    print(console.table(columns, rows))
    for reason in sorted({error for load in [*loads.values(), soak] for error in load.errors})[:5]:
        print(f"Error: {reason}")
    served = sum(len(load.latencies) for (batch, _), load in loads.items() if batch == BATCH)
    print(f"memory {before:.0f} MB, after {served:,} requests {after:.0f} MB", end="")
    half = options.requests // 2
    print("".join(f", after {half:,} more {end:.0f} MB" for end in ends) if half else "")
    middle = statistics.median(alone.latencies)
    least, most = min(options.clients), max(options.clients)
    p95 = float(np.percentile(loads[BATCH, least].latencies or [0.0], 95))
    print(f"p95 at {least} clients is {p95 / middle:.1f} times the in-process median")
    best = max(alone.rate, together.rate)
    print(f"serving efficiency {loads[BATCH, most].rate / best:.0%}".replace("%", " %"))
    return 0


if __name__ == "__main__":
    sys.exit(console.run("serve_load.py", main))
