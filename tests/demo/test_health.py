"""/healthz and /readyz: one word each, whoever asks, and nothing else of the page."""

import http.client
import socket
from collections.abc import Iterator
from typing import cast
from urllib.parse import urlsplit

import gradio as gr
import pytest

from demo.origins import PageApp
from demo.page import build
from demo.serve import launch, stop
from demo.uploads import UploadFolder

PATHS = {"/healthz": b"ok", "/readyz": b"ready"}


def serve(demo: gr.Blocks, uploads: UploadFolder, auth: tuple[str, str] | None = None) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    where = {"server_name": "127.0.0.1", "server_port": port, "auth": auth}
    launch(demo, max_bytes=1000, uploads=uploads, **where)


@pytest.fixture(scope="module", params=[None, ("me", "secret")], ids=["open", "sign-in"])
def page(request, shipped, uploads: UploadFolder) -> Iterator[gr.Blocks]:
    """A page, with and without a password."""
    demo = build(shipped)
    serve(demo, uploads, request.param)
    yield demo
    demo.close(verbose=False)


def connect(page: gr.Blocks) -> http.client.HTTPConnection:
    assert page.local_url
    return http.client.HTTPConnection(urlsplit(page.local_url).netloc, timeout=30)


def ask(page: gr.Blocks, method: str, path: str, body: bytes = b"", **headers: str):
    connection = connect(page)
    connection.request(method, path, body or None, headers)
    response = connection.getresponse()
    return response, response.read()


@pytest.mark.parametrize("path", PATHS)
def test_one_word_and_nothing_else_is_said(page: gr.Blocks, path: str):
    response, body = ask(page, "GET", path)
    assert (response.status, body) == (200, PATHS[path])
    assert response.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in response.headers
    assert "X-Frame-Options" in response.headers, "the safe headers are there, too"
    head, nothing = ask(page, "HEAD", path)
    assert (head.status, nothing) == (200, b"")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", PATHS)
def test_they_are_only_read(page: gr.Blocks, path: str, method: str):
    response, body = ask(page, method, path, b"x" * 2000)
    assert (response.status, body) == (405, b"")
    assert response.headers["Allow"] == "GET, HEAD"


@pytest.mark.parametrize("path", PATHS)
def test_a_foreign_site_gets_no_grant(page: gr.Blocks, path: str):
    foreign = {"Origin": "https://example.org"}
    response, _ = ask(page, "GET", path, **foreign)
    assert "Access-Control-Allow-Origin" not in response.headers
    assert ask(page, "POST", path, **foreign)[0].status == 403
    preflight = {**foreign, "Access-Control-Request-Method": "GET"}
    assert ask(page, "OPTIONS", path, **preflight)[0].status == 403


@pytest.mark.parametrize("path", ["/healthz/config", "/healthz/../config", "/readyz/", "//healthz"])
def test_they_open_nothing_else(page: gr.Blocks, path: str):
    response, body = ask(page, "GET", path)
    assert response.status == (401 if page.auth else 404)
    assert body not in PATHS.values()


@pytest.mark.parametrize("state", ["starting", "stopping"])
def test_a_server_that_starts_or_stops_is_healthy_and_not_ready(page: gr.Blocks, state):
    health = cast(PageApp, page.app).health
    health.state = state
    try:
        response, body = ask(page, "GET", "/readyz")
        assert (response.status, body) == (503, state.encode())
        assert ask(page, "GET", "/healthz")[0].status == 200
    finally:
        health.state = "ready"


def test_a_server_without_a_replica_is_healthy_and_not_ready_until_one_is_back(page: gr.Blocks):
    health = cast(PageApp, page.app).health
    real, health.can_answer = health.can_answer, lambda: False
    try:
        response, body = ask(page, "GET", "/readyz")
        assert (response.status, body) == (503, b"unavailable")
        assert ask(page, "GET", "/healthz")[0].status == 200
        health.can_answer = lambda: True
        assert ask(page, "GET", "/readyz")[1] == b"ready"
    finally:
        health.can_answer = real


def test_they_answer_while_there_is_no_room_for_uploads(shipped):
    with UploadFolder(limit=1) as full:
        demo = build(shipped)
        serve(demo, full)
        try:
            assert ask(demo, "POST", "/gradio_api/upload", b"x")[0].status == 507
            assert [ask(demo, "GET", path)[1] for path in PATHS] == list(PATHS.values())
        finally:
            demo.close(verbose=False)


def test_a_page_that_is_stopped_is_no_longer_ready(shipped, uploads: UploadFolder):
    demo = build(shipped)
    serve(demo, uploads)
    connection = connect(demo)
    connection.request("GET", "/readyz")
    assert connection.getresponse().read() == b"ready"
    stop(demo)
    assert cast(PageApp, demo.app).health.state == "stopping"
    with pytest.raises(OSError):
        ask(demo, "GET", "/readyz")
