"""What the JSON files of a checkpoint hold: every field that anything reads, with its range.

A checkpoint may come from anybody. It is checked here, once, and nowhere behind this door; tensors
are checked in `tensors`, the history in `history`. Fields that are not listed are left out.

Limits of size admit `MAX_CLASSES` classes. A class takes about 30 bytes in config.json (at most
1,100, with two names of 255 characters), 190 a split in metrics.json (450), 14 a pattern in
golden.json and 190 in audit.json. The confusion matrix takes 8 bytes a cell, so 2 splits of
`MAX_MATRIX` classes 16 MB; earlier versions wrote one for any number of classes, which can be read
up to 2,000. What Python makes of it is larger: an empty list of 3 bytes takes 64, so lists and
objects are counted before they are parsed (25,000 classes make 75,000).
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

from model.backbones.spec import MAX_MEMBERS, BackboneSpec
from model.backbones.transforms import EVALUATION_VIEWS, LEAST_SIZE, MAX_SIZE, Framing
from model.checkpoints import golden as patterns
from model.checkpoints.fields import (
    Check,
    InvalidFile,
    Misfit,
    choice,
    different,
    listed,
    mapping,
    matrix,
    name,
    number,
    optional,
    pattern,
    plain,
    read_json,
    record,
    text,
    whole,
    wrong,
)
from model.heads.head import MAX_EPOCHS, MAX_HIDDEN, MAX_SEED, MAX_WIDTH
from model.photographs.class_names import MAX_CLASSES, MAX_NAME

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
_PROBLEMS = ("label_error", "exact_duplicate", "near_duplicate", "outlier")

_SHARE = number(0, 1)
_COUNT = whole(0, 10**12)
_FINITE = number(-1e30, 1e30)
_SHA256 = pattern("[0-9a-f]{64}", "64 hexadecimal digits")
_NAME = name(1000)  # a display name may have another, and the class id, behind it
_PATH = text(4096)
_LINE = text(1000)
_VERSIONS = mapping(text(100), 100)


def _rising(value: Any) -> Any:
    """Expect two numbers of which the second is the greater, by more than rounding."""
    low, high = listed(number(0, 1e30), 2, 2)(value)
    if not high - low >= 1e-9:
        raise Misfit(f"is [{low:g}, {high:g}]; expected two numbers that rise")
    return low, high


# config.json

_MEMBER = record(
    {
        "name": pattern(r"(timm/)?[A-Za-z0-9][\w.-]{0,99}", "the name of a backbone"),
        "weights_sha256": _SHA256,
        "image_size": whole(LEAST_SIZE, MAX_SIZE),
        "mean": listed(_SHARE, 3, 3),
        "std": listed(number(0.01, 1), 3, 3),
    }
)
_BACKBONE_FIELDS = record(
    {
        "members": listed(_MEMBER, 1, MAX_MEMBERS),
        "stages": whole(0, 100),
        "transforms": record(
            {
                "image_size": whole(LEAST_SIZE, MAX_SIZE),
                "framing": choice(*get_args(Framing)),
                "crop_pct": number(0.5, 1),
                "interpolation": choice("bicubic", "bilinear"),
            }
        ),
    }
)


def _backbone(value: Any) -> Any:
    values = _BACKBONE_FIELDS(value)
    names = [member["name"] for member in values["members"]]
    try:
        different(listed(_LINE, 1, MAX_MEMBERS))(names)
        return BackboneSpec.from_json(values)
    except Misfit as error:
        raise error.inside("members") from None
    except ValueError as error:  # its networks together are too much
        raise Misfit(f"is refused: {error}") from error


def _option(value: Any) -> Any:
    return listed(plain, 0, 100)(value) if isinstance(value, list) else plain(value)


_TRAINING = record(
    {
        "best_epoch": whole(1, MAX_EPOCHS),
        "head_text": _LINE,
        "text": _LINE,
        "seed": whole(0, MAX_SEED),
        "options": record({"coverage": _SHARE, "known_pass_rate": _SHARE}, rest=_option),
    },
    {"recipe": _LINE, "versions": _VERSIONS},
)
_CONFIG = record(
    {
        "format_version": whole(1, 1000),
        "backbone": _backbone,
        "head": record(
            {
                "num_features": whole(1, MAX_WIDTH),
                "hidden": listed(whole(1, MAX_WIDTH), 0, MAX_HIDDEN),
            }
        ),
        "trust": record(
            {
                "temperature": number(1e-3, 1e3),
                "coverage": _SHARE,
                "margin": number(0, 1e30),
                "known_pass_rate": _SHARE,
                "unknown_threshold": _FINITE,
            }
        ),
        "detector": record({"doubt": _rising, "distance": optional(_rising)}),
        "views": different(listed(choice(*EVALUATION_VIEWS), 1, len(EVALUATION_VIEWS))),
        "class_ids": different(listed(name(MAX_NAME), 2, MAX_CLASSES)),
        "class_names": different(listed(_NAME, 2, MAX_CLASSES)),
        "training": _TRAINING,
    }
)


# metrics.json


def _split(num_classes: int) -> Check:
    per_class = record(
        {
            "class_id": _NAME,
            "precision": _SHARE,
            "recall": _SHARE,
            "f1": _SHARE,
            "support": _COUNT,
        }
    )
    group = record({"confidence": _SHARE, "accuracy": _SHARE, "photographs": _COUNT})
    label = whole(0, num_classes - 1)

    def confusion(value: Any) -> Any:
        pair = listed(_COUNT, 3, 3)(value)
        listed(label, 2, 2)(pair[:2])
        return pair

    return record(
        {
            "photographs": whole(1, 10**12),
            "top1": _SHARE,
            "top5": _SHARE,
            "loss": number(0, 1e30),
            "macro_f1": _SHARE,
            "per_class": listed(per_class, num_classes, num_classes),
            "ece": _SHARE,
            "reliability": listed(group, 1, 100),
            "coverage": _SHARE,
            "mean_set_size": number(0, num_classes),
            "known_pass_rate": _SHARE,
        },
        {
            "confusion_matrix": matrix(num_classes, num_classes, 0, 10**12, int),
            "confusions": listed(confusion, 0, 1_000_000),
        },
    )


def _metrics(num_classes: int) -> Check:
    split = _split(num_classes)
    return record(
        {
            "splits": record({"valid": split}, {"test": split}),
            "data": record(
                {
                    "name": _LINE,
                    "photographs": record({}, {"train": _COUNT, "valid": _COUNT, "test": _COUNT}),
                },
                {"fingerprint": _SHA256, "skipped": _COUNT},
            ),
            "seed": whole(0, MAX_SEED),
        },
        {"versions": _VERSIONS, "device": _LINE, "seconds": mapping(number(0, 1e9), 100)},
    )


# golden.json, audit.json, hashes.json


def _golden(num_classes: int) -> Check:
    count = len(patterns.SIZES)
    return record(
        {
            "patterns_version": whole(1, 10**6),
            "sha256": listed(_SHA256, count, count),
            "probabilities": matrix(count, num_classes, 0, 1, float),
            "device": _LINE,
        }
    )


_FINDING = record(
    {
        "path": _PATH,
        "label": _NAME,
        "score": _FINITE,
        "suggested_label": text(1000),
        "other_path": _PATH,
    }
)
_LEAK = record(
    {
        "split": _LINE,
        "photographs": _COUNT,
        "accuracy": _SHARE,
        "copies": _COUNT,
        "accuracy_without": optional(_SHARE),
    }
)
_CLASS = record(
    {
        "class_id": _NAME,
        "photographs": _COUNT,
        "accuracy": _SHARE,
        "gain": number(-1, 1),
        "taken_for": text(1000),
    }
)
_AUDIT = record(
    {
        "data": _LINE,
        "photographs": _COUNT,
        "num_classes": whole(1, MAX_CLASSES),
        "class_names": mapping(_NAME, MAX_CLASSES),
        "skipped": _COUNT,
        "backbone": _LINE,
        "counts": record(dict.fromkeys(_PROBLEMS, _COUNT)),
        "across_splits": _COUNT,
        "accuracy": _SHARE,
        "accuracy_with_copies": _SHARE,
        "leaks": listed(_LEAK, 0, 10),
        "findings": record(dict.fromkeys(_PROBLEMS, listed(_FINDING, 0, 1000))),
        "classes": listed(_CLASS, 0, MAX_CLASSES),
    }
)
_HASHES = mapping(record({"bytes": whole(0, 2**62), "sha256": _SHA256}), 100)


def parse(folder: Path, file: str) -> dict[str, Any]:
    """Read one of the JSON files, unchecked but for its size.

    Args:
        folder: The checkpoint folder.
        file: Its name.

    Returns:
        What it holds.

    Raises:
        FileNotFoundError: It is missing.
        InvalidFile: It is too large, or no JSON object.
    """
    return read_json(folder / file, _MAX_BYTES[file], _MAX_CONTAINERS)


def _checked(file: str, check: Callable[[], Any]) -> Any:
    try:
        return check()
    except Misfit as error:
        raise InvalidFile(file, str(error)) from error


def config(values: dict[str, Any]) -> dict[str, Any]:
    """Check config.json.

    Args:
        values: As `parse`.

    Returns:
        What is used of it; `backbone` is a `BackboneSpec`, and the detector's scales are pairs.

    Raises:
        InvalidFile: The field that is wrong.
    """

    def check() -> dict[str, Any]:
        found = _CONFIG(values)
        count = len(found["class_ids"])
        if len(found["class_names"]) != count:
            raise wrong(found["class_names"], f"{count:,}, as class_ids").inside("class_names")
        return found

    return _checked(CONFIG, check)


def metrics(folder: Path, num_classes: int) -> dict[str, Any]:
    """Read and check metrics.json.

    Args:
        folder: The checkpoint folder.
        num_classes: C.

    Returns:
        What is used of it.

    Raises:
        FileNotFoundError: It is missing.
        InvalidFile: The field that is wrong.
    """
    values = parse(folder, METRICS)
    return _checked(METRICS, lambda: _metrics(num_classes)(values))


def golden(folder: Path, num_classes: int) -> dict[str, Any]:
    """Read and check golden.json; as `metrics`."""
    values = parse(folder, GOLDEN)
    version = values.get("patterns_version")
    if type(version) is int and version != patterns.PATTERNS_VERSION:
        raise InvalidFile(
            GOLDEN,
            f"patterns_version is {version}, but this version of Frostflower draws "
            f"{patterns.PATTERNS_VERSION}; see: python -m model verify --accept",
        )
    return _checked(GOLDEN, lambda: _golden(num_classes)(values))


def audit(folder: Path) -> dict[str, Any]:
    """Read and check audit.json; as `metrics`."""
    values = parse(folder, AUDIT)

    def check() -> dict[str, Any]:
        found = _AUDIT(values)
        rows = [("classes", i, row) for i, row in enumerate(found["classes"])]
        for problem, findings in found["findings"].items():
            rows += [(f"findings.{problem}", i, row) for i, row in enumerate(findings)]
        for place, i, row in rows:
            suggests = place == "findings.label_error"
            for key in ("class_id", "label", *(["suggested_label"] if suggests else [])):
                if key in row and row[key] not in found["class_names"]:
                    problem = wrong(row[key], "a key of class_names")
                    raise problem.inside(f"{place}[{i}].{key}")
        return found

    return _checked(AUDIT, check)


def hashes(folder: Path) -> dict[str, dict[str, Any]]:
    """Read and check hashes.json; as `metrics`."""
    values = parse(folder, HASHES)
    return _checked(HASHES, lambda: _HASHES(values))
