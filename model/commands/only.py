"""`--only FILE`: a text file with the allowed classes, one per line."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from model.photographs.class_names import MAX_CLASSES, MAX_NAME
from model.trust.restrict import ClassFinder

if TYPE_CHECKING:
    from model.classifier import Classifier

_MAX_BYTES = 4 * (MAX_NAME + 2) * MAX_CLASSES


class Line(NamedTuple):
    """A line that names a class.

    Attributes:
        number: The line number, from 1.
        name: The id or the name of a class.
    """

    number: int
    name: str


def add(parser: argparse._ActionsContainer) -> None:
    """Add `--only` to a parser."""
    parser.add_argument(
        "--only",
        type=Path,
        metavar="FILE",
        help="answer only with the classes in this text file: one id or name per line, # comments",
    )


def read(file: Path) -> list[Line]:
    """Read the allowed classes, before time is spent on anything else.

    Args:
        file: UTF-8 text with one id or name per line; empty lines and lines that begin with # are
            ignored.

    Returns:
        The lines that name a class.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is not UTF-8 text, names no class, or names too many.
    """
    if not file.exists():
        raise FileNotFoundError(f"--only {file} does not exist.")
    if not file.is_file():
        raise ValueError(f"--only {file} is not a text file.")
    with file.open("rb") as opened:
        content = opened.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise ValueError(f"--only {file} has more than {_MAX_BYTES / 1e6:.0f} MB.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ValueError(f"--only {file}, line {line}, is not UTF-8 text.") from None
    # only the line end is removed, because a class name may begin or end with a space
    named = [Line(number, name.rstrip("\r")) for number, name in enumerate(text.split("\n"), 1)]
    lines = [line for line in named if line.name.strip() and line.name.strip()[0] != "#"]
    if not lines:
        raise ValueError(f"--only {file} names no class. Write an id or name on each line.")
    if len(lines) > MAX_CLASSES:
        raise ValueError(
            f"--only {file}, line {lines[MAX_CLASSES].number}: more than {MAX_CLASSES:,} lines "
            "name a class."
        )
    return lines


def restrict(classifier: "Classifier", file: Path, lines: list[Line]) -> None:
    """Make a classifier answer only with these classes.

    Args:
        classifier: The classifier.
        file: The file that names them, for messages.
        lines: The result of `read`.

    Raises:
        ValueError: A line does not name a class of the classifier; says which line.
    """
    checkpoint = classifier.checkpoint
    finder = ClassFinder(checkpoint.class_ids, checkpoint.class_names)
    wrong = next((line for line in lines if finder.find(line.name) is None), None)
    if wrong:
        raise ValueError(
            f"--only {file}, line {wrong.number}: none of the {finder.count:,} classes has the id "
            f"or name {finder.described(wrong.name)}."
        )
    classifier.allowed = classifier.resolve([line.name for line in lines])
