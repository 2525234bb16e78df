"""Parents of classes: the wider groups that a class belongs to, the widest first."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from model.photographs.class_names import escaped, normal_form, require_name

MAX_LEVELS = 5
"""Most levels that classes may have, including the class itself, which is the lowest."""

SEPARATOR = "/"
"""Separates the parents in a cell of a table."""

Above = tuple[str, ...]
"""The parents of a class, the widest first; empty for a class that has none."""


def above(class_id: str, names: Iterable[str], what: str) -> Above:
    """Return the parents of a class after checking their names.

    Args:
        class_id: The class.
        names: Its parents, the widest first. If the lowest has the name of the class itself, it is
            dropped, so a class without parents may be written as its own parent.
        what: What the names are, as the beginning of a sentence.

    Returns:
        The parents.

    Raises:
        ValueError: A name is empty or not allowed as a class name, or there are too many.
    """
    found = tuple(normal_form(name.strip()) for name in names)
    for name in found:
        require_name(name, what)
    if not all(found):
        raise ValueError(f"{what} '{escaped(SEPARATOR.join(found))[:80]}' has an empty part.")
    if len(found) >= MAX_LEVELS:
        raise ValueError(
            f"{what} '{escaped(SEPARATOR.join(found))[:80]}' puts {len(found)} levels above class "
            f"'{escaped(class_id)}'; at most {MAX_LEVELS - 1} are allowed."
        )
    return found[:-1] if found and found[-1] == class_id else found


class Gathered:
    """Collects the parents of classes from a source, row by row or folder by folder."""

    def __init__(self, remedy: str) -> None:
        """Start without any parents.

        Args:
            remedy: A sentence that says what to do about a class with two parents.
        """
        self.found: dict[str, Above] = {}
        self._remedy = remedy
        self._places: dict[str, str] = {}

    def add(self, class_id: str, parents: Above, place: str) -> None:
        """Add the parents of a class.

        Args:
            class_id: The class.
            parents: Its parents.
            place: Where they were found, such as "in line 2".

        Raises:
            ValueError: The class has other parents in another place.
        """
        if self.found.setdefault(class_id, parents) != parents:
            raise ValueError(
                f"Class '{class_id}' {_said(self.found[class_id])} {self._places[class_id]} and "
                f"{_said(parents)} {place}. {self._remedy}"
            )
        self._places.setdefault(class_id, place)

    def with_any(self) -> dict[str, Above]:
        """Return the parents of every class that has any."""
        return {class_id: parents for class_id, parents in self.found.items() if parents}


class ParentColumn:
    """The column of a table that may hold parents of classes.

    A table may have a column of this name that means something else. So unless the user asked for
    it, a column that does not give each class exactly one place is ignored.
    """

    def __init__(self, table: Path, *, column: str, asked_for: bool) -> None:
        """Start with no rows.

        Args:
            table: The table.
            column: The name of the column.
            asked_for: Whether the user named it.
        """
        self._table, self._column, self._asked_for = table, column, asked_for
        self._found = Gathered(
            "Keep one of them. If the column holds something else, add --parent-column none."
        )
        self.note = ""
        """Why the column is ignored; "" if it is used."""

    def add(self, class_id: str, cell: str, place: str) -> None:
        """Add the cell of a row.

        Args:
            class_id: The class.
            cell: The parents, separated by `/`; an empty cell says nothing.
            place: The row, such as "line 2".

        Raises:
            ValueError: The user asked for the column, and the cell is invalid or contradictory.
        """
        if not cell or self.note:
            return
        try:
            found = above(class_id, cell.split(SEPARATOR), f"{self._table}, {place}: the parent")
            self._found.add(class_id, found, f"in {place} of {self._table}")
        except ValueError as error:
            self._leave_aside(error)

    def result(self, class_ids: Iterable[str]) -> dict[str, Above]:
        """Return the parents of every class that has any.

        Args:
            class_ids: All classes of the table.

        Raises:
            ValueError: The user asked for the column, and the parents do not form a tree.
        """
        found = self._found.with_any()
        try:
            require_tree(class_ids, found)
        except ValueError as error:
            self._leave_aside(error)
        return {} if self.note else found

    def _leave_aside(self, error: ValueError) -> None:
        if self._asked_for:
            raise error
        self.note = f"The column '{self._column}' of {self._table.name} is ignored: {error}"


def _said(parents: Above) -> str:
    return f"has the parent '{SEPARATOR.join(parents)}'" if parents else "has no parent"


def require_tree(class_ids: Iterable[str], parents: Mapping[str, Sequence[str]]) -> None:
    """Make sure that each name means one thing: a class, or a parent in one place.

    Args:
        class_ids: The class ids.
        parents: Class id -> its parents, the widest first; a class may be missing.

    Raises:
        ValueError: A name is both a class and a parent, or is a parent in two places.
    """
    classes = set(class_ids)
    places: dict[str, tuple[str, ...]] = {}
    for class_id, names in parents.items():
        for depth, name in enumerate(names):
            if name in classes:
                raise ValueError(
                    f"'{name}' is both a class and a parent of class '{class_id}'. Rename one of "
                    f"them. If some photographs are only known to be '{name}', give them a class "
                    f"of their own, such as 'other {name}'."
                )
            place = tuple(names[:depth])
            if places.setdefault(name, place) != place:
                raise ValueError(
                    f"The parent '{name}' is both {_below(places[name])} and {_below(place)}. "
                    "Rename one of them."
                )


def in_common(parents: Sequence[Sequence[str]]) -> Above:
    """Return the top parents that all classes share; they do not distinguish any classes.

    Args:
        parents: The parents of each class, the widest first.
    """
    common = []
    for names in zip(*parents, strict=False):
        if len(set(names)) > 1:
            break
        common.append(names[0])
    return tuple(common)


def display_parents(
    parents: Mapping[str, Sequence[str]], class_names: Mapping[str, str], names: Mapping[str, str]
) -> dict[str, Above]:
    """Give parents their display names, all different from each other and from class names.

    Args:
        parents: Class id -> its parents, which form a tree.
        class_names: Class id -> display name, for all classes.
        names: Class or parent -> name from the names file.

    Returns:
        Class id -> the display names of its parents. Parents with equal names are followed by their
        own name in parentheses, and a parent named like a class by "(group)".
    """
    listed = list(dict.fromkeys(name for above in parents.values() for name in above))
    count = Counter(names.get(parent, parent) for parent in listed)
    taken, shown = {*class_names, *class_names.values()}, {}
    for parent in listed:
        name = names.get(parent, parent)
        if count[name] > 1 and name != parent:
            name = f"{name} ({parent})"
        while name in taken:
            name = f"{name} (group)"
        taken.add(name)
        shown[parent] = name
    return {class_id: tuple(shown[name] for name in above) for class_id, above in parents.items()}


def _below(place: Sequence[str]) -> str:
    return f"below '{SEPARATOR.join(place)}'" if place else "at the top"
