"""Loads the photographs of one or several sources: lists, reads, groups and splits them."""

import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from model.backbones.backbone import Backbone
from model.features.cluster import Cluster
from model.features.read import read_photos
from model.photographs.dataset import DataSet, Skipped
from model.photographs.sources import list_source
from model.photographs.tables import DEFAULT_COLUMNS, Columns
from model.splits.added import join, settle
from model.splits.groups import require_sound
from model.splits.looks import group_photographs
from model.splits.split import SplitOptions, require_splittable, split_photos


@dataclass(frozen=True)
class Source:
    """Which photographs to load.

    Attributes:
        data: See `sources.list_source`.
        added: More sources; if two sources hold the same photograph, the later label counts.
        columns: The names of a table's columns; `group` is the one in `group_by`, if that names a
            column.
        class_names: JSON file of display names, in place of the source's own.
        data_dir: The folder that holds `flowers-102/`, or into which it is downloaded.
        group_by: See `groups.group`.
        nested: See `sources.list_source`.
    """

    data: str
    added: Sequence[str] = ()
    columns: Columns = DEFAULT_COLUMNS
    class_names: Path | None = None
    data_dir: Path = Path("data")
    group_by: str = "auto"
    nested: bool = False


class LeftOutError(ValueError):
    """The photographs cannot be split; `skipped` lists the files that were left out."""

    def __init__(self, message: str, skipped: list[Skipped]) -> None:
        """Store the message and the files."""
        super().__init__(message)
        self.skipped = skipped


def load(
    source: Source,
    options: SplitOptions,
    *,
    cache_dir: Path,
    backbone: Backbone | None = None,
    summaries: bool = False,
    workers: int | None = None,
    strict: bool = False,
    cluster: Cluster | None = None,
) -> DataSet:
    """List photographs, read them, group them and split them.

    Args:
        source: Which photographs to load.
        options: How to split photographs without splits.
        cache_dir: The cache folder.
        backbone: Its features are computed while the files are read; None for no features.
        summaries: Also compute signatures and thumbnails, even if grouping does not need them.
        workers: Threads; by default one per core.
        strict: Stop at the first unreadable file instead of leaving it out.
        cluster: See `read_photos`.

    Returns:
        The data set.

    Raises:
        ConnectionError: A data set cannot be downloaded.
        FileNotFoundError: There is no such source.
        LeftOutError: The readable photographs cannot be split.
        ValueError: Anything else is wrong with the source or with `group_by`.
    """
    list_one = functools.partial(
        list_source,
        data_dir=source.data_dir,
        cache_dir=cache_dir,
        columns=source.columns,
        nested=source.nested,
    )
    first = list_one(source.data, class_names=source.class_names)
    listing = join(first, [list_one(name) for name in source.added])
    with _telling(listing.skipped):
        require_splittable(listing, options, cache_dir=cache_dir)
        require_sound(listing, source.group_by)
    collection = read_photos(
        listing,
        cache_dir=cache_dir,
        workers=workers,
        backbone=backbone,
        summaries=summaries or source.group_by == "auto",
        strict=strict,
        cluster=cluster,
    )
    settled = settle(collection)
    groups = group_photographs(
        settled,
        source.group_by,
        backbone=backbone,
        cache_dir=cache_dir,
        workers=workers,
        cluster=cluster,
    )
    with _telling(collection.skipped):
        return split_photos(settled, options, groups)


@contextmanager
def _telling(skipped: list[Skipped]) -> Iterator[None]:
    """Make an error carry the list of files that had been left out when it occurred.

    Raises:
        LeftOutError: In place of a ValueError.
    """
    try:
        yield
    except ValueError as error:
        raise LeftOutError(str(error), skipped) from error
