"""Whether a checkpoint's files are those that were written: their sizes and SHA-256 in one file.

It tells accidents, such as a broken download or an edit that was forgotten. Whoever replaces files
on purpose can write their hashes, too.
"""

import hashlib
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from model.cache import atomic_path

FILE = "hashes.json"
MISSING = "is missing"


def _describe(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return {"bytes": path.stat().st_size, "sha256": sha256}


def write(folder: Path, names: Collection[str]) -> None:
    """Write `hashes.json` for the files as they are.

    Args:
        folder: The checkpoint folder.
        names: The files that count; those that are not there are left out.
    """
    present = [name for name in sorted(names) if (folder / name).is_file()]
    values = {name: _describe(folder / name) for name in present}
    with atomic_path(folder / FILE) as temporary:
        temporary.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")


def problems(folder: Path, names: Collection[str], optional: Collection[str]) -> dict[str, str]:
    """Compare files with `hashes.json`.

    Args:
        folder: The checkpoint folder.
        names: The files that count.
        optional: Those of them that may be removed.

    Returns:
        File -> what is wrong with it, behind its name in a sentence; nothing for a sound file.
    """
    if not (folder / FILE).is_file():
        return {FILE: MISSING}
    try:
        stored = json.loads((folder / FILE).read_text(encoding="utf-8"))
        expected = {name: (int(v["bytes"]), str(v["sha256"])) for name, v in stored.items()}
    except (AttributeError, KeyError, TypeError, ValueError):
        return {FILE: "is not the file that was written: it holds no hashes"}
    found = {}
    for name in sorted(names):
        path, known = folder / name, expected.get(name)
        if not path.is_file():
            if name not in optional:
                found[name] = MISSING
        elif known is None:
            found[name] = "was not there when the checkpoint was written"
        elif path.stat().st_size != known[0]:
            found[name] = (
                f"is not the file that was written: it has {path.stat().st_size:,} bytes, "
                f"not {known[0]:,}"
            )
        elif (sha256 := _describe(path)["sha256"]) != known[1]:
            found[name] = (
                f"is not the file that was written: its sha256 begins {sha256[:12]}, "
                f"not {known[1][:12]}"
            )
    return found
