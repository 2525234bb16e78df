"""Exports a classifier as one ONNX file: framed pixels in, probabilities out.

The graph makes the views itself and applies temperature, prediction sets and the unknown score, so
a program needs only onnxruntime, Pillow and numpy. The file's metadata holds the framing of
photographs, the class names and the thresholds as JSON.
"""

import json
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import nn

from model.backbones.transforms import FILL, MIRROR
from model.cache import atomic_path
from model.checkpoints import golden
from model.classifier import Classifier
from model.trust.calibrate import Assessment
from model.trust.levels import SURE
from model.trust.metrics import softmax

TOLERANCE = 1e-4
"""Largest allowed difference of a probability from the classifier's; relative for a score."""

OUTPUTS = ("probabilities", "unknown_score", "set")
_MAX_BYTES = 2 * 10**9
_BORDER = 1e-3  # nats; this close to a set's margin, rounding decides about membership


@dataclass(frozen=True)
class Exported:
    """An exported file.

    Attributes:
        path: The file.
        size: In bytes.
        difference: The largest difference between its probabilities and the classifier's on the
            golden patterns.
        image_size: Side of its input, in px.
        num_classes: C.
        keys: Keys of its metadata.
    """

    path: Path
    size: int
    difference: float
    image_size: int
    num_classes: int
    keys: tuple[str, ...]

    def render(self) -> str:
        """Describe the file in lines for people."""
        return "\n".join(
            [
                f"{self.path}: {self.size / 1e6:.1f} MB, one file",
                f"  input: pixels uint8 [N, {self.image_size}, {self.image_size}, 3], framed",
                f"  outputs: probabilities float32 [N, {self.num_classes}], unknown_score float32 "
                f"[N], set bool [N, {self.num_classes}]",
                f"  metadata: {', '.join(self.keys)}, each as JSON",
                f"  probabilities in ONNX Runtime differ from the classifier's by at most "
                f"{self.difference:.1e} on {len(golden.SIZES)} golden patterns.",
            ]
        )


class _Graph(nn.Module):
    """Backbone, head and calibration as one module, with the same steps as `calibrate.assess`."""

    mean: torch.Tensor
    std: torch.Tensor
    basis: torch.Tensor
    centers: torch.Tensor

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        checkpoint = classifier.checkpoint
        self.extractor = classifier.backbone.module
        self.mirrored = [view == MIRROR for view in checkpoint.views]
        self.count = len(checkpoint.head.layers)
        self.shown = len(checkpoint.class_ids)  # a background class comes after these
        self.detector = checkpoint.calibration.detector
        self.trust = checkpoint.calibration.trust
        self._keep("mean", checkpoint.head.mean)
        self._keep("std", checkpoint.head.std)
        for number, (weight, bias) in enumerate(checkpoint.head.layers):
            self._keep(f"weight{number}", weight.T)
            self._keep(f"bias{number}", bias)
        embedding = checkpoint.calibration.embedding
        self.embeds = embedding is not None
        if embedding:
            self._keep("basis", embedding.basis)
            self._keep("centers", embedding.centers)

    def _keep(self, name: str, values: np.ndarray) -> None:
        self.register_buffer(name, torch.from_numpy(np.array(values, np.float32, order="C")))

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        views = [pixels.flip(2) if mirrored else pixels for mirrored in self.mirrored]
        features = self.extractor(torch.cat(views)).float()
        features = features.reshape(len(views), -1, features.shape[1])
        values = (features - self.mean) / self.std
        for number in range(self.count):
            if number:
                values = values.relu()
            values = values @ getattr(self, f"weight{number}") + getattr(self, f"bias{number}")
        scored = values.mean(0) / self.trust.temperature
        logits = scored[:, : self.shown]
        sets = logits >= logits.amax(1, keepdim=True) - self.trust.margin
        return logits.softmax(1), self._unknown_score(features, scored), sets

    def _unknown_score(self, features: torch.Tensor, scored: torch.Tensor) -> torch.Tensor:
        median, high = self.detector.doubt
        doubt = -scored.log_softmax(1)[:, : self.shown].amax(1)
        score = (doubt - median) / (high - median)
        if not self.embeds or self.detector.distance is None:
            return score
        embedded = (features[:2].mean(0) - self.mean) / self.std
        embedded = embedded[:, : len(self.basis)] @ self.basis
        squares = (embedded**2).sum(1, keepdim=True) + (self.centers**2).sum(1)
        distance = (squares - 2 * embedded @ self.centers.T).clamp(min=0).amin(1)
        median, high = self.detector.distance
        return score + ((distance - median) / (high - median) - 1).clamp(min=0)


def metadata(classifier: Classifier) -> dict[str, Any]:
    """Return what a user of the file must know, as metadata.

    Args:
        classifier: The loaded classifier.

    Returns:
        `class_names`; `parents` if any class has them (a list for each class, the widest first);
        `transforms` (size in px, framing, crop_pct, interpolation, fill, and least_side, see
        `images.decode`); and `thresholds` (temperature, coverage, margin, known_pass_rate,
        unknown_threshold, and with parents `sure`, the least probability of an answer).
    """
    transforms, parents = classifier.backbone.transforms, classifier.checkpoint.parents
    thresholds = asdict(classifier.checkpoint.calibration.trust)
    return {
        "class_names": classifier.checkpoint.class_names,
        **({"parents": parents} if parents else {}),
        "transforms": {
            "size": transforms.image_size,
            "framing": transforms.framing,
            "crop_pct": transforms.crop_pct,
            "interpolation": transforms.interpolation,
            "fill": FILL,
            "least_side": transforms.least_side,
        },
        "thresholds": {**thresholds, **({"sure": SURE} if parents else {})},
    }


def require_writable(path: Path, overwrite: bool) -> None:
    """Make sure that the file can be written, before time is spent on exporting.

    Args:
        path: The future file.
        overwrite: Whether an existing file may be replaced.

    Raises:
        FileNotFoundError: The folder of the file does not exist.
        ValueError: The path is a folder, or the file exists and `overwrite` is off.
    """
    if path.is_dir():
        raise ValueError(f"{path} is a folder. Choose a file for --onnx, such as flowers.onnx.")
    if path.exists() and not overwrite:
        raise ValueError(f"{path} already exists. Choose another --onnx, or add --overwrite.")
    if not path.absolute().parent.is_dir():
        raise FileNotFoundError(f"Folder {path.absolute().parent} does not exist.")


def export(classifier: Classifier, path: Path, *, overwrite: bool = False) -> Exported:
    """Write the file, and compare it with the classifier before moving it to its place.

    Args:
        classifier: The classifier, which must be opened with `device="cpu"`.
        path: The file; its folder must exist.
        overwrite: Replace an existing file.

    Returns:
        A description of the file.

    Raises:
        FileNotFoundError: See `require_writable`.
        ValueError: See `require_writable`; or the backbone cannot be exported, or the file's
            answers differ from the classifier's.
    """
    require_writable(path, overwrite)
    if classifier.backbone.device != "cpu":
        raise ValueError(f"Export needs a classifier on the CPU, not {classifier.backbone.device}.")
    with atomic_path(path) as temporary:
        try:
            _write(classifier, temporary)
            difference = _compare(classifier, temporary)
        except _DisagreementError as error:
            raise ValueError(f"{path} was not written: {error}") from error
        except Exception as error:  # errors of torch.onnx and onnxruntime share no other class
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise ValueError(
                f"{path} was not written: backbone {classifier.checkpoint.backbone.name} cannot "
                f"be exported to ONNX ({reason}). Train with another --backbone to export."
            ) from error
        size = temporary.stat().st_size
    side, count = classifier.backbone.transforms.image_size, len(classifier.checkpoint.class_ids)
    return Exported(path, size, difference, side, count, tuple(metadata(classifier)))


class _DisagreementError(Exception):
    """The answers of the file differ from the classifier's."""


def _write(classifier: Classifier, path: Path) -> None:
    size, graph = classifier.backbone.transforms.image_size, _Graph(classifier).eval()
    weights = sum(tensor.nbytes for tensor in graph.state_dict().values())
    if weights > _MAX_BYTES:  # torch would write larger weights into separate files
        raise ValueError(
            f"its weights have {weights / 1e9:.1f} GB, but one file holds {_MAX_BYTES / 1e9:g}"
        )
    with warnings.catch_warnings():  # the tracer warns of shapes, which are constant here
        warnings.simplefilter("ignore")
        torch.onnx.export(
            graph,
            (torch.zeros((2, size, size, 3), dtype=torch.uint8),),
            str(path),
            dynamo=False,
            opset_version=18,
            input_names=["pixels"],
            output_names=list(OUTPUTS),
            dynamic_axes={name: {0: "N"} for name in ("pixels", *OUTPUTS)},
        )
    model = onnx.load(path)
    values = {key: json.dumps(v, ensure_ascii=False) for key, v in metadata(classifier).items()}
    onnx.helper.set_model_props(model, values)
    onnx.save(model, path)


def _compare(classifier: Classifier, path: Path) -> float:
    """Run the file as its users do on the golden patterns, in one batch and one alone.

    Returns:
        The largest difference between its probabilities and the classifier's.

    Raises:
        _DisagreementError: An output differs from the classifier's.
    """
    import onnxruntime

    patterns = golden.patterns()
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    pixels = np.stack([classifier.backbone.transforms.center(pattern) for pattern in patterns])
    expected = classifier.assess(patterns)
    margin, differences = classifier.checkpoint.calibration.trust.margin, []
    for count in (len(patterns), 1):
        found: Any = session.run(OUTPUTS, {"pixels": pixels[:count]})
        differences.append(_difference(expected, found, margin))
    return max(differences)


def _difference(expected: Assessment, found: Sequence[np.ndarray], margin: float) -> float:
    """Compare the file's outputs with the classifier's for the first pictures, see `_compare`."""
    probabilities, scores, sets = found
    count = len(scores)
    logits, before = expected.logits[:count], expected.unknown_scores[:count]
    difference = float(np.abs(probabilities - softmax(logits)).max())
    relative = float((np.abs(scores - before) / np.maximum(1, np.abs(before))).max())
    for name, value in (("probabilities", difference), ("unknown_score", relative)):
        if not value <= TOLERANCE:
            raise _DisagreementError(
                f"its {name} differ from the classifier's by {value:.1e}, more than {TOLERANCE:g}. "
                "The checkpoint itself is not affected; report this with the backbone's name."
            )
    clear = np.abs(logits.max(axis=1, keepdims=True) - logits - margin) > _BORDER
    if (sets != expected.sets[:count])[clear].any():
        raise _DisagreementError(
            "its set differs from the classifier's. The checkpoint itself is not affected; report "
            "this with the backbone's name."
        )
    return difference
