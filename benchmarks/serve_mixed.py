"""Sends good and damaged photographs over HTTP for half an hour; reports answers and resources.

    python benchmarks/serve_mixed.py --clients 32 --minutes 30

The demo runs in its own process with the shipped checkpoint. Each client is a thread that uploads a
file and calls `/predict` in a loop: six of ten files are sound photographs, three are damaged ones
of every supported format, and one is not a photograph. At the end the demo gets a SIGTERM while all
clients are calling. A client that was just about to upload its file, or to send its call, finds the
connection closed and is counted separately.
"""

import argparse
import http.client
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

# `python benchmarks/...` puts benchmarks/ on the path instead of the folder above it.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.client import Client, descriptors, first_page, memory, serve
from benchmarks.fault_parts import damaged_files
from benchmarks.serve_load import draw
from model.commands import console

_SAMPLE_SECONDS = 5.0
_ROWS = 6  # rows of the table
_STOP_SECONDS = 60.0  # time limit for the demo to end
_REASON = 'ValueError: error: data: {"error": "'  # without a reason, the error is null

ANSWERED, REFUSED, CLOSED = "answered", "refused with a reason", "the connection was closed"
_INTENDED = (ANSWERED, REFUSED)

Tally = Counter[tuple[str, str]]
"""(kind of file, outcome) -> number of calls."""


def number_of(tally: Tally, *outcomes: str) -> int:
    """Count the calls with one of these outcomes."""
    return sum(number for (_, found), number in tally.items() if found in outcomes)


def files(
    seed: int, sound: Sequence[bytes], originals: Sequence[list[bytes]]
) -> Iterator[tuple[str, bytes]]:
    """Yield an endless sequence of kinds and files that depends only on the seed.

    Args:
        seed: The seed.
        sound: Undamaged photographs.
        originals: Files to damage, one list per format.
    """
    rng = np.random.default_rng(seed)
    formats = [damaged_files.files(of_format, seed) for of_format in originals]
    while True:
        place = rng.integers(10)
        if place < 6:
            yield "sound", sound[int(rng.integers(len(sound)))]
        elif place < 9:
            yield "damaged", next(formats[int(rng.integers(len(formats)))])
        else:
            yield "not a photograph", rng.bytes(int(rng.integers(0, 5000)))


def outcome(client: Client, kind: str, content: bytes) -> str:
    """Send a file; return `ANSWERED`, `REFUSED`, `CLOSED`, or a description of the problem.

    Refusing a sound photograph counts as a problem too.
    """
    try:
        client.predict(content)
    except ConnectionError:
        return CLOSED
    except (ValueError, OSError, http.client.HTTPException) as error:
        text = f"{type(error).__name__}: {error}"
        return REFUSED if text.startswith(_REASON) and kind != "sound" else text
    return ANSWERED


class Visitors:
    """Threads that send files until they are told to stop."""

    def __init__(self, address: str, count: int) -> None:
        """Start the threads.

        Args:
            address: Address of the page.
            count: Number of threads.
        """
        self._tallies = Tally(), Tally()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._address = address
        self._sound = [draw(number) for number in range(4)]
        self._originals = list(damaged_files.originals().values())
        self._threads = [
            threading.Thread(target=self._visit, args=(number,), daemon=True)
            for number in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def _visit(self, number: int) -> None:
        client = Client(self._address)
        for kind, content in files(number, self._sound, self._originals):
            if self._stopping.is_set():
                return
            found = outcome(client, kind, content)
            with self._lock:
                self._tallies[self._stopping.is_set()][kind, found] += 1
            if found not in _INTENDED:
                client = Client(self._address)

    def tallies(self) -> tuple[Tally, Tally]:
        """Return the outcomes so far, and separately those of the calls in flight at the stop."""
        with self._lock:
            before, after = self._tallies
            return before.copy(), after.copy()

    def stop(self) -> None:
        """Let each thread end after its present call, without waiting for it."""
        self._stopping.set()

    def join(self) -> None:
        """Wait until all threads have ended."""
        for thread in self._threads:
            thread.join()


def parse() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=console.HelpFormatter, prog="serve_mixed.py"
    )
    parser.add_argument("--clients", type=int, default=32, help="number of clients at once")
    parser.add_argument("--minutes", type=float, default=30, help="duration of the load")
    console.add_cache_dir(parser)
    return parser.parse_args()


def main() -> int:
    """Serve, run the clients, stop the demo, and print the figures.

    Returns:
        Exit status 0 if every call was answered or refused with a reason, else 1.
    """
    options = parse()
    rows: list[list[str]] = []
    with serve("--cache-dir", str(options.cache_dir), "--device", "cpu") as (address, process):
        first_page(address, process)
        visitors, started = Visitors(address, options.clients), time.monotonic()
        for part in range(_ROWS):
            samples = []
            end = started + (part + 1) * options.minutes * 60 / _ROWS
            while (left := end - time.monotonic()) > 0:
                time.sleep(min(left, _SAMPLE_SECONDS))
                samples.append((memory(process), descriptors(process)))
            seen, _ = visitors.tallies()
            megabytes, opened = zip(*samples, strict=True)
            rows.append(
                [
                    f"{(part + 1) * options.minutes / _ROWS:.3g}",
                    f"{number_of(seen, ANSWERED):,}",
                    f"{number_of(seen, REFUSED):,}",
                    f"{seen.total() - number_of(seen, *_INTENDED):,}",
                    f"{np.mean(megabytes):.0f}",
                    f"{max(megabytes):.0f}",
                    f"{max(opened):,}",
                ]
            )
        visitors.stop()
        stopped = time.monotonic()
        process.terminate()
        status = process.wait(_STOP_SECONDS)
        seconds = time.monotonic() - stopped
        visitors.join()
    header = ["Minutes", "Answered", "Refused", "Errors", "Mean MB", "Most MB", "Descriptors"]
    print(console.table(header, rows))
    seen, last = visitors.tallies()
    for when, tally in (("", seen), ("at the end, ", last)):
        for (kind, found), number in sorted(tally.items()):
            print(f"{when}{kind}: {number:,} {found}")
    served, late = number_of(last, *_INTENDED), number_of(last, CLOSED)
    print(f"SIGTERM: ended after {seconds:.1f} s with status {status}; {served} clients had their")
    print(f"answer, {late} found the connection closed, {last.total() - served - late} lost a call")
    return 0 if seen.total() == number_of(seen, *_INTENDED) else 1


if __name__ == "__main__":
    sys.exit(console.run("serve_mixed.py", main))
