"""Which sites may use the page from a browser: the page itself, and sites that the owner names.

Unless a page is on localhost, Gradio lets every site read its answers with the visitor's cookies,
so another site could read the page of somebody who has signed in. This module gives other sites no
such permission, and refuses their requests unless they only read. Programs such as curl and
gradio_client send no Origin and are not affected.
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

# Gradio adds these routes for components that this page does not have. The first would let anybody
# run ffmpeg on a film, the second would let anybody write files.
_UNUSED = (("POST", "/gradio_api/process_recording"), ("GET", "/gradio_api/deep_link"))


def check_origin(text: str) -> str:
    """Return an origin in the form that browsers send.

    Args:
        text: An origin such as `https://example.org` or `http://localhost:3000`.

    Returns:
        The origin, in lower case, without the default port of its scheme.

    Raises:
        ValueError: The text is not `SCHEME://HOST[:PORT]` with http or https.
    """
    parsed = _parse(text.removesuffix("/"))
    if parsed is None:
        raise ValueError(
            f"--allow-origin {text} must consist of http:// or https://, a host and, if needed, a "
            "port, such as https://example.org."
        )
    scheme, host, port = parsed
    return f"{scheme}://{host}" + (f":{port}" if port != _PORTS[scheme] else "")


def _parse(origin: str) -> tuple[str, str, int] | None:
    """Return scheme, host and port of an origin; None if it is not an origin, such as `null`."""
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:  # the port is not a number
        return None
    if parts.scheme.lower() not in _PORTS or not parts.hostname or parts.username is not None:
        return None
    if not re.fullmatch(r"[a-zA-Z]+://[^/?#\s]+", origin):
        return None
    scheme = parts.scheme.lower()
    return scheme, parts.hostname, _PORTS[scheme] if port is None else port


def is_own(origin: str, headers: Headers) -> bool:
    """Tell whether a request comes from the page itself.

    `Host` names the host that the browser asked for, or `X-Forwarded-Host` does if a proxy changes
    `Host`; another site's page can set neither. The scheme is not compared, because a proxy that
    ends TLS does not always tell it.

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
    """Lets browsers use an application from its own origin and those that the owner names only."""

    def __init__(self, app: ASGIApp, allowed: Iterable[str] = (), *, framed: bool = False) -> None:
        """Wrap an application.

        Args:
            app: Gradio's application.
            allowed: Other origins that may use it with the visitor's cookies.
            framed: Whether another site shows it in a frame, as happens to a Space; browsers must
                then send cookies from that site too.
        """
        self._app = app
        self._allowed = frozenset(allowed)
        self._cookies_elsewhere = framed or bool(self._allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on to the application, or refuse it."""
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
                    "This page accepts no requests from other sites; its owner can allow a site "
                    "with --allow-origin.\n",
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

        # Without the Origin header, Gradio gives no permission of its own.
        rest = [(name, value) for name, value in scope["headers"] if name != b"origin"]
        await self._app({**scope, "headers": rest}, receive, finish)

    def _finish(self, headers: MutableHeaders, origin: str | None) -> None:
        """Add the permission for an origin, and keep cookies from other sites if possible."""
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
        health: Answers whether the page is ready for visitors.
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
            allowed: Other origins that may use the page; see `OwnOrigin`.
            framed: Whether another site shows the page in a frame; see `OwnOrigin`.
            middleware: More middleware, inside `OwnOrigin`.
        """
        super().__init__(default_response_class=ORJSONResponse, middleware=middleware)
        self._allowed_origins, self._framed = tuple(allowed), framed
        self.health = Health()
        # These routes come before Gradio's own, so they answer instead.
        self.get("/pwa_icon")(icon)
        self.get("/pwa_icon/{size}")(pwa_icon)
        for method, path in _UNUSED:
            self.add_api_route(path, _nothing, methods=[method], include_in_schema=False)

    def build_middleware_stack(self) -> ASGIApp:
        """Wrap everything that Gradio adds in the sign-in and the checks of origin and headers."""
        inner = SignInFirst(super().build_middleware_stack(), self)
        probed = self.health.around(inner)
        own = OwnOrigin(probed, self._allowed_origins, framed=self._framed)
        return SafeHeaders(own, framed=self._framed)
