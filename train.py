#!/usr/bin/env python
"""Train an image classifier: labelled photographs in, a checkpoint folder out.

python train.py photographs/                        one folder of photographs a class
python train.py photographs/ --out runs/roses --quality best
python train.py flowers102 --data-dir data          Oxford 102 Flowers, official split
python train.py                                     scikit-learn's digits, no network needed
"""

import argparse
import contextlib
import gc
import re
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from model import memo, recipes, training
from model.backbones.backbone import Backbone
from model.backbones.device import DEVICES
from model.backbones.weights import PACKAGED
from model.checkpoints import card, checkpoint
from model.checkpoints.plots import history_png
from model.commands import console
from model.features.extract import EvaluationFeatures
from model.features.signatures import Summaries
from model.heads.head import HeadConfig, Row
from model.photographs import dataset as data
from model.photographs import named as datasets

INTERRUPTED = "stopped. Features computed so far are kept: the same command goes on from there."


def _add_data_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("data")
    group.add_argument(
        "--data-dir",
        type=Path,
        default=Path("data"),
        metavar="ROOT",
        help="for flowers102: the folder that holds flowers-102/, or where it is downloaded to",
    )
    group.add_argument(
        "--class-names",
        type=Path,
        metavar="FILE.json",
        help="display names, {class folder: name}; otherwise a cat_to_name.json in or above DATA",
    )
    group.add_argument(
        "--valid-fraction",
        type=float,
        default=0.2,
        metavar="SHARE",
        help="share of each class for valid, where DATA has no such folder",
    )
    group.add_argument(
        "--test-fraction",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="share of each class for test, where DATA has no such folder",
    )
    group.add_argument("--strict", action="store_true", help="stop if any file cannot be used")


def _add_backbone_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("backbone (frozen)")
    group.add_argument(
        "--recipe",
        choices=("default", "classic"),
        default="default",
        help="classic: the tutorial's training, step for step, nothing cached",
    )
    group.add_argument(
        "--quality",
        choices=("fast", "best"),
        default="fast",
        help="fast: one network, two views; best: two networks, six views a photograph, about "
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
        help="last stages whose mean-pooled outputs stand beside the final layer's (default: 3)",
    )
    group.add_argument(
        "--image-size", type=int, metavar="PX", help="input size (default: the backbone's own)"
    )
    group.add_argument(
        "--framing",
        choices=("crop", "pad", "squash"),
        help="centre crop, whole photograph on a plain ground, or squashed "
        "(default: the backbone's own, mostly crop)",
    )
    group.add_argument(
        "--views",
        type=int,
        metavar="K",
        help="augmented renderings a photograph, beside centre and mirror image (default: "
        f"{recipes.FAST['views']}; best: {recipes.BEST['views']})",
    )


def _add_head_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("head")
    group.add_argument(
        "--head", choices=("linear", "mlp"), help="(default: linear; classic recipe: mlp)"
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
        help=f"of the MLP's hidden layers, 0-1 (default: {HeadConfig.dropout})",
    )
    numbers = {
        "epochs": "passes over the training photographs",
        "batch_size": "photographs a step",
        "lr": "learning rate, highest of the one-cycle schedule",
        "weight_decay": "weight decay",
        "label_smoothing": "share of the target spread over all classes, 0-1",
    }
    fast, best, classic = (
        recipes.resolve("default", "fast"),
        recipes.resolve("default", "best"),
        recipes.resolve("classic", "fast"),
    )
    for name, meaning in numbers.items():
        values = f"default: {fast[name]:g}; classic recipe: {classic[name]:g}"
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
        help="weigh classes inversely to their number of photographs",
    )
    group.add_argument(
        "--patience",
        type=int,
        metavar="EPOCHS",
        help="stop after so many epochs without a better one on valid (default: 0, never)",
    )


def _add_trust_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("honesty")
    group.add_argument(
        "--coverage",
        type=float,
        default=0.99,
        metavar="SHARE",
        help="share of photographs whose set of classes shall hold the right one",
    )
    group.add_argument(
        "--known-pass-rate",
        type=float,
        default=0.99,
        metavar="SHARE",
        help='share of photographs of known classes that shall not be called "none of these"',
    )
    group.add_argument(
        "--no-evidence",
        action="store_true",
        help="keep no embeddings and no 96-px thumbnails of the training photographs",
    )
    group.add_argument(
        "--no-thumbnails",
        action="store_true",
        help="keep embeddings but no thumbnails, for a checkpoint to be given away",
    )


def _add_run_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("run")
    group.add_argument(
        "--out", type=Path, metavar="DIR", help="checkpoint folder (default: runs/NAME_OF_DATA)"
    )
    group.add_argument("--overwrite", action="store_true", help="replace an earlier checkpoint")
    group.add_argument(
        "--refit", action="store_true", help="fit anew what was fitted before; features are kept"
    )
    group.add_argument("--seed", type=int, default=0, help="of split, views, weights and order")
    group.add_argument("--device", choices=DEVICES, default="auto", help="auto: CUDA, else the CPU")
    group.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="threads that decode (default: one a core); classic recipe: processes (default: 4)",
    )
    console.add_cache_dir(group)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line.

    Args:
        arguments: What stands behind `train.py`; by default the process's own.

    Returns:
        The options, with those filled in that depend on the recipe.
    """
    parser = argparse.ArgumentParser(
        prog="train.py", description=__doc__, formatter_class=console.HelpFormatter
    )
    parser.add_argument(
        "data",
        nargs="?",
        default="digits",
        metavar="DATA",
        help="a folder of class folders, with or without train, valid and test above them; or the "
        "name digits or flowers102",
    )
    _add_data_options(parser)
    _add_backbone_options(parser)
    _add_head_options(parser)
    _add_trust_options(parser)
    _add_run_options(parser)
    options = parser.parse_args(arguments)
    classic = options.recipe == "classic"
    if classic and options.quality == "best":
        parser.error("--quality best is no part of the classic recipe")
    for name, value in recipes.resolve(options.recipe, options.quality).items():
        given = getattr(options, name)
        foreign = classic and name not in recipes.CLASSIC
        if foreign and given is not None and (name, given) != ("stages", 0):
            parser.error(f"--{name.replace('_', '-')} is no part of the classic recipe")
        if given is None:
            setattr(options, name, value)
    for name in ("hidden", "dropout"):
        if options.head == "linear" and getattr(options, name) is not None:
            parser.error(f"--{name} is for --head mlp")
    options.hidden = options.hidden or list(HeadConfig.hidden)
    options.dropout = HeadConfig.dropout if options.dropout is None else options.dropout
    if options.out is None:
        folder = Path(options.data)
        name = folder.resolve().name if folder.is_dir() else options.data
        options.out = Path("runs", re.sub(r"[^\w.-]+", "-", name) or "run")
    return options


def configure(options: argparse.Namespace) -> training.TrainConfig:
    """Turn options into a configuration.

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
    return training.TrainConfig(
        recipe=options.recipe,
        backbone=options.backbone,
        stages=options.stages,
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
    """Write the command for the model card: folders by their last name, without the cache's.

    Args:
        arguments: What stood behind `train.py`.

    Returns:
        The command, with nothing in it of where this machine keeps its files.
    """
    shown = ["python", "train.py"]
    for previous, argument in zip(["", *arguments], arguments, strict=False):
        if "--cache-dir" in (previous, argument.partition("=")[0]):
            continue
        if argument in ("--overwrite", "--refit"):
            continue
        option, equals, value = (
            argument.rpartition("=") if argument[:2] == "--" else ("", "", argument)
        )
        shown.append(f"{option}{equals}{'path/to/' + Path(value).name if '/' in value else value}")
    return shlex.join(shown)


def print_data(loaded: data.DataSet) -> None:
    """Print the split table, the files left out and the notes."""
    rows = [
        (split, f"{len(photos):,}", len(set(photos.labels.tolist())))
        for split, photos in loaded.splits.items()
    ]
    print(console.table(("Split", "Photographs", "Classes"), rows))
    for note in loaded.notes[:20]:
        print(f"Note: {note}")
    if len(loaded.notes) > 20:
        print(f"Note: {len(loaded.notes) - 20} more like these.")
    if loaded.skipped:
        print(f"{len(loaded.skipped)} files are left out:")
    for bad in loaded.skipped[:20]:
        print(f"  {bad.path} {bad.reason}")
    if len(loaded.skipped) > 20:
        print(f"  and {len(loaded.skipped) - 20} more, all listed in skipped.csv")


def print_epoch(row: Row) -> None:
    """Print one epoch's line."""
    if row["epoch"] == 1:
        print("\nEpoch  Train loss  accuracy  Valid loss  accuracy  Learning rate  Seconds")
    print(
        f"{row['epoch']:5.0f}  {row['train_loss']:10.4f}  {row['train_accuracy']:8.2%}  "
        f"{row['valid_loss']:10.4f}  {row['valid_accuracy']:8.2%}  {row['learning_rate']:13.1e}  "
        f"{row['seconds']:7.2f}",
        flush=True,
    )


def print_results(trained: checkpoint.Checkpoint, out: Path, seconds: float) -> None:
    """Print the final table and the command that serves the result."""
    rows = [
        (
            split,
            f"{values['photographs']:,}",
            card.percent(values["top1"]),
            card.percent(values["top5"]),
            card.percent(values["macro_f1"]),
            f"{values['loss']:.4f}",
        )
        for split, values in trained.metrics["splits"].items()
    ]
    print(f"\nBest epoch on valid: {trained.training['best_epoch']}\n")
    print(console.table(("Split", "Photographs", "Top-1", "Top-5", "Macro F1", "Loss"), rows))
    print(f"\n{card.trust_text(trained)}")
    if trained.evidence:
        size = (out / checkpoint.EVIDENCE).stat().st_size
        print(
            f"\nEvidence: {len(trained.evidence.names):,} training photographs as embeddings"
            f"{'' if trained.evidence.blob is None else ' and thumbnails'}, {size / 1e6:.1f} MB in "
            f"{checkpoint.EVIDENCE} (--no-evidence, --no-thumbnails leave them out)."
        )
    print(f"\nCheckpoint {out} written; {seconds:.0f} s in all. Serve it with:\n")
    print(f"  python -m demo --checkpoint {shlex.quote(str(out))}")


def load_data(
    options: argparse.Namespace, config: training.TrainConfig, backbone: Backbone
) -> data.DataSet:
    """Load the data set; what needs a decoded photograph is made while its file is checked.

    It is made of all photographs: which are for training is known after the check only.

    Returns:
        The checked data set.
    """
    keepers: list[Callable[[str, Image.Image], None]] = []

    def keep(digest: str, image: Image.Image) -> None:
        for keeper in keepers:
            keeper(digest, image)

    with contextlib.ExitStack() as stack:
        if config.recipe == "default" and not options.strict:  # which may stop at the last file
            if config.evidence:
                keepers.append(stack.enter_context(Summaries(options.cache_dir)).add)
            if EvaluationFeatures.suit(backbone):
                features = EvaluationFeatures(options.cache_dir, backbone)
                keepers.append(stack.enter_context(features).add)
        return datasets.load(
            options.data,
            data_dir=options.data_dir,
            class_names=options.class_names,
            valid_fraction=options.valid_fraction,
            test_fraction=options.test_fraction,
            seed=options.seed,
            strict=options.strict,
            cache_dir=options.cache_dir,
            workers=options.workers or None,
            keep=keep if keepers else None,
        )


def main(options: argparse.Namespace) -> int:
    """Train as the options say.

    Returns:
        Exit status 0.
    """
    started = time.perf_counter()
    # Modules are not garbage: going through them again and again took 1.2 s at 100,000 photographs.
    gc.freeze()
    config = configure(options)
    checkpoint.require_empty(options.out, options.overwrite)
    backbone = training.open_for(config, options.cache_dir)
    loaded = load_data(options, config, backbone)
    print_data(loaded)
    classic_text = f"{backbone.device.upper()} (torch)"  # it trains in torch wherever it runs
    device_text = classic_text if config.recipe == "classic" else backbone.device_text
    print(
        f"Backbone: {backbone.spec.name}, {backbone.embed_dim:,} features, "
        f"{backbone.transforms.image_size} px, on {device_text}",
        flush=True,
    )
    if backbone.note:
        print(f"Note: {backbone.note}")
    place = None  # of the classic recipe nothing is cached
    if config.recipe == "default":
        place = memo.place(loaded, backbone, config, cache_dir=options.cache_dir)
    trained = None
    if place and not options.refit:
        trained = memo.find(place, loaded, config, cache_dir=options.cache_dir)
    if trained:
        print("\nFitted before: same photographs, options and program (--refit fits it anew).")
        place = None
    else:
        trained = training.train(
            loaded, backbone, config, cache_dir=options.cache_dir, on_epoch=print_epoch
        )
    checkpoint.save(
        trained,
        options.out,
        skipped=loaded.skipped,
        overwrite=options.overwrite,
        extra={
            "README.md": card.render(trained, published_command(sys.argv[1:])).encode(),
            "history.png": history_png(trained.history),
        },
    )
    print_results(trained, options.out, time.perf_counter() - started)
    if place:
        memo.keep(place, trained)
    return 0


if __name__ == "__main__":
    parsed = parse()
    sys.exit(console.run("train.py", lambda: main(parsed), INTERRUPTED))
