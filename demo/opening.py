"""Opens the checkpoints that a page serves under their own names; shared backbones open once."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from model.checkpoints.hub import Located
from model.commands import console

if TYPE_CHECKING:
    from model.classifier import Classifier

MOST = 8
"""Most checkpoints of a page: each needs a colour for its curves, and memory for its head."""


def open_all(
    checkpoints: Sequence[str],
    *,
    device: str,
    cache_dir: Path | None = None,
    kind: "type[Classifier] | None" = None,
) -> "dict[str, Classifier]":
    """Open checkpoints, and print which of them share a backbone.

    Args:
        checkpoints: Folders, or names on the Hub; at least one.
        device: The device to classify on; see `Classifier`.
        cache_dir: The folder for exported backbones; see `Classifier`.
        kind: The class to make of each checkpoint; None for `Classifier`.

    Returns:
        Name -> classifier, in the same order. The names come from folders and repositories, and
        no two are the same.

    Raises:
        ConnectionError: A backbone's weights cannot be downloaded.
        FileNotFoundError: A checkpoint does not exist.
        HubError: The Hub refuses a checkpoint or cannot be reached.
        ValueError: There are too many checkpoints, one is given twice, or one cannot be used.
    """
    from model.classifier import Classifier  # here, because importing it would slow down --help

    if len(checkpoints) > MOST:
        raise ValueError(
            f"A page can serve at most {MOST} checkpoints, but {len(checkpoints)} are given. "
            "Leave some out, or start a second page with another --port."
        )
    found = [console.find_checkpoint(name) for name in checkpoints]
    folders = [one.folder.resolve() for one in found]
    for number, folder in enumerate(folders):
        if folder in folders[:number]:
            first = checkpoints[folders.index(folder)]
            same = f" as {first}" if first != checkpoints[number] else ""
            raise ValueError(
                f"--checkpoint {checkpoints[number]} names the same checkpoint{same}, which is "
                "already given. Give each one once."
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
    """Refuse options that apply to a single checkpoint if several checkpoints are given.

    Args:
        checkpoints: The checkpoints to serve.
        options: Name of the option -> its value; None if it is not given.

    Raises:
        ValueError: There are several checkpoints, and one of the options is given.
    """
    given = [name for name, value in options.items() if value is not None]
    if given and len(checkpoints) > 1:
        raise ValueError(
            f"{given[0]} works with one checkpoint only, but {len(checkpoints)} are given. "
            f"Give one --checkpoint, or leave {given[0]} out."
        )


def names(found: Sequence[Located]) -> list[str]:
    """Name each checkpoint after its folder or repository.

    If a repository is there twice, its names include the commit. Folders of the same name are
    numbered: visitors see these names, and must not see the names of the folders above.

    Args:
        found: The checkpoints.

    Returns:
        A name for each checkpoint; no two are the same.
    """
    repositories, chosen = [one.repo for one in found], list[str]()
    for one in found:
        name = one.repo or one.folder.absolute().name
        if one.repo and repositories.count(one.repo) > 1:
            name = f"{one.repo}@{one.folder.name[:7]}"
        chosen.append(next(new for new in _numbered(name, "{} ({})") if new not in chosen))
    return chosen


def endpoints(names: Sequence[str]) -> list[str]:
    """Name the endpoints of a page; `only` names the second endpoint of each.

    Args:
        names: The names of the page's classifiers.

    Returns:
        `predict` for the first, `predict_NAME` for the others. NAME consists of lower-case letters,
        digits and underscores.
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
    """Name the second endpoint of a classifier, which also takes a list of classes."""
    return f"{endpoint}_only"


def _numbered(name: str, pattern: str) -> Iterator[str]:
    """Yield the name itself, then the name with 2, 3 and so on."""
    yield name
    for number in count(2):
        yield pattern.format(name, number)
