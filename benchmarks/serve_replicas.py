"""Pages with replicas under load: answers a second, and the effect of a killed replica.

`python benchmarks/serve_load.py --replicas 1 2` runs it. For each number of replicas, a demo runs
as a separate process with its own Ray cluster and one thread per replica. All demos stay up and are
measured in turns; the table has the medians of all rounds. Then a replica of the page with the most
replicas is killed while all clients send requests.
"""

import contextlib
import os
import re
import signal
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.client import first_page, resident, serve
from benchmarks.load import Load, ask
from model.commands import console

ROUNDS = 5
_ROUND_SECONDS = 6.0
_KILL_SECONDS = 15.0
_CLIENTS = 4  # per replica of the page with the most replicas, plus 4


@dataclass
class _Page:
    """One demo and its measurements.

    Attributes:
        replicas: Number of its replicas.
        address: Its address.
        log: File with everything it prints.
        rates: Answers a second in each round.
        errors: The error message of each request that was not answered.
    """

    replicas: int
    address: str
    log: Path
    rates: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def printed(self) -> str:
        """Return everything the demo has printed so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def processes(self) -> list[int]:
        """Return the process ids of its replicas, including replaced ones."""
        return [int(found) for found in re.findall(r"process (\d+) on", self.printed())]


def run(
    counts: Sequence[int],
    photographs: Sequence[bytes],
    alone: Callable[[], float],
    *options: str,
) -> int:
    """Measure the pages, and print the results.

    Args:
        counts: Numbers of replicas, one page each.
        photographs: Files that clients send.
        alone: Measures the classifier in this process with one thread, including decoding, while no
            client is active; returns answers a second.
        options: Further options of the demo.

    Returns:
        Exit status 0; 1 if a request was lost.
    """
    most = max(counts)
    clients, inside = _CLIENTS * (most + 1), list[float]()
    with contextlib.ExitStack() as stack:
        pages = [_start(stack, count, options) for count in counts]
        for page in pages:
            ask(page.address, clients, photographs, Load(), 600, 5 * clients)  # warm-up
        for _ in range(ROUNDS):
            inside.append(alone())
            for page in pages:
                load = Load()
                ask(page.address, clients, photographs, load, _ROUND_SECONDS, 10**9)
                page.rates.append(load.rate)
                page.errors += load.errors
        one = statistics.median(inside)
        rows = [["in process, 1 thread", f"{one:.1f}", _spread(inside), "", ""]]
        for page in pages:
            each = [resident(process) for process in page.processes()]
            name = f"{page.replicas} replica{'s' if page.replicas > 1 else ''} of 1 thread"
            cells = [f"{statistics.median(page.rates):.1f}", _spread(page.rates)]
            rows.append([name, *cells, str(len(page.errors)), f"{statistics.mean(each):.0f}"])
        print(console.table(("", "Answers per second", "range", "Errors", "MB per replica"), rows))
        largest = max(pages, key=lambda page: page.replicas)
        lost = _kill(largest, clients, photographs) + sum(len(page.errors) for page in pages)
    rate = statistics.median(largest.rates)
    print(f"serving efficiency {rate / (most * one):.0%}".replace("%", " %"))
    return int(lost > 0)


def _start(stack: contextlib.ExitStack, count: int, options: Sequence[str]) -> _Page:
    """Start a demo with its own Ray cluster, and wait for its page."""
    folder = stack.enter_context(tempfile.TemporaryDirectory(dir="/tmp", prefix="ff"))
    log = Path(folder, "printed")
    output = stack.enter_context(log.open("wb"))
    replicas = ("--replicas", str(count), "--replica-threads", "1")
    address, process = stack.enter_context(
        serve(*options, *replicas, output=output, RAY_TMPDIR=folder)
    )
    first_page(address, process)
    return _Page(count, address, log)


def _kill(page: _Page, clients: int, photographs: Sequence[bytes]) -> int:
    """Kill a replica under load, print the effect, and return the number of lost requests."""
    load, victim = Load(), page.processes()[-1]
    killer = threading.Timer(_KILL_SECONDS / 5, os.kill, (victim, signal.SIGKILL))
    killer.start()
    started = time.monotonic()
    ask(page.address, clients, photographs, load, _KILL_SECONDS, 10**9)
    while "answers again" not in page.printed() and time.monotonic() - started < 60:
        time.sleep(0.1)
    batches = page.printed().count("is asked again")
    back = "is back" if "answers again" in page.printed() else "did not come back"
    print(
        f"killed 1 of {page.replicas} under load: {len(load.latencies)} requests answered, "
        f"{len(load.errors)} lost, {batches} batch{'es' if batches != 1 else ''} asked again, the "
        f"slowest answer after {max(load.latencies, default=0.0):.1f} s; the replica {back}"
    )
    for reason in sorted(set(load.errors))[:5]:
        print(f"Error: {reason}")
    return len(load.errors)


def _spread(values: Sequence[float]) -> str:
    return f"{min(values):.1f}-{max(values):.1f}"
