"""Temporary files: moved into place, removed after an error, swept when a process was killed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from systems import ABANDONED

from model import cache
from model.cache import atomic_path, sweep, temporary_folder

_KILLED = """
import os, sys
from pathlib import Path
from model.cache import atomic_path, temporary_folder
parent = Path(sys.argv[1])
with atomic_path(parent / "a.txt") as path, temporary_folder(parent) as folder:
    path.write_text("half")
    (folder / "inside").write_text("half")
    with temporary_folder(parent, "-b.saving"):
        os._exit(9)
"""


def kill_one(folder: Path) -> None:
    """Let a process be killed in the middle of writing."""
    done = subprocess.run([sys.executable, "-c", _KILLED, str(folder)], check=False)
    assert done.returncode == 9


@ABANDONED
def test_what_a_killed_process_left_is_swept_but_for_what_is_kept(tmp_path: Path):
    kill_one(tmp_path)
    assert len(list(tmp_path.iterdir())) == 3
    sweep(tmp_path)
    (kept,) = tmp_path.iterdir()
    assert kept.name.endswith("-b.saving")


@ABANDONED
@pytest.mark.parametrize("inner", ["file", "folder"])
def test_whoever_writes_sweeps(inner: str, tmp_path: Path):
    kill_one(tmp_path)
    if inner == "file":
        with atomic_path(tmp_path / "b.txt") as path:
            path.write_text("whole")
    else:
        with temporary_folder(tmp_path):
            pass
    left = {path.name for path in tmp_path.iterdir() if not path.name.endswith(".saving")}
    assert left == ({"b.txt"} if inner == "file" else set())


def test_what_a_living_process_writes_is_left_alone(tmp_path: Path):
    with atomic_path(tmp_path / "a") as path, temporary_folder(tmp_path) as folder:
        sweep(tmp_path)
        assert path.exists() and folder.exists()


def test_what_another_machine_wrote_is_left_alone_for_a_day(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(cache.socket, "gethostname", lambda: "another")
    with monkeypatch.context() as patch:
        patch.setattr(cache.os, "getpid", lambda: 2**22 + 1)  # no process has this number
        path = tmp_path / f"{cache._mark()}x"
    path.touch()
    monkeypatch.undo()
    sweep(tmp_path)
    assert path.exists()
    os.utime(path, (0, 0))
    sweep(tmp_path)
    assert not path.exists()


def test_other_hidden_files_are_left_alone(tmp_path: Path):
    for name in (".frostflower-", ".frostflower-x", ".frostflower-1.x-y", ".other"):
        (tmp_path / name).touch()
    sweep(tmp_path)
    assert len(list(tmp_path.iterdir())) == 4
