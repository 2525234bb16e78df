"""`python -m model evaluate`: measure a checkpoint on labelled photographs."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from model.checkpoints.checkpoint import SHIPPED
from model.commands import console
from model.commands.opening import CHECKPOINT, open_classifier
from model.photographs import images
from model.photographs.class_names import escaped


def add(commands: Any) -> None:
    """Add the command to the parsers of `python -m model`."""
    command = console.add_command(
        commands,
        "evaluate",
        run,
        help="measure a checkpoint on labelled photographs",
        description="Measure a checkpoint on a folder of class folders, matched by class id, "
        "then by class name.",
    )
    console.add_device(command)
    console.add_cache_dir(command)
    console.add_max_pixels(command)
    console.add_checkpoint(command, CHECKPOINT, default=SHIPPED)
    command.add_argument("folder", type=Path, metavar="FOLDER", help="a folder of class folders")
    command.add_argument(
        "--unknown",
        type=Path,
        metavar="FOLDER",
        help="photographs of none of the classes, searched recursively: how many are recognised",
    )
    command.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """Measure a checkpoint on a folder of class folders.

    Returns:
        Exit status 0.
    """
    from model.evaluation import evaluate_folder

    images.allow(options.max_pixels)
    classifier = open_classifier(options, options.device, threads=1)
    result = evaluate_folder(
        classifier, options.folder, unknown=options.unknown, cache_dir=options.cache_dir
    )
    for bad in result["skipped"]:
        print(escaped(f"{bad['path']} {bad['reason']}"), file=sys.stderr)
    if options.json:
        print(json.dumps(result, ensure_ascii=False, allow_nan=False))
        return 0
    figures = {
        "Photographs": f"{result['photographs']:,}",
        "Top-1": f"{result['top1']:.2%}",
        "Top-5": f"{result['top5']:.2%}",
        "Macro F1": f"{result['macro_f1']:.2%}",
        "Loss": f"{result['loss']:.4f}",
        "ECE": f"{result['ece']:.4f}",
        "Coverage": f"{result['coverage']:.2%}",
        "Set size": f"{result['mean_set_size']:.2f}",
        "Known pass": f"{result['known_pass_rate']:.2%}",
    }
    print(console.table(list(figures), [list(figures.values())]))
    for true, predicted, count in result["most_confused"]:
        print(f"  {count} x {true} taken for {predicted}")
    if options.unknown:
        print(
            f"{result['unknown_photographs']:,} unknown photographs: AUROC "
            f"{result['unknown_auroc']:.4f}, {result['unknown_rejected']:.2%} called 'none of "
            "these'"
        )
    return 0
