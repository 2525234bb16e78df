"""What was fitted before on the very same photographs, options and program, kept in the cache.

Its folder is named by a hash of all that decides the result, the source of this package included,
so that what is found is what would be fitted again. Options that a checkpoint records count even
where they decide nothing (`--workers`). Thumbnails are not stored twice: they come from their own
list, as they do for a new fit.
"""

import hashlib
import json
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from model.backbones.backbone import Backbone
from model.checkpoints import checkpoint as checkpoints
from model.checkpoints.checkpoint import Checkpoint
from model.features.signatures import summarise
from model.photographs.dataset import DataSet
from model.training import TrainConfig, versions


def place(data: DataSet, backbone: Backbone, config: TrainConfig, *, cache_dir: Path) -> Path:
    """Name the folder of a fit by all that decides it.

    Args:
        data: The checked data set.
        backbone: From `training.open_for`.
        config: What to train.
        cache_dir: The cache folder.

    Returns:
        The folder, which need not exist.
    """
    program, fit = hashlib.sha256(), hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*")):
        if path.suffix in (".py", ".gz"):
            program.update(path.read_bytes())
    for part in _parts(data, backbone, config):
        fit.update(json.dumps(part, sort_keys=True).encode())
    return cache_dir / "fits" / program.hexdigest()[:16] / fit.hexdigest()[:32]


def _parts(data: DataSet, backbone: Backbone, config: TrainConfig) -> Iterator[Any]:
    yield [versions(), platform.machine(), backbone.device_text]
    yield [backbone.spec.to_json(), asdict(config)]
    yield [data.name, data.class_ids, data.class_names, len(data.skipped)]
    for split, photos in data.splits.items():
        names = [path.name for path in photos.paths]
        yield [split, photos.labels.tolist(), photos.digests, names]


def find(folder: Path, data: DataSet, config: TrainConfig, *, cache_dir: Path) -> Checkpoint | None:
    """Return what was fitted before.

    Args:
        folder: The fit's `place`.
        data: The data set that it was fitted on.
        config: What was trained.
        cache_dir: The cache folder, which has the thumbnails.

    Returns:
        The checkpoint as `training.train` gave it; None where there is none, or it is damaged.
    """
    if not folder.is_dir():
        return None
    try:
        found = checkpoints.load(folder)
    except (ValueError, OSError):  # it is fitted again, and `keep` replaces it
        return None
    if found.evidence and config.thumbnails:
        train = data.splits["train"]
        _, thumbnails = summarise(train, cache_dir=cache_dir, workers=config.workers)
        return replace(found, evidence=found.evidence.with_thumbnails(thumbnails))
    return found


def keep(folder: Path, trained: Checkpoint) -> None:
    """Store what was fitted; those of other versions of the program are removed.

    Where that fails, as on a full disk, a note on stderr says so: the checkpoint itself is saved.

    Args:
        folder: The fit's `place`.
        trained: The checkpoint.
    """
    program = folder.parent
    evidence = trained.evidence and trained.evidence.without_thumbnails()
    try:
        program.mkdir(parents=True, exist_ok=True)
        for other in program.parent.iterdir():
            if other != program:
                shutil.rmtree(other, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)
        checkpoints.save(replace(trained, evidence=evidence), folder)
    except (OSError, ValueError) as error:
        print(f"Note: what was fitted is not kept in the cache ({error}).", file=sys.stderr)
