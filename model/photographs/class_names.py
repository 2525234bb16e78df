"""Display names of classes: `cat_to_name.json` or `--class-names`."""

import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

CLASS_NAMES_FILE = "cat_to_name.json"


def normal_form(name: str) -> str:
    """Fold the two ways of writing an accented letter into one; macOS and Linux differ here."""
    return unicodedata.normalize("NFC", name)


def read_class_names(file: Path) -> dict[str, str]:
    """Read display names: a JSON object of class id -> name.

    Args:
        file: The JSON file.

    Returns:
        Class id -> display name.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is not a JSON object of texts.
    """
    try:
        names = json.loads(file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise FileNotFoundError(f"Class names file {file} does not exist.") from None
    except ValueError as error:
        raise ValueError(f"Class names file {file} is not valid JSON: {error}.") from None
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        raise ValueError(f'Class names file {file} must be a JSON object, {{"class id": "name"}}.')
    return {normal_form(class_id): name.strip() or class_id for class_id, name in names.items()}


def display_names(class_ids: Sequence[str], names: dict[str, str]) -> list[str]:
    """Give each class a display name; equal names get their class id behind them.

    Args:
        class_ids: C class ids.
        names: Class id -> name; a class that is not in it shows its id.

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


def find_class_names(folder: Path, split_roots: Iterable[Path]) -> dict[str, str]:
    """Read the `cat_to_name.json` that is nearest.

    Args:
        folder: The data folder.
        split_roots: The folders of its splits.

    Returns:
        Class id -> display name; empty where there is no such file.

    Raises:
        ValueError: The file is not a JSON object of texts.
    """
    for place in (folder, *split_roots, folder.resolve().parent):
        if (place / CLASS_NAMES_FILE).is_file():
            return read_class_names(place / CLASS_NAMES_FILE)
    return {}
