"""Kinds of fields in a file that nobody can be trusted to have written: JSON values, checked.

A check takes a value and returns it, without what a classifier has no use for. Otherwise it raises
one sentence: `splits.valid.ece is "x"; expected a number from 0 to 1`.
"""

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from model.photographs.class_names import UNPRINTABLE, escaped

Check = Callable[[Any], Any]

_SHOWN = 40  # characters of a value, or of a key, in a sentence


class InvalidFile(ValueError):
    """A file of a checkpoint that cannot be used.

    Attributes:
        file: Its name.
        problem: What is wrong, without the name.
    """

    def __init__(self, file: str, problem: str) -> None:
        """Join name and problem to a sentence."""
        super().__init__(f"{file}: {problem}")
        self.file, self.problem = file, problem


class Misfit(ValueError):
    """A value that is not what it should be; whoever looked inside a container adds its place."""

    def __init__(self, problem: str, *place: str | int) -> None:
        """Keep the problem, to be read behind the place.

        Args:
            problem: Such as `is missing`.
            place: Keys and indices, from the outermost.
        """
        super().__init__(problem)
        self._problem, self._place = problem, list(place)

    def inside(self, key: str | int) -> "Misfit":
        """Return the error with a key, or an index, before its place."""
        self._place.insert(0, key)
        return self

    def __str__(self) -> str:
        """Return place and problem: `splits.valid.per_class[3].f1 is null; expected ...`."""
        parts = [f"[{key}]" if isinstance(key, int) else f".{_cut(key)}" for key in self._place]
        return f"{''.join(parts).removeprefix('.') or 'the file'} {self._problem}"


def _cut(text: str) -> str:
    text = escaped(text[: _SHOWN + 1])
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def shown(value: Any) -> str:
    """Write a value in few printable characters."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return f"a list of {len(value):,}"
    if isinstance(value, str):
        return f'"{_cut(value)}"'
    return _cut(json.dumps(value))


def wrong(value: Any, expected: str) -> Misfit:
    """Say what a value is and what it should be."""
    return Misfit(f"is {shown(value)}; expected {expected}")


def number(low: float, high: float) -> Check:
    """Expect a finite number in a range."""

    def check(value: Any) -> Any:
        if type(value) not in (int, float) or not low <= value <= high:
            raise wrong(value, f"a number from {low:g} to {high:g}")
        return value

    return check


def whole(low: int, high: int) -> Check:
    """Expect a whole number in a range."""

    def check(value: Any) -> Any:
        if type(value) is not int or not low <= value <= high:
            raise wrong(value, f"a whole number from {low:,} to {high:,}")
        return value

    return check


def text(most: int) -> Check:
    """Expect a text of so many characters that is shown, and compared with nothing.

    Unprintable characters become U+FFFD: the path of an honest photograph may have them.
    """

    def check(value: Any) -> Any:
        if not isinstance(value, str) or len(value) > most:
            raise wrong(value, f"a text of at most {most:,} characters")
        return value if value.isprintable() else UNPRINTABLE.sub("\ufffd", value)

    return check


def name(most: int) -> Check:
    """Expect a text that names something: not empty, and with printable characters only."""

    def check(value: Any) -> Any:
        if not isinstance(value, str) or not 0 < len(value) <= most or UNPRINTABLE.search(value):
            raise wrong(value, f"a name of 1 to {most:,} printable characters")
        return value

    return check


def pattern(expression: str, what: str) -> Check:
    """Expect a text that a regular expression matches; `what` says which texts those are."""
    compiled = re.compile(expression, re.ASCII)

    def check(value: Any) -> Any:
        if not isinstance(value, str) or not compiled.fullmatch(value):
            raise wrong(value, what)
        return value

    return check


def choice(*values: str) -> Check:
    """Expect one of some texts."""

    def check(value: Any) -> Any:
        if not isinstance(value, str) or value not in values:
            raise wrong(value, " or ".join(f'"{one}"' for one in values))
        return value

    return check


def optional(check: Check) -> Check:
    """Allow null, too."""
    return lambda value: None if value is None else check(value)


def plain(value: Any) -> Any:
    """Expect a value without structure, such as an option."""
    if isinstance(value, str):
        return text(1000)(value)
    if isinstance(value, dict | list) or (isinstance(value, float) and not math.isfinite(value)):
        raise wrong(value, "a text, a finite number, true, false or null")
    return value


def listed(check: Check, least: int, most: int) -> Check:
    """Expect a list of so many values."""
    many = f"{least:,}" if least == most else f"{least:,} to {most:,}"

    def check_all(values: Any) -> Any:
        if not isinstance(values, list) or not least <= len(values) <= most:
            raise wrong(values, f"a list of {many}")
        found = []
        for index, value in enumerate(values):
            try:
                found.append(check(value))
            except Misfit as error:
                raise error.inside(index) from None
        return found

    return check_all


def different(check: Check) -> Check:
    """Expect a list in which nothing stands twice."""

    def check_all(values: Any) -> Any:
        seen = set()
        for index, value in enumerate(check(values)):
            if value in seen:
                raise Misfit(f"is {shown(value)} for the second time", index)
            seen.add(value)
        return values

    return check_all


def matrix(rows: int, columns: int, low: float, high: float, kind: type) -> Check:
    """Expect rows of numbers of one kind, `int` or `float`, in a range; made for millions."""
    one_by_one = listed((whole if kind is int else number)(low, high), columns, columns)  # type: ignore[arg-type]
    kinds = {int, kind}

    def check_row(values: Any) -> Any:
        if (
            isinstance(values, list)
            and len(values) == columns
            and set(map(type, values)) <= kinds
            and low <= min(values)
            and max(values) <= high
            and not math.isnan(sum(values))  # which the smallest and the largest may hide
        ):
            return values
        return one_by_one(values)  # which names the first that is wrong

    return listed(check_row, rows, rows)


def record(
    required: dict[str, Check], more: dict[str, Check] | None = None, rest: Check | None = None
) -> Check:
    """Expect an object.

    Args:
        required: The fields that it must have.
        more: Those that it may lack.
        rest: What all others are; None leaves them out, as a later version may have written them.
    """
    known = required | (more or {})

    def check_all(values: Any) -> Any:
        if not isinstance(values, dict):
            raise wrong(values, "an object")
        for key in required:
            if key not in values:
                raise Misfit("is missing", key)
        found = {}
        for key, value in values.items():
            check = known.get(key, rest)
            if check:
                try:
                    found[key] = check(value)
                except Misfit as error:
                    raise error.inside(key) from None
        return found

    return check_all


def mapping(check: Check, most: int) -> Check:
    """Expect an object with so many keys, whatever names they are."""
    check_key, check_values = name(1000), record({}, rest=check)

    def check_all(values: Any) -> Any:
        if isinstance(values, dict):
            if len(values) > most:
                raise Misfit(f"has {len(values):,} entries; expected at most {most:,}")
            for key in values:
                check_key(key)
        return check_values(values)

    return check_all


def require_size(path: Path, most: int) -> int:
    """Make sure that a file of a checkpoint is there and not too large.

    Args:
        path: The file.
        most: Bytes that it may have.

    Returns:
        Bytes that it has.

    Raises:
        FileNotFoundError: There is no such file.
        InvalidFile: It is too large.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path.parent} is not a checkpoint: {path.name} is missing.")
    if (size := path.stat().st_size) > most:
        raise InvalidFile(path.name, f"the file has {size:,} bytes; expected at most {most:,}")
    return size


def read_text(path: Path, most: int) -> str:
    """Read a text file of a checkpoint; as `require_size`, and it must be UTF-8."""
    require_size(path, most)
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidFile(path.name, f"the file is not UTF-8 at byte {error.start:,}") from error


def read_json(path: Path, most: int, containers: int) -> dict[str, Any]:
    """Read a JSON object.

    Args:
        path: The file.
        most: Bytes that it may have.
        containers: Lists and objects that it may have; an empty one, 3 bytes in the file, takes 64
            in memory.

    Returns:
        The object.

    Raises:
        FileNotFoundError: There is no such file.
        InvalidFile: It is too large, or no JSON object.
    """
    content = read_text(path, most)
    if (found := content.count("[") + content.count("{")) > containers:
        problem = f"the file has {found:,} lists and objects; expected at most {containers:,}"
        raise InvalidFile(path.name, problem)
    try:
        values = json.loads(content)
    except json.JSONDecodeError as error:
        raise InvalidFile(path.name, f"the file is not valid JSON ({error})") from error
    except RecursionError as error:
        problem = "the file has too many lists or objects inside one another"
        raise InvalidFile(path.name, problem) from error
    except ValueError as error:  # Python's limit for the digits of a whole number
        raise InvalidFile(path.name, "the file has a number of thousands of digits") from error
    if not isinstance(values, dict):
        raise InvalidFile(path.name, f"the file is {shown(values)}; expected an object")
    return values
