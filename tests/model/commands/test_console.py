"""What all command lines share: errors of the system name a path and a remedy."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from model.cache import atomic_path
from model.commands import console, stopping

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "Free some space"),
        (errno.EACCES, "Change its permissions"),
        (errno.EROFS, "Choose a place that can be written"),
        (errno.ENOENT, "Check the name"),
        (errno.EMFILE, "ulimit -n"),
    ],
)
def test_an_error_of_the_system_names_path_and_remedy(number: int, remedy: str, capsys):
    def fail() -> int:
        raise OSError(number, os.strerror(number), "/data/roses")

    assert console.run("train.py", fail) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"train.py: error: /data/roses: {os.strerror(number)}. ")
    assert remedy in said
    assert said.count("\n") == 1 and "Errno" not in said


def test_a_full_disk_names_what_was_written(tmp_path: Path):
    with pytest.raises(OSError) as error, atomic_path(tmp_path / "shard.npy"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert console.explain(error.value).startswith(f"{tmp_path / 'shard.npy'}: No space left")


def test_an_import_that_is_interrupted_is_a_stop_and_no_error(capsys, monkeypatch):
    monkeypatch.setattr(stopping, "_asked", True)

    def fail() -> int:
        raise ImportError("initialization failed")

    assert console.run("train.py", fail) == 130
    assert capsys.readouterr().err.strip() == "train.py: stopped."


def test_control_characters_of_a_file_name_never_reach_a_terminal(capsys):
    def fail() -> int:
        raise ValueError("a\x1b[2J\x9b31m\u202eb.jpg cannot be read.")

    assert console.run("train.py", fail) == 2
    assert capsys.readouterr().err.strip().isprintable()


@pytest.mark.parametrize("platform", ["win32", "linux"])
def test_what_a_file_or_pipe_gets_is_utf_8_on_windows_too(platform: str):
    program = (
        f"import sys; sys.platform = {platform!r}\n"
        "from model.commands import console\n"
        "console.run('x', lambda: print('é 白') or 0)"
    )
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252"}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, check=True
    )
    expected = "é 白".encode() if platform == "win32" else "é ?".encode("cp1252")
    assert done.stdout.split() == expected.split()
