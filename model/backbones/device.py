"""Which device computes: CUDA where there is one, mps where it is asked for, else the CPU."""

import ctypes
import sys
from pathlib import Path

DEVICES = ("auto", "cpu", "cuda", "mps")


def resolve_device(device: str) -> str:
    """Choose the device.

    Args:
        device: `auto` (CUDA, else the CPU), `cpu`, `cuda` or `mps`.

    Returns:
        `cpu`, `cuda` or `mps`.

    Raises:
        ValueError: An unknown name, or a device this machine does not have.
    """
    if device not in DEVICES:
        raise ValueError(f"Device '{device}' is not one of {', '.join(DEVICES)}.")
    if device == "cpu" or (device == "auto" and not _may_have_gpu()):
        return "cpu"
    import torch

    cuda = torch.cuda.is_available()
    if device == "auto":
        return "cuda" if cuda else "cpu"
    if device == "cuda" and not cuda:
        raise ValueError("Device 'cuda' was asked for, but torch finds none. Use --device cpu.")
    if device == "mps" and not torch.backends.mps.is_available():
        raise ValueError("Device 'mps' was asked for, but torch finds none. Use --device cpu.")
    return device


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
