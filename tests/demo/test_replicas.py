"""A page whose photographs are classified by replicas, also when there is none for a while."""

import os
import re
import signal
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
from typing import Any, cast

import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from processes import marked, running

from benchmarks.client import Client as Visitor
from demo.page import MAX_BYTES, build
from demo.replicas import ReplicatedClassifier
from demo.serve import launch
from demo.uploads import UploadFolder
from model.classifier import Classifier
from model.serving.pool import Replicas, UnavailableError
from model.serving.replica import Replica

ROOT = Path(__file__).resolve().parents[2]


class StandIn:
    """One replica in this process, which may be away."""

    def __init__(self, classifier: Classifier) -> None:
        self.replica = Replica(cast(Any, None))
        self.replica.__dict__["_opened"] = ([classifier], True)
        self.is_away, self.asked = False, list[str]()

    def can_answer(self) -> bool:
        return not self.is_away

    def ask(self, method: str, *arguments: Any) -> Any:
        if self.is_away:
            raise UnavailableError
        self.asked.append(method)
        return getattr(self.replica, method)(*arguments)


@pytest.fixture
def replica(shipped: Classifier) -> StandIn:
    return StandIn(shipped)


@pytest.fixture
def address(replica: StandIn, shipped: Classifier, uploads: UploadFolder) -> Iterator[str]:
    """A page of two passes at once that asks the stand-in."""
    classifier = ReplicatedClassifier(device="cpu", backbones=[shipped.backbone])
    classifier.ask(cast(Replicas, replica), 0)
    demo = build(classifier, passes=2)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    where = {"server_name": "127.0.0.1", "server_port": port}
    places = {"max_bytes": MAX_BYTES, "uploads": uploads, "can_answer": replica.can_answer}
    yield launch(demo, **places, **where)
    demo.close(verbose=False)


def ready(address: str) -> tuple[int, bytes]:
    """What /readyz says."""
    try:
        with urllib.request.urlopen(f"{address}readyz", timeout=30) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_a_page_without_a_replica_says_so_and_recovers(
    address: str, replica: StandIn, shipped: Classifier, flower: Path
):
    visitor = Client(address, verbose=False)
    first = visitor.predict(handle_file(flower), api_name="/predict")
    assert ready(address) == (200, b"ready")
    replica.is_away = True
    assert ready(address) == (503, b"unavailable")
    with pytest.raises(AppError, match="The classifier is not available at the moment"):
        visitor.predict(handle_file(flower), api_name="/predict")
    replica.is_away = False
    assert ready(address) == (200, b"ready")
    assert visitor.predict(handle_file(flower), api_name="/predict") == first
    few = shipped.checkpoint.class_ids[:2]
    limited = visitor.predict(handle_file(flower), few, api_name="/predict_only")
    assert len(limited[0]["confidences"]) == 2
    assert replica.asked == ["predict_each"] * 3


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="Processes are looked for in /proc.")
@pytest.mark.usefixtures("ray_is_installed")
def test_the_command_replaces_a_killed_replica_and_ends_all_its_processes(
    engines: Path, flower: Path
):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "demo", "--replicas", "1", "--replica-threads", "1"]
    command += ["--device", "cpu", "--cache-dir", str(engines.parent), "--port", str(port)]
    mark, lines = uuid.uuid4().hex, list[str]()
    with tempfile.TemporaryDirectory(dir="/tmp") as temporary:  # short: it will hold a socket
        variables = {**os.environ, "FROSTFLOWER_TEST": mark, "RAY_TMPDIR": temporary}
        with running(command, cwd=ROOT, env=variables, stdout=subprocess.PIPE) as process:
            assert process.stdout
            while not lines or not lines[-1].startswith("Serving "):
                lines.append(process.stdout.readline())
                assert lines[-1], "It has ended."
            assert any(b"RAY_AUTH_MODE=token" in settings for settings in marked(mark))
            address = f"http://127.0.0.1:{port}/"
            assert ready(address) == (200, b"ready")
            visitor, photograph = Visitor(address), flower.read_bytes()
            answer = visitor.predict(photograph)
            found = re.fullmatch(r"Replica 1: process (\d+) on .+, \d+ MB\n", lines[-2])
            assert found
            os.kill(int(found[1]), signal.SIGKILL)
            assert visitor.predict(photograph) == answer
            process.terminate()
            assert process.wait(timeout=60) == 0
            assert process.stdout.read() == "", "Ray's report on the killed replica stays away"
            for _ in range(50):  # what has been told to end takes a moment
                if not marked(mark):
                    break
                time.sleep(0.1)
            assert not marked(mark)
