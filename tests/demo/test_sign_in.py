"""Before signing in only the login answers; wrong passwords cost time; headers; the owner's log."""

import http.client
import json
import socket
import urllib.parse
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from benchmarks.client import Client
from demo import sign_in
from demo.page import build
from demo.serve import launch
from demo.sign_in import Attempts
from demo.uploads import UploadFolder


@pytest.fixture(scope="module")
def closed(shipped, uploads: UploadFolder) -> Iterator[str]:
    """The address of a page that asks for a password."""
    demo = build(shipped)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    where = {"server_name": "127.0.0.1", "server_port": port, "auth": ("me", "secret")}
    yield launch(demo, max_bytes=10**7, uploads=uploads, **where)
    demo.close(verbose=False)


def ask(address: str, method: str, path: str, body: str = "", **headers: str):
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=30)
    connection.request(method, path, body or None, headers)
    return connection.getresponse()


def sign(address: str, password: str) -> http.client.HTTPResponse:
    body = urllib.parse.urlencode({"username": "me", "password": password})
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    return ask(address, "POST", "/login", body, **kind)


PATHS = [
    "/manifest.json",
    "/config",
    "/config/",
    "/openapi.json",
    "/gradio_api/info",
    "/gradio_api/user",
    "/gradio_api/app_id",
    "/gradio_api/heartbeat/x",
    "/gradio_api/file=/etc/hosts",
    "//config",
]


@pytest.mark.parametrize("path", PATHS)
def test_before_signing_in_nothing_but_the_login_answers(closed: str, path: str):
    response = ask(closed, "GET", path)
    assert response.status == 401
    assert response.read() == b"Sign in first.\n"


def test_the_login_names_neither_data_nor_classes(closed: str):
    response = ask(closed, "GET", "/")
    assert response.status == 200
    text = response.read().decode()
    assert "flowers102" not in text and "primrose" not in text


@pytest.mark.browser
def test_a_visitor_signs_in_and_classifies(closed: str, browser, flower):
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(20_000)
    page.goto(closed)
    page.get_by_label("username").fill("me")
    page.get_by_label("password").fill("secret")
    page.get_by_role("button", name="Login").click()
    page.wait_for_selector("#photograph")
    page.set_input_files("#photograph input[type=file]", flower)
    page.wait_for_selector("#top5 meter[value]")
    context.close()


def test_wrong_passwords_cost_time(closed: str):
    statuses = [sign(closed, "wrong").status for _ in range(6)]
    assert statuses[:3] == [400] * 3 and 429 in statuses[3:]
    while sign(closed, "wrong").status != 429:
        pass
    refused = sign(closed, "secret")
    assert refused.status == 429 and int(refused.headers["Retry-After"]) >= 1
    assert refused.read().startswith(b"Too many wrong passwords. Try again in ")


def test_delays_grow_and_are_forgotten():
    now = 0.0
    attempts, waits = Attempts(lambda: now), []
    for _ in range(12):
        attempts.add("a", right=False)
        waits.append(attempts.wait("a"))
    assert waits == [0, 0, 1, 2, 4, 8, 16, 30, 30, 30, 30, 30]
    assert attempts.wait("b") == 0
    now = 31.0
    assert attempts.wait("a") == 0
    attempts.add("a", right=True)
    attempts.add("a", right=False)
    assert attempts.wait("a") == 0


def test_very_many_addresses_slow_everybody_down_for_a_minute():
    now = 0.0
    attempts = Attempts(lambda: now)
    for number in range(sign_in._MANY):
        assert attempts.delay() == 0
        attempts.add(str(number), right=False)
    assert attempts.delay() > 0
    now = 61.0
    assert attempts.delay() == 0


def test_headers_are_those_of_a_page_that_needs_nobody(demo_address: str):
    for path in ("/", "/config", "/nothing"):
        headers = ask(demo_address, "GET", path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "SAMEORIGIN"
        policy = headers["Content-Security-Policy"]
        assert "frame-ancestors 'self'" in policy and "http" not in policy


def test_a_space_may_be_framed_by_its_site():
    from demo.headers import SafeHeaders

    async def app(*_: object) -> None: ...

    headers = SafeHeaders(app, framed=True)._headers
    assert "https://huggingface.co" in headers["Content-Security-Policy"]
    assert "X-Frame-Options" not in headers


def test_a_bad_photograph_is_one_line_in_the_owners_log(demo_address: str, capfd):
    with pytest.raises(ValueError, match="error"):
        Client(demo_address).predict(b"hello")
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("Refused: a photograph is not a photograph; expected JPEG")


def test_a_file_of_the_server_is_one_line_in_the_owners_log(demo_address: str, capfd):
    data = {"data": [{"path": "/etc/hosts", "meta": {"_type": "gradio.FileData"}}]}
    body, kind = json.dumps(data), {"Content-Type": "application/json"}
    call = "/gradio_api/call/predict"
    event = json.loads(ask(demo_address, "POST", call, body, **kind).read())["event_id"]
    assert "event: error" in ask(demo_address, "GET", f"{call}/{event}").read().decode()
    (line,) = capfd.readouterr().err.splitlines()
    assert line == "Refused: a call named a file that was not uploaded."
