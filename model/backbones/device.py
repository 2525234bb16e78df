"""Chooses the device: CUDA if there is one, mps only if requested, otherwise the CPU."""

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
        ValueError: The name is unknown, or this machine or torch does not have that device.
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
        raise ValueError("Device 'cuda' was requested, but torch finds none. Use --device cpu.")
    if device == "mps" and not torch.backends.mps.is_available():
        raise ValueError("Device 'mps' was requested, but torch finds none. Use --device cpu.")
    return device


def has_torch() -> bool:
    """Return whether torch is installed; serving packaged backbones works without it."""
    return find_spec("torch") is not None


def require_torch(what: str) -> None:
    """Raise an error if torch is not installed.

    Args:
        what: What needs it, as the subject of a sentence.

    Raises:
        ValueError: torch is not installed.
    """
    if not has_torch():
        raise ValueError(
            f"{what} needs torch, which is not installed: pip install -r requirements.txt"
        )


def _may_have_gpu() -> bool:
    """Return whether to ask torch for a GPU; importing torch takes seconds, finding a driver none.

    If torch is already imported, it is asked. ZeroGPU's `spaces` does that, and lends GPUs to
    machines that have none.
    """
    if "torch" in sys.modules or Path("/dev/kfd").exists():  # the device file of ROCm
        return True
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True
