"""First steps of several commands: open a checkpoint, and make sure that files can be written."""

import argparse
import sys
from pathlib import Path

from model.classifier import Classifier
from model.commands import console

CHECKPOINT = "checkpoint folder, or one on the Hub (default: the shipped flowers)"


def require_folder_of(*files: Path | None) -> None:
    """Make sure that files can be written, before time is spent on computing.

    Raises:
        FileNotFoundError: The folder of a file does not exist.
    """
    for file in files:
        if file and not file.absolute().parent.is_dir():
            raise FileNotFoundError(f"Folder {file.absolute().parent} does not exist.")


def open_classifier(
    options: argparse.Namespace, device: str, *, threads: int | None = None, replay: bool = False
) -> Classifier:
    """Open `--checkpoint`, and replay the golden answers of a downloaded checkpoint.

    Args:
        options: The options, with `checkpoint` and `cache_dir`.
        device: See `Classifier`.
        threads: See `Classifier`.
        replay: Also replay the golden answers of a local checkpoint.

    Returns:
        The classifier; if its answers have changed, a warning is printed to stderr.
    """
    found = console.find_checkpoint(options.checkpoint)
    classifier = Classifier(
        found.folder, device=device, cache_dir=options.cache_dir, threads=threads
    )
    if found.repo or replay:
        from model import verify as verifying

        if drifts := verifying.replay(classifier):
            print(f"Warning: {verifying.warning(drifts)}", file=sys.stderr)
    return classifier
