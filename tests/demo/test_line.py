"""Visitors take turns, and one visitor's calls leave room for everybody else's."""

import json
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from playwright.sync_api import Browser, expect

from benchmarks.client import Client
from demo import line
from demo.line import FairQueue, Line, take_turns
from demo.serve import launch
from demo.uploads import UploadFolder


def call(name: str, visitor: str = "", address: str = "1.1.1.1") -> Any:
    """A waiting call, of a session or of an address."""
    request = SimpleNamespace(client=SimpleNamespace(host=address))
    return SimpleNamespace(_id=name, session_hash=visitor or name, request=request)


def order(waiting: Line) -> str:
    """Serve everybody; return the names in that order."""
    served = []
    while waiting:
        first = waiting[0]
        waiting.remove(first)
        served.append(first._id)
    return " ".join(served)


def test_visitors_take_turns():
    waiting = Line()
    for name in ("a1", "a2", "a3", "a4", "b1", "b2", "c1"):
        waiting.append(call(name, visitor=name[0]))
    assert order(waiting) == "a1 b1 c1 a2 b2 a3 a4"


def test_addresses_take_turns_where_there_are_no_sessions():
    waiting = Line()
    for name in ("a1", "a2", "b1"):
        waiting.append(call(name, address=name[0]))
    assert order(waiting) == "a1 b1 a2"


def test_whoever_comes_later_overtakes_no_call_whose_turn_it_is():
    waiting = Line()
    for name in ("a1", "a2", "a3"):
        waiting.append(call(name, visitor="a"))
    waiting.remove(waiting[0])
    waiting.append(call("b1", visitor="b"))
    waiting.append(call("a4", visitor="a"))
    waiting.append(call("b2", visitor="b"))
    assert order(waiting) == "a2 b1 a3 b2 a4"


def test_a_visitor_who_leaves_is_forgotten():
    waiting = Line()
    events = [call(f"a{number}", visitor="a") for number in range(3)]
    for event in events:
        waiting.append(event)
    waiting.remove(events[1])
    assert waiting.pop(0)._id == "a0" and waiting.pop()._id == "a2"
    assert not waiting and not waiting._turns


@pytest.fixture
def slow(uploads: UploadFolder, monkeypatch) -> Iterator[tuple[str, threading.Event, gr.Blocks]]:
    """The address of a page whose function waits for an event."""
    go = threading.Event()

    def answer() -> str:
        go.wait(30)
        return "answered"

    with gr.Blocks(analytics_enabled=False) as page:
        gr.Button().click(answer, None, gr.Textbox(), api_name="predict", concurrency_limit=1)
    take_turns(page)
    address = launch(page, max_bytes=10**6, uploads=uploads, server_name="127.0.0.1")
    yield address, go, page
    go.set()
    page.close(verbose=False)


def ask(address: str, **body: str) -> tuple[int, str]:
    connection = Client(address)._connection
    content = json.dumps({"data": [], **body})
    path = "/gradio_api/call/predict"
    connection.request("POST", path, content, {"Content-Type": "application/json"})
    response = connection.getresponse()
    return response.status, response.read().decode()


def test_a_visitor_has_a_share_and_the_others_have_theirs(slow, monkeypatch):
    address, go, page = slow
    monkeypatch.setattr(line, "SHARE", 6)
    assert isinstance(page._queue, FairQueue)
    statuses = [ask(address)[0] for _ in range(9)]
    assert statuses.count(200) in (6, 7)  # the first may be running already
    status, text = ask(address)
    assert status == 503 and "6 of your photographs are waiting. Send more when some" in text
    status, text = ask(address, session_hash="another visitor")
    assert status == 200
    (waiting,) = (queue.queue for queue in page._queue.event_queue_per_concurrency_id.values())
    assert [event.session_hash for event in waiting].index("another visitor") <= 1
    go.set()
    deadline = time.monotonic() + 20
    while len(page._queue) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not len(page._queue)


@pytest.mark.browser
def test_a_visitor_who_waits_sees_the_place_in_the_line(slow, browser: Browser):
    address, *_ = slow
    assert [ask(address)[0] for _ in range(4)] == [200] * 4  # one runs, three wait
    page = browser.new_page()
    page.goto(address)
    page.get_by_role("button", name="Run").click()
    expect(page.locator("body")).to_contain_text("queue: 2/4", timeout=20_000)
    page.close()


def test_an_address_cannot_be_many_visitors(slow, monkeypatch):
    address, *_ = slow
    monkeypatch.setattr(line, "ADDRESS_SHARE", 5)
    statuses = [ask(address, session_hash=f"visitor {number}")[0] for number in range(9)]
    assert statuses.count(503) in (3, 4)


def test_a_line_of_everybody_has_an_end(slow, monkeypatch):
    address, *_ = slow
    monkeypatch.setattr(line, "MAX_WAITING", 3)
    answers = [ask(address) for _ in range(6)]
    assert "3 photographs are waiting. Please try again later." in answers[-1][1]


def test_nobody_waits_for_ever_while_others_come():
    waiting = Line()
    waiting.append(call("a1", visitor="a"))
    waiting.append(call("a2", visitor="a"))
    served = []
    for number in range(4):
        waiting.append(call(f"new{number}", visitor=f"new{number}"))
        first = waiting[0]
        waiting.remove(first)
        served.append(first._id)
    assert "a2" in served
