"""The tensors of a checkpoint in safetensors files: the head, its embedding, and the evidence.

The checks guarantee finite results for any features of a backbone: every value is finite, and none
is so large that a sum of them could overflow.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from model.checkpoints.files import InvalidFile, require_size
from model.explain.evidence import FILE as EVIDENCE
from model.explain.evidence import MAX_WIDTH, VERSION, Evidence
from model.features.signatures import SIGNATURE_BYTES
from model.heads.head import Head
from model.photographs.class_names import UNPRINTABLE
from model.trust.unknown import Embedding

HEAD = "head.safetensors"

_MAX_BYTES = {
    HEAD: 2_000_000_000,  # 25,000 classes of 8,568 features: 0.9 GB
    EVIDENCE: 4_000_000_000,  # a million photographs with thumbnails: 2.6 GB
}
_MAX_HEADER = 1_000_000
_MAX_PHOTOGRAPHS = 10_000_000
_MAX_PATH = 4096  # characters
_MAX_THUMBNAIL = 65_536  # bytes; noise with 96 x 96 px takes 12,000
_LEAST_STD = 5e-7  # training limits it to at least 1e-6
_LARGEST_FEATURE = 65_504.0  # the largest float16, the type in which training keeps features
_LARGEST_LOGIT = 1e34  # even divided by a temperature of 0.001 it is below float32's 3.4e38
_LARGEST_COORDINATE = 1e17  # so is its square, summed over `MAX_WIDTH` directions
_LARGEST_SCALE = 0.008  # a coordinate of 1 is 127 scales of 0.00787

_TYPES = {
    "F32": "float32",
    "F16": "float16",
    "I8": "int8",
    "U8": "uint8",
    "I32": "int32",
    "I64": "int64",
}


class _File:
    """An open safetensors file; it checks a tensor's type and shape before reading it."""

    def __init__(self, name: str, file: Any) -> None:
        self._name, self._file = name, file
        self._keys = set(file.keys())

    def has(self, key: str) -> bool:
        return key in self._keys

    def error(self, problem: str) -> InvalidFile:
        return InvalidFile(self._name, problem)

    def get(self, key: str, dtype: str, *shape: int) -> np.ndarray:
        """Return a tensor whose floats are all finite; -1 in `shape` allows any length."""
        if key not in self._keys:
            raise self.error(f"{key} is missing")
        entry = self._file.get_slice(key)
        found, code = entry.get_shape(), entry.get_dtype()
        lengths = len(found) == len(shape) and all(
            length in (-1, there) for length, there in zip(shape, found, strict=True)
        )
        if not lengths or _TYPES.get(code) != dtype:
            wanted = ", ".join("any" if length < 0 else str(length) for length in shape)
            raise self.error(
                f"{key} is {_TYPES.get(code, code)} {found}; expected {dtype} [{wanted}]"
            )
        values = self._file.get_tensor(key)
        if values.dtype.kind == "f" and not math.isfinite(_largest(values)):
            self.require(key, values, np.isfinite(values), "finite numbers")
        return values

    def require(self, key: str, values: np.ndarray, sound: np.ndarray, expected: str) -> None:
        """Refuse a tensor with any unsound value; names the first one."""
        if not sound.all():
            place = np.unravel_index(int(sound.argmin()), sound.shape)
            index = ", ".join(map(str, place))
            raise self.error(f"{key}[{index}] is {values[place]}; expected {expected}")

    def require_reach(self, key: str, reach: float, limit: float) -> None:
        """Refuse a tensor with numbers so large that a result could overflow."""
        if not reach <= limit:
            raise self.error(
                f"{key} is so large that a result can reach {reach:.0e}; expected at most "
                f"{limit:.0e}"
            )


@contextmanager
def _opened(path: Path) -> Iterator[_File]:
    size = require_size(path, _MAX_BYTES[path.name])
    with path.open("rb") as start:
        header = int.from_bytes(start.read(8), "little")
    if header > min(size, _MAX_HEADER):
        raise InvalidFile(path.name, f"the file is damaged (its header has {header:,} bytes)")
    try:
        with safe_open(path, framework="np") as file:
            yield _File(path.name, file)
    except SafetensorError as error:
        reason = " ".join(str(error).split())[:200]
        raise InvalidFile(path.name, f"the file is damaged ({reason})") from error


def _largest(values: np.ndarray) -> float:
    """Return the largest absolute value; NaN if there is a NaN, and 0 for no values."""
    if not values.size:
        return 0.0
    values = values.astype(np.float32, copy=False)  # its minimum is faster than float16's
    return max(float(values.max()), -float(values.min()))


def head(
    path: Path,
    num_features: int,
    hidden: list[int],
    num_classes: int,
    *,
    background: bool = False,
) -> tuple[Head, Embedding | None]:
    """Read and check the head, and the embedding if there is one.

    Args:
        path: The file.
        num_features: D.
        hidden: Widths of the hidden layers.
        num_classes: C.
        background: Whether the head has one more output, for the background class.

    Returns:
        The head, and the embedding or None.

    Raises:
        FileNotFoundError: There is no such file.
        InvalidFile: A tensor is invalid; names it.
    """
    widths = [num_features, *hidden, num_classes + background]
    with _opened(path) as file:
        mean, std = file.get("mean", "float32", widths[0]), file.get("std", "float32", widths[0])
        file.require("std", std, std >= _LEAST_STD, f"numbers of at least {_LEAST_STD:g}")
        # Upper bound of the results: the sum of a layer's inputs times the largest weight.
        features = (_LARGEST_FEATURE + np.abs(mean.astype(np.float64))) / std
        layers, inputs = [], float(features.sum())
        for number, (width, wider) in enumerate(zip(widths[1:], widths[:-1], strict=True)):
            weight = file.get(f"layers.{number}.weight", "float32", width, wider)
            bias = file.get(f"layers.{number}.bias", "float32", width)
            reach = inputs * _largest(weight) + _largest(bias)
            file.require_reach(f"layers.{number}.weight", reach, _LARGEST_LOGIT)
            layers.append((weight, bias))
            inputs = reach * width
        embedding = None
        if file.has("embedding.basis"):
            basis = file.get("embedding.basis", "float16", -1, -1)
            if not 1 <= len(basis) <= widths[0]:
                raise file.error(
                    f"embedding.basis takes {len(basis)} features; expected 1 to {widths[0]}"
                )
            if not 1 <= basis.shape[1] <= MAX_WIDTH:
                raise file.error(
                    f"embedding.basis has {basis.shape[1]} directions; expected 1 to {MAX_WIDTH}"
                )
            reach = float(features[: len(basis)].sum()) * _largest(basis)
            file.require_reach("embedding.basis", reach, _LARGEST_COORDINATE)
            centers = file.get("embedding.centers", "float32", num_classes, basis.shape[1])
            file.require_reach("embedding.centers", _largest(centers), _LARGEST_COORDINATE)
            embedding = Embedding(basis, centers)
    return Head(mean, std, layers), embedding


def evidence(path: Path, width: int, num_classes: int) -> Evidence:
    """Read and check the evidence, without decoding thumbnails.

    Args:
        path: The file.
        width: R, the dimensions of the checkpoint's embedding.
        num_classes: C.

    Returns:
        The evidence; unprintable characters of file names are replaced by U+FFFD.

    Raises:
        FileNotFoundError: There is no such file.
        InvalidFile: A tensor is invalid; names it.
    """
    with _opened(path) as file:
        version, same_below = file.get("version", "int32", 1), file.get("same_below", "int32", 1)
        file.require("version", version, version == VERSION, str(VERSION))
        bits = 8 * SIGNATURE_BYTES
        sound = (same_below >= 0) & (same_below <= bits)
        file.require("same_below", same_below, sound, f"0 to {bits}")
        vectors = file.get("vectors", "int8", -1, width)
        count = len(vectors)
        if not 1 <= count <= _MAX_PHOTOGRAPHS:
            raise file.error(f"vectors has {count:,} rows; expected 1 to {_MAX_PHOTOGRAPHS:,}")
        scales = file.get("scales", "float32", count)
        sound = (scales > 0) & (scales <= _LARGEST_SCALE)
        file.require("scales", scales, sound, f"numbers above 0, at most {_LARGEST_SCALE}")
        labels = file.get("labels", "int32", count)
        sound = (labels >= 0) & (labels < num_classes)
        file.require("labels", labels, sound, f"0 to {num_classes - 1}")
        blob, offsets = _thumbnails(file, count)
        return Evidence(
            vectors=vectors,
            scales=scales,
            labels=labels,
            digests=file.get("digests", "uint8", count, 16),
            signatures=file.get("signatures", "uint8", count, SIGNATURE_BYTES),
            names=_names(file, count),
            same_below=int(same_below[0]),
            blob=blob,
            offsets=offsets,
        )


def _names(file: _File, count: int) -> list[str]:
    try:
        text = file.get("names", "uint8", -1).tobytes().decode()
    except UnicodeDecodeError as error:
        raise file.error(f"names is not UTF-8 at byte {error.start:,}") from error
    names = text.split("\0")
    if len(names) != count:
        raise file.error(f"names has {len(names):,} names; expected {count:,}, one per vector")
    if (longest := max(map(len, names))) > _MAX_PATH:
        raise file.error(f"names has one of {longest:,} characters; expected at most {_MAX_PATH:,}")
    if "".join(names).isprintable():
        return names
    return [UNPRINTABLE.sub("\ufffd", name) for name in names]


def _thumbnails(file: _File, count: int) -> tuple[np.ndarray | None, np.ndarray | None]:
    if not file.has("blob") and not file.has("offsets"):
        return None, None
    blob = file.get("blob", "uint8", -1)
    offsets = file.get("offsets", "int64", count + 1)
    if offsets[0] != 0 or offsets[-1] != len(blob):
        raise file.error(
            f"offsets goes from {offsets[0]} to {offsets[-1]}; expected 0 to {len(blob)}, like blob"
        )
    sound = (offsets[1:] > offsets[:-1]) & (offsets[1:] - offsets[:-1] <= _MAX_THUMBNAIL)
    file.require("offsets", offsets, sound, f"the next to be 1 to {_MAX_THUMBNAIL:,} more")
    return blob, offsets
