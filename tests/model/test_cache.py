"""Temporary files: moved into place, removed after an error, swept when a process was killed."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from systems import ABANDONED

from model import cache
from model.cache import Scratch, atomic_path, row_blocks, sweep, temporary_folder

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


# Arrays that may not fit in memory


def test_a_large_array_is_mapped_from_a_file_without_a_name(tmp_path: Path):
    scratch = Scratch(tmp_path, in_memory=100)
    small, large = scratch.array((5, 5), np.float32), scratch.array((6, 5), np.float32)
    assert not isinstance(small, np.memmap)
    assert isinstance(large, np.memmap)
    large += 1
    assert large.sum() == 30 and not small.any()
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_found_before_anything_is_written(tmp_path: Path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=2_000_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(OSError, match=r"has no room for a temporary file of 4\.0 GB") as raised:
        Scratch(tmp_path).array((1_000_000, 1000), np.float32)
    assert str(tmp_path) in str(raised.value) and "--cache-dir" in str(raised.value)


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="nothing reserves blocks here")
def test_a_file_system_that_cannot_reserve_blocks_is_used_all_the_same(tmp_path: Path, monkeypatch):
    def refuse(file: int, start: int, size: int) -> None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    array = Scratch(tmp_path, in_memory=0).array((6, 5), np.float32)
    assert isinstance(array, np.memmap) and array.shape == (6, 5)


def test_the_folder_of_large_arrays_is_made_where_it_is_missing(tmp_path: Path):
    folder = tmp_path / "new" / "cache"
    assert Scratch(folder, in_memory=0).array((6, 5), np.float32).shape == (6, 5)
    assert folder.is_dir()


@pytest.mark.parametrize("in_memory", [0, 10**6])
def test_rows_are_taken_in_blocks_and_all_of_them_without_a_copy(
    in_memory: int, tmp_path: Path, monkeypatch
):
    monkeypatch.setattr(cache, "BLOCK_VALUES", 50)
    values = np.random.default_rng(0).normal(size=(30, 2, 6))
    mask = np.arange(30) % 3 > 0
    scratch = Scratch(tmp_path, in_memory)
    assert np.array_equal(scratch.take(values, mask), values[mask])
    assert scratch.take(values, np.ones(30, bool)) is values


def test_blocks_hold_all_rows_and_at_least_one_each(monkeypatch):
    monkeypatch.setattr(cache, "BLOCK_VALUES", 20)
    assert list(row_blocks(7, 6)) == [slice(0, 3), slice(3, 6), slice(6, 7)]
    assert list(row_blocks(2, 100)) == [slice(0, 1), slice(1, 2)]
    assert not list(row_blocks(0, 5))
