"""Class names: which ones are allowed, and display names from a JSON file."""

import json
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

CLASS_NAMES_FILE = "cat_to_name.json"

MAX_CLASSES = 25_000
"""Most classes that a classifier may have; ImageNet-21k has 21,841."""

MAX_NAME = 255
"""Most characters in a class name; file systems allow no more in a folder name."""

UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Characters that a class name must not contain: control characters that a terminal obeys, line
separators, characters that change the direction of text, and unpaired surrogates.
"""


def escaped(text: str) -> str:
    r"""Write unprintable characters as `\uXXXX`."""
    return UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def path_text(path: Path) -> str:
    r"""Write a path as valid UTF-8 text.

    Args:
        path: The path.

    Returns:
        The path; bytes that are not UTF-8 are written `\xff`, so different names stay different.
    """
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def require_name(name: str, what: str) -> None:
    """Make sure that a text is allowed as a class name.

    Args:
        name: The name.
        what: What the name belongs to, as the beginning of a sentence.

    Raises:
        ValueError: The name is too long, or has an unprintable character.
    """
    if found := UNPRINTABLE.search(name):
        raise ValueError(
            f"{what} '{escaped(name)}' has the unprintable character U+{ord(found[0]):04X}. "
            "Rename it."
        )
    if len(name) > MAX_NAME:
        raise ValueError(
            f"{what} '{name[:30]}…' has {len(name)} characters; at most {MAX_NAME} are allowed."
        )


def normal_form(name: str) -> str:
    """Give accented letters one encoding; macOS and Linux use different ones in file names."""
    return unicodedata.normalize("NFC", name)


def read_class_names(file: Path) -> dict[str, str]:
    """Read display names from a JSON object that maps class ids to names.

    Args:
        file: The JSON file.

    Returns:
        Class id -> display name.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is not a JSON object, or a value is not allowed as a class name.
    """
    try:
        names = json.loads(file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise FileNotFoundError(f"Class names file {file} does not exist.") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"Class names file {file} is not valid JSON: {error}.") from None
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        raise ValueError(f'Class names file {file} must be a JSON object, {{"class id": "name"}}.')
    shown = {normal_form(class_id): name.strip() or class_id for class_id, name in names.items()}
    for name in shown.values():
        require_name(name, f"Class names file {file}: the name")
    return shown


def first_few(class_ids: Sequence[str]) -> str:
    """Quote the first five class ids for a message."""
    listed = ", ".join(f"'{class_id}'" for class_id in class_ids[:5])
    return f"{listed} …" if len(class_ids) > 5 else listed


def display_names(class_ids: Sequence[str], names: dict[str, str]) -> list[str]:
    """Give each class a display name, adding the class id where two names are equal.

    Args:
        class_ids: C class ids.
        names: Class id -> name; a class that is missing is shown by its id.

    Returns:
        C names, all different.
    """
    shown = [names.get(class_id, class_id) for class_id in class_ids]
    while repeated := {name for name, count in Counter(shown).items() if count > 1}:
        shown = [
            f"{name} ({class_id})" if name in repeated else name
            for class_id, name in zip(class_ids, shown, strict=True)
        ]
    return shown


def find_names_file(folder: Path, split_roots: Iterable[Path]) -> Path | None:
    """Find the nearest `cat_to_name.json`.

    Args:
        folder: The data folder.
        split_roots: The folders of its splits.

    Returns:
        The file in the folder, in one of its splits, or beside the folder; None if there is none.
    """
    for place in (folder, *split_roots, folder.resolve().parent):
        if (place / CLASS_NAMES_FILE).is_file():
            return place / CLASS_NAMES_FILE
    return None
