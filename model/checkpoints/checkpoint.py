"""The checkpoint folder: JSON and safetensors, written all at once and checked on loading."""

import csv
import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save as serialize

from model import shell
from model.backbones.spec import BackboneSpec
from model.cache import KEPT, abandoned, atomic_path, named_errors, sweep, temporary_folder
from model.checkpoints import hashes, history, schema, tensors
from model.checkpoints.files import InvalidFile, printable
from model.checkpoints.golden import Golden
from model.checkpoints.page import PageTexts
from model.checkpoints.schema import AUDIT, CONFIG, GOLDEN, METRICS
from model.checkpoints.tensors import EVIDENCE, HEAD
from model.explain.evidence import Evidence
from model.heads.head import HISTORY_COLUMNS, Head, Row
from model.photographs.class_names import path_text
from model.photographs.scan import Skipped
from model.trust.calibrate import Calibration, Trust
from model.trust.levels import Levels
from model.trust.unknown import Detector

FORMAT_VERSION = 2
SHIPPED = Path(__file__).resolve().parents[2] / "demo" / "flowers102"

HISTORY, SKIPPED, CARD, PLOT = "history.csv", "skipped.csv", "README.md", "history.png"

HASHED = {CONFIG, HEAD, HISTORY, METRICS, GOLDEN, EVIDENCE}
"""Files that affect an answer or a displayed figure; the others may be edited freely."""

_NEW, _OLD, _MOVING = "new", "old", "moving"  # temporary folders while a checkpoint is saved

OPTIONAL = {EVIDENCE}
"""Files of `HASHED` that may be removed."""

FILES = {*HASHED, SKIPPED, CARD, PLOT, AUDIT, hashes.FILE}


@dataclass
class Checkpoint:
    """A trained classifier.

    Attributes:
        backbone: The frozen backbone's specification.
        head: The fitted head.
        calibration: Temperature, prediction sets and "none of these".
        class_ids: C class ids, the names of the class folders.
        class_names: C display names.
        views: The views that prediction averages, such as `["center", "mirror"]`.
        training: How it was trained: recipe, options, seed, best epoch, versions.
        history: One row per epoch.
        metrics: Figures of each split, see `calibrate.measure`, and the data's fingerprint.
        folder: The folder it was loaded from.
        audit: Findings that `python -m model audit --save` stored, if it was run.
        evidence: The training photographs as embeddings; None if none were kept.
        golden: Its answers to drawn patterns; None until `verify.record` records them.
        page: The title and the link of its page, if any.
        parents: The parents of each of the C classes, the widest first; empty if no class has any.
    """

    backbone: BackboneSpec
    head: Head
    calibration: Calibration
    class_ids: list[str]
    class_names: list[str]
    views: list[str]
    training: dict[str, Any]
    history: list[Row]
    metrics: dict[str, Any]
    folder: Path | None = field(default=None, compare=False)
    audit: dict[str, Any] | None = field(default=None, compare=False)
    evidence: Evidence | None = field(default=None, compare=False)
    golden: Golden | None = field(default=None, compare=False)
    page: PageTexts = field(default_factory=PageTexts)
    parents: list[tuple[str, ...]] = field(default_factory=list)

    @property
    def levels(self) -> Levels:
        """Its classes and their parents, by level."""
        return Levels(self.class_ids, self.class_names, self.parents)


def require_empty(out: Path, overwrite: bool) -> None:
    """Make sure that a checkpoint can be written, before time is spent on training.

    Args:
        out: The future checkpoint folder.
        overwrite: Whether existing files may be replaced.

    Raises:
        ValueError: The folder is not empty and `overwrite` is off, it contains files that do not
            belong to a checkpoint, or it cannot be written.
    """
    _finish(out)
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out} is a file. Choose a folder with --out.")
    present = {path.name for path in out.iterdir()} if out.is_dir() else set()
    if present and not overwrite:
        raise ValueError(f"{out} is not empty. Choose another --out, or add --overwrite.")
    if present and (strangers := sorted(present - FILES) or sorted({CONFIG, HEAD} - present)):
        raise ValueError(
            f"{out} does not contain only a checkpoint (see '{strangers[0]}'), so --overwrite does "
            "not replace it. Choose another --out."
        )
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with temporary_folder(out.parent):
            pass
    except OSError as error:
        raise ValueError(f"{out} cannot be written ({error.strerror}). Choose --out.") from error


def save(
    checkpoint: Checkpoint,
    out: Path,
    *,
    skipped: Sequence[Skipped] = (),
    overwrite: bool = False,
    extra: dict[str, bytes] | None = None,
) -> None:
    """Write a checkpoint folder: build it next to its final place, then move it there.

    Args:
        checkpoint: What to write.
        out: The folder.
        skipped: Files left out of the data, for `skipped.csv`.
        overwrite: Replace an earlier checkpoint.
        extra: Additional files, name -> content (model card, plot).

    Raises:
        ValueError: See `require_empty`; or there are no golden answers.
    """
    if checkpoint.golden is None:
        raise ValueError("The checkpoint has no golden answers. Record them with verify.record.")
    out = out.resolve()
    require_empty(out, overwrite)
    with named_errors(out), temporary_folder(out.parent, _saving(out)) as temporary:
        folder = temporary / _NEW
        folder.mkdir()
        config: dict[str, Any] = {
            "format_version": FORMAT_VERSION,
            "backbone": checkpoint.backbone.to_json(),
            "head": {
                "type": "linear" if len(checkpoint.head.layers) == 1 else "mlp",
                "num_features": len(checkpoint.head.mean),
                "hidden": [len(bias) for _, bias in checkpoint.head.layers[:-1]],
            },
            "trust": asdict(checkpoint.calibration.trust),
            "detector": asdict(checkpoint.calibration.detector),
            "views": checkpoint.views,
            "class_ids": checkpoint.class_ids,
            "class_names": checkpoint.class_names,
            "training": checkpoint.training,
        }
        if checkpoint.calibration.background:
            config["background"] = checkpoint.calibration.background
        if texts := checkpoint.page.to_json():
            config["page"] = texts
        if checkpoint.parents:
            config["parents"] = checkpoint.parents
        _write_json(folder / CONFIG, config)
        _write_json(folder / METRICS, checkpoint.metrics)
        _write_json(folder / GOLDEN, checkpoint.golden.to_json())
        (folder / HEAD).write_bytes(serialize(_tensors(checkpoint)))
        if checkpoint.evidence:
            checkpoint.evidence.save(folder / EVIDENCE)
        with (folder / HISTORY).open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, HISTORY_COLUMNS)
            writer.writeheader()
            writer.writerows(checkpoint.history)
        write_skipped(folder / SKIPPED, skipped)
        for name, content in (extra or {}).items():
            (folder / name).write_bytes(content)
        write_hashes(folder)
        if out.is_dir() and not any(out.iterdir()):  # it may be the current or a mounted folder
            try:
                _fill(out, folder.rename(temporary / _MOVING))
            except BaseException:  # such as a full disk: remove everything that was moved
                for path in out.iterdir():
                    path.unlink()
                raise
            return
        old = temporary / _OLD
        if out.is_dir():
            out.rename(old)
        try:
            folder.rename(out)
        except BaseException:  # also Ctrl-C
            if old.is_dir():
                old.rename(out)
            raise


def write_skipped(path: Path, skipped: Sequence[Skipped]) -> Path:
    """Write a table of the files that were left out and the reasons.

    Args:
        path: The CSV file.
        skipped: The files.

    Returns:
        The path of the CSV file.
    """
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "reason"])
        rows.writerows([path_text(bad.path), bad.reason] for bad in skipped)
    return path


def save_or_keep(
    checkpoint: Checkpoint, out: Path, *, elsewhere: Sequence[Path], **options: Any
) -> None:
    """Save a checkpoint; if the disk refuses it, save it somewhere else and say so.

    Args:
        checkpoint: What to write.
        out: The folder.
        elsewhere: Other folders that may have room, the best one first.
        options: See `save`.

    Raises:
        OSError: Saving to `out` failed. The message says where the checkpoint is instead, if
            anywhere, and gives the command that copies it to `out`.
        ValueError: See `save`.
    """
    try:
        save(checkpoint, out, **options)
    except OSError as error:
        for parent in elsewhere:
            kept = parent / "unsaved" / f"{out.resolve().name}-{time.strftime('%Y%m%d-%H%M%S')}"
            try:
                save(checkpoint, kept, **options)
            except OSError:  # this folder has no room either
                continue
            raise OSError(
                f"{out} cannot be written ({error.strerror or error}). The checkpoint is in {kept} "
                f"instead. When there is room, run: {shell.copy_folder(str(kept), str(out))}"
            ) from error
        raise


def _saving(out: Path) -> str:
    return f"-{out.name}{KEPT}"


def _fill(out: Path, folder: Path) -> None:
    for path in folder.iterdir():
        shutil.move(path, out / path.name)


def _finish(out: Path) -> None:
    """Finish or undo what a process left when it was killed while saving a checkpoint.

    It may have moved an earlier checkpoint away without putting the new one in its place, or have
    moved only some files into an empty folder. In any other case its new checkpoint is incomplete.
    """
    for temporary in abandoned(out.parent, _saving(out)):
        if (temporary / _MOVING).is_dir():
            out.mkdir(exist_ok=True)
            _fill(out, temporary / _MOVING)
        elif (temporary / _OLD).is_dir() and not out.exists():
            new = temporary / _NEW
            (new if new.is_dir() else temporary / _OLD).rename(out)
        shutil.rmtree(temporary)
    if out.is_dir():
        sweep(out)


def save_audit(folder: Path, summary: dict[str, Any]) -> Path:
    """Store the summary of an audit in a checkpoint folder, replacing an earlier one.

    Args:
        folder: The checkpoint folder.
        summary: See `findings.Audit.summary`.

    Returns:
        The path of the written file.
    """
    with atomic_path(folder / AUDIT) as temporary:
        _write_json(temporary, summary)
    return folder / AUDIT


def save_golden(folder: Path, golden: Golden) -> None:
    """Write golden answers into a checkpoint folder, and store the present hashes of all files.

    Args:
        folder: The checkpoint folder.
        golden: The golden answers.
    """
    with atomic_path(folder / GOLDEN) as temporary:
        _write_json(temporary, golden.to_json())
    write_hashes(folder)


def write_hashes(folder: Path) -> None:
    """Store the present hashes of a checkpoint's files, accepting changes since it was written.

    Args:
        folder: The checkpoint folder.
    """
    hashes.write(folder, HASHED)


def problems(folder: Path) -> dict[str, str]:
    """Find files of a checkpoint folder that are missing or have changed since it was written.

    Args:
        folder: The checkpoint folder.

    Returns:
        See `hashes.problems`.
    """
    return hashes.problems(folder, HASHED, OPTIONAL)


def _require_files(folder: Path) -> None:
    """Refuse a folder whose files are missing or have changed since the checkpoint was written."""
    for name, problem in problems(folder).items():
        accept = f"python -m model verify --accept --checkpoint {shell.quote(str(folder))}"
        if problem == hashes.MISSING and name not in (GOLDEN, hashes.FILE):
            raise FileNotFoundError(f"{folder} is not a checkpoint: {name} is missing.")
        raise ValueError(
            f"Checkpoint {folder} cannot be used: {name} {problem}. If the change is intended, run "
            f"{accept}; otherwise get the checkpoint again."
        )


def _write_json(path: Path, values: dict[str, Any]) -> None:
    text = json.dumps(printable(values), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    path.write_text(text, encoding="utf-8")


def _tensors(checkpoint: Checkpoint) -> dict[str, np.ndarray]:
    head, embedding = checkpoint.head, checkpoint.calibration.embedding
    tensors = {"mean": head.mean, "std": head.std}
    if embedding:
        tensors |= {"embedding.basis": embedding.basis, "embedding.centers": embedding.centers}
    for number, (weight, bias) in enumerate(head.layers):
        tensors[f"layers.{number}.weight"] = weight
        tensors[f"layers.{number}.bias"] = bias
    # safetensors writes memory in its physical order and ignores strides
    return {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}


def load(folder: Path, *, verify: bool = True) -> Checkpoint:
    """Load and check a checkpoint folder. This does not need the backbone's weights.

    Args:
        folder: The folder.
        verify: Refuse changed files. If false, golden answers are not loaded either.

    Returns:
        The checkpoint.

    Raises:
        FileNotFoundError: There is no such folder, or a file is missing.
        ValueError: The format version is another one, or a file cannot be used; says why.
    """
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{folder} is not a checkpoint folder. Make one with: python train.py FOLDER"
        )
    try:
        if (version := schema.format_version(folder)) != FORMAT_VERSION:
            raise ValueError(
                f"{folder / CONFIG} has format version {version}; this version of "
                f"Frostflower reads {FORMAT_VERSION}. Update Frostflower, or train again."
            )
        if verify:
            _require_files(folder)
        return _load(folder, schema.config(folder), verify)
    except InvalidFile as error:
        remedy = "Get the checkpoint again, or train again."
        if error.file in (EVIDENCE, AUDIT):
            remedy = "Remove the file to work without it, or get the checkpoint again."
        raise ValueError(f"Checkpoint {folder} cannot be used: {error}. {remedy}") from error


def _load(folder: Path, config: dict[str, Any], verify: bool) -> Checkpoint:
    num_classes, background = len(config["class_ids"]), config.get("background", "")
    head, embedding = tensors.head(
        folder / HEAD,
        config["head"]["num_features"],
        config["head"]["hidden"],
        num_classes,
        background=bool(background),
    )
    doubt, distance = (config["detector"][name] for name in ("doubt", "distance"))
    if (distance is None) != (embedding is None):
        raise InvalidFile(
            CONFIG, f"detector.distance and {HEAD} disagree on whether there is an embedding"
        )
    training, rows = config["training"], history.load(folder / HISTORY)
    if training["best_epoch"] > len(rows):
        problem = f"training.best_epoch is {training['best_epoch']}, but {HISTORY} has {len(rows)}"
        raise InvalidFile(CONFIG, problem)
    levels = Levels(config["class_ids"], config["class_names"], config.get("parents", []))
    kept = None
    if (folder / EVIDENCE).is_file():
        width = embedding.basis.shape[1] if embedding else 0
        kept = tensors.evidence(folder / EVIDENCE, width, num_classes)
    return Checkpoint(
        backbone=config["backbone"],
        head=head,
        calibration=Calibration(
            Trust(**config["trust"]), Detector(doubt, distance), embedding, background
        ),
        evidence=kept,
        class_ids=config["class_ids"],
        class_names=config["class_names"],
        views=config["views"],
        training=training,
        history=rows,
        metrics=schema.metrics(folder, num_classes, levels.nodes),
        folder=folder,
        audit=schema.audit(folder) if (folder / AUDIT).exists() else None,
        golden=load_golden(folder, num_classes) if verify else None,
        page=PageTexts(**config.get("page", {})),
        parents=config.get("parents", []),
    )


def load_golden(folder: Path, num_classes: int) -> Golden:
    """Load the golden answers of a checkpoint folder.

    Args:
        folder: The checkpoint folder.
        num_classes: C.

    Returns:
        The golden answers.

    Raises:
        FileNotFoundError: There is no file of golden answers.
        ValueError: The file is invalid, or is for other patterns or another number of classes.
    """
    return Golden.from_json(schema.golden(folder, num_classes))
