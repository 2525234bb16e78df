"""A stand-in for the package `spaces` of Hugging Face Spaces: its `GPU` decorator on ZeroGPU.

The real one (0.51) sends a call to a forked process that is given a GPU. It looks up the visitor's
request and Gradio's event in the context of the caller, pickles arguments, results and errors, and
needs CUDA to be untouched in the process of the page. This one runs the call where it is, but fails
loudly where one of these is not so, and writes every call into the file SPACES_STAND_IN_LOG.
"""

import functools
import json
import os
import sys
import threading
from collections.abc import Callable
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from pickle import loads
from typing import Any

if "torch" in sys.modules and sys.modules["torch"].cuda.is_initialized():
    raise RuntimeError("CUDA has been initialized before importing the `spaces` package.")


def _round_trip(value: Any, what: str) -> Any:
    try:
        return loads(ForkingPickler.dumps(value))
    except Exception as error:
        raise RuntimeError(f"stand-in: {what} cannot be pickled ({error})") from error


def GPU(task: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function as `spaces.GPU` does on ZeroGPU."""

    @functools.wraps(task)
    def call(*args: Any, **options: Any) -> Any:
        from gradio.context import LocalContext

        context = {
            "request": LocalContext.request.get(None) is not None,
            "event": LocalContext.event_id.get(None) is not None,
            "page": LocalContext.blocks.get(None) is not None,
            "thread": threading.current_thread().name == "AnyIO worker thread",
        }
        if missing := [name for name, there in context.items() if not there]:
            raise RuntimeError(f"stand-in: called without its {', '.join(missing)}")
        if "torch" in sys.modules and sys.modules["torch"].cuda.is_initialized():
            raise RuntimeError("stand-in: CUDA was touched in the process of the page")
        args, options = _round_trip((args, options), "an argument")
        try:
            result = task(*args, **options)
        except Exception as error:
            raise _round_trip(error, "an error") from None
        log = Path(os.environ["SPACES_STAND_IN_LOG"])
        with log.open("a", encoding="utf-8") as file:
            call = {"function": task.__qualname__, "photographs": len(args[0]), **context}
            file.write(json.dumps(call) + "\n")
        return _round_trip(result, "a result")

    return call
