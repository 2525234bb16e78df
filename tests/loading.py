"""Labelled photographs in one call, as train.py loads them step by step."""

from pathlib import Path

from model.backbones.backbone import Backbone
from model.features.read import read_photos
from model.photographs.dataset import DataSet
from model.photographs.named import list_source
from model.splits.split import SplitOptions, require_splittable, split_photos


def load_source(
    source: Path | str,
    *,
    cache_dir: Path,
    class_names: Path | None = None,
    data_dir: Path = Path("data"),
    strict: bool = False,
    backbone: Backbone | None = None,
    summaries: bool = False,
    **split: float,
) -> DataSet:
    """List, read and split; `split` are the fields of `SplitOptions`."""
    options = SplitOptions(**split)  # type: ignore[arg-type]
    listing = list_source(
        str(source), class_names=class_names, data_dir=data_dir, cache_dir=cache_dir
    )
    require_splittable(listing, options, cache_dir=cache_dir)
    collection = read_photos(
        listing, cache_dir=cache_dir, backbone=backbone, summaries=summaries, strict=strict
    )
    return split_photos(collection, options)
