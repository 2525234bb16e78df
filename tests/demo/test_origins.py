"""Another site cannot use the page with a visitor's cookies, unless the owner has named it."""

import functools
import http.client
import http.server
import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from gradio_client import Client, handle_file
from playwright.sync_api import Browser
from starlette.datastructures import Headers

from demo.__main__ import parse
from demo.origins import check_origin, is_own
from demo.page import build
from demo.serve import launch
from demo.uploads import UploadFolder
from model.classifier import Classifier

GRANT = "access-control-allow-origin"
Ask = Callable[..., http.client.HTTPResponse]


@pytest.fixture(scope="module")
def serve(shipped: Classifier, uploads: UploadFolder) -> Iterator[Callable[..., str]]:
    """Serves the page with options of `launch`; returns the address."""
    pages = []

    def start(**options: Any) -> str:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        demo = build(shipped)
        pages.append(demo)
        where = {"server_name": "127.0.0.1", "server_port": port}
        return launch(demo, max_bytes=10**7, uploads=uploads, **where, **options).rstrip("/")

    yield start
    for demo in pages:
        demo.close(verbose=False)


@pytest.fixture(scope="module")
def closed(serve: Callable[..., str]) -> str:
    return serve(auth=("me", "secret"))


@pytest.fixture(scope="module")
def opened(serve: Callable[..., str]) -> str:
    return serve(allow_origins=["https://Friend.example/", "http://localhost:3000"])


def ask(
    address: str, method: str = "GET", path: str = "/config", body: bytes = b"", **headers: str
) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=20)
    connection.putrequest(method, path, skip_host=True)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    for name, value in {"Host": "flowers.example", **named}.items():
        connection.putheader(name, value)
    connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)
    response = connection.getresponse()
    response.content = response.read()  # type: ignore[attr-defined]
    return response


FOREIGN = [
    "http://evil.example",
    "https://flowers.example.evil.example",
    "https://flowers.example@evil.example",
    "https://flowers.example:444",
    "https://evilflowers.example",
    "null",
    "http://localhost",
    "file://",
    "https://flowers.example.",
    "",
]


@pytest.mark.parametrize("origin", FOREIGN)
def test_a_foreign_origin_gets_no_grant(closed: str, origin: str):
    for path in ("/", "/config", "/gradio_api/info", "/login_check", "/nothing-here"):
        response = ask(closed, path=path, Origin=origin)
        assert response.getheader(GRANT) is None, path
        assert response.getheader("access-control-allow-credentials") is None, path


@pytest.mark.parametrize("origin", FOREIGN)
@pytest.mark.parametrize(
    "path", ["/login", "/gradio_api/upload", "/gradio_api/call/predict", "/gradio_api/queue/join"]
)
def test_what_a_foreign_origin_sends_is_refused_in_a_sentence(closed: str, origin: str, path: str):
    response = ask(closed, "POST", path, b"{}", Origin=origin, Content_Type="text/plain")
    assert response.status == 403
    assert b"accepts no requests from other sites" in response.content  # type: ignore[attr-defined]
    preflight = {"Access_Control_Request_Method": "POST", "Origin": origin}
    response = ask(closed, "OPTIONS", path, **preflight)
    assert response.status == 403
    assert response.getheader(GRANT) is None


def test_a_page_on_localhost_grants_no_other_port(opened: str):
    host = urlsplit(opened).netloc
    assert ask(opened, Host=host, Origin="http://localhost:9999").getheader(GRANT) is None
    response = ask(opened, "POST", "/gradio_api/upload", Host=host, Origin="http://127.0.0.1:9")
    assert response.status == 403


def test_those_named_by_the_owner_are_granted(opened: str):
    for origin in ("https://friend.example", "http://localhost:3000"):
        response = ask(opened, Origin=origin)
        assert response.getheader(GRANT) == origin
        assert response.getheader("access-control-allow-credentials") == "true"
        assert "Origin" in (response.getheader("vary") or "")
        response = ask(
            opened,
            "OPTIONS",
            "/gradio_api/call/predict",
            Origin=origin,
            Access_Control_Request_Method="POST",
            Access_Control_Request_Headers="content-type",
        )
        assert response.status == 200
        assert response.getheader(GRANT) == origin
        assert response.getheader("access-control-allow-headers") == "content-type"
    assert ask(opened, Origin="http://evil.example").getheader(GRANT) is None
    assert ask(opened, Origin="http://friend.example").getheader(GRANT) is None  # another scheme


@pytest.mark.parametrize(
    ("origin", "headers"),
    [
        ("https://flowers.example", {}),
        ("http://flowers.example", {}),
        ("https://FLOWERS.example", {}),
        ("https://flowers.example:443", {}),
        ("https://me-flowers.hf.space", {"X_Forwarded_Host": "me-flowers.hf.space"}),
        ("https://abc.gradio.live", {"Host": "127.0.0.1", "X_Forwarded_Host": "abc.gradio.live"}),
    ],
)
def test_the_pages_own_origin_may_send(opened: str, origin: str, headers: dict[str, str]):
    body = json.dumps({"data": [None]}).encode()
    response = ask(
        opened,
        "POST",
        "/gradio_api/call/predict",
        body,
        Origin=origin,
        Content_Type="application/json",
        **headers,
    )
    assert response.status == 200


def test_programs_that_send_no_origin_are_not_concerned(opened: str, flower: Path):
    label, _ = Client(opened, verbose=False).predict(handle_file(flower), api_name="/predict")
    assert label["label"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/gradio_api/process_recording"),
        ("POST", "/gradio_api/process_recording/"),
        ("GET", "/gradio_api/deep_link?session_hash=a"),
    ],
)
def test_what_gradio_offers_for_parts_that_there_are_not_is_closed(
    demo_address: str, method: str, path: str
):
    connection = http.client.HTTPConnection(urlsplit(demo_address).netloc, timeout=20)
    connection.request(method, path)
    answer = connection.getresponse()
    if answer.status == 307:  # to the same without the slash
        path = urlsplit(answer.headers["location"]).path
        answer.read()
        connection.request(method, path)
        answer = connection.getresponse()
    assert answer.status == 404 and answer.read() == b"This page has no such part.\n"
    connection.close()


@pytest.mark.parametrize(
    ("environment", "allowed", "expected"),
    [
        ({}, [], {"SameSite=Lax"}),
        ({"SPACE_ID": "me/flowers"}, [], {"SameSite=none"}),
        ({}, ["https://friend.example"], {"SameSite=none"}),
    ],
    ids=["own", "space", "embedded"],
)
def test_the_cookie_stays_at_home_unless_the_page_is_framed(
    serve: Callable[..., str], monkeypatch, environment: dict, allowed: list, expected: set[str]
):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    address = serve(auth=("me", "secret"), allow_origins=allowed)
    monkeypatch.undo()
    form = {"Content_Type": "application/x-www-form-urlencoded"}
    response = ask(address, "POST", "/login", b"username=me&password=secret", **form)
    assert response.status == 200
    cookies = [value for name, value in response.getheaders() if name.lower() == "set-cookie"]
    assert len(cookies) == 2
    attributes = [{part.strip() for part in cookie.split(";")[1:]} for cookie in cookies]
    marked = [found for found in attributes if "Secure" in found]
    assert len(marked) == 1
    assert expected < marked[0]


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://Example.org/", "https://example.org"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("https://example.org:443", "https://example.org"),
        ("http://[::1]:8080", None),
    ],
)
def test_origins_are_brought_into_the_browsers_form(text: str, origin: str | None):
    if origin:
        assert check_origin(text) == origin
    assert is_own(text.removesuffix("/"), Headers({"host": text.split("/")[2]}))


@pytest.mark.parametrize(
    "text",
    [
        "example.org",
        "*",
        "https://",
        "https://a/b",
        "https://a?b",
        "ftp://a",
        "https://a:b",
        "https://u@a",
        "https://a b",
        "null",
        "",
    ],
)
def test_what_is_no_origin_is_one_sentence(text: str):
    with pytest.raises(ValueError, match=r"--allow-origin .* must consist of http:// or https://"):
        check_origin(text)


def test_the_option_may_be_repeated():
    options = parse(["--allow-origin", "https://a.example", "--allow-origin", "http://b.example"])
    assert options.allow_origin == ["https://a.example", "http://b.example"]
    assert parse([]).allow_origin == []


@pytest.mark.browser
def test_in_a_browser_only_a_site_that_was_named_can_read_the_page(
    serve: Callable[..., str], chromium: str, browser: Browser, tmp_path: Path
):
    (tmp_path / "index.html").write_text("<p>another site</p>")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path)
    site = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=site.serve_forever, daemon=True).start()
    origin = f"http://other.example:{site.server_port}"
    read = """async address => {
        try {
            const answer = await fetch(address + "/config", {credentials: "include"});
            return (await answer.text()).length;
        } catch (error) { return String(error); }
    }"""
    rule = "--host-resolver-rules=MAP *.example 127.0.0.1"
    own = browser.browser_type.launch(executable_path=chromium, args=["--no-sandbox", rule])
    page = own.new_page()
    page.goto(origin)
    for allowed in ([], [origin]):
        address = serve(allow_origins=allowed).replace("127.0.0.1", "flowers.example")
        found = page.evaluate(read, address)
        if allowed:
            assert isinstance(found, int) and found > 1000
        else:
            assert "Failed to fetch" in str(found)
    own.close()
    site.shutdown()
