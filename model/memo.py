"""What was fitted before on the very same photographs, options and program, kept in the cache.

The key is a hash of all that decides the result, the source of this package included, so that what
is found is what would be fitted again. Thumbnails are not stored twice: they come from their own
list, as they do for a new fit.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from model import checkpoint as checkpoints
from model.backbone import Backbone
from model.checkpoint import Checkpoint
from model.copies import summarise
from model.data import DataSet
from model.training import TrainConfig, versions


def key(data: DataSet, backbone: Backbone, config: TrainConfig) -> str:
    """Name a fit by all that decides it.

    Args:
        data: The checked data set.
        backbone: From `training.open_for`.
        config: What to train.

    Returns:
        64 hexadecimal digits.
    """
    result = hashlib.sha256()
    for part in _parts(data, backbone, config):
        result.update(json.dumps(part, sort_keys=True, default=str).encode())
    return result.hexdigest()


def _parts(data: DataSet, backbone: Backbone, config: TrainConfig) -> Iterator[Any]:
    yield [path.read_text("utf-8") for path in sorted(Path(__file__).parent.glob("*.py"))]
    yield [versions(), backbone.spec.to_json(), backbone.device_text, asdict(config)]
    yield [data.name, data.class_ids, data.class_names, len(data.skipped)]
    for split, photos in data.splits.items():
        names = [path.name for path in photos.paths]
        yield [split, photos.labels.tolist(), photos.digests, names]


def _folder(name: str, cache_dir: Path) -> Path:
    return cache_dir / "fits" / name[:32]


def find(name: str, data: DataSet, config: TrainConfig, *, cache_dir: Path) -> Checkpoint | None:
    """Return what was fitted before.

    Args:
        name: The fit's `key`.
        data: The data set that it was fitted on.
        config: What was trained.
        cache_dir: The cache folder, which has the thumbnails.

    Returns:
        The checkpoint as `training.train` gave it; None where there is none, or it is damaged.
    """
    folder = _folder(name, cache_dir)
    if not folder.is_dir():
        return None
    try:
        found = checkpoints.load(folder)
    except (ValueError, OSError):  # the next `keep` writes it anew
        shutil.rmtree(folder)
        return None
    if found.evidence and config.thumbnails:
        train = data.splits["train"]
        _, thumbnails = summarise(train, cache_dir=cache_dir, workers=config.workers)
        return replace(found, evidence=found.evidence.with_thumbnails(thumbnails))
    return found


def keep(name: str, trained: Checkpoint, *, cache_dir: Path) -> None:
    """Store what was fitted.

    Args:
        name: The fit's `key`.
        trained: The checkpoint.
        cache_dir: The cache folder.
    """
    folder = _folder(name, cache_dir)
    folder.parent.mkdir(parents=True, exist_ok=True)
    evidence = trained.evidence and trained.evidence.without_thumbnails()
    checkpoints.save(replace(trained, evidence=evidence), folder, overwrite=True)
