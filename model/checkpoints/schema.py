"""The JSON files of a checkpoint: every field that is read, with its range.

A checkpoint may come from anybody. Its JSON is checked here once and nowhere else; `tensors` checks
the tensors and `history` the history. Fields that are not listed are ignored, because a later
version may have written them.

The size limits allow `MAX_CLASSES` classes. A class takes about 30 bytes in config.json (at most
1,100, with two names of 255 characters) and 30 more for each parent, 190 per split in metrics.json
(at most 450), 14 per pattern in golden.json and 80 in audit.json. The confusion matrix takes 8
bytes per cell, so two splits with `MAX_MATRIX` classes take 16 MB; earlier versions wrote a matrix
for any number of classes, which can be read up to 2,000. Python objects are larger than JSON: an
empty list of 3 bytes takes 64. So lists and objects are counted before they are parsed (25,000
classes have 75,000, and 25,000 more with parents).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import msgspec
from msgspec import Meta

from model.backbones.spec import MAX_MEMBERS, BackboneSpec, Pooling
from model.backbones.transforms import EVALUATION_VIEWS, LEAST_SIZE, MAX_SIZE, Framing
from model.checkpoints import golden as patterns
from model.checkpoints.files import (
    BACKBONE_NAME,
    PRINTABLE,
    SHA256,
    InvalidFile,
    problem_of,
    read_json,
)
from model.checkpoints.page import MAX_LINK, MAX_TITLE, link_problem, title_problem
from model.heads.head import MAX_EPOCHS, MAX_HIDDEN, MAX_SEED, MAX_WIDTH
from model.photographs.class_names import MAX_CLASSES, MAX_NAME
from model.photographs.parents import MAX_LEVELS, in_common, require_tree

CONFIG, METRICS, GOLDEN = "config.json", "metrics.json", "golden.json"
AUDIT, HASHES = "audit.json", "hashes.json"

_MAX_BYTES = {
    CONFIG: 16_000_000,
    METRICS: 64_000_000,
    GOLDEN: 8_000_000,
    AUDIT: 32_000_000,
    HASHES: 100_000,
}
_MAX_CONTAINERS = 200_000
_MAX_MATRIX = 2000
_OF_LEVELS = ("levels", "answered", "answered_right")

_Share = Annotated[float, Meta(ge=0, le=1)]
_Positive = Annotated[float, Meta(ge=0, le=1e30)]
_Finite = Annotated[float, Meta(ge=-1e30, le=1e30)]
_Count = Annotated[int, Meta(ge=0, le=10**12)]
_Spread = Annotated[float, Meta(ge=0.01, le=1)]
_Side = Annotated[int, Meta(ge=LEAST_SIZE, le=MAX_SIZE)]
_Seed = Annotated[int, Meta(ge=0)]  # `_require_seed` checks the upper bound, beyond msgspec's range
_Width = Annotated[int, Meta(ge=1, le=MAX_WIDTH)]
_Sha256 = Annotated[str, Meta(pattern=SHA256)]
_Line = Annotated[str, Meta(max_length=1000, pattern=PRINTABLE)]
_Path = Annotated[str, Meta(max_length=4 * 4096, pattern=PRINTABLE)]
_ClassId = Annotated[str, Meta(min_length=1, max_length=MAX_NAME, pattern=PRINTABLE)]
_Name = Annotated[str, Meta(min_length=1, max_length=1000, pattern=PRINTABLE)]
_Versions = Annotated[dict[_Line, _Line], Meta(max_length=100)]
# This union has no Meta, because msgspec 0.22 frees its bounds twice if there is a list beside it.
_Setting = str | int | float | bool | None

# config.json


class _Member(TypedDict):
    name: Annotated[str, Meta(pattern=BACKBONE_NAME)]
    weights_sha256: _Sha256
    image_size: _Side
    mean: tuple[_Share, _Share, _Share]
    std: tuple[_Spread, _Spread, _Spread]


class _Transforms(TypedDict):
    image_size: _Side
    framing: Framing
    crop_pct: Annotated[float, Meta(ge=0.5, le=1)]
    interpolation: Literal["bicubic", "bilinear"]


class _Backbone(TypedDict):
    members: Annotated[list[_Member], Meta(min_length=1, max_length=MAX_MEMBERS)]
    stages: Annotated[int, Meta(ge=0, le=100)]
    transforms: _Transforms
    pooling: NotRequired[Pooling]


class _Head(TypedDict):
    num_features: _Width
    hidden: Annotated[list[_Width], Meta(max_length=MAX_HIDDEN)]


class _Trust(TypedDict):
    temperature: Annotated[float, Meta(ge=1e-3, le=1e3)]
    coverage: _Share
    margin: _Positive
    known_pass_rate: _Share
    unknown_threshold: _Finite


class _Detector(TypedDict):
    doubt: tuple[_Positive, _Positive]
    distance: tuple[_Positive, _Positive] | None


class _Promises(TypedDict):
    coverage: _Share
    known_pass_rate: _Share


class _Training(TypedDict):
    best_epoch: Annotated[int, Meta(ge=1, le=MAX_EPOCHS)]
    head_text: _Line
    text: _Line
    seed: _Seed
    options: dict[_Line, _Setting | list[_Setting]]
    recipe: NotRequired[_Line]
    versions: NotRequired[_Versions]


class _Page(TypedDict):
    title: NotRequired[Annotated[str, Meta(max_length=MAX_TITLE, pattern=PRINTABLE)]]
    link: NotRequired[Annotated[str, Meta(max_length=MAX_LINK, pattern=PRINTABLE)]]


_Parents = Annotated[tuple[_Name, ...], Meta(max_length=MAX_LEVELS - 1)]


class _Config(TypedDict):
    backbone: _Backbone
    head: _Head
    trust: _Trust
    detector: _Detector
    views: Annotated[list[str], Meta(min_length=1, max_length=len(EVALUATION_VIEWS))]
    background: NotRequired[_ClassId]
    class_ids: Annotated[list[_ClassId], Meta(min_length=2, max_length=MAX_CLASSES)]
    class_names: Annotated[list[_Name], Meta(min_length=2, max_length=MAX_CLASSES)]
    parents: NotRequired[Annotated[list[_Parents], Meta(max_length=MAX_CLASSES)]]
    training: _Training
    page: NotRequired[_Page]


class _Version(TypedDict):
    format_version: int


# metrics.json


class _ClassFigures(TypedDict):
    class_id: _Name
    precision: _Share
    recall: _Share
    f1: _Share
    support: _Count


class _Group(TypedDict):
    confidence: _Share
    accuracy: _Share
    photographs: _Count


_Row = Annotated[list[_Count], Meta(max_length=_MAX_MATRIX)]


class _Level(TypedDict):
    level: Annotated[int, Meta(ge=1, le=MAX_LEVELS)]
    nodes: Annotated[int, Meta(ge=1, le=MAX_CLASSES)]
    top1: _Share
    answered: _Share
    answered_right: _Share | None


class _Split(TypedDict):
    photographs: Annotated[int, Meta(ge=1, le=10**12)]
    top1: _Share
    top5: _Share
    loss: _Positive
    macro_f1: _Share
    per_class: list[_ClassFigures]
    ece: _Share
    reliability: Annotated[list[_Group], Meta(min_length=1, max_length=100)]
    coverage: _Share
    mean_set_size: _Positive
    known_pass_rate: _Share
    in_train: NotRequired[_Count]
    top1_without: NotRequired[_Share | None]
    background: NotRequired[_Count]
    background_rejected: NotRequired[_Share]
    levels: NotRequired[Annotated[list[_Level], Meta(min_length=2, max_length=MAX_LEVELS)]]
    answered: NotRequired[_Share]
    answered_right: NotRequired[_Share | None]
    confusion_matrix: NotRequired[Annotated[list[_Row], Meta(max_length=_MAX_MATRIX)]]
    confusions: NotRequired[list[Annotated[list[_Count], Meta(min_length=3, max_length=3)]]]


class _Splits(TypedDict):
    valid: _Split
    test: NotRequired[_Split]


class _Counts(TypedDict):
    train: NotRequired[_Count]
    valid: NotRequired[_Count]
    test: NotRequired[_Count]


class _Data(TypedDict):
    name: _Line
    photographs: _Counts
    fingerprint: NotRequired[_Sha256]
    skipped: NotRequired[_Count]
    grouped_by: NotRequired[_Line]
    groups: NotRequired[_Count]


class _Metrics(TypedDict):
    splits: _Splits
    data: _Data
    seed: _Seed
    versions: NotRequired[_Versions]
    device: NotRequired[_Line]
    seconds: NotRequired[dict[_Line, Annotated[float, Meta(ge=0, le=1e9)]]]


# golden.json, audit.json, hashes.json


class _PatternsVersion(TypedDict):
    patterns_version: int


class _Golden(TypedDict):
    patterns_version: int
    sha256: list[_Sha256]
    probabilities: list[list[_Share]]
    device: _Line


class _Finding(TypedDict):
    path: _Path
    label: _Name
    score: _Finite
    suggested_label: _Line
    other_path: _Path


_FoundList = Annotated[list[_Finding], Meta(max_length=1000)]


class _Findings(TypedDict):
    label_error: _FoundList
    exact_duplicate: _FoundList
    near_duplicate: _FoundList
    outlier: _FoundList


class _Problems(TypedDict):
    label_error: _Count
    exact_duplicate: _Count
    near_duplicate: _Count
    outlier: _Count


class _Leak(TypedDict):
    split: _Line
    photographs: _Count
    accuracy: _Share
    copies: _Count
    accuracy_without: _Share | None


class _Audit(TypedDict):
    data: _Line
    photographs: _Count
    num_classes: Annotated[int, Meta(ge=1, le=MAX_CLASSES)]
    class_names: Annotated[dict[_Name, _Name], Meta(max_length=MAX_CLASSES)]
    skipped: _Count
    backbone: _Line
    counts: _Problems
    across_splits: _Count
    accuracy: _Share
    accuracy_with_copies: _Share
    leaks: Annotated[list[_Leak], Meta(max_length=10)]
    label_pairs: NotRequired[Annotated[list[tuple[_Name, _Name, _Count]], Meta(max_length=1000)]]
    findings: _Findings


class _Hash(TypedDict):
    bytes: Annotated[int, Meta(ge=0, le=2**62)]
    sha256: _Sha256


_Hashes = TypedDict(
    "_Hashes",
    {
        "config.json": NotRequired[_Hash],
        "metrics.json": NotRequired[_Hash],
        "golden.json": NotRequired[_Hash],
        "history.csv": NotRequired[_Hash],
        "head.safetensors": NotRequired[_Hash],
        "evidence.safetensors": NotRequired[_Hash],
    },
)


def _read(folder: Path, file: str, shape: Any) -> dict[str, Any]:
    return read_json(folder / file, shape, _MAX_BYTES[file], _MAX_CONTAINERS)


def _require_length(file: str, field: str, values: Sequence[Any], length: int) -> None:
    if len(values) != length:
        raise InvalidFile(file, f"{field} has {len(values):,} entries; expected {length:,}")


def _require_different(file: str, field: str, values: Sequence[str]) -> None:
    seen = set()
    for index, value in enumerate(values):
        if value in seen:
            raise InvalidFile(file, f'{field}[{index}] is "{value[:40]}" for the second time')
        seen.add(value)


def _require_seed(file: str, field: str, seed: int) -> None:
    if seed > MAX_SEED:
        raise InvalidFile(file, f"{field}: expected a whole number <= {MAX_SEED}")


def format_version(folder: Path) -> int:
    """Read the format version, which every version's config.json has; see `config`."""
    return _read(folder, CONFIG, _Version)["format_version"]


def config(folder: Path) -> dict[str, Any]:
    """Read and check config.json.

    Args:
        folder: The checkpoint folder.

    Returns:
        The fields that are used; `backbone` is a `BackboneSpec`.

    Raises:
        FileNotFoundError: The file is missing.
        InvalidFile: The content is invalid; names the field.
    """
    found = _read(folder, CONFIG, _Config)
    try:
        msgspec.convert(found["training"]["options"], _Promises)
    except msgspec.ValidationError as error:
        raise InvalidFile(CONFIG, f"training.options.{problem_of(error)}") from error
    _require_seed(CONFIG, "training.seed", found["training"]["seed"])
    _require_length(CONFIG, "class_names", found["class_names"], len(found["class_ids"]))
    members = [member["name"] for member in found["backbone"]["members"]]
    for field, values in {
        "class_ids": found["class_ids"],
        "class_names": found["class_names"],
        "views": found["views"],
        "backbone.members": members,
    }.items():
        _require_different(CONFIG, field, values)
    page = found.get("page", {})
    for name, problem in (("title", title_problem), ("link", link_problem)):
        if name in page and (expected := problem(page[name])):
            raise InvalidFile(CONFIG, f"page.{name}: expected {expected}")
    if parents := found.get("parents"):
        _require_length(CONFIG, "parents", parents, len(found["class_ids"]))
        try:
            require_tree(found["class_ids"], dict(zip(found["class_ids"], parents, strict=True)))
        except ValueError as error:
            raise InvalidFile(CONFIG, f"parents: {error}") from error
        shared = len(in_common(parents))  # an earlier version kept parents that all classes share
        found["parents"] = [names[shared:] for names in parents]
        if not any(found["parents"]):
            del found["parents"]
    if found.get("background") in found["class_ids"]:
        raise InvalidFile(CONFIG, "background: expected a class that is not in class_ids")
    for index, view in enumerate(found["views"]):
        if view not in EVALUATION_VIEWS:
            known = ", ".join(EVALUATION_VIEWS)
            raise InvalidFile(CONFIG, f"views[{index}]: expected one of {known}")
    for name in ("doubt", "distance"):
        scale = found["detector"][name]
        if scale and not scale[1] - scale[0] >= 1e-9:  # the scale divides by this difference
            raise InvalidFile(CONFIG, f"detector.{name}: expected two increasing numbers")
    try:
        return {**found, "backbone": BackboneSpec.from_json(found["backbone"])}
    except ValueError as error:  # its networks together exceed the limit
        raise InvalidFile(CONFIG, f"backbone cannot be used: {error}") from error


def metrics(folder: Path, num_classes: int, nodes: Sequence[int] = ()) -> dict[str, Any]:
    """Read and check metrics.json.

    Args:
        folder: The checkpoint folder.
        num_classes: C.
        nodes: `Levels.nodes` of its classes; with fewer than two levels there are no level figures.

    Returns:
        The fields that are used.

    Raises:
        FileNotFoundError: The file is missing.
        InvalidFile: The content is invalid; names the field.
    """
    found = _read(folder, METRICS, _Metrics)
    _require_seed(METRICS, "seed", found["seed"])
    for name, split in found["splits"].items():
        place = f"splits.{name}"
        _require_length(METRICS, f"{place}.per_class", split["per_class"], num_classes)
        if "confusion_matrix" in split:
            matrix = split["confusion_matrix"]
            _require_length(METRICS, f"{place}.confusion_matrix", matrix, num_classes)
            for index, row in enumerate(matrix):
                _require_length(METRICS, f"{place}.confusion_matrix[{index}]", row, num_classes)
        for index, (*labels, _) in enumerate(split.get("confusions", ())):
            if max(labels) >= num_classes:
                problem = f"{place}.confusions[{index}]: expected labels below {num_classes}"
                raise InvalidFile(METRICS, problem)
        _check_levels(split, place, nodes)
    return found


def _check_levels(split: dict[str, Any], place: str, nodes: Sequence[int]) -> None:
    """Make sure that the figures by level are complete and match the levels of the classes.

    Figures that an earlier version measured with a parent shared by all classes are removed.
    """
    there = [name for name in _OF_LEVELS if name in split]
    if not there:
        return
    if missing := [name for name in _OF_LEVELS if name not in split]:
        problem = f"{place}: {there[0]} is present without {missing[0]}"
        raise InvalidFile(METRICS, problem)
    levels = split["levels"]
    if levels[0]["nodes"] == 1:
        for name in _OF_LEVELS:
            del split[name]
        return
    expected = list(enumerate(nodes, start=1)) if len(nodes) > 1 else []
    if [(row["level"], row["nodes"]) for row in levels] != expected:
        counts = ", ".join(f"{count:,}" for count in nodes) if expected else "none"
        problem = f"{place}.levels: expected the nodes of the parents in {CONFIG}: {counts}"
        raise InvalidFile(METRICS, problem)


def golden(folder: Path, num_classes: int) -> dict[str, Any]:
    """Read and check golden.json; see `metrics`."""
    version = _read(folder, GOLDEN, _PatternsVersion)["patterns_version"]
    if version != patterns.PATTERNS_VERSION:
        raise InvalidFile(
            GOLDEN,
            f"patterns_version is {version}, but this version of Frostflower draws "
            f"{patterns.PATTERNS_VERSION}; see: python -m model verify --accept",
        )
    found = _read(folder, GOLDEN, _Golden)
    for field in ("sha256", "probabilities"):
        _require_length(GOLDEN, field, found[field], len(patterns.SIZES))
    for index, row in enumerate(found["probabilities"]):
        _require_length(GOLDEN, f"probabilities[{index}]", row, num_classes)
    return found


def audit(folder: Path) -> dict[str, Any]:
    """Read and check audit.json; see `metrics`."""
    found = _read(folder, AUDIT, _Audit)
    labels = {}
    for problem, findings in found["findings"].items():
        for index, row in enumerate(findings):
            labels[f"findings.{problem}[{index}].label"] = row["label"]
            if problem == "label_error":
                labels[f"findings.{problem}[{index}].suggested_label"] = row["suggested_label"]
    for index, (label, suggested, _) in enumerate(found.get("label_pairs", ())):
        labels |= {f"label_pairs[{index}][0]": label, f"label_pairs[{index}][1]": suggested}
    for place, label in labels.items():
        if label not in found["class_names"]:
            raise InvalidFile(AUDIT, f"{place}: expected a key of class_names")
    return found


def hashes(folder: Path) -> dict[str, dict[str, Any]]:
    """Read and check hashes.json; see `metrics`."""
    return _read(folder, HASHES, _Hashes)
