"""ZeroGPU: a function that needs the GPU of a Hugging Face Space says so."""

import os
from collections.abc import Callable
from typing import TypeVar, cast

F = TypeVar("F", bound=Callable[..., object])

try:  # before torch: the package must be there before CUDA is first touched
    import spaces  # pyrefly: ignore[missing-import]  (only there on a Space)
except ImportError:  # not on a Space, and not needed there
    spaces = None

IS_ZERO = spaces is not None and os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")
"""Whether this is a Space on ZeroGPU: there is a GPU while a request is answered, and only then."""


def on_gpu(function: F) -> F:
    """Mark a function as one that runs on the GPU. Off Spaces it is returned as it is.

    On ZeroGPU it runs in a process of its own, so arguments and results are pickled; and it must be
    called where a visitor's request is answered, in that request's context.

    Args:
        function: What needs the GPU.

    Returns:
        The function, wrapped where the `spaces` package is installed.
    """
    return function if spaces is None else cast(F, spaces.GPU(function))
