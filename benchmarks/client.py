"""A visitor of the demo over HTTP, and the memory that the demo takes."""

import contextlib
import http.client
import json
import subprocess
import uuid
from pathlib import Path
from urllib.parse import urlsplit


class Client:
    """One visitor over one kept-alive connection."""

    def __init__(self, address: str) -> None:
        """Connect to the page at an address."""
        self._connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=120)

    def _ask(self, method: str, path: str, body: bytes | None, kind: str) -> bytes:
        self._connection.request(method, path, body, {"Content-Type": kind} if body else {})
        response = self._connection.getresponse()
        content = response.read()
        if response.status != 200:
            raise ValueError(f"{path} answers {response.status}: {content[:80]!r}")
        return content

    def predict(self, photograph: bytes) -> str:
        """Upload a photograph and wait for the answer.

        Returns:
            The first answer's name.

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
    """Return the resident memory of a process, in MB; 0 where the system does not tell so.

    Args:
        process: The process.
        field: `VmRSS` for now, `VmHWM` for its peak.
    """
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) / 1024
    return 0.0
