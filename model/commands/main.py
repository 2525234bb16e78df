"""Use a checkpoint from the command line.

python -m model predict flower.jpg photographs/
python -m model predict photographs/ --csv predictions.csv
python -m model predict flower.jpg --figure flower.png
python -m model evaluate photographs/ --checkpoint runs/roses
python -m model audit photographs/ --csv problems.csv
python -m model export --onnx flowers.onnx
python -m model verify --checkpoint runs/roses
python -m model push USER/NAME --checkpoint runs/roses
"""

import argparse
import contextlib
import csv
import json
import sys
from pathlib import Path
from typing import Any

from model import predictions
from model.backbones.device import DEVICES
from model.checkpoints.checkpoint import SHIPPED
from model.classifier import Classifier, Prediction
from model.commands import console
from model.photographs import images


def require_folder_of(*files: Path | None) -> None:
    """Make sure that files can be written, before anything is computed.

    Raises:
        FileNotFoundError: The folder of one does not exist.
    """
    for file in files:
        if file and not file.absolute().parent.is_dir():
            raise FileNotFoundError(f"Folder {file.absolute().parent} does not exist.")


def open_classifier(
    options: argparse.Namespace, device: str, *, threads: int | None = None, replay: bool = False
) -> Classifier:
    """Open `--checkpoint`; what was downloaded is asked its golden questions again.

    Args:
        options: `checkpoint` and `cache_dir`.
        device: As `Classifier`.
        threads: As `Classifier`.
        replay: Ask a local checkpoint, too.

    Returns:
        The classifier; where it does not answer as it did when made, stderr says so.
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


def predict(options: argparse.Namespace) -> int:
    """Classify files.

    Returns:
        1 when a file could not be read, else 0.

    Raises:
        FileNotFoundError: No folder for the table or the figure.
        ValueError: No photographs, or more than one with `--figure`.
    """
    require_folder_of(options.csv, options.figure)
    paths = list(predictions.find(options.images))
    if not paths:
        raise ValueError(f"No photographs in {', '.join(map(str, options.images))}.")
    if options.figure and len(paths) != 1:
        raise ValueError(f"--figure draws one photograph; {len(paths)} were given.")
    if options.top < 1:
        raise ValueError(f"--top {options.top} must be 1 or more.")
    classifier = open_classifier(options, options.device)
    top = min(options.top, len(classifier.checkpoint.class_ids))
    failed = 0
    with contextlib.ExitStack() as stack:
        write_row = None
        if options.csv:
            file = stack.enter_context(
                options.csv.open("w", newline="", encoding="utf-8", errors="backslashreplace")
            )
            write_row = csv.writer(file).writerow
            write_row(predictions.csv_header(top))
        explain = options.figure is not None
        for path, image, outcome in predictions.predict_all(
            classifier, paths, top, explain=explain
        ):
            bad = isinstance(outcome, images.BadImageError)
            failed += bad
            if bad:
                print(f"{path} {outcome}", file=sys.stderr)
            if write_row:
                write_row(predictions.csv_row(path, outcome, top))
            elif options.json:
                row = predictions.to_json(path, outcome)
                print(json.dumps(row, ensure_ascii=False), flush=True)
            elif isinstance(outcome, Prediction):
                predictions.show(path, outcome, sys.stdout)
            if options.figure and image and isinstance(outcome, Prediction):
                from model.checkpoints.plots import prediction_png

                transforms = classifier.backbone.transforms
                options.figure.write_bytes(prediction_png(image, outcome, transforms, path.name))
    if options.csv:
        print(f"{options.csv}: {len(paths)} rows", file=sys.stderr)
    return 1 if failed else 0


def evaluate(options: argparse.Namespace) -> int:
    """Measure a checkpoint on a folder of class folders.

    Returns:
        Exit status 0.
    """
    from model.evaluation import evaluate_folder

    classifier = open_classifier(options, options.device, threads=1)
    result = evaluate_folder(
        classifier, options.folder, unknown=options.unknown, cache_dir=options.cache_dir
    )
    for bad in result["skipped"]:
        print(f"{bad['path']} {bad['reason']}", file=sys.stderr)
    if options.json:
        print(json.dumps(result, ensure_ascii=False))
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


def audit(options: argparse.Namespace) -> int:
    """Look for problems in a data folder.

    Returns:
        Exit status 0.

    Raises:
        FileNotFoundError: No folder for the table.
        ValueError: `--save` without `--checkpoint`, or `--top` below 1.
    """
    from model.audit import audit as audits
    from model.audit.findings import render, write_csv
    from model.backbones.backbone import Backbone, open_backbone
    from model.checkpoints import checkpoint as checkpoints
    from model.features.read import read_photos
    from model.photographs.scan import list_folder

    require_folder_of(options.csv)
    if options.top < 1:
        raise ValueError(f"--top {options.top} must be 1 or more.")
    if options.save and not options.checkpoint:
        raise ValueError("--save writes into a checkpoint folder. Name it with --checkpoint DIR.")
    places = {"device": options.device, "cache_dir": options.cache_dir}
    if options.checkpoint:
        found_at = console.find_checkpoint(options.checkpoint)
        if options.save and found_at.repo:
            raise ValueError("--save writes into a checkpoint folder; this is one of the Hub.")
        backbone = Backbone(checkpoints.load(found_at.folder).backbone, **places)
    else:
        backbone = open_backbone(**places)
    data = read_photos(list_folder(options.folder), cache_dir=options.cache_dir)
    for bad in data.skipped:
        print(f"{bad.path} {bad.reason}", file=sys.stderr)
    found = audits.audit(data, backbone, cache_dir=options.cache_dir)
    if options.json:
        print(json.dumps(found.summary(options.top), ensure_ascii=False))
    else:
        print(render(found, options.top))
    if options.csv:
        print(f"{options.csv}: {write_csv(found, options.csv):,} rows", file=sys.stderr)
    if options.save:
        path = checkpoints.save_audit(Path(options.checkpoint), found.summary())
        print(f"{path}: shown on the page's Evaluation tab", file=sys.stderr)
    return 0


def export(options: argparse.Namespace) -> int:
    """Write a checkpoint as one ONNX file.

    Returns:
        Exit status 0.
    """
    from model.sharing import export as exporting

    exporting.require_writable(options.onnx, options.overwrite)
    classifier = open_classifier(options, "cpu", replay=True)
    print(exporting.export(classifier, options.onnx, overwrite=options.overwrite).render())
    return 0


def verify(options: argparse.Namespace) -> int:
    """Check a checkpoint's files and answers, or accept them as they are.

    Returns:
        1 when a file or an answer is not as it was, else 0.
    """
    from model import verify as verifying

    folder = console.find_checkpoint(options.checkpoint).folder
    places = {"device": options.device, "cache_dir": options.cache_dir}
    if options.accept:
        print(verifying.accept(folder, **places))
        return 0
    report = verifying.check(folder, **places)
    if options.json:
        print(json.dumps(report.to_json(), ensure_ascii=False))
    else:
        print(verifying.render(folder, report))
    return 0 if report.sound else 1


def push(options: argparse.Namespace) -> int:
    """Put a checkpoint on the Hugging Face Hub.

    Returns:
        Exit status 0.
    """
    from model.sharing.publish import LEFT_OUT
    from model.sharing.upload import push as push_checkpoint

    folder = console.find_checkpoint(options.checkpoint).folder
    done = push_checkpoint(
        folder, options.name, private=options.private, license_id=options.license
    )
    print(f"{done.url} {'made' if done.created else 'updated'}, without {LEFT_OUT}.")
    print(f"\n  python -m model predict PHOTOGRAPH --checkpoint {options.name}@{done.commit}")
    return 0


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line.

    Args:
        arguments: What stands behind `python -m model`; by default the process's own.

    Returns:
        The options; `run` is the command's function.
    """
    parser = argparse.ArgumentParser(
        prog="python -m model", description=__doc__, formatter_class=console.HelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    places = argparse.ArgumentParser(add_help=False)
    places.add_argument("--device", choices=DEVICES, default="auto", help="auto: CUDA or CPU")
    console.add_cache_dir(places)
    chosen = argparse.ArgumentParser(add_help=False)
    console.add_checkpoint(
        chosen,
        "checkpoint folder, or one on the Hub (default: the shipped flowers)",
        default=SHIPPED,
    )
    shared = argparse.ArgumentParser(add_help=False, parents=[places, chosen])
    command = commands.add_parser(
        "predict",
        parents=[shared],
        help="classify photographs",
        description="Classify photographs. Exit status 1 when a file cannot be read.",
        formatter_class=console.HelpFormatter,
    )
    command.add_argument(
        "images", nargs="+", type=Path, metavar="IMAGE", help="photographs, or folders of them"
    )
    command.add_argument("--top", type=int, default=5, metavar="N", help="classes to name")
    output = command.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="one JSON object a line")
    output.add_argument("--csv", type=Path, metavar="FILE", help="write a table")
    command.add_argument(
        "--figure",
        type=Path,
        metavar="FILE.png",
        help="draw the photograph, where the classifier looked, and the bars",
    )
    command.set_defaults(run=predict)
    command = commands.add_parser(
        "evaluate",
        parents=[shared],
        help="measure a checkpoint on labelled photographs",
        description="Measure a checkpoint on a folder of class folders, matched by class id, "
        "then by class name.",
        formatter_class=console.HelpFormatter,
    )
    command.add_argument("folder", type=Path, metavar="FOLDER", help="a folder of class folders")
    command.add_argument(
        "--unknown",
        type=Path,
        metavar="FOLDER",
        help="photographs of none of the classes, searched recursively: how many are recognised",
    )
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.set_defaults(run=evaluate)
    _add_audit(commands, places)
    _add_export(commands, chosen)
    _add_verify(commands, shared)
    _add_push(commands)
    return parser.parse_args(arguments)


def _add_audit(commands: Any, places: argparse.ArgumentParser) -> None:
    command = commands.add_parser(
        "audit",
        parents=[places],
        help="look for problems in a data folder",
        description="Look for copies, likely label errors and outliers in a folder of class "
        "folders, with or without train, valid and test above them.",
        formatter_class=console.HelpFormatter,
    )
    command.add_argument("folder", type=Path, metavar="FOLDER", help="the data folder")
    console.add_checkpoint(
        command,
        "use its backbone; its classes need not be FOLDER's "
        "(default: the default backbone, which is quick)",
    )
    command.add_argument("--top", type=int, default=20, metavar="N", help="rows a table on screen")
    command.add_argument(
        "--csv",
        type=Path,
        metavar="FILE",
        help="write all findings; label_error ranks every photograph, however sound it looks",
    )
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.add_argument(
        "--save",
        action="store_true",
        help="write the summary into the checkpoint folder, for the page",
    )
    command.set_defaults(run=audit)


def _add_export(commands: Any, chosen: argparse.ArgumentParser) -> None:
    command = commands.add_parser(
        "export",
        parents=[chosen],
        help="write a checkpoint as one ONNX file",
        description="Write backbone, head, views, temperature, sets and the unknown score as one "
        "ONNX file, with class names, framing and thresholds in its metadata. It is compared with "
        "the classifier before it is put in its place.",
        formatter_class=console.HelpFormatter,
    )
    command.add_argument("--onnx", type=Path, required=True, metavar="FILE", help="the file")
    command.add_argument("--overwrite", action="store_true", help="replace FILE where it exists")
    console.add_cache_dir(command)
    command.set_defaults(run=export)


def _add_verify(commands: Any, shared: argparse.ArgumentParser) -> None:
    command = commands.add_parser(
        "verify",
        parents=[shared],
        help="check that a checkpoint's files and answers are as they were",
        description="Compare a checkpoint's files with their stored hashes, and its answers to "
        "drawn patterns with those stored when it was trained. Exit status 1 when one differs.",
        formatter_class=console.HelpFormatter,
    )
    output = command.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="print one JSON object")
    output.add_argument(
        "--accept",
        action="store_true",
        help="store the files and answers as they are now, after an edit that was meant",
    )
    command.set_defaults(run=verify)


def _add_push(commands: Any) -> None:
    command = commands.add_parser(
        "push",
        help="put a checkpoint on the Hugging Face Hub",
        description="Put a checkpoint on the Hugging Face Hub as a model, without thumbnails, file "
        "names and hashes of training photographs. The token comes from: hf auth login, or the "
        "variable HF_TOKEN.",
        formatter_class=console.HelpFormatter,
    )
    command.add_argument("name", metavar="USER/NAME", help="the model's name on the Hub")
    console.add_checkpoint(command, "checkpoint folder", required=True)
    command.add_argument("--private", action="store_true", help="make a new model private")
    command.add_argument(
        "--license", default="", metavar="ID", help="licence for the card, such as apache-2.0"
    )
    command.set_defaults(run=push)


def run() -> int:
    """Run the command that the process was given.

    Returns:
        Its exit status.
    """
    parsed = parse()
    return console.run(f"python -m model {parsed.command}", lambda: parsed.run(parsed))
