"""Checks that a checkpoint's files are unchanged, with their sizes and SHA-256 hashes in one file.

This detects accidental damage, such as a broken download or a forgotten edit, but not tampering:
anyone who replaces files on purpose can also replace their hashes.
"""

import hashlib
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from model.cache import atomic_path
from model.checkpoints import schema
from model.checkpoints.files import InvalidFile

FILE = schema.HASHES
MISSING = "is missing"


def _describe(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return {"bytes": path.stat().st_size, "sha256": sha256}


def write(folder: Path, names: Collection[str]) -> None:
    """Write `hashes.json` for the files in their present state.

    Args:
        folder: The checkpoint folder.
        names: The files to include; those that do not exist are left out.
    """
    present = [name for name in sorted(names) if (folder / name).is_file()]
    values = {name: _describe(folder / name) for name in present}
    with atomic_path(folder / FILE) as temporary:
        temporary.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")


def problems(folder: Path, names: Collection[str], optional: Collection[str]) -> dict[str, str]:
    """Compare files with `hashes.json`.

    Args:
        folder: The checkpoint folder.
        names: The files to compare.
        optional: Those of them that may be missing.

    Returns:
        File -> what is wrong with it, worded to follow its name; intact files are not included.
    """
    if not (folder / FILE).is_file():
        return {FILE: MISSING}
    try:
        stored = schema.hashes(folder)
    except InvalidFile as error:
        return {FILE: f"is not the file that was written: {error.problem}"}
    found = {}
    for name in sorted(names):
        path, known = folder / name, stored.get(name)
        if not path.is_file():
            if name not in optional:
                found[name] = MISSING
        elif known is None:
            found[name] = "did not exist when the checkpoint was written"
        elif path.stat().st_size != known["bytes"]:
            found[name] = (
                f"is not the file that was written: it has {path.stat().st_size:,} bytes, "
                f"not {known['bytes']:,}"
            )
        elif (sha256 := _describe(path)["sha256"]) != known["sha256"]:
            found[name] = (
                f"is not the file that was written: its sha256 begins with {sha256[:12]}, "
                f"not {known['sha256'][:12]}"
            )
    return found
