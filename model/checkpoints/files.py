"""Reads a checkpoint's files, which may come from anybody: limits sizes and explains refusals.

msgspec reads and checks JSON in one pass. Importing it takes 0.05 s, a quarter of pydantic's time.
"""

import re
from pathlib import Path
from typing import Any

import msgspec

from model.photographs.class_names import UNPRINTABLE, escaped

PRINTABLE = f"^[^{UNPRINTABLE.pattern[1:-1]}]*\\Z"
"""Pattern of texts without control characters that a terminal or page might obey."""

SHA256, BACKBONE_NAME = r"^[0-9a-f]{64}\Z", r"^(timm/)?[A-Za-z0-9][A-Za-z0-9_.-]{0,99}\Z"

_WORDS = {
    "`float`": "a number",
    "`int`": "a whole number",
    "`str`": "a text",
    "`bool`": "true or false",
    "`null`": "null",
    "`array`": "a list",
    "`object`": "an object",
    f" matching regex {PRINTABLE!r}": " of printable characters",
    f" matching regex {SHA256!r}": " of 64 hexadecimal digits",
    f" matching regex {BACKBONE_NAME!r}": " that can name a backbone",
}
_MAX_SENTENCE = 300


class InvalidFile(ValueError):
    """A checkpoint file that cannot be used.

    Attributes:
        file: The name of the file.
        problem: What is wrong, without the name.
    """

    def __init__(self, file: str, problem: str) -> None:
        """Join the name and the problem into a sentence."""
        super().__init__(f"{file}: {problem}")
        self.file, self.problem = file, problem


def require_size(path: Path, most: int) -> int:
    """Make sure that a file exists and is not larger than expected.

    Args:
        path: The file.
        most: The most bytes that it may have.

    Returns:
        Its size in bytes.

    Raises:
        FileNotFoundError: There is no such file.
        InvalidFile: The file is larger.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path.parent} is not a checkpoint: {path.name} is missing.")
    if (size := path.stat().st_size) > most:
        raise InvalidFile(path.name, f"the file has {size:,} bytes; expected at most {most:,}")
    return size


def read_text(path: Path, most: int) -> str:
    """Read a UTF-8 text file; see `require_size` for the arguments and errors."""
    require_size(path, most)
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidFile(path.name, f"the file is not UTF-8 at byte {error.start:,}") from error


def read_json(path: Path, shape: Any, most: int, containers: int) -> Any:
    """Read a JSON file and check it.

    Args:
        path: The file.
        shape: The expected type, for msgspec; fields that it does not list are dropped.
        most: The most bytes that the file may have.
        containers: The most lists and objects that it may have, because an empty one takes 3 bytes
            in the file but 64 in memory.

    Returns:
        The content of the file.

    Raises:
        FileNotFoundError: There is no such file.
        InvalidFile: The content is invalid; names the field.
    """
    content = read_text(path, most)
    if (found := content.count("[") + content.count("{")) > containers:
        problem = f"the file has {found:,} lists and objects; expected at most {containers:,}"
        raise InvalidFile(path.name, problem)
    try:
        return msgspec.json.decode(content, type=shape)
    except msgspec.ValidationError as error:
        raise InvalidFile(path.name, problem_of(error)) from error
    except msgspec.DecodeError as error:
        raise InvalidFile(
            path.name, f"the file is not valid JSON{_near(content, error)}"
        ) from error
    except RecursionError as error:
        problem = "the file has lists or objects that are nested too deeply"
        raise InvalidFile(path.name, problem) from error


def _near(content: str, error: msgspec.DecodeError) -> str:
    """Quote the place where JSON becomes invalid."""
    if not (found := re.search(r"\(byte (\d+)\)", str(error))):
        return ": it ends too early"
    before = content.encode()[: int(found[1])].decode(errors="ignore")
    number, start = before.count("\n") + 1, max(before.rfind("\n") + 1, len(before) - 40)
    near = escaped(content[start : len(before) + 10].partition("\n")[0].strip())
    return f" in line {number}, near: {near}"


def problem_of(error: msgspec.ValidationError) -> str:
    """Say which field is wrong and why: `splits.valid.ece: expected a number <= 1.0`."""
    said = str(error).replace(" - at `key` in `$", " in a key - at `$")
    problem, _, place = said.rpartition(" - at `$")
    place = place.removesuffix("`").removeprefix(".")
    if not problem:  # the message names no place, so it is about the whole file
        problem, place = said, ""
    if missing := re.fullmatch("Object missing required field `(.*)`", problem):
        return f"{place}.{missing[1]} is missing".removeprefix(".")
    for word, plain in _WORDS.items():
        problem = problem.replace(word, plain)
    problem = escaped(f"{place or 'the file'}: {problem[0].lower()}{problem[1:]}")
    return problem if len(problem) <= _MAX_SENTENCE else f"{problem[:_MAX_SENTENCE]}…"


def printable(value: Any) -> Any:
    r"""Write unprintable characters in all texts, such as paths of photographs, as `\uXXXX`.

    Args:
        value: Plain JSON values.

    Returns:
        The same, in new lists and dictionaries.
    """
    if isinstance(value, str):
        return escaped(value)
    if isinstance(value, dict):
        return {printable(key): printable(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [printable(inner) for inner in value]
    return value
