"""The downloads of the About tab: the model card, and the classifier as one ONNX file.

Another program makes the ONNX file. Exporting needs torch, which the page itself does not use; in
the page's own process it would delay all photographs for seconds, and its memory would never be
freed. That program gets the head, classes and calibration that are served, but no data of training
photographs.
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
from model.checkpoints import schema
from model.checkpoints.card_copy import placed, retitled
from model.checkpoints.checkpoint import CARD, SHIPPED, Checkpoint

_ROOT = Path(__file__).resolve().parents[2]
_NEEDED = ("torch", "timm", "onnx", "onnxruntime")
_LOOK_SECONDS = 0.5  # between checks whether the other program should be stopped
_AGAIN_MINUTES = 5  # after a failure, no click starts another program for so long
_NICER = 10  # how far its priority is below that of the page
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
_MOST_CARD_BYTES = 1_000_000


_FAILED = (
    "The ONNX file could not be made; this server's log says why. Please try again after "
    f"{_AGAIN_MINUTES} minutes. The owner can also use python -m model export."
)


class NoFileError(Exception):
    """There is no file; the message tells visitors why."""


def why_no_onnx() -> str:
    """Tell visitors why this server cannot make ONNX files; "" if it can."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if not missing:
        return ""
    named = " or ".join(filter(None, (", ".join(missing[:-1]), missing[-1])))
    return (
        f"This server cannot make the ONNX file, because it does not have {named}. The owner can "
        "make it elsewhere with python -m model export."
    )


class OnnxFile:
    """The ONNX file of a checkpoint, which is made once, when a visitor first asks for it."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        """Prepare without making the file.

        Args:
            checkpoint: The checkpoint that the page serves.
        """
        self._checkpoint = checkpoint
        self._name = safe_name(checkpoint.metrics["data"]["name"])
        self._lock = threading.Lock()
        self._path: Path | None = None
        self._failed: float | None = None  # when, in s of time.monotonic()

    def get(self, parent: Path) -> Path:
        """Return the file; callers wait while it is being made.

        The file is in the upload folder, which is removed at the end, and from which Gradio serves
        files without copying them. If nobody asks for an hour, it is deleted, and made again later.
        After a failure, there is no new attempt for some minutes.

        Args:
            parent: The upload folder.

        Raises:
            NoFileError: The file cannot be made, or the last attempt failed minutes ago.
        """
        with self._lock:
            if self._path is None or not self._path.is_file():
                now = time.monotonic()
                if self._failed is not None and now - self._failed < 60 * _AGAIN_MINUTES:
                    raise NoFileError(_FAILED)
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
                self._failed = time.monotonic()
                raise NoFileError(_FAILED) from error

    def _export(self, folder: Path, path: Path) -> None:
        command = [sys.executable, "-m", "model", "export", "--checkpoint", str(folder)]
        places = ["--cache-dir", str(folder.parent / "cache"), "--onnx", str(path)]
        run([*command, *places])


def run(command: list[str], seconds: float = 600.0) -> None:
    """Run a program in the repository's folder at a low priority; stop it if this program stops.

    Args:
        command: The program and its arguments.
        seconds: The time limit, in s.

    Raises:
        CalledProcessError: The program failed; `stderr` contains its messages.
        TimeoutExpired: The program took too long, or this program is being stopped.
    """
    started, said = time.monotonic(), ""
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": ""} | _ONE_THREAD
    with subprocess.Popen(
        command,
        cwd=_ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        if hasattr(os, "setpriority"):  # not on Windows
            nicer = min(19, os.getpriority(os.PRIO_PROCESS, process.pid) + _NICER)
            os.setpriority(os.PRIO_PROCESS, process.pid, nicer)
        while process.returncode is None:
            try:
                _, said = process.communicate(timeout=_LOOK_SECONDS)
            except subprocess.TimeoutExpired:
                # Python waits for Gradio's threads before it ends, so this thread must stop.
                if time.monotonic() - started > seconds or not threading.main_thread().is_alive():
                    process.kill()
                    raise
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, stderr=said)


def _reason(error: Exception) -> str:
    """Return the last line that the other program printed, or else the error."""
    said = error.stderr if isinstance(error, subprocess.CalledProcessError) else ""
    lines = (said or "").strip().splitlines()
    return lines[-1] if lines else str(error)


def card_file(checkpoint: Checkpoint) -> Path | None:
    """Copy a checkpoint's model card into the upload folder, under a name of its own.

    The copy has the title of the page, and names no folder that its reader does not have.

    Args:
        checkpoint: The checkpoint.

    Returns:
        The file; None if there is no model card, or a file too large to be one.
    """
    folder = checkpoint.folder
    card = folder / CARD if folder else None
    if folder is None or card is None or not card.is_file():
        return None
    if card.stat().st_size > _MOST_CARD_BYTES:
        return None
    text = card.read_text(encoding="utf-8", errors="replace")
    if checkpoint.page.title != schema.config(folder).get("page", {}).get("title", ""):
        text = retitled(text, checkpoint)
    is_shipped = folder.resolve() == SHIPPED.resolve()
    text = placed(text, SHIPPED.relative_to(_ROOT).as_posix() if is_shipped else "")
    name = safe_name(f"{checkpoint.metrics['data']['name']}-model-card.md")
    path = Path(tempfile.mkdtemp()) / name
    path.write_text(text, encoding="utf-8")
    return path
