"""A public address for the page, through Gradio's tunnel, within a time limit."""

import contextlib
import io
import threading
from dataclasses import dataclass

import gradio as gr
from gradio import networking, tunneling

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


class _Attempt(threading.Thread):
    """Sets up a tunnel; once given up, one that comes late is closed again."""

    def __init__(self, demo: gr.Blocks, server: str | None) -> None:
        super().__init__(daemon=True)
        self.demo, self.server = demo, server
        self.shared = Shared("", "")
        self.lock = threading.Lock()
        self.given_up = False

    def run(self) -> None:
        """Do it."""
        try:
            address = networking.setup_tunnel(
                local_host=self.demo.server_name,
                local_port=self.demo.server_port,
                share_token=self.demo.share_token,
                share_server_address=self.server,
                share_server_tls_certificate=None,
            )
            shared = Shared(address, "")
        except Exception as error:  # Gradio raises RuntimeError, ValueError, OSError, httpx's ...
            shared = Shared("", _reason(error))
            close_tunnels()  # a client that failed still runs
        with self.lock:
            self.shared = shared
            if self.given_up:
                close_tunnels()

    def give_up(self) -> Shared:
        """Return what there is by now, and let nothing come later."""
        with self.lock:
            if self.shared.address or self.shared.reason:
                return self.shared
            self.given_up = True
        close_tunnels()
        return Shared("", f"no answer within {SECONDS:.0f} seconds")


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
    attempt = _Attempt(demo, server)
    with contextlib.redirect_stderr(io.StringIO()):  # Gradio prints the log that is the reason
        attempt.start()
        attempt.join(SECONDS)
        shared = attempt.give_up()
        attempt.join(1)
    if shared.address:
        scheme = "http" if server else "https"
        shared = Shared(f"{scheme}://{shared.address.partition('://')[2]}", "")
    return shared


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
