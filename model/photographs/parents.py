"""Parents of classes: the groups that a class belongs to, the widest first."""

from collections.abc import Iterable, Mapping, Sequence

from model.photographs.class_names import escaped, normal_form, require_name

MAX_LEVELS = 5
"""Levels that classes may have, the class itself being the lowest."""

SEPARATOR = "/"
"""Stands between the parents in a cell of a table."""

Above = tuple[str, ...]
"""The parents of a class, the widest first; empty for a class that has none."""


def above(class_id: str, names: Iterable[str], what: str) -> Above:
    """Return the parents of a class, checked one by one.

    Args:
        class_id: The class.
        names: Its parents, the widest first. A lowest one that has the name of the class itself is
            none, so that a class that stands alone may be written as its own parent.
        what: What the names are, as the beginning of a sentence.

    Returns:
        The parents.

    Raises:
        ValueError: A name is empty or cannot name a class, or there are too many.
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
    """The parents of classes as a source names them, row by row or folder by folder."""

    def __init__(self, remedy: str) -> None:
        """Start without any.

        Args:
            remedy: What to do about a class with two parents, a sentence.
        """
        self.found: dict[str, Above] = {}
        self._remedy = remedy
        self._places: dict[str, str] = {}

    def add(self, class_id: str, parents: Above, place: str) -> None:
        """Take the parents of a class.

        Args:
            class_id: The class.
            parents: Its parents.
            place: Where it stands, such as "in line 2".

        Raises:
            ValueError: It has other parents in another place.
        """
        if self.found.setdefault(class_id, parents) != parents:
            raise ValueError(
                f"Class '{class_id}' {_said(self.found[class_id])} {self._places[class_id]} and "
                f"{_said(parents)} {place}. {self._remedy}"
            )
        self._places.setdefault(class_id, place)

    def with_any(self) -> dict[str, Above]:
        """Return the parents of the classes that have some."""
        return {class_id: parents for class_id, parents in self.found.items() if parents}


def _said(parents: Above) -> str:
    return f"has the parent '{SEPARATOR.join(parents)}'" if parents else "has no parent"


def require_tree(class_ids: Iterable[str], parents: Mapping[str, Sequence[str]]) -> None:
    """Make sure that each name stands for one thing: a class, or a parent in one place.

    Args:
        class_ids: The class ids.
        parents: Class id -> its parents, the widest first; a class may be missing.

    Raises:
        ValueError: A name is a class and a parent, or a parent in two places.
    """
    classes = set(class_ids)
    places: dict[str, tuple[str, ...]] = {}
    for class_id, names in parents.items():
        for depth, name in enumerate(names):
            if name in classes:
                raise ValueError(
                    f"'{name}' is a class, and a parent of class '{class_id}'. Rename one of them; "
                    f"photographs of which no more is known than '{name}' may be a class of their "
                    f"own, such as 'other {name}'."
                )
            place = tuple(names[:depth])
            if places.setdefault(name, place) != place:
                raise ValueError(
                    f"The parent '{name}' stands {_below(places[name])} and {_below(place)}. "
                    "Rename one of them."
                )


def _below(place: Sequence[str]) -> str:
    return f"below '{SEPARATOR.join(place)}'" if place else "at the top"
