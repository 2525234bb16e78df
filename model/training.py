"""Trains a classifier: turns a checked data set into a checkpoint."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import scipy.linalg  # noqa: F401  (limits on threads affect only libraries that are loaded already)
from threadpoolctl import threadpool_limits

from model import verify
from model.backbones.backbone import DEFAULT_BACKBONE, Backbone, open_backbone
from model.backbones.spec import Pooling
from model.backbones.transforms import CENTER, EVALUATION_VIEWS, Framing, view_names
from model.cache import Scratch
from model.checkpoints.checkpoint import Checkpoint
from model.checkpoints.provenance import describe_head, describe_training, versions
from model.explain.evidence import Evidence
from model.features.cluster import Cluster
from model.features.extract import extract
from model.features.summaries import Summaries, summarise
from model.heads.choose_pooling import choose_pooling
from model.heads.fit import Examples, FittedHead, fit_head, standardisation
from model.heads.head import Head, HeadConfig, Row
from model.photographs.dataset import DataSet
from model.trust import calibrate
from model.trust.calibrate import Calibration
from model.trust.levels import Levels
from model.trust.unknown import Embedding, fit_embedding

Recipe = Literal["default", "classic"]


@dataclass(frozen=True)
class TrainConfig:
    """All settings of a training run.

    Attributes:
        recipe: `default` (with cached features) or `classic` (the tutorial's, without a cache).
        backbone: Name of the backbone, as for `open_backbone`.
        stages: How many of the last stages are pooled; the classic recipe ignores it.
        pooling: Pooling as in `BackboneSpec`; `auto` decides on the training photographs.
        image_size: Input size in px; None for the backbone's default.
        framing: Framing as in `transforms.Transforms`; None for the backbone's default.
        views: Number of augmented views of each training photograph, in addition to the centre view
            and the mirror image.
        head: How the head is fitted.
        coverage: Wanted share of photographs whose prediction set holds the right class, 0-1.
        known_pass_rate: Wanted share of known photographs that are not "none of these", 0-1.
        evidence: Keep embeddings of the training photographs.
        thumbnails: Keep thumbnails of the training photographs as well.
        device: Device name, as for `device.resolve_device`.
        workers: Threads (default recipe) or processes (classic) that decode; None for one thread
            per core, or the tutorial's 4 processes.
    """

    recipe: Recipe = "default"
    backbone: str = DEFAULT_BACKBONE
    stages: int = 3
    pooling: Pooling | Literal["auto"] = "auto"
    image_size: int | None = None
    framing: Framing | None = None
    views: int = 0
    head: HeadConfig = field(default_factory=HeadConfig)
    coverage: float = 0.99
    known_pass_rate: float = 0.99
    evidence: bool = True
    thumbnails: bool = True
    device: str = "auto"
    workers: int | None = None

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            ValueError: A value is out of range.
        """
        if self.views < 0:
            raise ValueError(f"--views {self.views} must be 0 or more.")
        for name in ("coverage", "known_pass_rate"):
            if not 0 < getattr(self, name) < 1:
                flag = name.replace("_", "-")
                raise ValueError(f"--{flag} {getattr(self, name)} must be above 0 and below 1.")
        if self.workers is not None and self.workers < (0 if self.recipe == "classic" else 1):
            raise ValueError(f"--workers {self.workers} must be 1 or more.")


def open_for(config: TrainConfig, cache_dir: Path) -> Backbone:
    """Open the backbone that a configuration asks for.

    Args:
        config: The settings. If its pooling is `auto`, the backbone computes the features of both
            kinds of pooling; those of `mean` come first.
        cache_dir: The cache folder.

    Returns:
        The backbone.

    Raises:
        ConnectionError: The weights cannot be downloaded.
        ValueError: The name or device is unknown, or a size is out of range.
    """
    if config.recipe == "classic":
        from model.heads import classic

        return open_backbone(
            config.backbone,
            stages=0,
            image_size=classic.IMAGE_SIZE,
            framing=classic.FRAMING,
            interpolation=classic.INTERPOLATION,
            device=config.device,
            cache_dir=cache_dir,
        )
    pooling = config.pooling
    if pooling == "auto":
        pooling = "second-order" if config.stages > 1 else "mean"
    return open_backbone(
        config.backbone,
        stages=config.stages,
        pooling=pooling,
        image_size=config.image_size,
        framing=config.framing,
        device=config.device,
        cache_dir=cache_dir,
    )


# Numpy's threads wait for one another in busy loops: on a busy machine the embedding of 800
# photographs took 6 s of processor time with them and 0.4 s without. Torch's threads are
# unaffected.
@threadpool_limits.wrap(limits=1, user_api="blas")
def train(
    data: DataSet,
    backbone: Backbone,
    config: TrainConfig,
    *,
    cache_dir: Path,
    on_epoch: Callable[[Row], None] | None = None,
    on_note: Callable[[str], None] | None = None,
    cluster: Cluster | None = None,
) -> Checkpoint:
    """Fit a head on a data set, and measure it.

    `test` is used only once, after everything has been chosen.

    Args:
        data: The checked data set.
        backbone: From `open_for`.
        config: The settings.
        cache_dir: The cache folder.
        on_epoch: Called with each row of the history.
        on_note: Called with a sentence for each decision that training makes.
        cluster: Ray cluster whose workers compute features; None for threads of this process. The
            classic recipe ignores it.

    Returns:
        The checkpoint, not saved yet.

    Raises:
        OSError: The cache folder cannot be written, or its disk is full.
        ValueError: A photograph cannot be read any more, or training diverged.
    """
    started = time.perf_counter()
    classic = config.recipe == "classic"
    if classic:
        run = _run_classic(data, backbone, config, on_epoch)
    else:
        run = _run_cached(data, backbone, config, cache_dir, on_epoch, on_note, cluster)
    fit, measuring = run.fit, time.perf_counter()
    calibration, splits = measure(fit, run.held_out, data, config, Scratch(cache_dir))
    run.seconds["calibration"] = round(time.perf_counter() - measuring, 2)
    run.seconds["total"] = round(time.perf_counter() - started, 2)
    checkpoint = Checkpoint(
        backbone=run.backbone.spec,
        head=fit.fitted.head,
        calibration=calibration,
        class_ids=data.class_ids,
        class_names=data.class_names,
        parents=data.parents,
        views=[CENTER] if classic else list(EVALUATION_VIEWS),
        training=_provenance(config, fit.fitted),
        history=fit.fitted.history,
        metrics={
            "splits": splits,
            "data": _describe_data(data),
            "seed": config.head.seed,
            "versions": versions(),
            "device": run.backbone.device_text,
            "seconds": run.seconds,
        },
        evidence=fit.evidence,
    )
    return replace(checkpoint, golden=verify.record(checkpoint, run.backbone))


@dataclass(frozen=True)
class Fit:
    """A fitted head with the embedding and the evidence of its training photographs.

    Attributes:
        fitted: The head.
        embedding: The space in which distances are measured; None for the classic recipe.
        evidence: The training photographs; None if no evidence is kept.
    """

    fitted: FittedHead
    embedding: Embedding | None = None
    evidence: Evidence | None = None


@dataclass
class _Run:
    """The result of fitting, before calibration and measurement.

    Attributes:
        backbone: The backbone that computed the features.
        fit: The head, embedding and evidence.
        held_out: Features `[M, V, D]` of `valid` and, if there is one, `test`, for the views that
            evaluation averages.
        seconds: Duration of each step, in s.
    """

    backbone: Backbone
    fit: Fit
    held_out: dict[str, np.ndarray]
    seconds: dict[str, float]


def measure(
    fit: Fit,
    held_out: dict[str, np.ndarray],
    data: DataSet,
    config: TrainConfig,
    scratch: Scratch,
) -> tuple[Calibration, dict[str, dict[str, Any]]]:
    """Calibrate on `valid`, and measure every split that the head was not fitted to.

    Args:
        fit: The result of `fit_features`.
        held_out: Features `[M, V, D]` of `valid` and, if there is one, `test`.
        data: The data set.
        config: The settings.
        scratch: Creates the large arrays.

    Returns:
        The calibration, and the figures of each split.

    Raises:
        OSError: The disk has no room for a large array.
    """
    calibration, of_valid = _calibrate(fit, held_out["valid"], data, config, scratch)
    splits = {
        split: _measure_split(calibration, fit.fitted.head, data, split, features, scratch)
        for split, features in held_out.items()
    }
    splits["valid"] |= of_valid
    return calibration, splits


def _measure_split(
    calibration: Calibration,
    head: Head,
    data: DataSet,
    split: str,
    features: np.ndarray,
    scratch: Scratch,
) -> dict[str, Any]:
    """Measure a split: the known classes, photographs that are in train as well, the background."""
    known, labels = data.known(split), data.splits[split].labels
    levels = Levels(data.class_ids, data.class_names, data.parents)
    found = calibrate.assess(calibration, head, scratch.take(features, known), scratch)
    result = calibrate.measure(found, labels[known], levels, scratch)
    in_train = data.in_train(split)[known]
    if in_train.any():
        right = (found.logits.argmax(axis=1) == labels[known])[~in_train]
        result["in_train"] = int(in_train.sum())
        result["top1_without"] = float(right.mean()) if len(right) else None
    if data.background and not known.all():
        others = calibrate.assess(calibration, head, scratch.take(features, ~known), scratch)
        result["background"] = int((~known).sum())
        result["background_rejected"] = float(others.none_of_these.mean())
    return result


def _provenance(config: TrainConfig, fitted: FittedHead) -> dict[str, Any]:
    """Describe how the head was fitted: the options, and sentences for the model card."""
    options = {key: value for key, value in asdict(config).items() if key not in ("head", "recipe")}
    classic = config.recipe == "classic"
    return {
        "recipe": config.recipe,
        "options": options | asdict(config.head),
        "seed": config.head.seed,
        "best_epoch": fitted.best_epoch,
        "head_text": describe_head(fitted),
        "text": describe_training(fitted, config.head, classic=classic, views=config.views),
        "versions": versions(),
    }


def _describe_data(data: DataSet) -> dict[str, Any]:
    return {
        "name": Path(data.name).name or Path(data.name).resolve().name,
        "fingerprint": data.fingerprint,
        "photographs": {split: len(photos) for split, photos in data.splits.items()},
        "skipped": len(data.skipped),
        "grouped_by": data.grouped_by,
        "groups": len(np.unique(np.concatenate(list(data.groups.values())))),
    }


def _calibrate(
    fit: Fit, valid: np.ndarray, data: DataSet, config: TrainConfig, scratch: Scratch
) -> tuple[Calibration, dict[str, Any]]:
    """Return the calibration on `valid`, and its cross-fitted figures there."""
    head, embedding, known = fit.fitted.head, fit.embedding, data.known("valid")
    labels, features = data.splits["valid"].labels[known], scratch.take(valid, known)
    logits = fit.fitted.valid_logits
    logits = head.view_logits(features) if logits is None else scratch.take(logits, known)
    distances = embedding.distances(embedding.project(head, features)) if embedding else None
    wanted = {
        "coverage": config.coverage,
        "known_pass_rate": config.known_pass_rate,
        "background": data.background,
    }
    calibration = calibrate.fit_calibration(logits, labels, distances, embedding, **wanted)
    groups = data.groups["valid"][known]
    return calibration, calibrate.cross_fitted_figures(
        logits,
        labels,
        distances,
        seed=config.head.seed,
        groups=groups,
        levels=Levels(data.class_ids, data.class_names, data.parents),
        scratch=scratch,
        **wanted,
    )


def _know(
    data: DataSet,
    features: np.ndarray,
    standard: Head,
    summaries: Summaries | None,
    config: TrainConfig,
) -> tuple[Embedding, Evidence | None]:
    """Fit the embedding, and build the evidence from the training photographs.

    Args:
        data: The data set.
        features: `[N, V, D]`, without second moments, of the training photographs that are not
            background.
        standard: Standardisation of the features; it may cover second moments as well.
        summaries: Summaries of all training photographs; None if no evidence is kept.
        config: The settings.

    Returns:
        The embedding, and the evidence or None.
    """
    known = np.flatnonzero(data.known("train")).tolist()
    photos = data.splits["train"].take(known)
    embedding = fit_embedding(standard, features, photos.labels)
    if summaries is None:
        return embedding, None
    kept = summaries.take(known)
    names = [
        f"{data.class_ids[label]}/{path.name}"
        for label, path in zip(photos.labels, photos.paths, strict=True)
    ]
    pictures = kept.thumbnails if config.thumbnails else None
    evidence = Evidence.build(
        embedding.blocks(standard, features),
        photos.labels,
        photos.digests,
        names,
        kept.signatures,
        pictures,
    )
    return embedding, evidence


def _run_cached(
    data: DataSet,
    backbone: Backbone,
    config: TrainConfig,
    cache_dir: Path,
    on_epoch: Callable[[Row], None] | None,
    on_note: Callable[[str], None] | None,
    cluster: Cluster | None,
) -> _Run:
    started = time.perf_counter()
    photos, seed = data.splits["train"], config.head.seed
    features = {
        split: extract(
            backbone,
            of_split,
            view_names(config.views if split == "train" else 0, seed),
            cache_dir=cache_dir,
            workers=config.workers,
            title=f"Features, {split}",
            cluster=cluster,
        )
        for split, of_split in data.splits.items()
    }
    extracted = time.perf_counter()
    seconds = {"features": round(extracted - started, 2)}
    summaries = None
    if config.evidence:
        summaries = summarise(photos, cache_dir=cache_dir, workers=config.workers)
    if config.pooling == "auto" and backbone.spec.pooling == "second-order":
        choice = choose_pooling(
            features["train"][:, 0],
            backbone.mean_width,
            photos.labels,
            data.groups["train"],
            seed=seed,
        )
        if on_note:
            on_note(choice.render())
        if choice.pooling == "mean":
            width = backbone.mean_width
            # A slice copies nothing; large features stay mapped from their file.
            features = {split: values[..., :width] for split, values in features.items()}
            spec = replace(backbone.spec, pooling="mean")
            backbone = Backbone(spec, device=backbone.device, cache_dir=cache_dir)
        seconds["pooling"] = round(time.perf_counter() - extracted, 2)
    chosen = time.perf_counter()
    fit = fit_features(
        data,
        features,
        summaries,
        config,
        mean_width=backbone.mean_width,
        scratch=Scratch(cache_dir),
        device=backbone.device,
        on_epoch=on_epoch,
    )
    seconds["head and evidence"] = round(time.perf_counter() - chosen, 2)
    held_out = {split: values for split, values in features.items() if split != "train"}
    return _Run(backbone, fit, held_out, seconds)


def fit_features(
    data: DataSet,
    features: dict[str, np.ndarray],
    summaries: Summaries | None,
    config: TrainConfig,
    *,
    mean_width: int,
    scratch: Scratch,
    device: str = "cpu",
    on_epoch: Callable[[Row], None] | None = None,
) -> Fit:
    """Fit a head to features, together with the embedding and the evidence.

    Args:
        data: The data set.
        features: float16 `[N, V, D]` of `train` and `valid`; they may be mapped from files.
        summaries: Summaries of the training photographs; None if no evidence is kept.
        config: The settings.
        mean_width: The first this many features are means; the others are second moments.
        scratch: Creates the large arrays.
        device: Device for an MLP; other heads are fitted on the CPU.
        on_epoch: Called with each row of the history.

    Returns:
        The head, embedding and evidence.

    Raises:
        OSError: The disk has no room for a large array.
        ValueError: Training diverged.
    """
    train, valid = features["train"], features["valid"]
    standard = standardisation(train)
    means = scratch.take(train[..., :mean_width], data.known("train"))
    with ThreadPoolExecutor(1) as pool:  # embedding and evidence do not depend on the head
        known = pool.submit(_know, data, means, standard, summaries, config)
        fitted = fit_head(
            Examples(train, data.splits["train"].labels),
            Examples(valid, data.splits["valid"].labels),
            data.outputs,
            config.head,
            valid_groups=data.groups["valid"],
            standard=standard,
            device=device,
            scratch=scratch,
            on_epoch=on_epoch,
        )
        embedding, evidence = known.result()
    return Fit(fitted, embedding, evidence)


def _run_classic(
    data: DataSet,
    backbone: Backbone,
    config: TrainConfig,
    on_epoch: Callable[[Row], None] | None,
) -> _Run:
    from model.heads import classic

    workers = 4 if config.workers is None else config.workers
    started = time.perf_counter()
    fitted = classic.fit_classic(
        backbone,
        data.splits["train"],
        data.splits["valid"],
        data.outputs,
        config.head,
        workers=workers,
        on_epoch=on_epoch,
    )
    seconds = {"epochs": round(time.perf_counter() - started, 2)}
    held_out = {
        split: classic.classic_features(backbone, photos, workers=workers)
        for split, photos in data.splits.items()
        if split != "train"
    }
    return _Run(backbone, Fit(fitted), held_out, seconds)
