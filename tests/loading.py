"""Labelled photographs in one call, as train.py loads them step by step."""

from pathlib import Path

from model import loading
from model.backbones.backbone import Backbone
from model.photographs.dataset import DataSet
from model.splits.split import SplitOptions


def load_source(
    source: Path | str,
    *,
    cache_dir: Path,
    class_names: Path | None = None,
    data_dir: Path = Path("data"),
    group_by: str = "none",
    added: tuple[Path, ...] = (),
    strict: bool = False,
    backbone: Backbone | None = None,
    summaries: bool = False,
    **split: float | str,
) -> DataSet:
    """List, read, group and split; `split` are the fields of `SplitOptions`."""
    wanted = loading.Source(
        str(source),
        [str(more) for more in added],
        class_names=class_names,
        data_dir=data_dir,
        group_by=group_by,
    )
    return loading.load(
        wanted,
        SplitOptions(**split),  # type: ignore[arg-type]
        cache_dir=cache_dir,
        backbone=backbone,
        summaries=summaries,
        strict=strict,
    )
