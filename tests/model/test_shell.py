"""Commands to be copied, on systems with either kind of shell."""

import shlex
import subprocess
from pathlib import Path

import pytest

from model import shell

NASTY = ["runs/roses", "o'ut of $HOME", 'a "b"', "weiße Blüte; ls", ""]


@pytest.mark.parametrize("text", NASTY)
def test_a_posix_shell_reads_a_word_as_it_was(text: str):
    assert shlex.split(f"x {shell.quote(text, windows=False)} y") == ["x", text, "y"]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("runs\\roses", "runs\\roses"),
        ("C:\\Users\\me\\my photographs", '"C:\\Users\\me\\my photographs"'),
        ("o'ut", '"o\'ut"'),
        ("a&b", '"a&b"'),
        ("", '""'),
    ],
)
def test_windows_has_double_quotation_marks_only_and_keeps_backslashes(text: str, word: str):
    assert shell.quote(text, windows=True) == word


def test_a_folder_is_copied_as_it_is(tmp_path: Path):
    source, target = tmp_path / "o'ne", tmp_path / "not there yet" / "two"
    (source / "inside").mkdir(parents=True)
    (source / "inside" / "file").write_text("kept")
    subprocess.run(shell.copy_folder(str(source), str(target)), shell=True, check=False)
    assert (target / "inside" / "file").read_text() == "kept"


def test_windows_copies_with_a_program_of_its_own():
    command = shell.copy_folder("C:\\a b", "D:\\c", windows=True)
    assert command == 'robocopy "C:\\a b" D:\\c /E'
