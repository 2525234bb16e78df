"""A command that serves a page, in a new virtual environment with nothing installed."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def programs(home: Path) -> Path:
    """Return the folder of the programs of the virtual environment in `home`."""
    return home / "venv" / ("Scripts" if os.name == "nt" else "bin")


def _end(process: subprocess.Popen) -> None:
    """End a shell and what it has started."""
    if sys.platform == "win32":
        subprocess.run(["taskkill", "/T", "/F", "/PID", str(process.pid)], check=True)
    else:
        os.killpg(process.pid, signal.SIGTERM)  # SIGINT may be ignored by inheritance


@contextmanager
def served(
    command: str, folder: Path, home: Path, address: str, log: Path, **more: str
) -> Iterator[None]:
    """Run a shell command in a folder until the address answers; end it afterwards.

    The environment holds the paths of the virtual environment in `home`, which is made on the
    first call, a cache that is cold then, and `more`; pip's own settings stay.
    """
    if not (home / "venv").exists():
        subprocess.run([sys.executable, "-m", "venv", str(home / "venv")], check=True)
    environment = {
        **os.environ,
        "PATH": f"{programs(home)}{os.pathsep}{os.environ['PATH']}",
        "XDG_CACHE_HOME": str(home / "cache"),
        **more,
    }
    environment.pop("PYTHONPATH", None)
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            shell=True,
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_for(address, process, log)
        yield
    finally:
        _end(process)
        process.wait(timeout=60)


def _wait_for(address: str, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + 1200
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()[-2000:]
        try:
            urllib.request.urlopen(address, timeout=5)
            return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(1)
    pytest.fail(f"nothing served after 20 minutes: {log.read_text()[-2000:]}")
