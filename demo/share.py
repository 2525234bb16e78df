"""A public address for the page, through Gradio's tunnel, within a time limit."""

import contextlib
import io
import queue
import threading
from dataclasses import dataclass

import gradio as gr
from gradio import networking, tunneling

from model.sharing.publish import LEFT_OUT

SECONDS = 30.0
"""How long to wait for a tunnel; Gradio itself waits for ever for a client that says nothing."""

LIFETIME = "up to 1 week"
"""What Gradio 6.31 says of its public addresses ("best effort")."""


@dataclass(frozen=True)
class Shared:
    """The outcome.

    Attributes:
        address: The public address, or "".
        reason: Why there is none, or "".
    """

    address: str
    reason: str


def check_server(text: str | None) -> str | None:
    """Return `HOST:PORT` of one's own tunnel server.

    Raises:
        ValueError: It is not of that form.
    """
    if text is None:
        return None
    host, _, port = text.rpartition(":")
    if not host or ":" in host or not port.isdecimal() or not 1 <= int(port) <= 65535:
        raise ValueError(f"--share-server {text} must be HOST:PORT.")
    return text


def share(demo: gr.Blocks, server: str | None = None) -> Shared:
    """Make a public address for a page that is being served.

    Args:
        demo: The launched page.
        server: `HOST:PORT` of one's own tunnel server (frp), reached without encryption; by default
            Gradio's.

    Returns:
        The address, or the reason why there is none, after `SECONDS` at the latest.
    """
    outcome: queue.SimpleQueue[Shared] = queue.SimpleQueue()
    given_up = threading.Event()

    def attempt() -> None:
        try:
            address = networking.setup_tunnel(
                local_host=demo.server_name,
                local_port=demo.server_port,
                share_token=demo.share_token,
                share_server_address=server,
                share_server_tls_certificate=None,
            )
            outcome.put(Shared(address, ""))
        except Exception as error:  # Gradio raises RuntimeError, ValueError, OSError, httpx's ...
            outcome.put(Shared("", _reason(error)))
        if given_up.is_set():
            close_tunnels()  # one that comes late is not wanted any more

    with contextlib.redirect_stderr(io.StringIO()):  # Gradio prints the log that is the reason
        threading.Thread(target=attempt, daemon=True).start()
        try:
            shared = outcome.get(timeout=SECONDS)
        except queue.Empty:
            given_up.set()
            shared = Shared("", f"no answer within {SECONDS:.0f} seconds")
        if not shared.address:
            close_tunnels()  # a client that failed or says nothing still runs
    if shared.address:
        scheme = "http" if server else "https"
        shared = Shared(f"{scheme}://{shared.address.partition('://')[2]}", "")
    return shared


def in_words(shared: Shared, server: str | None) -> str:
    """Say what became of a public address.

    Args:
        shared: The outcome.
        server: As `share`.
    """
    if not shared.address:
        return (
            f"No public address: Gradio's tunnel could not be made ({shared.reason}). "
            "The page is served on this machine only."
        )
    lifetime = "as long as this program runs" + ("" if server else f", but for {LIFETIME} only")
    return f"Public address: {shared.address} (works {lifetime}). Left out: {LEFT_OUT}."


def close_tunnels() -> None:
    """End all tunnels of this process."""
    for tunnel in tunneling.CURRENT_TUNNELS:
        with contextlib.redirect_stdout(io.StringIO()):
            tunnel.kill()


def _reason(error: BaseException) -> str:
    """Return the innermost cause in a line: what the tunnel client said last, or the error."""
    while error.__cause__:
        error = error.__cause__
    lines = str(error).strip().splitlines()
    said = lines[-1].strip() if lines else ""
    return said or type(error).__name__
