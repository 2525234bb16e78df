"""Uploads over HTTP to the running demo: requests/s, latency, errors and memory.

    python benchmarks/serve_load.py --clients 1 8 32 --seconds 60

The demo runs as a process of its own with the shipped checkpoint, once as it is and once with
`--batch 1`; the two take turns. Each client is a thread that uploads a photograph, asks `/predict`
and reads the answer, over and over. The classifier called in this process, decoding included, is
measured while nobody asks, before and after every turn. Clients share the cores with the server;
their own CPU seconds are printed beside. `--requests N` then asks N times more, for the memory.
With `--requests 5000`, on two quiet cores, it printed an efficiency of 91 %, no errors, a p95 at
one client of 1.2 times the in-process median, and 16.9 answers a second at 32 clients where
`--batch 1` gives 11.4: with several photographs in a pass no core waits for the other.
"""

import argparse
import http.client
import io
import statistics
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

# `python benchmarks/...` puts benchmarks/ on the path, not the folder above it; left there,
# benchmarks/cuda.py would be taken for NVIDIA's package `cuda`, which torch imports.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.client import Client, first_page, memory, serve
from demo.batch import BATCH
from model.classifier import Classifier
from model.commands import console
from model.photographs import images

_PHOTOGRAPHS = 16
_PAUSE_SECONDS = 5.0  # of in-process work between two turns of the server


def draw(seed: int) -> bytes:
    """Draw a photograph-like JPEG of 640 x 480 px, about 60 kB."""
    rng = np.random.default_rng(seed)
    rough = Image.fromarray(rng.integers(0, 256, (60, 80, 3), np.uint8))
    file = io.BytesIO()
    rough.resize((640, 480), Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
    return file.getvalue()


@dataclass
class Load:
    """What one kind of run has seen.

    Attributes:
        latencies: Seconds of each answered request.
        errors: Reasons of those that were not answered.
        seconds: Time of all turns.
        client_cpu: CPU seconds of the clients.
    """

    latencies: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    seconds: float = 0.0
    client_cpu: float = 0.0

    @property
    def rate(self) -> float:
        """Answers per second."""
        return len(self.latencies) / max(self.seconds, 1e-9)

    def row(self, name: str) -> list[str]:
        """Return the table's row."""
        parts = np.percentile(self.latencies or [0.0], (50, 95, 99)) * 1000
        cells = [f"{len(self.latencies):,}", f"{self.rate:.1f}", *(f"{p:,.0f}" for p in parts)]
        return [name, *cells, str(len(self.errors)), f"{self.client_cpu:.1f}"]


def ask(
    address: str, clients: int, photographs: Sequence[bytes], load: Load, seconds: float, most: int
) -> None:
    """Let clients ask for some seconds, or until there are enough answers; add to `load`."""
    started, cpu = time.perf_counter(), time.process_time()
    lock = threading.Lock()
    count = 0

    def visit(number: int) -> None:
        nonlocal count
        client = Client(address)
        while time.perf_counter() - started < seconds:
            with lock:
                if count >= most:
                    return
                count += 1
            begun = time.perf_counter()
            try:
                client.predict(photographs[count % len(photographs)])
            except (ValueError, OSError, http.client.HTTPException) as error:
                load.errors.append(str(error))
                client = Client(address)
            else:
                load.latencies.append(time.perf_counter() - begun)

    threads = [threading.Thread(target=visit, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    load.seconds += time.perf_counter() - started
    load.client_cpu += time.process_time() - cpu


def in_process(
    classifier: Classifier, photographs: Sequence[bytes], batch: int, load: Load
) -> None:
    """Decode and classify for some seconds in this process; add to `load`."""
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


def parse() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=console.HelpFormatter, prog="serve_load.py"
    )
    parser.add_argument(
        "--clients", type=int, nargs="+", default=[1, 8, 32], metavar="N", help="at once"
    )
    parser.add_argument("--seconds", type=float, default=60, help="each number of clients, in all")
    parser.add_argument("--turns", type=int, default=3, help="that those seconds are dealt into")
    parser.add_argument("--requests", type=int, default=0, metavar="N", help="more, for the memory")
    console.add_cache_dir(parser)
    return parser.parse_args()


def main() -> int:
    """Serve, ask, print the table.

    Returns:
        Exit status 0.
    """
    options = parse()
    photographs = [draw(seed) for seed in range(_PHOTOGRAPHS)]
    classifier = Classifier(device="cpu", cache_dir=options.cache_dir)
    alone, together = Load(), Load()
    loads = {(b, n): Load() for n in options.clients for b in (BATCH, 1)}
    cache = ("--cache-dir", str(options.cache_dir), "--device", "cpu")
    with serve(*cache) as batched, serve(*cache, "--batch", "1") as single:
        servers = {BATCH: batched, 1: single}
        for address, process in servers.values():
            first_page(address, process)
            ask(address, 4, photographs, Load(), 600, 20)  # threads and buffers are there
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
