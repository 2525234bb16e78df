"""The options by which a command lets a Ray cluster read photographs and compute features."""

import argparse
import contextlib
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from model.commands import stopping

if TYPE_CHECKING:  # importing it takes the backbones' time
    from model.backbones.backbone import Backbone
    from model.features.cluster import Cluster

PRIVATE = ("--cluster", "--actors")
"""Options that say where a command was run, and change nothing of what it gives."""


def add(parser: argparse._ActionsContainer) -> None:
    """Add `--cluster` and `--actors` to a parser or a group of options."""
    parser.add_argument(
        "--cluster",
        metavar="auto|HOST:PORT",
        help="read photographs and compute features on a Ray cluster (pip install -r "
        "requirements-cluster.txt); auto: the one that runs here, else one is started on this "
        "machine; photographs and cache lie where all machines see them",
    )
    parser.add_argument(
        "--actors",
        type=int,
        metavar="N",
        help="workers on the cluster (default: one a core, or one a GPU)",
    )


@contextlib.contextmanager
def opened_quietly(options: argparse.Namespace, backbone: "Backbone") -> Iterator["Cluster | None"]:
    """Open the cluster of a block that prints nothing on stdout; otherwise as `opened`.

    Where a worker dies, Ray says so on stdout, which is to hold the results alone.
    """
    with contextlib.redirect_stdout(sys.stderr), opened(options, backbone) as cluster:
        yield cluster


@contextlib.contextmanager
def opened(options: argparse.Namespace, backbone: "Backbone") -> Iterator["Cluster | None"]:
    """Open the cluster of a block.

    Args:
        options: `cluster`, `actors` and `cache_dir`.
        backbone: What it computes.

    Yields:
        The cluster; None without `--cluster`.

    Raises:
        ConnectionError: Nobody answers at its address.
        ValueError: `--actors` without `--cluster`, or the cluster cannot be used.
    """
    if options.cluster is None:
        if options.actors is not None:
            raise ValueError("--actors is for --cluster.")
        yield None
        return
    from model.features.joining import connect

    cache_dir: Path = options.cache_dir
    with connect(options.cluster, backbone, cache_dir=cache_dir, actors=options.actors) as cluster:
        if threading.current_thread() is threading.main_thread():
            stopping.by_exception()  # Ray has put a handler of its own in the place of ours
        count = len(cluster.processes)
        print(f"Cluster: {count} {'worker' if count == 1 else 'workers'}", file=sys.stderr)
        yield cluster
