"""Open the checkpoints that a page serves: each under a name of its own, a shared backbone once."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from model.checkpoints.hub import Located
from model.commands import console

if TYPE_CHECKING:
    from model.classifier import Classifier

MOST = 8
"""Checkpoints of a page: each has curves in a colour of its own, and keeps its head in memory."""


def open_all(
    checkpoints: Sequence[str],
    *,
    device: str,
    cache_dir: Path | None = None,
    kind: "type[Classifier] | None" = None,
) -> "dict[str, Classifier]":
    """Open checkpoints, and say on stdout which of them share a backbone.

    Args:
        checkpoints: Folders, or names on the Hub; at least one.
        device: As `Classifier`.
        cache_dir: As `Classifier`.
        kind: What to make of each, in place of a plain `Classifier`.

    Returns:
        Name -> classifier, in the same order. The names are those of folders and repositories, and
        differ.

    Raises:
        ConnectionError: As `Classifier`.
        FileNotFoundError: As `Classifier`.
        HubError: As `Classifier`.
        ValueError: There are too many, one is named twice, or one cannot be used.
    """
    from model.classifier import Classifier  # late, so that --help need not wait for it

    if len(checkpoints) > MOST:
        raise ValueError(
            f"{len(checkpoints)} checkpoints are more than a page can serve, which is {MOST}. "
            "Leave some out, or start a second page with another --port."
        )
    found = [console.find_checkpoint(name) for name in checkpoints]
    folders = [one.folder.resolve() for one in found]
    for number, folder in enumerate(folders):
        if folder in folders[:number]:
            first = checkpoints[folders.index(folder)]
            same = f" as {first}" if first != checkpoints[number] else ""
            raise ValueError(
                f"--checkpoint {checkpoints[number]} names the same checkpoint{same}, which was "
                "given before. Give each one once."
            )
    served: dict[str, Classifier] = {}
    for name, one in zip(names(found), found, strict=True):
        opened = {other: classifier.backbone for other, classifier in served.items()}
        served[name] = new = (kind or Classifier)(
            one.folder, device=device, cache_dir=cache_dir, backbones=list(opened.values())
        )
        if owner := next((other for other in opened if opened[other] is new.backbone), None):
            print(f"{name} shares the backbone of {owner}.")
        elif new.backbone.note:
            print(f"Note: {new.backbone.note}")
    return served


def require_one(checkpoints: Sequence[str], options: Mapping[str, object]) -> None:
    """Refuse options that say something of one checkpoint where several are given.

    Args:
        checkpoints: What is served.
        options: Name -> value; None where it is not given.

    Raises:
        ValueError: There are several checkpoints, and an option is given.
    """
    given = [name for name, value in options.items() if value is not None]
    if given and len(checkpoints) > 1:
        raise ValueError(
            f"{given[0]} belongs to one data set, but {len(checkpoints)} checkpoints are given. "
            f"Give one --checkpoint, or leave {given[0]} out."
        )


def names(found: Sequence[Located]) -> list[str]:
    """Name checkpoints as their folder or repository.

    Of a repository that is there twice, the commit is added. Folders of one name are numbered:
    visitors see these names, and what the folders above are called is not for them.

    Args:
        found: The checkpoints.

    Returns:
        A name for each, all different.
    """
    repositories, chosen = [one.repo for one in found], list[str]()
    for one in found:
        name = one.repo or one.folder.absolute().name
        if one.repo and repositories.count(one.repo) > 1:
            name = f"{one.repo}@{one.folder.name[:7]}"
        chosen.append(next(new for new in _numbered(name, "{} ({})") if new not in chosen))
    return chosen


def endpoints(names: Sequence[str]) -> list[str]:
    """Name the endpoints of a page; each has a second one, of the same name with `_only` behind it.

    Args:
        names: Of its classifiers.

    Returns:
        `predict` for the first, `predict_NAME` for the others, of letters, digits and underscores.
    """
    chosen, taken = ["predict"], {"predict", only("predict")}
    for name in names[1:]:
        word = "".join(c if c.isascii() and c.isalnum() else "_" for c in name).strip("_").lower()
        free = (
            new
            for new in _numbered(f"predict_{word or 'other'}", "{}_{}")
            if taken.isdisjoint((new, only(new)))
        )
        chosen.append(next(free))
        taken |= {chosen[-1], only(chosen[-1])}
    return chosen


def only(endpoint: str) -> str:
    """Name the endpoint beside another that takes a list of classes, too."""
    return f"{endpoint}_only"


def _numbered(name: str, pattern: str) -> Iterator[str]:
    """Return the name, then with 2 and higher numbers."""
    yield name
    for number in count(2):
        yield pattern.format(name, number)
