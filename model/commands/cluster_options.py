"""Options for commands that can use a Ray cluster to read photographs and compute features."""

import argparse
import contextlib
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from model.commands import stopping

if TYPE_CHECKING:  # importing it also imports the backbones, which takes time
    from model.backbones.backbone import Backbone
    from model.features.cluster import Cluster

PRIVATE = ("--cluster", "--actors")
"""Options that decide where a command runs, but do not change its results."""


def add(parser: argparse._ActionsContainer) -> None:
    """Add `--cluster` and `--actors` to a parser or a group of options."""
    parser.add_argument(
        "--cluster",
        metavar="auto|HOST:PORT",
        help="read photographs and compute features on a Ray cluster (pip install -r "
        "requirements-cluster.txt); auto: use the cluster that runs here, or start one on this "
        "machine; all machines must see the photographs and the cache",
    )
    parser.add_argument(
        "--actors",
        type=int,
        metavar="N",
        help="workers on the cluster (default: one per core, or one per GPU)",
    )


@contextlib.contextmanager
def opened_quietly(options: argparse.Namespace, backbone: "Backbone") -> Iterator["Cluster | None"]:
    """Open the cluster like `opened`, but print nothing to stdout within the block.

    Ray reports dying workers on stdout, which must hold only the results.

    Args:
        options: The options `cluster`, `actors` and `cache_dir`.
        backbone: The backbone that the workers use.

    Yields:
        The cluster; None without `--cluster`.
    """
    with contextlib.redirect_stdout(sys.stderr), opened(options, backbone) as cluster:
        yield cluster


@contextlib.contextmanager
def opened(options: argparse.Namespace, backbone: "Backbone") -> Iterator["Cluster | None"]:
    """Open the cluster that the options ask for, for the duration of a block.

    Args:
        options: The options `cluster`, `actors` and `cache_dir`.
        backbone: The backbone that the workers use.

    Yields:
        The cluster; None without `--cluster`.

    Raises:
        ConnectionError: No cluster answers at the address.
        ValueError: `--actors` is given without `--cluster`, or the cluster cannot be used.
    """
    if options.cluster is None:
        if options.actors is not None:
            raise ValueError("--actors needs --cluster.")
        yield None
        return
    from model.features.joining import connect

    cache_dir: Path = options.cache_dir
    with connect(options.cluster, backbone, cache_dir=cache_dir, actors=options.actors) as cluster:
        if threading.current_thread() is threading.main_thread():
            stopping.by_exception()  # Ray has replaced our handler by its own
        count = len(cluster.processes)
        print(f"Cluster: {count} {'worker' if count == 1 else 'workers'}", file=sys.stderr)
        yield cluster
