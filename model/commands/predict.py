"""`python -m model predict`: classify photographs."""

import argparse
import contextlib
import csv
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TextIO

from model import predictions
from model.checkpoints.checkpoint import SHIPPED
from model.classifier import Classifier, Prediction
from model.commands import cluster_options, console, data_options, only
from model.commands.opening import CHECKPOINT, open_classifier, require_folder_of
from model.photographs import images
from model.photographs.class_names import escaped
from model.photographs.tables import Columns
from model.trust.levels import SURE, Answer


def add(commands: Any) -> None:
    """Add the command `predict` to `python -m model`."""
    command = console.add_command(
        commands,
        "predict",
        run,
        help="classify photographs",
        description="Classify photographs. The exit status is 1 if a file cannot be read.",
    )
    console.add_device(command)
    console.add_cache_dir(command)
    console.add_max_pixels(command)
    cluster_options.add(command)
    console.add_checkpoint(command, CHECKPOINT, default=SHIPPED)
    command.add_argument(
        "images",
        nargs="+",
        metavar="IMAGE",
        help="photographs, or folders, tables, archives or hf:USER/NAME that contain them",
    )
    data_options.add_columns(command, ("path",))
    data_options.add_data_dir(command)
    command.add_argument("--top", type=int, default=5, metavar="N", help="how many classes to list")
    only.add(command)
    output = command.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="one JSON object per line")
    output.add_argument("--csv", type=Path, metavar="FILE", help="write a table")
    command.add_argument(
        "--figure",
        type=Path,
        metavar="FILE.png",
        help="draw the photograph, where the classifier looked, and the bars",
    )


def run(options: argparse.Namespace) -> int:
    """Classify files.

    Returns:
        1 when a file could not be read, else 0.

    Raises:
        FileNotFoundError: The folder for the table or the figure, or the file of classes, does not
            exist.
        ConnectionError: No cluster answers at `--cluster`.
        ValueError: There are no photographs, `--figure` is given with several photographs or with
            `--cluster`, `--only` names an unknown class, or the cluster cannot be used.
    """
    if options.figure and options.cluster:
        raise ValueError(
            "--figure draws one photograph, and needs its pixels on this machine. Leave out "
            "--cluster."
        )
    require_folder_of(options.csv, options.figure)
    images.allow(options.max_pixels)
    columns = Columns(path=options.path_column)
    paths = list(
        predictions.find(
            options.images, data_dir=options.data_dir, cache_dir=options.cache_dir, columns=columns
        )
    )
    if not paths:
        raise ValueError(f"No photographs in {', '.join(options.images)}.")
    if options.figure and len(paths) != 1:
        raise ValueError(f"--figure draws one photograph; {len(paths)} were given.")
    if options.top < 1:
        raise ValueError(f"--top {options.top} must be 1 or more.")
    lines = only.read(options.only) if options.only else []
    classifier = open_classifier(options, options.device)
    if lines:
        only.restrict(classifier, options.only, lines)
    top = min(options.top, len(classifier.allowed or classifier.checkpoint.class_ids))
    explain, out = options.figure is not None, sys.stdout
    with cluster_options.opened_quietly(options, classifier.backbone) as cluster:
        outcomes = (
            predictions.predict_on(cluster, classifier, paths, top)
            if cluster
            else predictions.predict_all(classifier, paths, top, explain=explain)
        )
        failed = write(outcomes, classifier, top, options, out)
    if options.csv:
        print(f"{options.csv}: {len(paths)} rows", file=sys.stderr)
    return 1 if failed else 0


def write(
    outcomes: Iterable[predictions.Outcome],
    classifier: Classifier,
    top: int,
    options: argparse.Namespace,
    out: TextIO,
) -> int:
    """Write each prediction as soon as it is available, in the format that the options select.

    Args:
        outcomes: Predictions or errors, from `predictions.predict_all` or `predict_on`.
        classifier: The classifier that makes the predictions.
        top: How many classes each prediction names.
        options: The options `csv`, `json` and `figure`.
        out: Stream for printed predictions; reasons why files cannot be read go to stderr.

    Returns:
        Number of files that could not be read.
    """
    extra = {
        "parents": bool(classifier.checkpoint.parents),
        "restricted": classifier.allowed is not None,
    }
    failed = 0
    with contextlib.ExitStack() as stack:
        write_row = None
        if options.csv:
            file = stack.enter_context(
                options.csv.open("w", newline="", encoding="utf-8", errors="backslashreplace")
            )
            write_row = csv.writer(file).writerow
            write_row(predictions.csv_header(top, **extra))
        for path, image, outcome in outcomes:
            if isinstance(outcome, images.BadImageError):
                failed += 1
                print(escaped(f"{path} {outcome}"), file=sys.stderr)
            if write_row:
                write_row(predictions.csv_row(path, outcome, top, **extra))
            elif options.json:
                row = predictions.to_json(path, outcome)
                print(json.dumps(row, ensure_ascii=False, allow_nan=False), file=out, flush=True)
            elif isinstance(outcome, Prediction):
                show(path, outcome, out)
            if options.figure and image and isinstance(outcome, Prediction):
                from model.commands.figure import prediction_png

                transforms = classifier.backbone.transforms
                options.figure.write_bytes(prediction_png(image, outcome, transforms, path.name))
    return failed


def show(path: Path, prediction: Prediction, out: TextIO) -> None:
    """Print a prediction as a table with bars."""
    width = max(len(candidate.label) for candidate in prediction.top)
    print(escaped(str(path)), file=out)
    for candidate in prediction.top:
        share = candidate.probability
        print(f"  {candidate.label:<{width}}  {console.bar(share)}  {share:6.1%}", file=out)
    if prediction.none_of_these:
        print("  Probably none of these: it is unlike everything the classifier knows.", file=out)
    else:
        if prediction.answer:
            print(f"  Answer: {answer_text(prediction.answer)}", file=out)
        print(f"  Set: {', '.join(prediction.label_set)}{promise(prediction)}", file=out)
    if restricted := prediction.restricted:
        print(
            f"  Only {restricted.allowed:,} of {restricted.classes:,} classes "
            f"{'was' if restricted.allowed == 1 else 'were'} allowed; "
            f"{restricted.set_aside:.1%} of the probability went to others, "
            f"{restricted.best.probability:.1%} to {restricted.best.label}.",
            file=out,
        )
    evidence = prediction.evidence
    if evidence and evidence.training_photograph:
        print(f"  It is the training photograph {evidence.training_photograph}.", file=out)
    elif evidence and evidence.disagree:
        labels = ", ".join(dict.fromkeys(similar.label for similar in evidence.similar))
        print(f"  Look twice: the most similar training photographs are {labels}.", file=out)


def promise(prediction: Prediction) -> str:
    """Say how often the set holds the right class; "" if that class is probably not allowed."""
    said = f"holds the right class in {prediction.coverage:.1%} of photographs"
    if prediction.restricted is None:
        return f" ({said})"
    return "" if prediction.is_mostly_aside else f" ({said}, if it is one of those allowed)"


def answer_text(answer: Answer) -> str:
    """Describe the class or parent that is sure enough, and the likely classes of a parent."""
    if not answer.level:
        return f"none is sure enough ({SURE:.0%} or more)"
    named = ", ".join(f"{part.label} {part.probability:.1%}" for part in answer.perhaps)
    said = f"{' > '.join(answer.path)}, {answer.probability:.1%}"
    return f"{said}; but it is not clear which one: {named}" if named else said
