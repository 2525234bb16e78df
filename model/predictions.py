"""Classifies files: finds them, decodes them in advance, and returns answers as JSON and CSV."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from PIL import Image

from model.cache import default_workers
from model.classifier import Classifier, Prediction
from model.features.cluster import Cluster
from model.photographs import images
from model.photographs.class_names import path_text
from model.photographs.sources import is_source, list_unlabelled
from model.photographs.tables import DEFAULT_COLUMNS, Columns

Outcome = tuple[Path, Image.Image | None, Prediction | images.BadImageError]
"""A file, its pixels if this process decoded them, and the answer or the reason for none."""

_BATCH = 8
_TRUST_COLUMNS = ("set", "none_of_these", "unknown_score")
_ANSWER_COLUMNS = ("answer", "answer_level", "answer_probability")


def find(
    names: Sequence[str], *, data_dir: Path, cache_dir: Path, columns: Columns = DEFAULT_COLUMNS
) -> Iterator[Path]:
    """Yield files, and the photographs in folders, tables, archives and data sets on the Hub.

    Args:
        names: Files with any ending, or sources of `sources.list_unlabelled`.
        data_dir: See `list_unlabelled`.
        cache_dir: See `list_unlabelled`.
        columns: See `list_unlabelled`.

    Yields:
        Files, including those that a table lists but that do not exist.

    Raises:
        ConnectionError: See `list_unlabelled`.
        ValueError: See `list_unlabelled`.
    """
    for name in names:
        if not is_source(name):
            yield Path(name)
            continue
        listing = list_unlabelled(name, data_dir=data_dir, cache_dir=cache_dir, columns=columns)
        yield from (entry.path for entry in listing.entries)
        yield from (bad.path for bad in listing.skipped if not bad.path.is_dir())


def decode_all(
    paths: Sequence[Path], workers: int, least_side: int
) -> Iterator[list[tuple[Path, Image.Image | images.BadImageError]]]:
    """Decode files in threads, one batch ahead of the caller.

    Args:
        paths: N files.
        workers: Threads.
        least_side: See `images.decode`.

    Yields:
        Batches of (path, decoded photograph or the reason why there is none), in order.
    """

    def decode(path: Path) -> tuple[Path, Image.Image | images.BadImageError]:
        try:
            return path, images.decode(path, least_side=least_side)
        except images.BadImageError as error:
            return path, error

    batches = [paths[start : start + _BATCH] for start in range(0, len(paths), _BATCH)]
    with ThreadPoolExecutor(workers) as pool:
        ahead = [pool.submit(decode, path) for path in batches[0]] if batches else []
        for following in [*batches[1:], []]:
            current, ahead = ahead, [pool.submit(decode, path) for path in following]
            yield [future.result() for future in current]


def predict_all(
    classifier: Classifier, paths: Sequence[Path], top: int, *, explain: bool = False
) -> Iterator[Outcome]:
    """Classify files batch by batch, in this process.

    Args:
        classifier: The classifier; if its `allowed` is set, it answers only with these classes.
        paths: N files.
        top: The most classes to return.
        explain: Also compute heat maps.

    Yields:
        Path, photograph and prediction; or path, None and the reason, in order.
    """
    least_side = classifier.backbone.transforms.least_side
    for batch in decode_all(paths, default_workers(), least_side):
        decoded = [image for _, image in batch if isinstance(image, Image.Image)]
        predictions = iter(classifier.predict(decoded, top, explain=explain))
        for path, image in batch:
            if isinstance(image, images.BadImageError):
                yield path, None, image
            else:
                yield path, image, next(predictions)


def predict_on(
    cluster: Cluster, classifier: Classifier, paths: Sequence[Path], top: int
) -> Iterator[Outcome]:
    """Classify files as `predict_all` does; a cluster reads them and computes their features.

    Args:
        cluster: Workers with the classifier's backbone.
        classifier: See `predict_all`.
        paths: N files.
        top: See `predict_all`.

    Yields:
        Path, None and the prediction, or the reason why there is none, in order.

    Raises:
        ValueError: See `Cluster.predict`.
    """
    kept = classifier.checkpoint
    groups = [paths[start : start + _BATCH] for start in range(0, len(paths), _BATCH)]
    computed = cluster.predict(groups, kept.views, signatures=kept.evidence is not None)
    for group, (reasons, inputs) in zip(groups, computed, strict=True):
        predictions = iter(classifier.predict_inputs(inputs, top) if inputs else [])
        for path, reason in zip(group, reasons, strict=True):
            yield path, None, images.BadImageError(reason) if reason else next(predictions)


def to_json(path: Path, outcome: Prediction | images.BadImageError) -> dict[str, Any]:
    """Return a prediction, or the reason why there is none, as JSON values."""
    if isinstance(outcome, images.BadImageError):
        return {"path": path_text(path), "error": str(outcome)}
    return {"path": path_text(path), **outcome.to_json()}


def csv_row(
    path: Path,
    outcome: Prediction | images.BadImageError,
    top: int,
    *,
    parents: bool = False,
    restricted: bool = False,
) -> list[object]:
    """Return a prediction, or the reason why there is none, as a row of a CSV table.

    Args:
        path: The file.
        outcome: The prediction, or the reason.
        top: The most classes to name; the cells of missing ones are empty.
        parents: See `csv_header`.
        restricted: See `csv_header`.

    Returns:
        The cells; those of the answer are empty if nothing is certain enough.
    """
    more = _more_columns(parents, restricted)
    if isinstance(outcome, images.BadImageError):
        empty = [""] * (3 * top + len(_TRUST_COLUMNS))
        return [path_text(path), *empty, str(outcome), *[""] * len(more)]
    cells = [
        cell
        for candidate in outcome.top
        for cell in (candidate.label, candidate.class_id, f"{candidate.probability:.6f}")
    ]
    cells += [""] * (3 * top - len(cells))
    trust = ["; ".join(outcome.label_set), outcome.none_of_these, f"{outcome.unknown_score:.6f}"]
    values: dict[str, object] = {}
    if outcome.answer and outcome.answer.level:
        found = (outcome.answer.name, outcome.answer.level, f"{outcome.answer.probability:.6f}")
        values = dict(zip(_ANSWER_COLUMNS, found, strict=True))
    if outcome.set_aside is not None:
        values["set_aside"] = f"{outcome.set_aside:.6f}"
    return [path_text(path), *cells, *trust, "", *(values.get(name, "") for name in more)]


def csv_header(top: int, *, parents: bool = False, restricted: bool = False) -> list[str]:
    """Return the column names of the CSV table.

    Args:
        top: The most classes to name.
        parents: Whether any class has a parent, so that the table has columns for the answer.
        restricted: Whether only some classes are allowed, so that the table has `set_aside`.

    Returns:
        The names of the columns.
    """
    columns = ("label", "class_id", "probability")
    return [
        "path",
        *(f"{c}_{rank}" for rank in range(1, top + 1) for c in columns),
        *_TRUST_COLUMNS,
        "error",
        *_more_columns(parents, restricted),
    ]


def _more_columns(parents: bool, restricted: bool) -> list[str]:
    """Return the optional columns, which come last."""
    return [*(_ANSWER_COLUMNS if parents else ()), *(("set_aside",) if restricted else ())]
