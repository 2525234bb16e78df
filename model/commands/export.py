"""`python -m model export`: write a checkpoint as one ONNX file."""

import argparse
from pathlib import Path
from typing import Any

from model.backbones.device import require_torch
from model.checkpoints.checkpoint import SHIPPED
from model.commands import console
from model.commands.opening import CHECKPOINT, open_classifier


def add(commands: Any) -> None:
    """Add the `export` command to the parsers of `python -m model`."""
    command = console.add_command(
        commands,
        "export",
        run,
        help="write a checkpoint as one ONNX file",
        description="Write backbone, head, views, temperature, sets and the unknown score as one "
        "ONNX file, with class names, framing and thresholds in its metadata. The file is compared "
        "with the classifier before it is moved into place.",
    )
    console.add_checkpoint(command, CHECKPOINT, default=SHIPPED)
    command.add_argument("--onnx", type=Path, required=True, metavar="FILE", help="file to write")
    command.add_argument("--overwrite", action="store_true", help="replace FILE if it exists")
    console.add_cache_dir(command)


def run(options: argparse.Namespace) -> int:
    """Write a checkpoint as one ONNX file.

    Returns:
        Exit status 0.
    """
    require_torch("python -m model export")
    from model.sharing import export as exporting

    exporting.require_writable(options.onnx, options.overwrite)
    classifier = open_classifier(options, "cpu", replay=True)
    print(exporting.export(classifier, options.onnx, overwrite=options.overwrite).render())
    return 0
