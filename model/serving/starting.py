"""Starts the replicas of a page, and decides how many threads each of them has."""

import contextlib
import functools
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from model.backbones.backbone import MOST_SERVING_THREADS
from model.cache import default_workers
from model.classifier import Classifier
from model.features import versions
from model.features.cluster import absolute_path
from model.features.joining import joined
from model.serving.pool import Replicas
from model.serving.replica import Introduction, Job, Replica, Served, fingerprint, probe

_log = logging.getLogger(__name__)


@contextlib.contextmanager
def start(
    classifiers: Sequence[Classifier],
    count: int,
    *,
    address: str,
    cache_dir: Path,
    threads: int | None = None,
    redacted: bool = False,
) -> Iterator[tuple[Replicas, list[Introduction]]]:
    """Start replicas of a page's classifiers on a cluster, and end them at the end of the block.

    Args:
        classifiers: The page's classifiers, loaded in this process; each replica loads all of them.
        count: Number of replicas, 1 or more.
        address: `HOST:PORT` of a cluster or `auto`, as in `joining.connect`.
        cache_dir: The cache folder.
        threads: Threads of each replica on a CPU; by default as many as the cluster has for each,
            at most 4.
        redacted: Answers neither show nor name training photographs.

    Yields:
        The replicas, which agree with the classifiers, and the introduction of each.

    Raises:
        ConnectionError: No cluster answers at the address.
        ValueError: Ray is missing, there is no room for the replicas, or a machine has other
            versions, checkpoints or weights.
    """
    for value, option in ((count, "--replicas"), (threads, "--replica-threads")):
        if value is not None and value < 1:
            raise ValueError(f"{option} {value} must be 1 or more.")
    with joined(address) as ray:
        device = classifiers[0].backbone.device
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        cpus, gpus = room(nodes, count, threads, gpu=device == "cuda")
        torch = any(one.backbone.engine is one.backbone.torch_engine for one in classifiers)
        served = [
            Served(absolute_path(one.folder), fingerprint(one.folder), one.allowed, probe(one))
            for one in classifiers
        ]
        job = Job(
            served,
            device,
            absolute_path(cache_dir),
            cpus,
            redacted,
            torch,
            versions.of(torch=torch),
        )
        actor = ray.remote(Replica).options(
            num_cpus=cpus,
            num_gpus=gpus,
            scheduling_strategy="SPREAD",
            runtime_env={"env_vars": _linear_algebra()},
        )
        replicas = Replicas(ray, functools.partial(actor.remote, job), count)
        try:
            said = replicas.introduce()
            if not all(one.exact for one in said):
                _log.warning("Processors or threads differ: answers may differ in the last bit.")
            yield replicas, said
        finally:
            replicas.close()


def _linear_algebra() -> dict[str, str]:
    """Return environment variables that make NumPy compute as in this process, bit for bit.

    Ray would give NumPy as many threads as a replica has CPUs, and the number of threads may change
    the last bit of a result.
    """
    return {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(default_workers()))}


def room(
    nodes: Sequence[Mapping[str, Any]], count: int, threads: int | None, *, gpu: bool
) -> tuple[int, float]:
    """Return how many CPUs, and what share of a GPU, each replica gets.

    Args:
        nodes: The resources of each machine.
        count: Number of replicas.
        threads: CPUs for each replica; None for as many as there are, at most 4.
        gpu: Whether replicas compute on a GPU; if there are fewer GPUs, replicas share them.

    Returns:
        CPUs for each replica, and its share of a GPU, 0-1.

    Raises:
        ValueError: The cluster has no room for the replicas, or no GPU.
    """
    cpus = [int(node.get("CPU", 0)) for node in nodes]

    def fits(each: int) -> int:
        return sum(there // each for there in cpus)

    tried = range(MOST_SERVING_THREADS, 0, -1) if threads is None else (threads,)
    each = next((number for number in tried if fits(number) >= count), 0)
    if not each:
        least = tried[-1]
        raise ValueError(
            f"--replicas {count}: the cluster has room for {fits(least)} replicas of {least} "
            f"CPU{'s' if least > 1 else ''} each."
        )
    if not gpu:
        return each, 0
    gpus = sum(int(node.get("GPU", 0)) for node in nodes)
    if not gpus:
        raise ValueError("--device cuda: no machine of the cluster has a GPU that Ray knows of.")
    return each, 1 / -(-count // gpus)
