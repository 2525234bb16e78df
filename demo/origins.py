"""Who may use the page from a browser: its own address, and the sites that the owner names.

Gradio grants every site to read the answers of a page that is not on localhost, with the visitor's
cookies, so a foreign site could read the page of somebody who has signed in. Here a foreign site
gets no grant, and a request of it that is not a mere reading is refused. Programs such as curl and
gradio_client send no Origin and are not concerned.
"""

import re
from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

from gradio.routes import App, ORJSONResponse
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from demo.headers import SafeHeaders
from demo.health import Health
from demo.icon import icon, pwa_icon
from demo.sign_in import SignInFirst

_READING = {"GET", "HEAD", "OPTIONS"}
_PORTS = {"http": 80, "https": 443}

# Gradio's for parts that this page does not have. Anybody could let the first run ffmpeg on a film,
# and the second write files.
_UNUSED = (("POST", "/gradio_api/process_recording"), ("GET", "/gradio_api/deep_link"))


def check_origin(text: str) -> str:
    """Return an origin in the form that browsers send.

    Args:
        text: Such as `https://example.org` or `http://localhost:3000`.

    Returns:
        The origin, in lower case, without a port that goes without saying.

    Raises:
        ValueError: It is not `SCHEME://HOST[:PORT]` with http or https.
    """
    parsed = _parse(text.removesuffix("/"))
    if parsed is None:
        raise ValueError(
            f"--allow-origin {text} must be http:// or https://, a host, and perhaps a port, such "
            "as https://example.org."
        )
    scheme, host, port = parsed
    return f"{scheme}://{host}" + (f":{port}" if port != _PORTS[scheme] else "")


def _parse(origin: str) -> tuple[str, str, int] | None:
    """Return scheme, host and port of an origin; None for what is none, such as `null`."""
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:  # a port that is no number
        return None
    if parts.scheme.lower() not in _PORTS or not parts.hostname or parts.username is not None:
        return None
    if not re.fullmatch(r"[a-zA-Z]+://[^/?#\s]+", origin):
        return None
    scheme = parts.scheme.lower()
    return scheme, parts.hostname, _PORTS[scheme] if port is None else port


def is_own(origin: str, headers: Headers) -> bool:
    """Tell whether a request comes from the page itself.

    The host that the browser asked for is in `Host`, or in `X-Forwarded-Host` behind a proxy that
    has its own; a foreign page can set neither. The scheme is not compared: a proxy that ends TLS
    need not say so.

    Args:
        origin: The request's Origin.
        headers: The request's headers.
    """
    parsed = _parse(origin)
    if parsed is None:
        return False
    scheme, host, port = parsed
    named = [headers.get("host", ""), *headers.get("x-forwarded-host", "").split(",")]
    asked = (_parse(f"{scheme}://{name.strip()}") for name in named)
    return any(found is not None and found[1:] == (host, port) for found in asked)


class OwnOrigin:
    """Grants the page's own origin and those that the owner named, and nobody else."""

    def __init__(self, app: ASGIApp, allowed: Iterable[str] = (), *, framed: bool = False) -> None:
        """Wrap an application.

        Args:
            app: Gradio's application.
            allowed: Other origins that may use it with the visitor's cookies.
            framed: It stands in the frame of another site, as a Space does, which needs cookies
                that browsers send from there too.
        """
        self._app = app
        self._allowed = frozenset(allowed)
        self._cookies_elsewhere = framed or bool(self._allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        granted = origin is not None and origin.lower() in self._allowed
        asks_first = scope["method"] == "OPTIONS" and "access-control-request-method" in headers
        if origin is not None and not granted and not is_own(origin, headers):
            if scope["method"] not in _READING or asks_first:
                refusal = PlainTextResponse(
                    "This page takes no requests from other sites; its owner can allow one with "
                    "--allow-origin.\n",
                    status_code=403,
                    headers={"Vary": "Origin"},
                )
                await refusal(scope, receive, send)
                return
        elif asks_first and granted and origin is not None:
            wanted = headers.get("access-control-request-headers", "")
            answer = PlainTextResponse("", headers=_grant(origin) | _preflight(wanted))
            await answer(scope, receive, send)
            return

        async def finish(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._finish(MutableHeaders(scope=message), origin if granted else None)
            await send(message)

        # Without the header, Gradio adds no grant of its own.
        rest = [(name, value) for name, value in scope["headers"] if name != b"origin"]
        await self._app({**scope, "headers": rest}, receive, finish)

    def _finish(self, headers: MutableHeaders, origin: str | None) -> None:
        """Add the grant, and keep cookies at home where nobody else needs them."""
        headers.add_vary_header("Origin")
        for name, value in _grant(origin).items() if origin else ():
            headers[name] = value
        if not self._cookies_elsewhere and "set-cookie" in headers:
            headers.raw[:] = [
                (name, re.sub(rb"(?i)samesite=none", b"SameSite=Lax", value))
                if name.lower() == b"set-cookie"
                else (name, value)
                for name, value in headers.raw
            ]


def _grant(origin: str) -> dict[str, str]:
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Credentials": "true",
        "Vary": "Origin",
    }


def _preflight(headers: str) -> dict[str, str]:
    return {
        "Access-Control-Allow-Methods": "GET, HEAD, POST, DELETE, OPTIONS",
        "Access-Control-Allow-Headers": headers,
        "Access-Control-Max-Age": "600",
    }


def _nothing() -> PlainTextResponse:
    return PlainTextResponse("This page has no such part.\n", status_code=404)


class PageApp(App):
    """Gradio's application behind `SafeHeaders`, `OwnOrigin`, `Health` and `SignInFirst`.

    Attributes:
        health: Knows whether it is ready for visitors.
    """

    def __init__(
        self,
        allowed: Iterable[str] = (),
        *,
        framed: bool = False,
        middleware: Sequence[Middleware] = (),
    ) -> None:
        """Make an application for `Blocks.launch`.

        Args:
            allowed: As `OwnOrigin`.
            framed: As `OwnOrigin`.
            middleware: More of it, inside `OwnOrigin`.
        """
        super().__init__(default_response_class=ORJSONResponse, middleware=middleware)
        self._allowed_origins, self._framed = tuple(allowed), framed
        self.health = Health()
        # Before Gradio adds its own.
        self.get("/pwa_icon")(icon)
        self.get("/pwa_icon/{size}")(pwa_icon)
        for method, path in _UNUSED:
            self.add_api_route(path, _nothing, methods=[method], include_in_schema=False)

    def build_middleware_stack(self) -> ASGIApp:
        """Put the origin, the sign-in and the headers outside everything that Gradio adds."""
        inner = SignInFirst(super().build_middleware_stack(), self)
        probed = self.health.around(inner)
        own = OwnOrigin(probed, self._allowed_origins, framed=self._framed)
        return SafeHeaders(own, framed=self._framed)
