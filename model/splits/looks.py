"""Groups photographs; summaries and features for `auto` are computed or come from the cache."""

from pathlib import Path

import numpy as np

from model.backbones.backbone import Backbone
from model.backbones.transforms import EVALUATION_VIEWS
from model.features.cluster import Cluster
from model.features.extract import extract
from model.features.summaries import summarise
from model.photographs.dataset import Collection
from model.splits.groups import Groups, group


def group_photographs(
    data: Collection,
    by: str,
    *,
    backbone: Backbone | None = None,
    cache_dir: Path,
    workers: int | None = None,
    cluster: Cluster | None = None,
) -> Groups:
    """Group photographs.

    Args:
        data: N photographs.
        by: See `groups.group`.
        backbone: Its features help `auto` find near copies; without it, brightness is used.
        cache_dir: The cache folder.
        workers: Threads; by default one per core.
        cluster: See `extract`.

    Returns:
        The groups.

    Raises:
        ValueError: See `groups.group`; or a file has changed or can no longer be read.
    """
    if by != "auto" or not len(data.photos):
        return group(data, by, cache_dir=cache_dir)
    features: np.ndarray | None = None
    if backbone:
        features = extract(
            backbone,
            data.photos,
            EVALUATION_VIEWS,
            cache_dir=cache_dir,
            workers=workers,
            cluster=cluster,
        )[..., : backbone.mean_width]
    summaries = summarise(data.photos, cache_dir=cache_dir, workers=workers)
    return group(
        data, by, summaries=summaries, features=features, cache_dir=cache_dir, workers=workers
    )
