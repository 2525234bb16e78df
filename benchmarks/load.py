"""Clients that send requests to the demo at the same time, and their measurements."""

import http.client
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks.client import Client


@dataclass
class Load:
    """The measurements of one kind of run.

    Attributes:
        latencies: Duration of each answered request, in s.
        errors: The error message of each request that was not answered.
        seconds: Total duration of all turns.
        client_cpu: CPU time of the clients, in s.
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
        """Return the row of the table that starts with this name."""
        parts = np.percentile(self.latencies or [0.0], (50, 95, 99)) * 1000
        cells = [f"{len(self.latencies):,}", f"{self.rate:.1f}", *(f"{p:,.0f}" for p in parts)]
        return [name, *cells, str(len(self.errors)), f"{self.client_cpu:.1f}"]


def ask(
    address: str, clients: int, photographs: Sequence[bytes], load: Load, seconds: float, most: int
) -> None:
    """Send requests from several clients at once, and add the measurements to `load`.

    Args:
        address: Address of the demo.
        clients: Number of clients, one thread each.
        photographs: Files that the clients send in turn.
        load: Collects the measurements.
        seconds: Clients stop sending after this time.
        most: Clients stop sending after this many requests in all.
    """
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
