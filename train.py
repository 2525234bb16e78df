#!/usr/bin/env python
"""Train an image classifier: labelled photographs in, a checkpoint folder out.

python train.py photographs/                        one folder of photographs per class
python train.py photographs/ --out runs/roses --quality best
python train.py labels.csv                          a table: path,label[,split][,group][,parent]
python train.py garden/ --nested                    garden/iris/yellow iris/: classes have parents
python train.py roses.zip --add more-roses/         an archive, and photographs added later
python train.py flowers102 --data-dir data          Oxford 102 Flowers, official split
python train.py                                     scikit-learn's digits, no network needed
"""

import argparse
import gc
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from model.commands import stopping

if __name__ == "__main__":
    stopping.at_once("train.py")  # there is nothing to keep yet

from model import loading, shell, training
from model.backbones.backbone import Backbone
from model.checkpoints import card, checkpoint
from model.checkpoints.page import PageTexts
from model.checkpoints.plots import history_png
from model.commands import cluster_options, console, data_options, train_options
from model.commands.train_options import configure, published_command
from model.features.cluster import Cluster
from model.heads.head import Row
from model.photographs import images
from model.photographs.class_names import escaped, first_few
from model.photographs.dataset import DataSet
from model.splits.split import SplitOptions
from model.training import TrainConfig

INTERRUPTED = "stopped. Features computed so far are kept, so the same command resumes from there."


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line, by default that of this process."""
    return train_options.parse(__doc__, arguments)


def print_data(loaded: DataSet) -> None:
    """Print the split table, the files left out and the notes."""
    rows = [
        (split, f"{len(photos):,}", len(set(photos.labels.tolist())))
        for split, photos in loaded.splits.items()
    ]
    print(console.table(("Split", "Photographs", "Classes"), rows))
    names = ", ".join(loaded.class_names[:10])
    more = f" and {len(loaded.class_names) - 10:,} more" if len(loaded.class_names) > 10 else ""
    print(f"Classes: {names}{more}")
    if loaded.parents:
        print(levels_text(loaded))
    for note in loaded.notes[:20]:
        print(f"Note: {note}")
    if len(loaded.notes) > 20:
        print(f"Note: {len(loaded.notes) - 20} more notes of this kind.")
    if loaded.skipped:
        what = "file is" if len(loaded.skipped) == 1 else "files are"
        print(f"{len(loaded.skipped):,} {what} left out:")
    for bad in loaded.skipped[:20]:
        print(escaped(f"  {bad.path} {bad.reason}"))
    if len(loaded.skipped) > 20:
        print(f"  and {len(loaded.skipped) - 20} more, all listed in skipped.csv")


def levels_text(loaded: DataSet) -> str:
    """Describe the parents of the classes in a line."""
    tops = sorted({parents[0] for parents in loaded.parents if parents})
    alone = sum(not parents for parents in loaded.parents)
    words = "class has none" if alone == 1 else "classes have none"
    rest = f"; {alone:,} {words}" if alone else ""
    return f"Parents: {first_few(tops)} ({len(tops):,} at the top{rest})"


def print_epoch(row: Row) -> None:
    """Print the line of one epoch."""
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
    for split, values in trained.metrics["splits"].items():
        if rows := card.level_rows(values):
            print(f"\nBy level, on {split}:\n{console.table(card.LEVEL_COLUMNS, rows)}")
            print(card.answered_text(values))
    for sentence in card.split_sentences(trained):
        print(sentence)
    print(f"\n{card.trust_text(trained)}")
    if trained.evidence:
        size = (out / checkpoint.EVIDENCE).stat().st_size
        print(
            f"\nEvidence: {len(trained.evidence.names):,} training photographs as embeddings"
            f"{'' if trained.evidence.blob is None else ' and thumbnails'}, {size / 1e6:.1f} MB in "
            f"{checkpoint.EVIDENCE} (--no-evidence or --no-thumbnails would leave them out)."
        )
    print(f"\nCheckpoint {out} written in {seconds:.0f} s. Serve it with:\n")
    print(f"  python -m demo --checkpoint {shell.quote(str(out))}")


def load_data(
    options: argparse.Namespace,
    config: TrainConfig,
    backbone: Backbone,
    cluster: Cluster | None = None,
) -> DataSet:
    """List the photographs, read them, and split them.

    Args:
        options: The command line.
        config: What to train.
        backbone: Its features are computed while the files are read.
        cluster: Workers that compute them; None for this process.

    Returns:
        The data set.
    """
    cached = config.recipe == "default"
    source = loading.Source(
        options.data,
        options.add,
        data_options.columns(options),
        options.class_names,
        options.data_dir,
        options.group_by,
        options.nested,
    )
    how = SplitOptions(
        options.valid_fraction, options.test_fraction, options.seed, options.background
    )
    try:
        return loading.load(
            source,
            how,
            cache_dir=options.cache_dir,
            backbone=backbone if cached else None,
            summaries=cached and config.evidence,
            workers=options.workers or None,
            strict=options.strict,
            cluster=cluster,
        )
    except loading.LeftOutError as error:
        if error.skipped:
            listed = checkpoint.write_skipped(options.cache_dir / "skipped.csv", error.skipped)
            print(f"{listed} lists all files that are left out.", file=sys.stderr)
        raise


def make(
    options: argparse.Namespace, config: TrainConfig, backbone: Backbone, cluster: Cluster | None
) -> tuple[DataSet, checkpoint.Checkpoint]:
    """Load the data and train, printing decisions on the way.

    Args:
        options: The command line.
        config: What to train.
        backbone: From `training.open_for`.
        cluster: See `load_data`.

    Returns:
        The data set and the checkpoint.
    """
    loaded = load_data(options, config, backbone, cluster)
    print_data(loaded)
    classic_text = f"{backbone.device.upper()} (torch)"  # the classic recipe always uses torch
    device_text = classic_text if config.recipe == "classic" else backbone.device_text
    print(
        f"Backbone: {backbone.spec.name}, {backbone.embed_dim:,} features, "
        f"{backbone.transforms.image_size} px, on {device_text}",
        flush=True,
    )
    if backbone.note:
        print(f"Note: {backbone.note}")
    trained = training.train(
        loaded,
        backbone,
        config,
        cache_dir=options.cache_dir,
        on_epoch=print_epoch,
        on_note=lambda note: print(note, flush=True),
        cluster=cluster,
    )
    return loaded, trained


def main(options: argparse.Namespace) -> int:
    """Train with the given options.

    Returns:
        Exit status 0.
    """
    started = time.perf_counter()
    # Modules are never garbage; scanning them again and again took 1.2 s at 100,000 photographs.
    gc.freeze()
    config, page = configure(options), PageTexts().changed(options.title, options.link)
    images.allow(options.max_pixels)
    checkpoint.require_empty(options.out, options.overwrite)
    backbone = training.open_for(config, options.cache_dir)
    with cluster_options.opened(options, backbone) as cluster:
        loaded, trained = make(options, config, backbone, cluster)
    trained = replace(trained, page=page)
    checkpoint.save_or_keep(
        trained,
        options.out,
        elsewhere=[options.cache_dir, Path(tempfile.gettempdir())],
        skipped=loaded.skipped,
        overwrite=options.overwrite,
        extra={
            "README.md": card.render(trained, published_command(sys.argv[1:])).encode(),
            "history.png": history_png(trained.history),
        },
    )
    print_results(trained, options.out, time.perf_counter() - started)
    return 0


if __name__ == "__main__":
    parsed = parse()
    sys.exit(console.run("train.py", lambda: main(parsed), INTERRUPTED))
