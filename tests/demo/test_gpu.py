"""On ZeroGPU a GPU is there for a request only; a stand-in takes the place of the real package."""

import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from gradio.context import LocalContext
from gradio_client import Client, handle_file
from playwright.sync_api import Browser, expect

ROOT = Path(__file__).resolve().parents[2]
STAND_INS = ROOT / "tests" / "stand_ins"


@pytest.fixture
def space(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The page as a Space on ZeroGPU starts it; yields its address and the stand-in's log."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log, output = tmp_path / "calls.jsonl", tmp_path / "output.txt"
    environment = {
        **os.environ,
        "PYTHONPATH": str(STAND_INS),
        "SPACES_ZERO_GPU": "true",
        "SPACE_ID": "me/flowers",
        "SPACES_STAND_IN_LOG": str(log),
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "GRADIO_SERVER_PORT": str(port),
    }
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "demo/app.py"], cwd=ROOT, env=environment, stdout=file, stderr=file
        )
    address, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 120
    try:
        while True:
            assert process.poll() is None, output.read_text()
            assert time.monotonic() < deadline, output.read_text()
            try:
                urllib.request.urlopen(address, timeout=5)
                break
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.5)
        yield address, log
        assert "golden answers are not replayed" in output.read_text()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


@pytest.mark.browser
def test_an_upload_and_a_call_pass_what_zerogpu_needs(
    space: tuple[str, Path], browser: Browser, flower: Path
):
    address, log = space
    assert not log.exists(), "the GPU was asked for before there was a visitor"
    page = browser.new_page()
    page.goto(address)
    page.set_input_files("#photograph input[type=file]", flower)
    expect(page.locator("#top5 .ff-answer")).to_contain_text("pink-yellow dahlia")
    expect(page.locator("#why .ff-heat")).to_be_visible()
    page.close()
    label, _ = Client(address, verbose=False).predict(handle_file(flower), api_name="/predict")
    assert label["label"] == "pink-yellow dahlia"
    calls = [json.loads(line) for line in log.read_text().splitlines()]
    expected = dict.fromkeys(("request", "event", "page", "thread"), True)
    assert calls == 2 * [{"function": "Classifier.predict_each", "photographs": 1, **expected}]


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(STAND_INS)
    monkeypatch.setenv("SPACES_STAND_IN_LOG", str(tmp_path / "log"))
    yield importlib.import_module("spaces")
    sys.modules.pop("spaces")


def in_a_request(function, *arguments):
    """Call a function as Gradio does, in a worker thread and in a request's context."""
    outcome = []

    def work() -> None:
        for variable in (LocalContext.request, LocalContext.event_id, LocalContext.blocks):
            variable.set("there")  # type: ignore[arg-type]
        try:
            outcome.append(function(*arguments))
        except RuntimeError as error:
            outcome.append(error)

    thread = threading.Thread(target=work, name="AnyIO worker thread")
    thread.start()
    thread.join()
    return outcome[0]


def test_the_stand_in_lets_a_good_call_pass(stand_in: ModuleType):
    assert in_a_request(stand_in.GPU(sorted), [2, 1]) == [1, 2]


def test_the_stand_in_refuses_a_call_outside_a_request(stand_in: ModuleType):
    with pytest.raises(RuntimeError, match="called without its request, event, page, thread"):
        stand_in.GPU(sorted)([2, 1])


def test_the_stand_in_refuses_a_thread_of_its_own_in_a_request(stand_in: ModuleType):
    decorated, outcome = stand_in.GPU(sorted), []

    def elsewhere(values: list[int]) -> None:
        def work() -> None:
            with pytest.raises(RuntimeError, match="called without its request"):
                decorated(values)
            outcome.append("refused")

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()

    in_a_request(elsewhere, [1])
    assert outcome == ["refused"]


@pytest.mark.parametrize(
    ("function", "argument", "what"),
    [(list, (n for n in [1]), "an argument"), (iter, [1], "a result")],
)
def test_the_stand_in_refuses_what_cannot_be_pickled(
    stand_in: ModuleType, function: type, argument: object, what: str
):
    if what == "a result":
        function = lambda values: (value for value in values)  # type: ignore[assignment]  # noqa: E731
        function.__qualname__ = "made"
    error = in_a_request(stand_in.GPU(function), argument)
    assert isinstance(error, RuntimeError)
    assert f"{what} cannot be pickled" in str(error)
