"""`python -m model race`: find the backbone that suits some photographs best."""

import argparse
import math
from typing import TYPE_CHECKING, Any

from model import shell
from model.backbones.weights import PACKAGED
from model.commands import console, data_options
from model.photographs import images
from model.photographs.class_names import escaped
from model.recipes import BEST

if TYPE_CHECKING:  # importing it also imports scipy, which is slow
    from model.race import Entrant

_PHOTOGRAPHS = 1000


def add(commands: Any) -> None:
    """Add the `race` command to the parsers of `python -m model`."""
    command = console.add_command(
        commands,
        "race",
        run,
        help="compare backbones on a data folder, before training",
        description="Compare backbones on photographs in class folders. Each photograph is left "
        "out of a ridge head in turn, together with its group, and then classified by that head. "
        "Nothing is trained, and only the cache is written to.",
    )
    console.add_device(command)
    console.add_cache_dir(command)
    console.add_max_pixels(command)
    command.add_argument("data", metavar="DATA", help=data_options.DATA)
    command.add_argument(
        "--backbones",
        default=",".join([*PACKAGED, BEST["backbone"]]),
        metavar="A,B,C",
        help="backbones, in the form of train.py's --backbone, separated by commas",
    )
    command.add_argument(
        "--seconds",
        type=float,
        default=300,
        metavar="N",
        help="time limit for features; photographs that all have seen by then are compared",
    )
    command.add_argument(
        "--photographs",
        type=int,
        default=_PHOTOGRAPHS,
        metavar="N",
        help="photographs to compare on, drawn from each class by its share",
    )
    data_options.add_nested(command)
    data_options.add_columns(command)
    data_options.add_group_by(command)
    data_options.add_data_dir(command)
    command.add_argument("--seed", type=int, default=0, help="seed of the draw")


def run(options: argparse.Namespace) -> int:
    """Compare backbones.

    Returns:
        Exit status 0.

    Raises:
        ConnectionError: Weights cannot be downloaded.
        ValueError: An option is wrong, or there are too few photographs.
    """
    from model.features.read import read_photos
    from model.heads.choose_pooling import MOST
    from model.photographs.sources import list_source
    from model.race import race, sample

    images.allow(options.max_pixels)
    names = [name.strip() for name in options.backbones.split(",") if name.strip()]
    if not names:
        raise ValueError("--backbones names none. Expected at least one name.")
    if not (math.isfinite(options.seconds) and options.seconds > 0):
        raise ValueError(f"--seconds {options.seconds} must be above 0.")
    if not 2 <= options.photographs <= MOST:
        raise ValueError(f"--photographs {options.photographs} is outside 2 to {MOST}.")
    listing = list_source(
        options.data,
        data_dir=options.data_dir,
        cache_dir=options.cache_dir,
        columns=data_options.columns(options),
        nested=options.nested,
    )
    drawn = sample(listing, options.photographs, options.seed)
    data = read_photos(drawn, cache_dir=options.cache_dir, summaries=True)
    for bad in data.skipped:
        print(escaped(f"{bad.path} {bad.reason}"))
    found = race(
        data,
        names,
        seconds=options.seconds,
        group_by=options.group_by,
        seed=options.seed,
        device=options.device,
        cache_dir=options.cache_dir,
        on_note=print,
    )
    print(render(found, options.data))
    return 0


def render(entrants: list["Entrant"], data: str) -> str:
    """Format the result for a terminal.

    Args:
        entrants: The backbones, the most accurate first.
        data: DATA as it was typed.

    Returns:
        A table, and the conclusion from it.
    """
    rows = [
        (
            one.name,
            f"{one.accuracy:.4f}",
            "{:.4f}-{:.4f}".format(*one.interval),
            one.choice.pooling,
            f"{one.width:,}",
            f"{one.milliseconds:.1f}",
        )
        for one in entrants
    ]
    header = ("Backbone", "Accuracy", "95 % interval", "Pooling", "Features", "ms/picture")
    best = entrants[0]
    close = [one for one in entrants if one.accuracy >= best.interval[0]]
    quick = min(close, key=lambda one: one.milliseconds)
    lines = [
        console.table(header, rows),
        f"\nAccuracy on {best.choice.photographs:,} photographs, each left out with its group.",
    ]
    if quick is not best:
        lines.append(
            f"{quick.name} is within the 95 % interval of {best.name} and takes "
            f"{quick.milliseconds / best.milliseconds:.0%} of its time."
        )
    lines.append("Train with the most accurate backbone:\n")
    lines.append(f"  python train.py {shell.quote(data)} --backbone {best.name}")
    return "\n".join(lines)
