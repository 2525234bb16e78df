"""`python -m model evaluate`: measure a checkpoint on labelled photographs."""

import argparse
import json
import sys
from typing import Any

from model.checkpoints import card
from model.checkpoints.checkpoint import SHIPPED, Checkpoint
from model.commands import cluster_options, console, data_options
from model.commands.opening import CHECKPOINT, open_classifier
from model.photographs import images
from model.photographs.class_names import escaped
from model.photographs.dataset import SPLITS, Listing


def add(commands: Any) -> None:
    """Add the `evaluate` command to the parsers of `python -m model`."""
    command = console.add_command(
        commands,
        "evaluate",
        run,
        help="measure a checkpoint on labelled photographs",
        description="Measure a checkpoint on labelled photographs. Labels are matched with its "
        "class ids, then with its class names.",
    )
    console.add_device(command)
    console.add_cache_dir(command)
    console.add_max_pixels(command)
    cluster_options.add(command)
    console.add_checkpoint(command, CHECKPOINT, default=SHIPPED)
    command.add_argument("data", metavar="DATA", help=data_options.DATA)
    command.add_argument(
        "--split",
        choices=SPLITS,
        help="use only the photographs of this split, if DATA has splits",
    )
    data_options.add_nested(command)
    data_options.add_columns(command)
    data_options.add_data_dir(command)
    command.add_argument(
        "--unknown",
        metavar="DATA",
        help="photographs of none of the classes, whatever their labels: measures how many are "
        "called 'none of these'",
    )
    command.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """Measure a checkpoint on labelled photographs.

    Returns:
        Exit status 0.
    """
    from model.evaluation import evaluate
    from model.photographs.sources import list_unlabelled

    images.allow(options.max_pixels)
    classifier = open_classifier(options, options.device, threads=1)
    places = {
        "data_dir": options.data_dir,
        "cache_dir": options.cache_dir,
        "columns": data_options.columns(options),
    }
    listing = _listing(options, classifier.checkpoint, places)
    if not options.split and any(entry.split == "train" for entry in listing.entries):
        print(
            f"Note: {options.data} has splits, and this measures all of them, including train. "
            "Choose one, for example with --split test.",
            file=sys.stderr,
        )
    unknown = list_unlabelled(options.unknown, **places) if options.unknown else None
    with cluster_options.opened_quietly(options, classifier.backbone) as cluster:
        result = evaluate(
            classifier,
            listing,
            split=options.split or "",
            unknown=unknown,
            cache_dir=options.cache_dir,
            cluster=cluster,
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
    if rows := card.level_rows(result):
        print(f"\n{console.table(card.LEVEL_COLUMNS, rows)}\n{card.answered_text(result)}\n")
    if "background" in result:
        print(
            f"{result['background']:,} photographs of the background: "
            f"{result['background_rejected']:.2%} called 'none of these'"
        )
    for true, predicted, count in result["most_confused"]:
        print(f"  {count} x {true} classified as {predicted}")
    if options.unknown:
        print(
            f"{result['unknown_photographs']:,} unknown photographs: AUROC "
            f"{result['unknown_auroc']:.4f}, {result['unknown_rejected']:.2%} called 'none of "
            "these'"
        )
    return 0


def _listing(
    options: argparse.Namespace, checkpoint: Checkpoint, places: dict[str, Any]
) -> Listing:
    """List the photographs, as nested folders if the upper ones are the checkpoint's parents."""
    from model.photographs.sources import list_source

    places = {"splits": bool(options.split), **places}
    listing = list_source(options.data, nested=options.nested, **places)
    found = {entry.class_id for entry in listing.entries}
    above = {name for names in checkpoint.parents for name in names}
    classes = {name.casefold() for name in (*checkpoint.class_ids, *checkpoint.class_names)}
    is_flat = not above & found and any(name.casefold() in classes for name in found)
    if options.nested or not above or is_flat:
        return listing
    try:
        return list_source(options.data, nested=True, **places)
    except ValueError as error:
        raise ValueError(
            f"Folders in {options.data} hold class folders, like the checkpoint's parents. {error}"
        ) from error
