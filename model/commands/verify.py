"""`python -m model verify`: check whether a checkpoint's files and answers are unchanged."""

import argparse
import json
from pathlib import Path
from typing import Any

from model import verify
from model.checkpoints import checkpoint as checkpoints
from model.checkpoints import golden, hashes
from model.checkpoints.checkpoint import SHIPPED
from model.commands import console
from model.commands.opening import CHECKPOINT


def add(commands: Any) -> None:
    """Add the `verify` command to the parsers of `python -m model`."""
    command = console.add_command(
        commands,
        "verify",
        run,
        help="check that a checkpoint's files and answers are unchanged",
        description="Compare a checkpoint's files with their stored hashes, and its answers to "
        "drawn patterns with those stored when it was trained. Exit status 1 if any differ.",
    )
    console.add_device(command)
    console.add_cache_dir(command)
    console.add_checkpoint(command, CHECKPOINT, default=SHIPPED)
    output = command.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="print one JSON object")
    output.add_argument(
        "--accept",
        action="store_true",
        help="store the present files and answers as correct, after an intended edit",
    )


def run(options: argparse.Namespace) -> int:
    """Check a checkpoint's files and answers, or accept them in their present state.

    Returns:
        1 if a file or an answer has changed, else 0.
    """
    folder = console.find_checkpoint(options.checkpoint).folder
    places = {"device": options.device, "cache_dir": options.cache_dir}
    if options.accept:
        print(verify.accept(folder, **places))
        return 0
    report = verify.check(folder, **places)
    if options.json:
        print(json.dumps(report.to_json(), ensure_ascii=False, allow_nan=False))
    else:
        print(render(folder, report))
    return 0 if report.sound else 1


def render(folder: Path, report: verify.Report) -> str:
    """Format a report as tables: files, then answers."""
    rows = []
    for name in sorted({*checkpoints.HASHED, *report.problems}):
        there = (folder / name).is_file()
        if name in report.problems:
            state = "changed" if there else "missing"
        elif there:
            state = "not checked" if hashes.FILE in report.problems else "unchanged"
        else:  # an optional file
            continue
        rows.append((name, f"{(folder / name).stat().st_size:,}" if there else "-", state))
    parts = [console.table(("File", "Bytes", "State"), rows)]
    parts += [f"{name} {problem}." for name, problem in report.problems.items()]
    if report.answers:
        rows = [
            (
                f"{answer.pattern} ({width} x {height} px)",
                *(f"{name} {share:.4f}" for name, share in (answer.expected_top, answer.found_top)),
                f"{answer.difference:.1e}",
                "different" if answer.beyond else "reproduced",
            )
            for answer, (width, height) in zip(report.answers, golden.SIZES, strict=True)
        ]
        header = ("Pattern", "Recorded", "Now", "Difference", "State")
        parts.append(f"\n{console.table(header, rows)}")
        parts.append(
            f"Recorded with {report.recorded_on}, replayed with {report.replayed_on}. Difference "
            "is the largest for any class's probability; up to "
            f"{report.answers[0].tolerance:g} is acceptable."
        )
        if drifts := [answer for answer in report.answers if answer.beyond]:
            parts.append(f"\n{verify.warning(drifts)}")
    else:
        parts.append("Changed or missing files are not used, so no pattern was replayed.")
    return "\n".join(parts)
