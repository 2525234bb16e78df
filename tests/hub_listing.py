"""What a data set of the stand-in for the Hub is listed as."""

from pathlib import Path

from model.photographs import images
from model.photographs.dataset import Listing
from model.photographs.hub_data import list_hub
from model.photographs.tables import DEFAULT_COLUMNS, Columns

REPO, KIND = "alice/roses", "dataset"
NAME = f"hf:{REPO}"


def listed(
    cache: Path,
    name: str = NAME,
    *,
    columns: Columns = DEFAULT_COLUMNS,
    class_names: Path | None = None,
    nested: bool = False,
) -> Listing:
    return list_hub(name, columns=columns, class_names=class_names, cache_dir=cache, nested=nested)


def rows(listing: Listing) -> list[tuple[str, str]]:
    """Split and class of each photograph, all of which can be decoded."""
    for entry in listing.entries:
        images.decode(entry.path)
    return sorted((entry.split, entry.class_id) for entry in listing.entries)
