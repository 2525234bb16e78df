"""Checks a checkpoint: whether its files are unchanged, and whether it still answers the same.

Other versions of packages, another engine or another processor may compute different features from
the same files. So a new checkpoint stores its answers to drawn patterns (`golden`), and `replay`
asks for them again, through the same code that handles photographs.
"""

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from model.backbones.backbone import Backbone
from model.checkpoints import checkpoint as checkpoints
from model.checkpoints import golden
from model.checkpoints.checkpoint import Checkpoint
from model.checkpoints.golden import Golden
from model.classifier import Classifier, assess
from model.trust.metrics import softmax

TOLERANCE = 1e-3
"""Largest difference from a stored probability in full precision.

Measured on the patterns with the shipped classifier and a default one: ONNX Runtime differs from
torch by at most 3e-6, and not at all with other numbers of threads; Pillow 11.3 and 12.3 frame to
the same pixels. Differences that must be noticed are far larger (the smaller one of both
classifiers): another interpolation 0.28, another framing 0.52, one view instead of two 0.24, a crop
1 % smaller 0.14, a temperature 2 % higher 0.008, every pixel brighter by 1/255 0.003.
"""

HALF_TOLERANCE = 3e-2
"""The same if CUDA's half precision computed either one: float16 on a CPU differs by 0.012."""


@dataclass(frozen=True)
class Drift:
    """Compares the answer to one pattern with the stored answer.

    Attributes:
        pattern: Number of the pattern, from 1.
        label: The class whose probability differs most.
        expected: Its stored probability, 0-1.
        found: Its probability now, 0-1.
        expected_top: The stored first answer, name and probability.
        found_top: The first answer now.
        tolerance: The largest difference allowed.
    """

    pattern: int
    label: str
    expected: float
    found: float
    expected_top: tuple[str, float]
    found_top: tuple[str, float]
    tolerance: float = TOLERANCE

    @property
    def difference(self) -> float:
        """The largest difference of a probability; first answers differ by no more than this."""
        return abs(self.found - self.expected)

    @property
    def beyond(self) -> bool:
        """Whether the difference exceeds the tolerance; NaN always does."""
        return not self.difference <= self.tolerance


@dataclass(frozen=True)
class Report:
    """The result of checking a checkpoint folder.

    Attributes:
        problems: File -> what is wrong with it, see `checkpoint.problems`.
        answers: One entry per pattern; empty if a file is not intact, because nothing is run then.
        recorded_on: The device and engine that gave the stored answers.
        replayed_on: The device and engine now.
    """

    problems: dict[str, str]
    answers: list[Drift]
    recorded_on: str = ""
    replayed_on: str = ""

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems and not any(answer.beyond for answer in self.answers)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        answers = [
            asdict(a) | {"difference": a.difference, "ok": not a.beyond} for a in self.answers
        ]
        return asdict(self) | {"sound": self.sound, "answers": answers}


def record(checkpoint: Checkpoint, backbone: Backbone) -> Golden:
    """Compute the golden answers of a checkpoint.

    Args:
        checkpoint: The checkpoint, which may not have been saved yet.
        backbone: Its backbone.

    Returns:
        The golden answers to store in it.
    """
    patterns = golden.patterns()
    logits = assess(checkpoint, backbone, patterns).logits
    return Golden(
        golden.PATTERNS_VERSION,
        [golden.sha256(pattern) for pattern in patterns],
        softmax(logits.astype(np.float64)),
        backbone.device_text,
    )


def measure(classifier: Classifier) -> list[Drift]:
    """Compare the answers to all patterns with the stored ones.

    Args:
        classifier: The loaded classifier.

    Returns:
        One entry per pattern.

    Raises:
        ValueError: Golden answers are missing, or are for other patterns.
    """
    names, stored = classifier.checkpoint.class_names, classifier.checkpoint.golden
    if stored is None:
        raise ValueError(
            "The checkpoint has no golden answers. See: python -m model verify --accept"
        )
    now = record(classifier.checkpoint, classifier.backbone)
    for number, pair in enumerate(zip(stored.sha256, now.sha256, strict=True), 1):
        if pair[0] != pair[1]:
            raise ValueError(
                f"Golden pattern {number} has sha256 {pair[1][:12]}…, but the checkpoint's is "
                f"{pair[0][:12]}…. See: python -m model verify --accept"
            )
    half = any(device.startswith("CUDA") for device in (stored.device, now.device))
    tolerance, result = HALF_TOLERANCE if half else TOLERANCE, []
    for number, (before, after) in enumerate(
        zip(stored.probabilities, now.probabilities, strict=True), 1
    ):
        far, old, new = (int(v.argmax()) for v in (np.abs(after - before), before, after))
        tops = ((names[old], float(before[old])), (names[new], float(after[new])))
        values = (float(before[far]), float(after[far]))
        result.append(Drift(number, names[far], *values, *tops, tolerance))
    return result


def replay(classifier: Classifier) -> list[Drift]:
    """Return the golden answers that have changed; an empty list means that all is well.

    Args:
        classifier: The loaded classifier.

    Returns:
        The entries of `measure` that are `beyond` their tolerance.

    Raises:
        ValueError: See `measure`.
    """
    return [answer for answer in measure(classifier) if answer.beyond]


def warning(drifts: list[Drift]) -> str:
    """Describe the result of `replay`: the largest difference and both values."""
    worst = max(drifts, key=lambda d: math.inf if math.isnan(d.difference) else d.difference)
    return (
        f"This classifier does not answer as it did when it was made: for test pattern "
        f"{worst.pattern} the probability of '{worst.label}' is {worst.found:.4f} instead of "
        f"{worst.expected:.4f}, and {len(drifts)} of {len(golden.SIZES)} patterns differ by more "
        f"than {worst.tolerance:g}, so its measured accuracy may not hold (details: python -m "
        "model verify)."
    )


def check(folder: Path, *, device: str = "auto", cache_dir: Path | None = None) -> Report:
    """Check a checkpoint folder: first its files, then its answers.

    Args:
        folder: The folder.
        device: See `Classifier`.
        cache_dir: See `Classifier`.

    Returns:
        The result of the check.

    Raises:
        ConnectionError: See `Classifier`.
        FileNotFoundError: There is no such folder.
        ValueError: The files are intact, but see `Classifier`.
    """
    if folder.is_dir() and (problems := checkpoints.problems(folder)):
        return Report(problems, [])
    classifier = Classifier(folder, device=device, cache_dir=cache_dir)
    answers, stored = measure(classifier), classifier.checkpoint.golden
    return Report({}, answers, stored.device if stored else "", classifier.backbone.device_text)


def accept(folder: Path, *, device: str = "auto", cache_dir: Path | None = None) -> str:
    """Accept a folder's present files and answers, and store their hashes and golden answers.

    Args:
        folder: The checkpoint folder; it must be usable apart from its hashes.
        device: See `Classifier`.
        cache_dir: See `Classifier`.

    Returns:
        A description of what was accepted, in lines for people.

    Raises:
        ConnectionError: See `Classifier`.
        FileNotFoundError: See `Classifier`.
        ValueError: See `Classifier`.
    """
    classifier = Classifier(folder, device=device, cache_dir=cache_dir, verify=False)
    lines = [f"Accepted: {name} {text}." for name, text in checkpoints.problems(folder).items()]
    now = record(classifier.checkpoint, classifier.backbone)
    try:
        before = checkpoints.load_golden(folder, len(classifier.checkpoint.class_ids))
        change = np.abs(now.probabilities - before.probabilities).max()
        lines.append(f"Golden answers differ by at most {change:.2g} from the earlier ones.")
    except (OSError, ValueError):
        lines.append("Golden answers were recorded; no earlier ones could be read.")
    checkpoints.save_golden(folder, now)
    return "\n".join([*lines, f"{folder} now matches its stored hashes."])
