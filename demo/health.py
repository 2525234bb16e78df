"""`/healthz` and `/readyz`, which load balancers ask before they send visitors.

Both answer with one word, and need no sign-in. They bypass the page, so they neither wait in its
queue nor count as uploads.
"""

from collections.abc import Callable
from typing import Literal

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

State = Literal["starting", "ready", "stopping"]


class Health:
    """Answers the two addresses, and passes on all other requests."""

    def __init__(self) -> None:
        """Start in the state "starting"; `around` takes the application to wrap."""
        self.state: State = "starting"
        self.can_answer: Callable[[], bool] = lambda: True
        """Tells whether photographs can be classified now."""

    def around(self, app: ASGIApp) -> ASGIApp:
        """Wrap an application.

        Args:
            app: The application that answers all other requests.

        Returns:
            The wrapped application.
        """

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            found = self._answer(scope) if scope["type"] == "http" else None
            await (found or app)(scope, receive, send)

        return answer

    def _answer(self, scope: Scope) -> PlainTextResponse | None:
        path = scope["path"].removeprefix(scope.get("root_path", "").rstrip("/"))
        if path not in ("/healthz", "/readyz"):
            return None
        if scope["method"] not in ("GET", "HEAD"):
            return PlainTextResponse("", status_code=405, headers={"Allow": "GET, HEAD"})
        word, status = "ok", 200
        if path == "/readyz":
            is_away = self.state == "ready" and not self.can_answer()
            word = "unavailable" if is_away else self.state
            status = 200 if word == "ready" else 503
        return PlainTextResponse(word, status_code=status, headers={"Cache-Control": "no-store"})
