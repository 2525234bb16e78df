"""A public address: a stand-in takes the place of Gradio's tunnel client."""

import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import pytest
import tiny
from gradio import tunneling
from gradio_client import Client, handle_file

from demo import share as sharing
from demo.__main__ import parse
from demo.serve import launch
from demo.share import Shared, check_server, close_tunnels, share
from demo.uploads import UploadFolder

ROOT = Path(__file__).resolve().parents[2]
SUCCESS = "echo 'start proxy success: http://abc.tunnel.test'; exec sleep 600"
FAILURE = "echo 'login to server failed: dial tcp: connection refused'; exec sleep 600"
SILENCE = "exec sleep 600"


def write_client(path: Path, script: str) -> None:
    """A shell script that leaves its process id beside itself."""
    if os.name != "posix":
        pytest.skip("The stand-in for Gradio's tunnel is a shell script.")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho $$ > {shlex.quote(str(path))}.pid\n{script}\n")
    path.chmod(0o755)


def running(path: Path) -> bool:
    """Whether the client still runs, after up to five seconds of grace."""
    process = Path("/proc", Path(f"{path}.pid").read_text().strip(), "status")
    for _ in range(50):
        if not process.exists() or "State:\tZ" in process.read_text():
            return False
        time.sleep(0.1)
    return True


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "frpc"
    monkeypatch.setattr(tunneling, "BINARY_PATH", str(path))
    monkeypatch.setattr(tunneling, "CURRENT_TUNNELS", [])
    return path


PAGE: gr.Blocks = SimpleNamespace(server_name="127.0.0.1", server_port=9, share_token="t")  # type: ignore


def test_a_tunnel_gives_a_public_address(client: Path):
    write_client(client, SUCCESS)
    assert share(PAGE, "127.0.0.1:7000") == Shared("http://abc.tunnel.test", "")
    close_tunnels()
    assert not running(client)


def test_a_tunnel_that_fails_gives_its_reason(client: Path, capfd):
    write_client(client, FAILURE)
    shared = share(PAGE, "127.0.0.1:7000")
    assert shared == Shared("", "login to server failed: dial tcp: connection refused")
    assert capfd.readouterr() == ("", "")
    assert not running(client)


def test_a_tunnel_that_says_nothing_is_given_up_and_ended(client: Path, monkeypatch):
    monkeypatch.setattr(sharing, "SECONDS", 1.0)
    write_client(client, SILENCE)
    started = time.perf_counter()
    assert share(PAGE, "127.0.0.1:7000").reason == "no answer within 1 seconds"
    assert time.perf_counter() - started < 5
    assert not running(client)


def test_a_tunnel_that_comes_too_late_is_closed(client: Path, monkeypatch):
    monkeypatch.setattr(sharing, "SECONDS", 0.5)
    late = []

    def set_up(**_options: object) -> str:
        time.sleep(1.0)
        late.append("http://abc.tunnel.test")
        return late[0]

    closed = []
    monkeypatch.setattr(sharing.networking, "setup_tunnel", set_up)
    monkeypatch.setattr(sharing, "close_tunnels", lambda: closed.append(bool(late)))
    assert share(PAGE).address == ""
    time.sleep(1.0)
    # tunnels of tests before this one may be closed late, too
    assert not closed[0] and closed[-1] and closed.count(True) == 1


def test_no_network_is_a_reason(client: Path, monkeypatch):
    def refuse(*_args: object, **_options: object) -> None:
        raise OSError("[Errno -3] Temporary failure in name resolution")

    monkeypatch.setattr("gradio.networking.httpx.get", refuse)
    assert share(PAGE) == Shared("", "[Errno -3] Temporary failure in name resolution")


def test_the_lifetime_is_what_the_installed_gradio_says():
    text = Path(str(gr.blocks.__file__)).read_text(encoding="utf-8")
    assert f"This share link is temporary and will last for {sharing.LIFETIME}" in text


@pytest.mark.parametrize(
    "text", ["host", "host:", ":7000", "host:x", "host:0", "host:70000", "a:b:1"]
)
def test_a_wrong_tunnel_server_is_an_error(text: str):
    with pytest.raises(ValueError, match="must be HOST:PORT"):
        check_server(text)
    assert check_server("tunnel.test:7000") == "tunnel.test:7000"
    assert parse(["--share-server", text]).share_server == text


def test_an_unexpected_error_tells_visitors_nothing(uploads: UploadFolder):
    def fail() -> None:
        raise FileNotFoundError("/srv/secret/file")

    with gr.Blocks() as page:
        gr.Button().click(fail, api_name="fail")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    where = {"server_name": "127.0.0.1", "server_port": port}
    address = launch(page, max_bytes=1000, uploads=uploads, **where)
    try:
        with pytest.raises(Exception) as error:
            Client(address, verbose=False).predict(api_name="/fail")
        assert "secret" not in str(error.value)
    finally:
        page.close(verbose=False)


class Served:
    """`python -m demo` with options, on the tiny checkpoint, in a process of its own."""

    def __init__(self, trained: Path, home: Path, script: str, *options: str) -> None:
        self.client = home / "gradio" / "frpc" / tunneling.BINARY_FILENAME
        write_client(self.client, script)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        places = ["--checkpoint", str(trained), "--cache-dir", str(home / "cache")]
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                tiny.program("demo"),
                "--port",
                str(self.port),
                *places,
                *options,
            ],
            cwd=ROOT,
            env={**os.environ, "HF_HOME": str(home)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def lines_until(self, start: str) -> list[str]:
        assert self.process.stdout
        lines = []
        for line in self.process.stdout:
            lines.append(line)
            if line.startswith(start):
                return lines
        pytest.fail("".join(lines))

    def predict(self, photograph: Path) -> dict:
        address = f"http://127.0.0.1:{self.port}"
        client = Client(address, verbose=False)
        return client.predict(handle_file(photograph), api_name="/predict")[1]

    def stop(self) -> str:
        self.process.send_signal(signal.SIGTERM)
        return self.process.communicate(timeout=30)[0]


def test_a_shared_page_shows_no_training_photograph_and_ends_its_tunnel(
    trained: Path, tmp_path: Path
):
    served = Served(trained, tmp_path, SUCCESS, "--share-server", "127.0.0.1:7000")
    try:
        (line,) = served.lines_until("Public address")[-1:]
        assert line.startswith("Public address: http://abc.tunnel.test (works while this")
        answer = served.predict(trained.parent / "photographs" / "rose" / "000.jpg")
        assert answer["top"][0]["class_id"] == "rose"
        names = {one["name"] for one in answer["evidence"]["similar"]}
        assert names <= {"daisy", "rose", "tulip"}
    finally:
        rest = served.stop()
    assert "Traceback" not in rest
    assert not running(served.client)


@pytest.mark.slow
def test_a_silent_tunnel_leaves_the_page_on_this_machine_within_35_seconds(
    trained: Path, tmp_path: Path
):
    served = Served(trained, tmp_path, SILENCE, "--share-server", "127.0.0.1:7000")
    try:
        served.lines_until("Serving ")
        started = time.monotonic()
        line = served.lines_until("There is no public address")[-1]
        assert time.monotonic() - started < 35
        assert "(no answer within 30 seconds). The page is served on this machine only." in line
        served.predict(trained.parent / "photographs" / "rose" / "000.jpg")
    finally:
        served.stop()
    assert not running(served.client)
