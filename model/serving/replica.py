"""A replica: loads the page's checkpoints, proves that it gives the same answers, and answers.

This module does not need Ray: `starting` makes an actor of the class `Replica`.
"""

import functools
import hashlib
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from model.checkpoints import golden
from model.checkpoints.checkpoint import HASHED
from model.classifier import Classifier, Prediction
from model.features import versions
from model.sharing.publish import redact
from model.trust.metrics import softmax
from model.trust.restrict import Allowed
from model.verify import HALF_TOLERANCE, TOLERANCE


@dataclass(frozen=True)
class Served:
    """A checkpoint as the page serves it.

    Attributes:
        folder: The checkpoint folder, absolute.
        fingerprint: Hash from `fingerprint`.
        allowed: The classes that may be answered, from `Classifier.allowed`; None for all.
        logits: The page's own logits for the golden patterns, `[N, C]`.
    """

    folder: Path
    fingerprint: str
    allowed: Allowed | None
    logits: np.ndarray


@dataclass(frozen=True)
class Job:
    """Everything that replicas must have in common with the page.

    Attributes:
        served: The page's checkpoints.
        device: The device, from `Backbone.device`.
        cache_dir: The cache folder, absolute.
        threads: Threads of a classifier, and of torch on a CPU.
        redacted: Whether answers neither show nor name training photographs.
        torch: Whether torch runs one of the backbones.
        versions: The versions from `versions.of`.
    """

    served: list[Served]
    device: str
    cache_dir: Path
    threads: int
    redacted: bool
    torch: bool
    versions: dict[str, str]


@dataclass(frozen=True)
class Introduction:
    """The facts that a replica reports once it has loaded everything.

    Attributes:
        machine: Name of its machine.
        process: Its process id on the machine.
        megabytes: Its memory in MB; 0 if the system does not provide it.
        exact: Whether its answers to the golden patterns equal the page's bit for bit.
    """

    machine: str
    process: int
    megabytes: float
    exact: bool

    @property
    def text(self) -> str:
        """The process, machine and memory, for messages."""
        return f"process {self.process} on {self.machine}, {self.megabytes:.0f} MB"


class UnlikeError(ValueError):
    """A replica cannot answer as the page would; the message names its machine."""


def fingerprint(folder: Path) -> str:
    """Hash all files of a checkpoint folder that affect an answer.

    Raises:
        OSError: A file cannot be read.
    """
    content = hashlib.sha256()
    for path in sorted(folder / name for name in HASHED if (folder / name).is_file()):
        with path.open("rb") as file:  # evidence may take gigabytes
            digest = hashlib.file_digest(file, "sha256").digest()
        content.update(f"{path.name}\0".encode() + digest)
    return content.hexdigest()


def probe(classifier: Classifier) -> np.ndarray:
    """Return a classifier's calibrated logits for the golden patterns, `[N, C]`."""
    return classifier.assess(golden.patterns()).logits


class Replica:
    """Answers for the page, in a separate process on the machine where it is started."""

    def __init__(self, job: Job) -> None:
        """Remember the job; `introduce` loads everything, because it can report errors.

        Args:
            job: What the replica must agree with.
        """
        self._job = job

    def introduce(self) -> Introduction:
        """Load the checkpoints, and compare everything that affects an answer.

        Returns:
            The introduction of this replica.

        Raises:
            UnlikeError: Something is missing or differs.
        """
        exact = self._opened[1]
        return Introduction(socket.gethostname(), os.getpid(), _megabytes(), exact)

    def check(self) -> None:
        """Classify a golden pattern, to show that the replica still answers.

        Raises:
            Exception: Whatever prevents an answer.
        """
        self._opened[0][0].assess(golden.patterns()[:1])

    def predict_each(
        self,
        number: int,
        photographs: Sequence[np.ndarray],
        allowed: Sequence[Allowed | None],
        top: int,
        explain: bool,
    ) -> list[Prediction]:
        """Call `Classifier.predict_each` of one of the checkpoints.

        Args:
            number: Index of the checkpoint, from 0.
            photographs: Decoded photographs, uint8 `[H, W, 3]` each.
            allowed: For each photograph, the classes that may be answered; None for all.
            top: How many classes a prediction names.
            explain: Compute heat maps.

        Returns:
            The predictions.
        """
        images = list(map(Image.fromarray, photographs))
        return self._opened[0][number].predict_each(images, allowed, top, explain=explain)

    def predict_together(
        self,
        number: int,
        photographs: Sequence[np.ndarray],
        top: int,
        explain: bool,
        only: Sequence[str] | None,
    ) -> Prediction:
        """Call `Classifier.predict_together`; other arguments are as in `predict_each`."""
        images = list(map(Image.fromarray, photographs))
        return self._opened[0][number].predict_together(images, top, explain=explain, only=only)

    @functools.cached_property
    def _opened(self) -> tuple[list[Classifier], bool]:
        """The classifiers, and whether they answer exactly like the page's own."""
        job, machine = self._job, f"The replica on {socket.gethostname()}"
        if different := versions.differences(job.versions, versions.of(torch=job.torch)):
            raise UnlikeError(
                f"{machine} has {', '.join(different)}. Answers could differ: install the same "
                "versions on all machines, and restart the page after an update."
            )
        if job.torch and job.device == "cpu":
            import torch

            torch.set_num_threads(job.threads)
        opened: list[Classifier] = []
        for served in job.served:
            opened.append(_open(job, served, opened, machine))
        pairs = zip(opened, job.served, strict=True)
        exact = [_agrees(classifier, served, machine) for classifier, served in pairs]
        return opened, all(exact)


def _open(job: Job, served: Served, opened: Sequence[Classifier], machine: str) -> Classifier:
    """Load a checkpoint as the page serves it.

    Raises:
        UnlikeError: The checkpoint is missing, differs from the page's, or cannot be used.
    """
    if not served.folder.is_dir():
        raise UnlikeError(
            f"{machine} does not see checkpoint {served.folder}. All machines of the cluster must "
            "see the checkpoint at the same path."
        )
    try:
        if fingerprint(served.folder) != served.fingerprint:
            raise UnlikeError(
                f"{machine} has another checkpoint at {served.folder} than the one on the page. "
                "Copy the same checkpoint to all machines; if it was trained again, restart the "
                "page."
            )
        classifier = Classifier(
            served.folder,
            device=job.device,
            cache_dir=job.cache_dir,
            threads=job.threads,
            backbones=[one.backbone for one in opened],
        )
    except UnlikeError:
        raise
    except (OSError, ImportError, ValueError) as error:
        raise UnlikeError(f"{machine} cannot load checkpoint {served.folder}: {error}") from error
    classifier.allowed = served.allowed
    if job.redacted:
        classifier.checkpoint = redact(classifier.checkpoint)
    return classifier


def _agrees(classifier: Classifier, served: Served, machine: str) -> bool:
    """Tell whether a classifier's answers to the golden patterns equal the page's bit for bit.

    Raises:
        UnlikeError: They differ by more than engines and processors explain.
    """
    found = probe(classifier)
    half = classifier.backbone.device == "cuda"
    difference = float(np.abs(softmax(found) - softmax(served.logits)).max())
    if not difference <= (HALF_TOLERANCE if half else TOLERANCE):
        raise UnlikeError(
            f"{machine} answers differently to test patterns with checkpoint {served.folder}: a "
            f"probability differs by {difference:.2g}. Install the same weights on all machines."
        )
    return np.array_equal(found, served.logits)


def _megabytes() -> float:
    """Return the memory of this process, in MB; 0 if the system does not provide it."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0.0
    resident = next((line for line in lines if line.startswith("VmRSS:")), "VmRSS: 0")
    return int(resident.split()[1]) / 1024
