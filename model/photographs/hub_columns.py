"""Which columns of a Parquet file hold the pictures, the labels, the splits and the groups."""

import json
from importlib import import_module
from typing import Any, NamedTuple

from model.photographs.class_names import escaped
from model.photographs.tables import DEFAULT_COLUMNS, Columns


class Chosen(NamedTuple):
    """The columns to read ("" for none), and the label names that label numbers stand for."""

    picture: str
    label: str
    split: str
    group: str
    names: list[str]
    note: str


def choose_columns(data_set: str, schema: Any, columns: Columns) -> Chosen:
    """Choose the columns of a Parquet file that hold pictures, labels, splits and groups.

    Args:
        data_set: The data set of the file, for messages.
        schema: The `pyarrow.Schema` of the file.
        columns: The names of the columns; if its split is "", no split column is read.

    Raises:
        ValueError: A required or requested column is missing or ambiguous.
    """
    kinds: dict[str, Any] = dict(zip(schema.names, schema.types, strict=True))
    there = ", ".join(f"{escaped(name)} ({str(kind)[:40]})" for name, kind in kinds.items())
    features = _features(schema.metadata)
    pictures = _picture_columns(kinds, features)
    picture = next((name for name in (columns.path, "image") if name in pictures), None)
    if picture is None and len(pictures) != 1:
        raise ValueError(
            f"{data_set} has {len(pictures) or 'no'} columns of pictures. Expected one column, or "
            f"one named image. Its columns are {there}. Choose one with --path-column."
        )
    labels = [columns.label] if columns.label in kinds else []
    if not labels and columns.label == DEFAULT_COLUMNS.label:
        classes = [n for n in kinds if features.get(n, {}).get("_type") == "ClassLabel"]
        labels = classes or [name for name in kinds if name == "labels"]

    def of_texts(role: str, column: str, is_needed: bool) -> str:
        if column in kinds and _holds_texts(kinds[column]):
            return column
        if is_needed:
            raise ValueError(
                f"{data_set} has no column '{column}' with texts or whole numbers for the "
                f"{role}s. Its columns are {there}. Choose one with --{role}-column."
            )
        return ""

    label = of_texts("label", labels[0] if labels else columns.label, True)
    split = of_texts("split", columns.split, columns.split not in ("", DEFAULT_COLUMNS.split))
    group = of_texts("group", columns.group, columns.group != DEFAULT_COLUMNS.group)
    others = " or ".join(f"--label-column {name}" for name in labels[1:])
    note = f"The labels come from the column {label}. To use another: {others}." if others else ""
    names = features.get(label, {}).get("names")
    is_named = isinstance(names, list) and all(isinstance(name, str) for name in names)
    return Chosen(picture or pictures[0], label, split, group, names if is_named else [], note)


def _features(metadata: dict[bytes, bytes] | None) -> dict[str, dict[str, Any]]:
    """Return what the `datasets` library recorded about the columns; empty for other files."""
    try:
        features = json.loads((metadata or {})[b"huggingface"])["info"]["features"]
        return {name: kind for name, kind in features.items() if isinstance(kind, dict)}
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
        return {}


def _picture_columns(kinds: dict[str, Any], features: dict[str, dict[str, Any]]) -> list[str]:
    """Return the columns marked as images, else structs of bytes and a path, else bytes."""
    types = import_module("pyarrow.types")
    structs = [
        name
        for name, kind in kinds.items()
        if types.is_struct(kind) and kind.get_field_index("bytes") >= 0
    ]
    plain = [n for n, kind in kinds.items() if types.is_binary(kind) or types.is_large_binary(kind)]
    marked = [n for n in (*structs, *plain) if features.get(n, {}).get("_type") == "Image"]
    return marked or structs or plain


def _holds_texts(kind: Any) -> bool:
    types = import_module("pyarrow.types")
    kind = kind.value_type if types.is_dictionary(kind) else kind
    tests = (types.is_string, types.is_large_string, types.is_integer, types.is_boolean)
    return any(test(kind) for test in tests)
