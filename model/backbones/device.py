"""Which device computes: CUDA where there is one, mps where it is asked for, else the CPU."""

import ctypes
import sys
from importlib.util import find_spec
from pathlib import Path

DEVICES = ("auto", "cpu", "cuda", "mps")


def resolve_device(device: str) -> str:
    """Choose the device.

    Args:
        device: `auto` (CUDA, else the CPU), `cpu`, `cuda` or `mps`.

    Returns:
        `cpu`, `cuda` or `mps`.

    Raises:
        ValueError: An unknown name, or a device that this machine, or torch, does not have.
    """
    if device not in DEVICES:
        raise ValueError(f"Device '{device}' is not one of {', '.join(DEVICES)}.")
    if device == "cpu" or (device == "auto" and not (has_torch() and _may_have_gpu())):
        return "cpu"
    require_torch(f"Device '{device}'")
    import torch

    cuda = torch.cuda.is_available()
    if device == "auto":
        return "cuda" if cuda else "cpu"
    if device == "cuda" and not cuda:
        raise ValueError("Device 'cuda' was asked for, but torch finds none. Use --device cpu.")
    if device == "mps" and not torch.backends.mps.is_available():
        raise ValueError("Device 'mps' was asked for, but torch finds none. Use --device cpu.")
    return device


def has_torch() -> bool:
    """Tell whether torch is installed; what serves packaged backbones alone need not have it."""
    return find_spec("torch") is not None


def require_torch(what: str) -> None:
    """Refuse what cannot be done without torch where it is not installed.

    Args:
        what: What needs it, as the subject of a sentence.

    Raises:
        ValueError: It is not installed.
    """
    if not has_torch():
        raise ValueError(
            f"{what} needs torch, which is not installed: pip install -r requirements.txt"
        )


def _may_have_gpu() -> bool:
    """Tell whether torch is worth asking: importing it takes seconds, looking for a driver none.

    Where torch is imported already (as ZeroGPU's `spaces` does, which lends GPUs to machines that
    have none) torch is asked.
    """
    if "torch" in sys.modules or Path("/dev/kfd").exists():  # ROCm's
        return True
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True
