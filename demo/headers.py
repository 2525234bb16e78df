"""Security headers that forbid the page to load anything from other sites."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_POLICY = {
    "default-src": "'self'",
    # Gradio's page starts with an inline script, and Vega compiles the expressions of charts.
    "script-src": "'self' 'unsafe-inline' 'unsafe-eval' blob:",
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data: blob:",
    "media-src": "'self' data: blob:",
    "font-src": "'self' data:",
    "connect-src": "'self' data: blob:",
    "worker-src": "'self' blob:",
    "object-src": "'none'",
    "base-uri": "'self'",
    "form-action": "'self'",
}
_SPACE = "'self' https://huggingface.co https://*.huggingface.co https://*.hf.space"


class SafeHeaders:
    """Adds the security headers to every response that does not have them yet."""

    def __init__(self, app: ASGIApp, *, framed: bool = False) -> None:
        """Wrap an application.

        Args:
            app: The application.
            framed: Whether it is a Space, which huggingface.co shows in a frame.
        """
        self._app = app
        policy = _POLICY | {"frame-ancestors": _SPACE if framed else "'self'"}
        self._headers = {
            "Content-Security-Policy": "; ".join(map(" ".join, policy.items())),
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "same-origin",
            "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
        }
        if not framed:
            self._headers["X-Frame-Options"] = "SAMEORIGIN"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request with the headers added."""

        async def finish(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, finish if scope["type"] == "http" else send)
