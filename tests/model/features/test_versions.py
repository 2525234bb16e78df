"""Versions that decide a feature."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

from model.features import versions

ROOT = Path(__file__).resolve().parents[3]


def test_a_change_of_the_librarys_own_code_is_another_version(tmp_path: Path):
    shutil.copytree(ROOT / "model", tmp_path / "model")
    program = "from model.features import versions; print(versions.of(torch=False)['Frostflower'])"

    def version() -> str:
        command = [sys.executable, "-c", program]
        return subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout.strip()

    assert version() == versions.of(torch=False)["Frostflower"]
    with (tmp_path / "model" / "photographs" / "pixels.py").open("a") as file:
        file.write("# another line\n")
    assert version() != versions.of(torch=False)["Frostflower"]


def test_torch_counts_where_it_is_used():
    assert {"torch", "timm"} == versions.of(torch=True).keys() - versions.of(torch=False).keys()


def test_differences_name_both_versions():
    found = versions.of(torch=False)
    assert versions.differences(found, found) == []
    older = {name: value for name, value in found.items() if name != "PIL"} | {"numpy": "1.0"}
    assert versions.differences(found, older) == [
        f"numpy 1.0 instead of {np.__version__}",
        f"PIL missing instead of {found['PIL']}",
    ]
