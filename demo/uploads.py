"""The folder for uploads: one for each process, limited in size, and removed at the end.

Gradio keeps uploads as long as it runs, in a folder that all programs of a user share. Its own
clean-up stops at the first error, and misses interrupted uploads. Here each process has its own
folder; if a process is killed, the next one removes its folder. Files are deleted after an hour, or
earlier when the limit is reached. If there is no room for a photograph, the visitor is told so.
"""

import contextlib
import errno
import math
import os
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Self

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from model.cache import temporary_folder

LIMIT = 2_000_000_000
"""Default limit for all uploads together, in bytes."""

_FOLDER, _VARIABLE = "frostflower-uploads", "GRADIO_TEMP_DIR"
_KEPT_SECONDS = 3600.0  # how long an upload is kept
_AT_LEAST_SECONDS = 60.0  # a newer upload is never removed: it may be waiting for its answer
_EVERY_SECONDS = 60.0  # how often the folder is swept
_FREED = 0.1  # share of the limit that is freed at once, so that the next upload does not reach it
_ATTEMPTS = 3  # to remove the folder
_FRAMING = 100_000  # bytes that a form or a call may add to its photograph
_NO_ROOM = "The server has no room for more photographs at the moment. Please try again later."
_FULL = {errno.ENOSPC, errno.EDQUOT}


class UploadFolder:
    """A context in which all temporary files, Gradio's too, go into a folder of this process."""

    def __init__(self, limit: int = LIMIT) -> None:
        """Prepare the context; the folder does not exist yet.

        Args:
            limit: Most bytes of all uploads together.
        """
        self.path = Path()
        self._limit = limit
        self._used = 0  # an estimate: the bytes at the last count and those written since
        self._counted = -math.inf
        self._kept: set[Path] = set()
        self._contexts = contextlib.ExitStack()
        self._ended = threading.Event()

    def __enter__(self) -> Self:
        """Make the folder, and remove folders that killed processes have left beside it."""
        parent = Path(os.environ.get(_VARIABLE) or Path(tempfile.gettempdir(), _FOLDER))
        parent.mkdir(parents=True, exist_ok=True)
        self.path = self._contexts.enter_context(temporary_folder(parent)).resolve()
        self._contexts.callback(self._empty)
        self._contexts.callback(self._restore, os.environ.get(_VARIABLE), tempfile.tempdir)
        os.environ[_VARIABLE] = tempfile.tempdir = str(self.path)
        threading.Thread(target=self._sweep_again_and_again, daemon=True).start()
        self._contexts.callback(self._ended.set)
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the folder, and also its parent folder if that is empty."""
        self._contexts.close()
        with contextlib.suppress(OSError):
            self.path.parent.rmdir()

    def _empty(self) -> None:
        """Remove the folder; several attempts, as a running request may write meanwhile."""
        for _attempt in range(_ATTEMPTS):
            shutil.rmtree(self.path, ignore_errors=True)

    @staticmethod
    def _restore(variable: str | None, folder: str | None) -> None:
        tempfile.tempdir = folder
        if variable is None:
            os.environ.pop(_VARIABLE, None)
        else:
            os.environ[_VARIABLE] = variable

    def keep_present(self) -> None:
        """Never sweep the files that are in the folder now, such as the page's examples."""
        self._kept = {path for _, _, path in self._files()}

    def _sweep_again_and_again(self) -> None:
        while not self._ended.wait(_EVERY_SECONDS):
            self.sweep()

    def _files(self) -> list[tuple[float, int, Path]]:
        """Return time of change in s, size in bytes and path of each file, the oldest first."""
        found = []
        for folder, _, names in os.walk(self.path):
            for name in names:
                path = Path(folder, name)
                with contextlib.suppress(OSError):  # the file has been removed meanwhile
                    status = path.stat()
                    found.append((status.st_mtime, status.st_size, path))
        return sorted(found)

    def sweep(self, room: int = 0) -> None:
        """Remove files that are older than an hour, and newer ones if room is needed.

        Args:
            room: Bytes that should be free below the limit.
        """
        files, now = self._files(), time.time()
        used = sum(size for _, size, _ in files)
        for changed, size, path in files:
            age = now - changed
            wanted = used + room > self._limit and age > _AT_LEAST_SECONDS
            if (age > _KEPT_SECONDS or wanted) and path not in self._kept:
                with contextlib.suppress(OSError):
                    path.unlink()
                    used -= size
                    path.parent.rmdir()  # each upload has its own folder
        self._used, self._counted = used, time.monotonic()

    def has_room(self, size: int) -> bool:
        """Tell whether a number of bytes fits below the limit; older files are removed for it."""
        if self._used + size > self._limit and time.monotonic() - self._counted > 1:
            self.sweep(max(size, round(_FREED * self._limit)))
        return self._used + size <= self._limit

    def add(self, size: int) -> None:
        """Count bytes that have been written."""
        self._used += size


class BoundedRequests:
    """Refuses requests that are too large, and uploads for which there is no room."""

    def __init__(self, app: ASGIApp, folder: UploadFolder, max_bytes: int) -> None:
        """Wrap an application.

        Args:
            app: Gradio's application.
            folder: The folder in which it keeps uploads.
            max_bytes: Largest photograph, in bytes. It also limits an upload request with several
                files. Calls may be a third larger, because they contain base64.
        """
        self._app, self._folder, self._max_bytes = app, folder, max_bytes
        self._too_large = f"A photograph may have at most {max_bytes / 1e6:g} MB."

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on to the application, or refuse it."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        is_upload = scope["path"].endswith("/upload")
        if is_upload and not await run_in_threadpool(self._folder.has_room, self._max_bytes):
            await _refuse(_NO_ROOM, 507, scope, receive, send)
            return
        most = (self._max_bytes if is_upload else self._max_bytes * 4 // 3) + _FRAMING
        if _announced(scope) > most:
            await _drain(receive, 2 * most)
            await _refuse(self._too_large, 413, scope, receive, send)
            return
        received, started = 0, False

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > most:
                raise _TooLarge
            return message

        async def noticed(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, counted, noticed)
        except _TooLarge:
            problem = self._too_large, 413
        except OSError as error:
            if error.errno not in _FULL:
                raise
            problem = _NO_ROOM, 507
            print(
                f"Note: there is no room for an upload in {self._folder.path} ({error.strerror}). "
                f"Free some space, or name another folder in the variable {_VARIABLE}.",
                file=sys.stderr,
                flush=True,
            )
        else:
            return
        finally:
            if is_upload:
                self._folder.add(received)
        if not started:
            await _refuse(*problem, scope, receive, send)


def _announced(scope: Scope) -> int:
    length = Headers(scope=scope).get("content-length", "0")
    return int(length) if length.isdecimal() else 0


async def _drain(receive: Receive, most: int) -> None:
    """Read and discard a request's body: browsers send all of it before they read the answer."""
    received, more = 0, True
    while more and received < most:
        message = await receive()
        received += len(message.get("body", b""))
        more = message["type"] == "http.request" and message.get("more_body", False)


class _TooLarge(Exception):
    pass


async def _refuse(text: str, status: int, scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse(text, status_code=status)(scope, receive, send)
