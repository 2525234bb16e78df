"""Launches the page, with the settings that the Space and the command line share."""

import os
import socket
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any, cast

import gradio as gr
from gradio import queueing
from gradio.exceptions import InvalidPathError
from starlette.middleware import Middleware

from demo.icon import ICON
from demo.origins import PageApp, check_origin
from demo.share import close_tunnels
from demo.style import HEAD, STYLES, THEME
from demo.uploads import BoundedRequests, UploadFolder

_LET_END_SECONDS = 2.0  # for calls that are being answered when the program is stopped


class _Log:
    """Replaces the module `traceback`, with which Gradio's queue logs errors."""

    @staticmethod
    def print_exc() -> None:
        """Print one line for a visitor's mistake, and a traceback for any other error."""
        if isinstance(sys.exc_info()[1], InvalidPathError):
            text = "Refused: a call named a file that was not uploaded."
            print(text, file=sys.stderr, flush=True)
        else:
            traceback.print_exc()


def launch(
    demo: gr.Blocks,
    *,
    max_bytes: int,
    uploads: UploadFolder,
    allow_origins: Sequence[str] = (),
    can_answer: Callable[[], bool] | None = None,
    **options: Any,
) -> str:
    """Start serving in the background.

    Args:
        demo: The page.
        max_bytes: Largest upload, in bytes.
        uploads: The folder for uploads; the page was built in its context.
        allow_origins: Other sites that may use the page, such as `https://example.org`.
        can_answer: Tells whether photographs can be classified now; None if they always can.
        options: Further options of Gradio's `launch`: host, port, sign-in.

    Returns:
        The local address.

    Raises:
        ValueError: The host, the port or an origin cannot be used, or the port is in use.
    """
    allowed = [check_origin(origin) for origin in allow_origins]
    host, port = options.get("server_name"), options.get("server_port")
    if port is not None and not 1 <= port <= 65535:
        raise ValueError(f"--port {port} is outside 1-65535.")
    try:
        if host:
            socket.getaddrinfo(host, None)
    except socket.gaierror as error:
        raise ValueError(f"--host {host} is not an address of this machine ({error}).") from error
    queueing.traceback = _Log  # pyrefly: ignore[bad-assignment]  (Gradio has no hook for it)
    bounded = Middleware(BoundedRequests, uploads, max_bytes)
    # SPACE_ID is set in a Space, which huggingface.co shows in a frame.
    app = PageApp(allowed, framed="SPACE_ID" in os.environ, middleware=[bounded])
    if can_answer:
        app.health.can_answer = can_answer
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    try:
        _, local, _ = demo.launch(
            theme=THEME,
            css_paths=STYLES,
            head_paths=[HEAD],
            favicon_path=ICON,
            pwa=True,  # so that browsers can install the page as an app
            max_file_size=max_bytes,
            run_history=False,
            state_session_capacity=100,  # few, because each call makes a session that is not used
            ssr_mode=False,
            show_error=False,  # shows gr.Error only, because other errors may name files
            footer_links=["api"],
            quiet=True,
            prevent_thread_lock=True,
            _app=app,
            **options,
        )
    except OSError as error:  # Gradio also raises it for a wrong host
        if "empty port" not in str(error):
            raise
        port = port or os.environ.get("GRADIO_SERVER_PORT", "7860")
        raise ValueError(f"Port {port} is in use. Choose another with --port.") from error
    uploads.keep_present()
    app.health.state = "ready"
    return local


def wait_until_stopped(demo: gr.Blocks) -> None:
    """Serve until Ctrl-C or SIGTERM, then stop within seconds, even if pages are still open.

    Each open page keeps a connection for its heartbeat. Gradio's own `block_thread` does not end
    these connections, so the server would wait until its time limit.

    Args:
        demo: The page, launched.
    """
    try:
        while True:
            time.sleep(3600)  # on Windows, Ctrl-C does not interrupt waiting for a lock or an event
    except KeyboardInterrupt:
        stop(demo)


def stop(demo: gr.Blocks) -> None:
    """Accept no more visitors, and wait for running calls for at most 2 s.

    Args:
        demo: The page, launched by `launch`.
    """
    cast(PageApp, demo.app).health.state = "stopping"
    demo.is_running = False
    demo.app.stop_event.set()  # ends the heartbeats
    demo.server.should_exit = True
    demo.server.thread.join(_LET_END_SECONDS)
    close_tunnels()
