"""The options of train.py, and how they become a configuration."""

import argparse
import re
import shlex
from pathlib import Path, PureWindowsPath
from typing import get_args

from model import recipes
from model.backbones.device import DEVICES
from model.backbones.weights import PACKAGED
from model.commands import cluster_options, console, data_options
from model.heads.head import HeadConfig, HeadType
from model.training import TrainConfig


def _add_data_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("data")
    group.add_argument(
        "--add",
        action="append",
        default=[],
        metavar="MORE",
        help="more photographs, in any form that DATA may have; may be repeated; if a photograph "
        "has another label there, the later label counts",
    )
    data_options.add_nested(group)
    data_options.add_columns(group)
    data_options.add_group_by(group)
    group.add_argument(
        "--background",
        default="",
        metavar="NAME",
        help="a class of things that belong to no other class; the head learns it but never "
        'answers with it; it raises the score of "none of these"',
    )
    data_options.add_data_dir(group)
    group.add_argument(
        "--class-names",
        type=Path,
        metavar="FILE.json",
        help="display names, {class folder: name}; default: a cat_to_name.json in or above DATA",
    )
    group.add_argument(
        "--valid-fraction",
        type=float,
        default=0.2,
        metavar="SHARE",
        help="share of each class for valid, if DATA has no such folder",
    )
    group.add_argument(
        "--test-fraction",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="share of each class for test, if DATA has no such folder",
    )
    group.add_argument("--strict", action="store_true", help="stop if any file cannot be used")


def _add_backbone_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("backbone (frozen)")
    group.add_argument(
        "--recipe",
        choices=("default", "classic"),
        default="default",
        help="classic: the tutorial's training, step by step, without caching",
    )
    group.add_argument(
        "--quality",
        choices=("fast", "best"),
        default="fast",
        help="fast: one network, two views per photograph; best: two networks, six views, about "
        "ten times the time",
    )
    group.add_argument(
        "--backbone",
        metavar="NAME",
        help=f"{', '.join(PACKAGED)} (installed), a timm name (downloaded), or several joined by + "
        f"(default: {recipes.FAST['backbone']}; best: {recipes.BEST['backbone']})",
    )
    group.add_argument(
        "--stages",
        type=int,
        metavar="N",
        help="number of last stages to pool in addition to the final layer (default: 3)",
    )
    group.add_argument(
        "--pooling",
        choices=("auto", "mean", "second-order"),
        help="second-order: add features for which channels of a stage are active together; auto: "
        "use them if they classify more held-out training photographs correctly (default: auto)",
    )
    group.add_argument(
        "--image-size", type=int, metavar="PX", help="input size (default: the backbone's own)"
    )
    group.add_argument(
        "--framing",
        choices=("crop", "pad", "squash"),
        help="centre crop, whole photograph on a plain ground, or whole photograph distorted "
        "(default: the backbone's own, mostly crop)",
    )
    group.add_argument(
        "--views",
        type=int,
        metavar="K",
        help="augmented renderings per photograph, besides centre and mirror image (default: "
        f"{recipes.FAST['views']}; best: {recipes.BEST['views']})",
    )


def _add_head_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("head")
    group.add_argument(
        "--head",
        choices=get_args(HeadType),
        help="linear: cross-entropy by AdamW; ridge: least squares; mlp: hidden layers; auto: "
        "ridge if there are fewer than 3,000 photographs and fewer than half as many as features, "
        "else linear (default: auto; classic recipe: mlp)",
    )
    group.add_argument(
        "--hidden",
        type=int,
        nargs="+",
        metavar="N",
        help="widths of the MLP's hidden layers (default: 1600 1024)",
    )
    group.add_argument(
        "--dropout",
        type=float,
        metavar="SHARE",
        help=f"dropout of the MLP's hidden layers, 0-1 (default: {HeadConfig.dropout})",
    )
    numbers = {
        "epochs": "passes over the training photographs",
        "batch_size": "photographs per step",
        "lr": "learning rate, the highest of the one-cycle schedule",
        "weight_decay": "weight decay",
        "label_smoothing": "share of the target spread over all classes, 0-1",
    }
    fast, best, classic = (
        recipes.resolve("default", "fast"),
        recipes.resolve("default", "best"),
        recipes.resolve("classic", "fast"),
    )
    for name, meaning in numbers.items():
        given = "4 / number of features" if fast[name] is None else f"{fast[name]:g}"
        values = f"default: {given}; classic recipe: {classic[name]:g}"
        if best[name] != fast[name]:
            values = f"default: {fast[name]:g}; best: {best[name]:g}; classic recipe: " + (
                f"{classic[name]:g}"
            )
        whole = isinstance(classic[name], int)
        group.add_argument(
            f"--{name.replace('_', '-')}",
            type=int if whole else float,
            metavar="N" if whole else "X",
            help=f"{meaning} ({values})",
        )
    group.add_argument(
        "--balance",
        action="store_const",
        const=True,
        help="weight classes inversely to their number of photographs",
    )
    group.add_argument(
        "--patience",
        type=int,
        metavar="EPOCHS",
        help="stop after this many epochs without improvement on valid (default: 0, never)",
    )


def _add_trust_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("calibration and evidence")
    group.add_argument(
        "--coverage",
        type=float,
        default=0.99,
        metavar="SHARE",
        help="share of photographs whose set of classes should contain the right one",
    )
    group.add_argument(
        "--known-pass-rate",
        type=float,
        default=0.99,
        metavar="SHARE",
        help='share of photographs of known classes that should not be called "none of these"',
    )
    group.add_argument(
        "--no-evidence",
        action="store_true",
        help="keep neither embeddings nor 96-px thumbnails of the training photographs",
    )
    group.add_argument(
        "--no-thumbnails",
        action="store_true",
        help="keep embeddings but no thumbnails, for a checkpoint that will be shared",
    )


def _add_page_options(parser: argparse.ArgumentParser) -> None:
    console.add_page_texts(parser.add_argument_group("page"))


def _add_run_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("run")
    group.add_argument(
        "--out", type=Path, metavar="DIR", help="checkpoint folder (default: runs/NAME_OF_DATA)"
    )
    group.add_argument("--overwrite", action="store_true", help="replace an earlier checkpoint")
    group.add_argument(
        "--seed", type=int, default=0, help="seed of the split, views, weights and order"
    )
    group.add_argument("--device", choices=DEVICES, default="auto", help="auto: CUDA or CPU")
    group.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="decoding threads (default: one per core); classic recipe: processes (default: 4)",
    )
    cluster_options.add(group)
    console.add_cache_dir(group)
    console.add_max_pixels(group)


def parse(description: str | None, arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line of train.py.

    Args:
        description: Text above the options in the help.
        arguments: The arguments after `train.py`; by default those of this process.

    Returns:
        The options, with the recipe's values for those that were not given.
    """
    parser = argparse.ArgumentParser(
        prog="train.py", description=description, formatter_class=console.HelpFormatter
    )
    parser.add_argument(
        "data",
        nargs="?",
        default="digits",
        metavar="DATA",
        help=data_options.DATA,
    )
    _add_data_options(parser)
    _add_backbone_options(parser)
    _add_head_options(parser)
    _add_trust_options(parser)
    _add_page_options(parser)
    _add_run_options(parser)
    options = parser.parse_args(arguments)
    classic = options.recipe == "classic"
    if classic and options.quality == "best":
        parser.error("--quality best cannot be used with --recipe classic")
    if classic and options.cluster is not None:
        parser.error("--cluster cannot be used with --recipe classic")
    for name, value in recipes.resolve(options.recipe, options.quality).items():
        given = getattr(options, name)
        foreign = classic and name not in recipes.CLASSIC
        plain = (("stages", 0), ("pooling", "mean"))  # the classic recipe's own values
        if foreign and given is not None and (name, given) not in plain:
            parser.error(f"--{name.replace('_', '-')} cannot be used with --recipe classic")
        if given is None:
            setattr(options, name, value)
    for name in ("hidden", "dropout"):
        if options.head != "mlp" and getattr(options, name) is not None:
            parser.error(f"--{name} needs --head mlp")
    options.hidden = options.hidden or list(HeadConfig.hidden)
    options.dropout = HeadConfig.dropout if options.dropout is None else options.dropout
    if options.out is None:
        source = Path(options.data)
        name = source.resolve().name if source.is_dir() else options.data
        if source.is_file():
            name = source.name.partition(".")[0]
        options.out = Path("runs", re.sub(r"[^\w.-]+", "-", name) or "run")
    return options


def configure(options: argparse.Namespace) -> TrainConfig:
    """Turn the options into a training configuration.

    Raises:
        ValueError: A number is out of range.
    """
    head = HeadConfig(
        head=options.head,
        hidden=tuple(options.hidden),
        dropout=options.dropout,
        epochs=options.epochs,
        batch_size=options.batch_size,
        lr=options.lr,
        weight_decay=options.weight_decay,
        label_smoothing=options.label_smoothing,
        balance=options.balance,
        patience=options.patience,
        seed=options.seed,
    )
    return TrainConfig(
        recipe=options.recipe,
        backbone=options.backbone,
        stages=options.stages,
        pooling=options.pooling,
        image_size=options.image_size,
        framing=options.framing,
        views=options.views,
        head=head,
        coverage=options.coverage,
        known_pass_rate=options.known_pass_rate,
        evidence=not options.no_evidence,
        thumbnails=not options.no_thumbnails,
        device=options.device,
        workers=options.workers,
    )


def published_command(arguments: list[str]) -> str:
    """Return the training command for the model card, without this machine's folders and cache.

    Args:
        arguments: The arguments after `train.py`.

    Returns:
        The command; of each folder only the last part of its path is kept.
    """
    shown = ["python", "train.py"]
    for previous, argument in zip(["", *arguments], arguments, strict=False):
        if {previous, argument.partition("=")[0]} & {"--cache-dir", *cluster_options.PRIVATE}:
            continue
        if argument == "--overwrite":
            continue
        option, equals, value = (
            argument.partition("=") if argument[:2] == "--" else (previous, "", argument)
        )
        # expressions, classes, titles and links may contain a / without being paths
        texts = ("--group-by", "--background", "--title", "--link")
        no_path = option in texts or value.startswith("hf:")
        if {"/", "\\"} & set(value) and not no_path:
            value = f"path/to/{PureWindowsPath(value).name}"  # it knows both separators
        shown.append(f"{option}={value}" if equals else value or argument)
    return shlex.join(shown)
