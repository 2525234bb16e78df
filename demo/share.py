"""Gives the page a public address through Gradio's tunnel, within a time limit."""

import contextlib
import io
import queue
import threading
from dataclasses import dataclass

import gradio as gr
from gradio import networking, tunneling

from model.sharing.publish import LEFT_OUT

SECONDS = 30.0
"""Longest wait for a tunnel, in s; Gradio itself waits forever if the tunnel client is silent."""

LIFETIME = "up to 1 week"
"""How long Gradio 6.31 says that its public addresses last ("best effort")."""


@dataclass(frozen=True)
class Shared:
    """The outcome of asking for a public address.

    Attributes:
        address: The public address; "" if there is none.
        reason: Why there is none; "" if there is one.
    """

    address: str
    reason: str


def check_server(text: str | None) -> str | None:
    """Return the address of the owner's own tunnel server, unchanged.

    Args:
        text: `HOST:PORT`, or None.

    Raises:
        ValueError: The text has another form.
    """
    if text is None:
        return None
    host, _, port = text.rpartition(":")
    if not host or ":" in host or not port.isdecimal() or not 1 <= int(port) <= 65535:
        raise ValueError(f"--share-server {text} must be HOST:PORT, such as example.org:7000.")
    return text


def share(demo: gr.Blocks, server: str | None = None) -> Shared:
    """Give a page that is being served a public address.

    Args:
        demo: The launched page.
        server: `HOST:PORT` of the owner's own tunnel server (frp), reached without encryption;
            None for Gradio's server.

    Returns:
        The address, or the reason why there is none, after at most `SECONDS`.
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
            close_tunnels()  # a tunnel that comes too late is not used

    with contextlib.redirect_stderr(io.StringIO()):  # Gradio prints what `_reason` returns, too
        threading.Thread(target=attempt, daemon=True).start()
        try:
            shared = outcome.get(timeout=SECONDS)
        except queue.Empty:
            given_up.set()
            shared = Shared("", f"no answer within {SECONDS:.0f} seconds")
        if not shared.address:
            close_tunnels()  # a tunnel client that failed or is silent is still running
    if shared.address:
        scheme = "http" if server else "https"
        shared = Shared(f"{scheme}://{shared.address.partition('://')[2]}", "")
    return shared


def in_words(shared: Shared, server: str | None) -> str:
    """Say which public address there is and how long it works, or why there is none.

    Args:
        shared: The outcome.
        server: The owner's own tunnel server; None for Gradio's.
    """
    if not shared.address:
        return (
            f"There is no public address: Gradio's tunnel failed ({shared.reason}). "
            "The page is served on this machine only."
        )
    lifetime = "while this program runs" + ("" if server else f", for {LIFETIME}")
    return f"Public address: {shared.address} (works {lifetime}). Left out: {LEFT_OUT}."


def close_tunnels() -> None:
    """End all tunnels of this process."""
    for tunnel in tunneling.CURRENT_TUNNELS:
        with contextlib.redirect_stdout(io.StringIO()):
            tunnel.kill()


def _reason(error: BaseException) -> str:
    """Return the innermost cause as one line: the tunnel client's last line, or the error."""
    while error.__cause__:
        error = error.__cause__
    lines = str(error).strip().splitlines()
    said = lines[-1].strip() if lines else ""
    return said or type(error).__name__
