"""Edits checkpoints at random, with matching hashes, and finds out whether they are usable.

A checkpoint may come from anybody, with hashes that match. Whatever its files contain, it must
either answer and be shown, or be refused with one sentence.
"""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
import numpy as np
from PIL import Image
from safetensors.numpy import load_file, save_file

from demo.tabs.about import about_tab
from demo.tabs.data import data_tab
from demo.tabs.evaluation import evaluation_tab, subtitle
from demo.tabs.history import history_tab
from model.checkpoints.checkpoint import write_hashes
from model.classifier import Classifier
from model.verify import measure

JSON_FILES = ("config.json", "metrics.json", "golden.json", "hashes.json", "audit.json")
TENSOR_FILES = ("head.safetensors", "evidence.safetensors")
HISTORY = "history.csv"

NESTED = "@nested@"
"""A text that is replaced by 100,000 nested lists when it is written."""

VALUES: dict[str, Any] = {
    "null": None,
    "true": True,
    "number": 5,
    "fraction": 0.37,
    "negative": -1,
    "zero": 0,
    "nan": float("nan"),
    "infinity": float("inf"),
    "huge": 1e300,
    "huge whole": 10**400,
    "text": "x",
    "empty text": "",
    "long text": "x" * 200_000,
    "markup": "<img src=x onerror=alert(1)>",
    "control characters": "a\x1b[2J\x9b31m\u202eb\x00",
    "lone surrogate": "\ud800",
    "list": [],
    "object": {},
    "list of null": [None],
    "long list": [1] * 20_000,
    "nested": NESTED,
}


class Edit(NamedTuple):
    """One change of a checkpoint folder.

    Attributes:
        file: The file that is changed.
        what: What is changed in the file, and how.
        apply: Changes the file in a folder; hashes are not rewritten.
    """

    file: str
    what: str
    apply: Callable[[Path], None]


def write_json(path: Path, values: Any) -> None:
    """Write JSON that no library would write: NaN, lone surrogates, and very deep lists."""
    deep = "[" * 100_000 + "]" * 100_000
    path.write_text(json.dumps(values).replace(f'"{NESTED}"', deep), encoding="utf-8")


def at(keys: tuple[str | int, ...], change: Callable[[Any, str | int], None]) -> Callable:
    """Make an edit of a JSON file: `change(container, key)` at a place in it."""

    def apply(path: Path) -> None:
        values = inner = json.loads(path.read_text(encoding="utf-8"))
        for key in keys[:-1]:
            inner = inner[key]
        change(inner, keys[-1])
        write_json(path, values)

    return apply


def put(value: Any) -> Callable[[Any, str | int], None]:
    """Change a place in a container into a value."""

    def change(container: Any, key: str | int) -> None:
        container[key] = value

    return change


def _remove(container: Any, key: str | int) -> None:
    del container[key]


def _repeat(container: Any, key: str | int) -> None:
    if isinstance(container, list):
        container.append(container[int(key)])
    else:
        container[f"{key} again"] = container[key]


def _negate(container: Any, key: str | int) -> None:
    value = container[key]
    if isinstance(value, int | float):
        container[key] = -value
    elif isinstance(value, str | list):
        container[key] = value[::-1]
    else:
        container[key] = str(value)


CHANGES: dict[str, Callable[[Any, str | int], None]] = {
    "missing": _remove,
    "repeated": _repeat,
    "negated or turned round": _negate,
    **{name: put(value) for name, value in VALUES.items()},
}
"""The changes that can be made at a place in a JSON file."""


def _json_edit(folder: Path, file: str, rng: random.Random) -> Edit:
    """Change a random place: a leaf, or sometimes a container."""
    inner: Any = json.loads((folder / file).read_text(encoding="utf-8"))
    keys: tuple[str | int, ...] = ()
    while isinstance(inner, dict | list) and inner and (not keys or rng.random() < 0.85):
        key = rng.choice(list(inner) if isinstance(inner, dict) else range(len(inner)))
        keys, inner = (*keys, key), inner[key]
    how = rng.choice(list(CHANGES))
    edit = at(keys, CHANGES[how])
    return Edit(file, f"{'.'.join(map(str, keys))} {how}", lambda path: edit(path / file))


def give_parents(folder: Path) -> None:
    """Put every other class of a checkpoint below a parent, with figures of the levels."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    count = len(config["class_ids"])
    config["parents"] = [[f"group {number % 2}"] for number in range(count)]
    write_json(folder / "config.json", config)
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    figures = {"answered": 0.5, "answered_right": 1.0}
    levels = [{"level": n, "nodes": k, "top1": 0.5, **figures} for n, k in ((1, 2), (2, count))]
    for split in metrics["splits"].values():
        split |= {"levels": levels, **figures}
    write_json(folder / "metrics.json", metrics)


def _parents_edit(rng: random.Random) -> Edit:
    """Give classes parents, and change these or the figures of their levels."""
    of_split = ("splits", "valid")
    file, keys = rng.choice(
        [
            ("config.json", ("parents",)),
            ("config.json", ("parents", 0)),
            ("config.json", ("parents", 0, 0)),
            ("metrics.json", (*of_split, "levels")),
            ("metrics.json", (*of_split, "levels", 1)),
            ("metrics.json", (*of_split, "levels", 1, rng.choice(("nodes", "answered_right")))),
            ("metrics.json", (*of_split, rng.choice(("answered", "answered_right")))),
        ]
    )
    how = rng.choice(list(CHANGES))
    edit = at(keys, CHANGES[how])

    def apply(path: Path) -> None:
        give_parents(path)
        edit(path / file)

    return Edit(file, f"with parents, {'.'.join(map(str, keys))} {how}", apply)


def _tensor_edit(folder: Path, file: str, rng: random.Random) -> Edit:
    name = rng.choice(sorted(load_file(folder / file)))
    changes: dict[str, Callable[[np.ndarray], np.ndarray | None]] = {
        "missing": lambda tensor: None,
        "empty": lambda tensor: tensor[:0],
        "shorter": lambda tensor: tensor[:-1],
        "longer": lambda tensor: np.concatenate([tensor, tensor]),
        "one dimension more": lambda tensor: tensor[None],
        "flat": lambda tensor: tensor.reshape(-1)[:1],
        "float64": lambda tensor: tensor.astype(np.float64),
        "int16": lambda tensor: tensor.astype(np.int16),
        "bool": lambda tensor: tensor.astype(bool),
        "zero": np.zeros_like,
        "negative": lambda tensor: (-tensor.astype(np.float64)).astype(tensor.dtype),
        "largest": lambda tensor: np.full_like(tensor, _limits(tensor).max),
        "smallest": lambda tensor: np.full_like(tensor, _limits(tensor).tiny),
        "nan": lambda tensor: _with(tensor, np.nan),
        "infinity": lambda tensor: _with(tensor, np.inf),
        "noise": lambda tensor: _noise(tensor, rng.randrange(2**32)),
    }
    how = rng.choice([*changes, "float8", "bfloat16"])

    def apply(path: Path) -> None:
        tensors = load_file(path / file)
        if how in ("float8", "bfloat16"):
            _retype(path / file, tensors, name, how)
            return
        changed = changes[how](tensors[name])
        if changed is None:
            del tensors[name]
        else:
            tensors[name] = np.ascontiguousarray(changed)
        save_file(tensors, path / file)

    return Edit(file, f"{name} {how}", apply)


def _limits(tensor: np.ndarray) -> Any:
    if tensor.dtype.kind == "f":
        return np.finfo(tensor.dtype)
    limits = np.iinfo(tensor.dtype)
    return type("Limits", (), {"max": limits.max, "tiny": limits.min})


def _with(tensor: np.ndarray, value: float) -> np.ndarray:
    """Put one value into a tensor; tensors of whole numbers get the smallest one."""
    changed = tensor.copy()
    changed.reshape(-1)[0] = value if tensor.dtype.kind == "f" else _limits(tensor).tiny
    return changed


def _noise(tensor: np.ndarray, seed: int) -> np.ndarray:
    content = np.random.default_rng(seed).bytes(tensor.nbytes)
    return np.frombuffer(content, tensor.dtype).reshape(tensor.shape)


def _retype(path: Path, tensors: dict[str, np.ndarray], name: str, how: str) -> None:
    """Declare a tensor's bytes to be of a type that numpy does not have."""
    width, code = (1, "F8_E4M3") if how == "float8" else (2, "BF16")
    size = tensors[name].nbytes // width
    tensors[name] = np.zeros(size * width // tensors[name].itemsize, tensors[name].dtype)
    save_file(tensors, path)
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    start = header[name]["data_offsets"][0]
    header[name] |= {"dtype": code, "shape": [(header[name]["data_offsets"][1] - start) // width]}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])


def _history_edit(file: str, rng: random.Random) -> Edit:
    cells = ("nan", "inf", "-1", "1e999", "", "x", "x" * 200_000, "1,1", '"', "0x10", "１")
    how = rng.choice([*cells, "row twice", "no rows", "no header", "zero bytes", "one row fewer"])
    row, column = rng.random(), rng.randrange(7)

    def apply(path: Path) -> None:
        lines = (path / file).read_text(encoding="utf-8").splitlines()
        number = 1 + int(row * (len(lines) - 1))
        if how == "row twice":
            lines.insert(number, lines[number])
        elif how == "no rows":
            lines = lines[:1]
        elif how == "no header":
            lines = lines[1:]
        elif how == "one row fewer":
            del lines[number]
        elif how == "zero bytes":
            lines[number] = "\0" * 40
        else:
            cells = lines[number].split(",")
            cells[column] = how
            lines[number] = ",".join(cells)
        (path / file).write_text("\n".join(lines) + "\n", encoding="utf-8")

    return Edit(file, f"row {row:.2f} column {column} {how[:10]!r}", apply)


def _bytes_edit(folder: Path, file: str, rng: random.Random) -> Edit:
    size = (folder / file).stat().st_size
    place, byte = rng.randrange(size), rng.randrange(256)
    how = rng.choice(["cut off", "byte changed", "empty", "random"])

    def apply(path: Path) -> None:
        content = (path / file).read_bytes()
        changed = {
            "cut off": content[:place],
            "byte changed": content[:place] + bytes([byte]) + content[place + 1 :],
            "empty": b"",
            "random": random.Random(place).randbytes(min(size, 4096)),
        }
        (path / file).write_bytes(changed[how])

    return Edit(file, f"{how} at {place}", apply)


def random_edits(folder: Path, count: int, seed: int = 0) -> list[Edit]:
    """Draw edits of a checkpoint folder.

    Args:
        folder: A sound checkpoint.
        count: The number of edits.
        seed: Decides the edits, together with the checkpoint.

    Returns:
        The edits, not applied yet.
    """
    rng = random.Random(seed)
    present = [name for name in JSON_FILES if (folder / name).is_file()]
    tensors = [name for name in TENSOR_FILES if (folder / name).is_file()]
    edits = []
    for _ in range(count):
        kind = rng.random()
        if kind < 0.6:
            edits.append(_json_edit(folder, rng.choice(present), rng))
        elif kind < 0.8:
            edits.append(_tensor_edit(folder, rng.choice(tensors), rng))
        elif kind < 0.9:
            edits.append(_history_edit(HISTORY, rng))
        elif kind < 0.95:
            edits.append(_parents_edit(rng))
        else:
            edits.append(_bytes_edit(folder, rng.choice([*present, *tensors, HISTORY]), rng))
    return edits


def edited(folder: Path, edit: Edit, out: Path) -> Path:
    """Copy a checkpoint folder, edit the copy, and make its hashes match.

    Args:
        folder: A sound checkpoint.
        edit: What to change.
        out: The folder of the copy; an existing one is replaced.

    Returns:
        `out`.
    """
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(folder, out)
    edit.apply(out)
    if edit.file != "hashes.json":
        write_hashes(out)
    return out


def outcome(folder: Path, cache_dir: Path) -> str:
    """Use a checkpoint as the commands and the page do.

    Args:
        folder: The checkpoint folder.
        cache_dir: The cache folder.

    Returns:
        The sentence with which it is refused; empty where it answers and is shown.

    Raises:
        Exception: Anything that is neither: a traceback, or an answer that is no JSON.
    """
    try:
        classifier = Classifier(folder, device="cpu", cache_dir=cache_dir)
        answers = measure(classifier)
    except (ValueError, FileNotFoundError) as error:
        return str(error)
    prediction = classifier.predict([Image.new("RGB", (90, 60), "pink")], explain=True)[0]
    shown = [prediction.to_json(), [vars(answer) for answer in answers]]
    checkpoint = classifier.checkpoint
    with gr.Blocks(analytics_enabled=False) as page:
        gr.HTML(subtitle(checkpoint))
        history_tab(checkpoint)
        evaluation_tab(checkpoint)
        data_tab(checkpoint)
        about_tab(checkpoint, classifier.backbone.device_text)
    json.dumps(shown, allow_nan=False, ensure_ascii=False).encode()
    json.dumps(page.config["components"], allow_nan=False, default=str).encode()
    return ""
