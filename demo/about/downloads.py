"""What a visitor can take along: the model card, and the classifier as one ONNX file.

The file is made in another program: exporting needs torch, which the page does not, and would hold
up everybody's photographs for seconds and the memory for good. That program is given head, classes
and calibration as they are served, and nothing of the training photographs.
"""

import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from demo.many.downloads import safe_name
from model.checkpoints import checkpoint as checkpoints
from model.checkpoints.checkpoint import CARD, Checkpoint

_ROOT = Path(__file__).resolve().parents[2]
_NEEDED = ("torch", "timm", "onnx", "onnxruntime")
_LOOK_SECONDS = 0.5  # for whether to go on
_MOST_CARD_BYTES = 1_000_000


class NoFileError(Exception):
    """Why there is no file, in a sentence for visitors."""


def why_no_onnx() -> str:
    """Say why this server cannot make ONNX files, in a sentence for visitors; "" where it can."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if not missing:
        return ""
    named = " or ".join(filter(None, (", ".join(missing[:-1]), missing[-1])))
    return (
        f"This server cannot make the ONNX file: it has no {named}. Whoever has the checkpoint can "
        "make it elsewhere, with python -m model export."
    )


class OnnxFile:
    """The ONNX file of a checkpoint, made when it is first asked for, and once."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        """Prepare.

        Args:
            checkpoint: As it is served.
        """
        self._checkpoint = checkpoint
        self._name = safe_name(checkpoint.metrics["data"]["name"])
        self._lock = threading.Lock()
        self._path: Path | None = None

    def get(self, parent: Path) -> Path:
        """Return the file; those who ask while it is being made wait for it.

        It lies in the upload folder, which is removed in the end and within which Gradio serves
        files without a copy. If nobody asks for an hour it is swept, and made again later.

        Args:
            parent: The upload folder.

        Raises:
            NoFileError: It cannot be made.
        """
        with self._lock:
            if self._path is None or not self._path.is_file():
                self._path = self._make(parent)
            os.utime(self._path)
            return self._path

    def _make(self, parent: Path) -> Path:
        if reason := why_no_onnx():
            raise NoFileError(reason)
        parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=parent) as temporary:
            folder, made = Path(temporary) / "checkpoint", Path(temporary) / "made.onnx"
            try:
                checkpoints.save(replace(self._checkpoint, evidence=None, audit=None), folder)
                self._export(folder, made)
                path = Path(tempfile.mkdtemp(dir=parent)) / f"{self._name}.onnx"
                return made.replace(path)
            except (OSError, ValueError, subprocess.SubprocessError) as error:
                print(f"No ONNX file: {_reason(error)}", file=sys.stderr, flush=True)
                raise NoFileError(
                    "The ONNX file could not be made; this server's log says why. The owner can "
                    "try python -m model export."
                ) from error

    def _export(self, folder: Path, path: Path) -> None:
        command = [sys.executable, "-m", "model", "export", "--checkpoint", str(folder)]
        places = ["--cache-dir", str(folder.parent / "cache"), "--onnx", str(path)]
        run([*command, *places])


def run(command: list[str], seconds: float = 600.0) -> None:
    """Run another program of this folder, and end it when this one is ended meanwhile.

    Args:
        command: The program and its arguments.
        seconds: Time it may take, in s.

    Raises:
        CalledProcessError: It failed; what it said is in `stderr`.
        TimeoutExpired: It took too long, or this program is being ended.
    """
    started, said = time.monotonic(), ""
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    with subprocess.Popen(
        command,
        cwd=_ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while process.returncode is None:
            try:
                _, said = process.communicate(timeout=_LOOK_SECONDS)
            except subprocess.TimeoutExpired:
                # Gradio's threads are waited for when Python ends, so this one must not go on.
                if time.monotonic() - started > seconds or not threading.main_thread().is_alive():
                    process.kill()
                    raise
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, stderr=said)


def _reason(error: Exception) -> str:
    """Return what the other program said last, or the error."""
    said = error.stderr if isinstance(error, subprocess.CalledProcessError) else ""
    lines = (said or "").strip().splitlines()
    return lines[-1] if lines else str(error)


def card_file(checkpoint: Checkpoint) -> Path | None:
    """Write a checkpoint's model card under a name of its own, where uploads lie.

    Args:
        checkpoint: The checkpoint.

    Returns:
        The file; None where there is no card, or one that is too large to be one.
    """
    card = checkpoint.folder / CARD if checkpoint.folder else None
    if card is None or not card.is_file() or card.stat().st_size > _MOST_CARD_BYTES:
        return None
    name = safe_name(f"{checkpoint.metrics['data']['name']}-model-card.md")
    path = Path(tempfile.mkdtemp()) / name
    path.write_bytes(card.read_bytes())
    return path
