"""Versions of everything that affects a feature, for comparison between machines."""

import hashlib
import importlib
from collections.abc import Mapping
from pathlib import Path

_MODEL = Path(__file__).resolve().parent.parent
_ALWAYS = ("numpy", "PIL", "pillow_heif", "onnxruntime")
_WITH_TORCH = ("torch", "timm")


def of(*, torch: bool) -> dict[str, str]:
    """Return the versions on this machine.

    Args:
        torch: Whether the backbone runs in torch; the versions of torch and timm are then included.

    Returns:
        Name -> version. Frostflower itself runs from a folder, so its version is a hash of its
        code.
    """
    names = (*_ALWAYS, *(_WITH_TORCH if torch else ()))
    found = {name: str(importlib.import_module(name).__version__) for name in names}
    return {"Frostflower": _code(), **found}


def _code() -> str:
    """Hash the library's code and the graphs that come with it."""
    content = hashlib.sha256()
    for path in sorted([*_MODEL.rglob("*.py"), *_MODEL.rglob("*.onnx.gz")]):
        content.update(path.relative_to(_MODEL).as_posix().encode() + b"\0")
        content.update(hashlib.sha256(path.read_bytes()).digest())
    return content.hexdigest()[:12]


def differences(expected: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    """Describe each difference, such as `numpy 2.1.0 instead of 2.2.0`."""
    return [
        f"{name} {found.get(name, 'missing')} instead of {version}"
        for name, version in expected.items()
        if found.get(name) != version
    ]
