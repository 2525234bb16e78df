"""Runs the demo in its own process, visits it over HTTP, and reads the memory that it takes."""

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

_ROOT = Path(__file__).resolve().parent.parent
_GIVE_UP_SECONDS = 300


@contextlib.contextmanager
def serve(
    *arguments: str, output: IO[bytes] | None = None, **variables: str
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run `python -m demo` on a free port of this machine until the block ends.

    Args:
        arguments: More options of the command.
        output: A file for what the command prints; None to drop it.
        variables: More environment variables of the command.

    Yields:
        The page's address, and the process. The page may not answer yet; see `first_page`.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "demo", "--port", str(port), *arguments]
    with tempfile.TemporaryFile() as dropped:
        environment, file = os.environ | variables, output or dropped
        process = subprocess.Popen(command, cwd=_ROOT, env=environment, stdout=file, stderr=file)
        try:
            yield f"http://127.0.0.1:{port}", process
        finally:
            process.terminate()
            process.wait()


def first_page(address: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until the page is served.

    Raises:
        OSError: The process ended, or the page does not answer within some minutes.
    """
    started = time.monotonic()
    while time.monotonic() - started < _GIVE_UP_SECONDS:
        if process.poll() is not None:
            raise OSError(f"python -m demo ended with status {process.returncode}.")
        with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
            with urllib.request.urlopen(address, timeout=5) as page:
                page.read()
            return
        time.sleep(0.02)
    raise OSError(f"The page at {address} did not answer within {_GIVE_UP_SECONDS} s.")


class Client:
    """One visitor with one kept-alive connection."""

    def __init__(self, address: str) -> None:
        """Connect to a page."""
        self._connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=120)

    def _ask(self, method: str, path: str, body: bytes | None, kind: str) -> bytes:
        self._connection.request(method, path, body, {"Content-Type": kind} if body else {})
        response = self._connection.getresponse()
        content = response.read()
        if response.status != 200:
            raise ValueError(f"{path} answered {response.status}: {content[:80]!r}")
        return content

    def predict(self, photograph: bytes) -> str:
        """Upload a photograph and wait for the answer.

        Returns:
            The name of the first answer.

        Raises:
            ValueError: The server answers with an error.
        """
        mark = uuid.uuid4().hex
        head = f'--{mark}\r\nContent-Disposition: form-data; name="files"; filename="{mark}.jpg"'
        body = f"{head}\r\nContent-Type: image/jpeg\r\n\r\n".encode() + photograph
        body += f"\r\n--{mark}--\r\n".encode()
        kind = f"multipart/form-data; boundary={mark}"
        (path,) = json.loads(self._ask("POST", "/gradio_api/upload", body, kind))
        data = {"data": [{"path": path, "meta": {"_type": "gradio.FileData"}}]}
        call = "/gradio_api/call/predict"
        event = json.loads(self._ask("POST", call, json.dumps(data).encode(), "application/json"))
        stream = self._ask("GET", f"{call}/{event['event_id']}", None, "").decode()
        kind, _, rest = stream.rpartition("event: ")[2].partition("\n")
        if kind != "complete":
            raise ValueError(f"{kind}: {rest[:80]}")
        return json.loads(rest.strip().removeprefix("data: "))[0]["label"]


def memory(process: subprocess.Popen[bytes], field: str = "VmRSS") -> float:
    """Return the resident memory of a process, in MB; 0 if the system does not report it.

    Args:
        process: The process.
        field: `VmRSS` for the present value, `VmHWM` for the peak.
    """
    return resident(process.pid, field)


def resident(process: int, field: str = "VmRSS") -> float:
    """Return a field of a process's memory, in MB; 0 if the system does not report it.

    Args:
        process: Its process id.
        field: A field of `/proc/PID/status`, such as `VmRSS` or `RssAnon`.
    """
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) / 1024
    return 0.0


def descriptors(process: subprocess.Popen[bytes]) -> int:
    """Return how many files and connections a process has open; 0 if the system does not say."""
    with contextlib.suppress(OSError):
        return len(list(Path(f"/proc/{process.pid}/fd").iterdir()))
    return 0
