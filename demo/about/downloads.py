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
from model.checkpoints import schema
from model.checkpoints.card_copy import placed, retitled
from model.checkpoints.checkpoint import CARD, SHIPPED, Checkpoint

_ROOT = Path(__file__).resolve().parents[2]
_NEEDED = ("torch", "timm", "onnx", "onnxruntime")
_LOOK_SECONDS = 0.5  # for whether to go on
_AGAIN_MINUTES = 5  # after a failure; until then nobody's click starts another program
_NICER = 10  # steps of priority below the page's own
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
_MOST_CARD_BYTES = 1_000_000


_FAILED = (
    "The ONNX file could not be made; this server's log says why. The page tries again when "
    f"somebody asks {_AGAIN_MINUTES} minutes later. The owner can try python -m model export."
)


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
        self._failed: float | None = None  # when, in s of time.monotonic()

    def get(self, parent: Path) -> Path:
        """Return the file; those who ask while it is being made wait for it.

        It lies in the upload folder, which is removed in the end and within which Gradio serves
        files without a copy. If nobody asks for an hour it is swept, and made again later. After
        a failure it is not tried again for some minutes, however many ask.

        Args:
            parent: The upload folder.

        Raises:
            NoFileError: It cannot be made, or could not some minutes ago.
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
    """Run another program of this folder, and end it when this one is ended meanwhile.

    It gets what time of the processor visitors' photographs leave.

    Args:
        command: The program and its arguments.
        seconds: Time it may take, in s.

    Raises:
        CalledProcessError: It failed; what it said is in `stderr`.
        TimeoutExpired: It took too long, or this program is being ended.
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

    It has the title of the page, and names no folder that its reader does not have.

    Args:
        checkpoint: The checkpoint.

    Returns:
        The file; None where there is no card, or one that is too large to be one.
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
