"""ZeroGPU: marks the functions that need the GPU of a Hugging Face Space."""

import os
from collections.abc import Callable
from typing import TypeVar, cast

F = TypeVar("F", bound=Callable[..., object])

try:  # before torch: this package must be imported before anything uses CUDA
    import spaces  # pyrefly: ignore[missing-import]  (installed on Spaces only)
except ImportError:  # not on a Space, so it is not needed
    spaces = None

IS_ZERO = spaces is not None and os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")
"""Whether this is a Space on ZeroGPU, which has a GPU only while it answers a request."""


def on_gpu(function: F) -> F:
    """Mark a function that needs the GPU of a Space; elsewhere, return it unchanged.

    On ZeroGPU the function runs in a process of its own, so its arguments and results are pickled.
    It must be called in the context of the visitor's request.

    Args:
        function: The function that needs the GPU.

    Returns:
        The function, wrapped where the `spaces` package is installed.
    """
    return function if spaces is None else cast(F, spaces.GPU(function))
