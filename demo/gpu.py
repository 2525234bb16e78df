"""ZeroGPU: a function that needs the GPU of a Hugging Face Space says so."""

from collections.abc import Callable
from typing import TypeVar, cast

F = TypeVar("F", bound=Callable[..., object])

try:  # before torch: the package must be there before CUDA is first touched
    import spaces  # pyrefly: ignore[missing-import]  (only there on a Space)
except ImportError:  # not on a Space, and not needed there
    spaces = None


def on_gpu(function: F) -> F:
    """Mark a function as one that runs on the GPU. Off Spaces it is returned as it is.

    Args:
        function: What needs the GPU.

    Returns:
        The function, wrapped where the `spaces` package is installed.
    """
    return function if spaces is None else cast(F, spaces.GPU(function))
