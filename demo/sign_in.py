"""Signing in: before it, only the login page and `Health` answer. Wrong passwords cost time.

Gradio itself tells everybody the title and layout of an application, and accepts any number of
password attempts a second.
"""

import asyncio
import math
import time
from collections.abc import Callable

from gradio.routes import App
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_OPEN = {
    *("/", "/login", "/login/", "/logout", "/favicon.ico", "/robots.txt", "/theme.css"),
    "/gradio_api/startup-events",  # answers true or false; Gradio itself requests it
}
_OPEN_FOLDERS = ("/assets/", "/static/")
_FREE = 3  # wrong passwords before an address has to wait
_LONGEST_SECONDS = 30.0
_FORGOTTEN_SECONDS = 900.0
_MANY = 30  # wrong passwords of all addresses in a minute
_MANY_SECONDS = 2.0


class Attempts:
    """Counts wrong passwords, of each address and of all, and says how long to wait after them."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Start with no wrong passwords.

        Args:
            clock: Returns the time, in s.
        """
        self._clock = clock
        self._wrong: dict[str, tuple[int, float]] = {}  # their number, and the time of the last
        self._recent: list[float] = []

    def wait(self, address: str) -> float:
        """Return how many seconds an address must wait before its next attempt, at most 30.

        After the third wrong password it is 1 s, and each further one doubles it.
        """
        count, last = self._wrong.get(address, (0, -math.inf))
        if count < _FREE:
            return 0.0
        delay = min(2.0 ** (count - _FREE), _LONGEST_SECONDS)
        return max(0.0, last + delay - self._clock())

    def delay(self) -> float:
        """Return how many seconds every password waits: 0, or 2 while very many are wrong."""
        now = self._clock()
        self._recent = [tried for tried in self._recent if tried > now - 60]
        return _MANY_SECONDS if len(self._recent) >= _MANY else 0.0

    def add(self, address: str, right: bool) -> None:
        """Count an attempt; a right password clears the count of its address."""
        now = self._clock()
        self._wrong = {
            known: (count, last)
            for known, (count, last) in self._wrong.items()
            if last > now - _FORGOTTEN_SECONDS
        }
        if right:
            self._wrong.pop(address, None)
            return
        self._wrong[address] = self._wrong.get(address, (0, 0.0))[0] + 1, now
        self._recent.append(now)


class SignInFirst:
    """Lets only visitors who have signed in reach an application; `Attempts` limits the others."""

    def __init__(self, app: ASGIApp, page: App) -> None:
        """Wrap an application.

        Args:
            app: The application to protect.
            page: Gradio's application, which knows whether a sign-in is needed and who has one.
        """
        self._app, self._page, self._attempts = app, page, Attempts()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on to the application, or refuse it."""
        if scope["type"] != "http" or not self._page.auth:
            await self._app(scope, receive, send)
            return
        path = scope["path"].removeprefix(scope.get("root_path", "").rstrip("/")) or "/"
        if scope["method"] == "POST" and path.rstrip("/") == "/login":
            await self._login(scope, receive, send)
        elif path in _OPEN or path.startswith(_OPEN_FOLDERS) or self._signed_in(Request(scope)):
            await self._app(scope, receive, send)
        else:
            await PlainTextResponse("Sign in first.\n", status_code=401)(scope, receive, send)

    def _signed_in(self, request: Request) -> bool:
        name = self._page.cookie_id
        kinds = (f"access-token-{name}", f"access-token-unsecure-{name}")
        return any(request.cookies.get(kind) in self._page.tokens for kind in kinds)

    async def _login(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = scope.get("client")
        address = client[0] if client else ""
        if wait := self._attempts.wait(address):
            text = f"Too many wrong passwords. Try again in {math.ceil(wait)} s.\n"
            headers = {"Retry-After": str(math.ceil(wait))}
            refusal = PlainTextResponse(text, status_code=429, headers=headers)
            await refusal(scope, receive, send)
            return
        await asyncio.sleep(self._attempts.delay())

        async def notice(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._attempts.add(address, right=message["status"] < 400)
            await send(message)

        await self._app(scope, receive, notice)
