"""`python -m model audit`: look for problems in labelled photographs."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model.commands import cluster_options, console, data_options
from model.commands.opening import require_folder_of
from model.photographs import images
from model.photographs.class_names import escaped

if TYPE_CHECKING:  # importing it also imports scikit-learn, which is slow
    from model.audit.findings import Audit


def add(commands: Any) -> None:
    """Add the `audit` command to the parsers of `python -m model`."""
    command = console.add_command(
        commands,
        "audit",
        run,
        help="look for problems in labelled photographs",
        description="Look for copies, likely label errors and outliers in labelled photographs.",
    )
    console.add_device(command)
    console.add_cache_dir(command)
    console.add_max_pixels(command)
    cluster_options.add(command)
    command.add_argument("data", metavar="DATA", help=data_options.DATA)
    data_options.add_nested(command)
    data_options.add_columns(command)
    data_options.add_group_by(command)
    data_options.add_data_dir(command)
    console.add_checkpoint(
        command,
        "use the backbone of this checkpoint, whose classes may differ from DATA's "
        "(default: train.py's default backbone, which is fast)",
    )
    command.add_argument("--top", type=int, default=20, metavar="N", help="rows per printed table")
    command.add_argument(
        "--csv",
        type=Path,
        metavar="FILE",
        help="write all findings; label_error ranks every photograph, even likely correct ones",
    )
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.add_argument(
        "--save",
        action="store_true",
        help="store the summary in the checkpoint folder, so that the page can show it",
    )


def run(options: argparse.Namespace) -> int:
    """Look for problems in labelled photographs.

    Returns:
        Exit status 0.

    Raises:
        FileNotFoundError: The folder for the CSV file does not exist.
        ValueError: `--save` without `--checkpoint`, or `--top` below 1.
    """
    from model.audit import audit as audits
    from model.audit.findings import write_csv
    from model.backbones.backbone import Backbone, open_backbone
    from model.checkpoints import checkpoint as checkpoints
    from model.features.read import read_photos
    from model.photographs.sources import list_source

    images.allow(options.max_pixels)
    require_folder_of(options.csv)
    if options.top < 1:
        raise ValueError(f"--top {options.top} must be 1 or more.")
    if options.save and not options.checkpoint:
        raise ValueError("--save needs a checkpoint folder. Name it with --checkpoint DIR.")
    places = {"device": options.device, "cache_dir": options.cache_dir}
    if options.checkpoint:
        found_at = console.find_checkpoint(options.checkpoint)
        if options.save and found_at.repo:
            raise ValueError("--save needs a local checkpoint folder, not one on the Hub.")
        backbone = Backbone(checkpoints.load(found_at.folder).backbone, **places)
    else:
        backbone = open_backbone(pooling="second-order", **places)  # the same cache as train.py
    listing = list_source(
        options.data,
        data_dir=options.data_dir,
        cache_dir=options.cache_dir,
        columns=data_options.columns(options),
        nested=options.nested,
    )
    cache_dir = options.cache_dir
    with cluster_options.opened_quietly(options, backbone) as cluster:
        data = read_photos(
            listing, cache_dir=cache_dir, backbone=backbone, summaries=True, cluster=cluster
        )
        for bad in data.skipped:
            print(escaped(f"{bad.path} {bad.reason}"), file=sys.stderr)
        found = audits.audit(
            data, backbone, group_by=options.group_by, cache_dir=cache_dir, cluster=cluster
        )
    if options.json:
        print(json.dumps(found.summary(options.top), ensure_ascii=False, allow_nan=False))
    else:
        print(render(found, options.top))
    if options.csv:
        print(f"{options.csv}: {write_csv(found, options.csv):,} rows", file=sys.stderr)
    if options.save:
        path = checkpoints.save_audit(Path(options.checkpoint), found.summary())
        print(f"{path} was written for the page's Data tab.", file=sys.stderr)
    return 0


def render(found: "Audit", top: int) -> str:
    """Format the findings for a terminal.

    Args:
        found: The findings.
        top: Most rows per table.

    Returns:
        Lines of text.
    """
    from model.audit.findings import leak_text

    summary = found.summary(top)
    counts, rows = summary["counts"], summary["findings"]
    blocks = [
        f"{summary['photographs']:,} photographs in {summary['num_classes']} classes, "
        f"leave-one-out accuracy {found.accuracy:.2%} "
        f"({found.accuracy_with_copies:.2%} if only the photograph itself is left out).",
        _block(
            f"Likely label errors: {counts['label_error']:,}",
            ("Photograph", "Score", "Label", "Suggested"),
            [
                (row["path"], f"{row['score']:.2f}", row["label"], row["suggested_label"])
                for row in rows["label_error"]
            ],
        ),
        *(
            _block(
                f"{title}: {counts[problem]:,} pairs",
                ("Photograph", "Score", "Same as"),
                [(row["path"], f"{row['score']:.4f}", row["other_path"]) for row in rows[problem]],
            )
            for title, problem in (
                ("Exact duplicates", "exact_duplicate"),
                ("Near duplicates", "near_duplicate"),
            )
        ),
        *(leak_text(leak) for leak in summary["leaks"]),
        _block(
            f"Outliers: {counts['outlier']:,}",
            ("Photograph", "Score", "Label"),
            [(row["path"], f"{row['score']:.2f}", row["label"]) for row in rows["outlier"]],
        ),
    ]
    return "\n\n".join(blocks)


def _block(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    return f"{title}\n{console.table(header, rows)}" if rows else f"{title}."
