"""Joins a Ray cluster or starts one, and starts its workers. Only this module imports Ray."""

import contextlib
import importlib
import logging
import os
import secrets
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from model.backbones.backbone import Backbone
from model.cache import temporary_folder
from model.features import versions
from model.features.cluster import FILES, RETRIES, Cluster, absolute_path
from model.features.probe import is_ray
from model.features.tasks import files_together
from model.features.worker import Job, Worker, probe_pixels
from model.photographs import images

_log = logging.getLogger(__name__)
_FIRST_SECONDS, _LAST_SECONDS = 120.0, 30.0  # for the first worker, then for the others
_STORE_BYTES = 200_000_000  # for results in transit; those of a task take about 1 MB
_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_AUTO_CONNECT": "0",  # otherwise a call after the end would start a cluster
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",  # keeps reports on dead workers off stdout
}
"""Environment variables for Ray, which reads most of them when it is imported."""


@contextlib.contextmanager
def connect(
    address: str, backbone: Backbone, *, cache_dir: Path, actors: int | None = None
) -> Iterator[Cluster]:
    """Start workers on a cluster, and end them at the end of the block.

    Args:
        address: `HOST:PORT` of a cluster, or `auto` for the cluster that Ray finds. If there is
            none, one is started on this machine and ended with the block.
        backbone: The backbone that the workers use.
        cache_dir: The cache folder, on a file system that all machines see.
        actors: Number of workers; by default one per core, or one per GPU.

    Yields:
        The workers.

    Raises:
        ConnectionError: No cluster answers at the address.
        ValueError: Ray is missing, there is no room for the workers, or a machine has other
            versions, weights or files.
    """
    if actors is not None and actors < 1:
        raise ValueError(f"--actors {actors} must be 1 or more.")
    with joined(address) as ray:
        cache_dir.mkdir(parents=True, exist_ok=True)
        with temporary_folder(cache_dir) as marker:
            yield _start(ray, backbone, cache_dir, marker, actors)


@contextlib.contextmanager
def joined(address: str) -> Iterator[Any]:
    """Connect this process to a cluster, and leave it at the end of the block.

    Args:
        address: `HOST:PORT` or `auto`, as in `connect`.

    Yields:
        The module `ray`.

    Raises:
        ConnectionError: No cluster answers at the address.
        KeyboardInterrupt: SIGTERM came while Ray started.
        ValueError: Ray is missing, or the address has another form.
    """
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    found = _found(address)
    if not found and "ray" not in sys.modules:
        # Ray listens on all addresses of this machine, and executes whatever it receives. A token
        # keeps out others on the network; Ray reads it when it is imported.
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    try:
        ray: Any = importlib.import_module("ray")
    except ModuleNotFoundError:
        raise ValueError("--cluster needs Ray: pip install -r requirements-cluster.txt") from None
    try:
        with _own_signals():
            _join(ray, found)
        yield ray
    finally:
        ray.shutdown()


def _found(address: str) -> str | None:
    """Return the address of the cluster to join; None if one should be started.

    Raises:
        ConnectionError: No cluster answers at the address, or at the one in RAY_ADDRESS.
        ValueError: The address has another form.
    """
    option, found = "--cluster", address
    if address == "auto":
        option, found = "RAY_ADDRESS", os.environ.get("RAY_ADDRESS", "")
        if found == "local":
            return None
        if found in ("", "auto"):
            noted = _noted()
            return noted if noted and is_ray(noted) else None  # it may have ended without a word
    try:
        answers = is_ray(found)
    except ValueError as error:
        raise ValueError(f"{option} {error}") from None
    if not answers:
        raise ConnectionError(
            f"{option} {found}: no Ray cluster answers there. Start one with `ray start --head`, "
            "and name its HOST:PORT."
        )
    return found


def _join(ray: Any, address: str | None) -> None:
    """Connect this process to a cluster, or start one if there is no address."""
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address is None:
        ray.init(
            address="local",
            num_cpus=_cores(),
            object_store_memory=_STORE_BYTES,
            include_dashboard=False,
            **quiet,
        )
        return
    try:
        ray.init(address=address, **quiet)
    except (RuntimeError, OSError, ValueError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ConnectionError(
            f"Ray cluster {address} cannot be used from here: {reason}. This machine must be one "
            "of the cluster's, and know its token if there is one (RAY_AUTH_TOKEN_PATH)."
        ) from error


@contextlib.contextmanager
def _own_signals() -> Iterator[None]:
    """Restore this process's signal handlers, because Ray's would end it with a traceback."""
    handlers = [(number, signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        yield
    except SystemExit as stopped:  # Ray turns SIGTERM into this
        raise KeyboardInterrupt from stopped
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in handlers:
                signal.signal(number, handler)


def _cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _noted() -> str | None:
    """Return the address of the cluster that `ray start` has recorded on this machine, if any."""
    temporary = os.environ.get("TMPDIR") if sys.platform == "linux" else None
    folder = Path(os.environ.get("RAY_TMPDIR") or temporary or "/tmp", "ray")
    try:
        return (folder / "ray_current_cluster").read_text(encoding="utf-8").strip() or None
    except OSError:
        return None


def _start(
    ray: Any, backbone: Backbone, cache_dir: Path, marker: Path, actors: int | None
) -> Cluster:
    """Start workers, and make sure that each agrees with this process."""
    by_torch = backbone.engine is backbone.torch_engine
    each, capacity = _room(ray.cluster_resources(), backbone)
    if (actors or 1) > capacity:
        raise ValueError(
            f"--actors {actors or 1}: the cluster has room for {capacity} workers of {each} CPU"
            f"{'s and a GPU' if backbone.device == 'cuda' else ''} each."
        )
    job = Job(
        backbone.spec.to_json(),
        backbone.device,
        by_torch,
        absolute_path(cache_dir),
        absolute_path(marker),
        images.largest(),
        each,
        versions.of(torch=by_torch),
        backbone.features(probe_pixels(backbone)),
    )
    actor = ray.remote(Worker).options(
        num_cpus=each,
        num_gpus=int(backbone.device == "cuda"),
        max_restarts=-1,
        max_task_retries=RETRIES,
        scheduling_strategy="SPREAD",
    )
    workers = _introduce(ray, [actor.remote(job) for _ in range(actors or capacity)])
    return Cluster(ray, workers, FILES if files_together(backbone) == 1 else None)


def _room(resources: Mapping[str, float], backbone: Backbone) -> tuple[int, int]:
    """Return how many CPUs a worker takes, and for how many workers there is room.

    With ONNX Runtime a worker has one thread. If the backbone runs on a GPU, the CPUs decode. Torch
    on a CPU has as many threads as in this process, so that it computes the same features.
    """
    cpus = int(resources.get("CPU", 0))
    if backbone.device == "cuda":
        gpus = int(resources.get("GPU", 0))
        return max(1, cpus // max(1, gpus)), min(gpus, cpus)
    if backbone.engine is backbone.torch_engine:
        import torch

        threads = torch.get_num_threads()
        return threads, cpus // threads
    return 1, cpus


def _introduce(ray: Any, workers: list[Any]) -> dict[Any, int]:
    """Wait until workers have started and compared themselves with this process.

    Returns:
        Worker -> process id, for the workers that have started in time.

    Raises:
        ValueError: No worker has started in time, or a worker differs from this process.
    """
    said = {worker.introduce.remote(): worker for worker in workers}
    ready, late = ray.wait(list(said), num_returns=1, timeout=_FIRST_SECONDS)
    if not ready:
        raise ValueError(
            f"No worker of the cluster has started within {_FIRST_SECONDS:.0f} s. Check with "
            "`ray status` whether its CPUs are in use."
        )
    if late:
        ready, late = ray.wait(list(said), num_returns=len(said), timeout=_LAST_SECONDS)
    for answer in late:
        ray.kill(said[answer])
    if late:
        _log.warning("%d of %d workers did not start in time.", len(late), len(said))
    started, faults, inexact = {}, set(), False
    for answer in ready:
        try:
            process, exact = ray.get(answer)
        except ray.exceptions.RayTaskError as error:
            faults.add(str(error.cause))
        except ray.exceptions.RayError as error:
            reason = str(error).strip().splitlines()[-1].strip()
            faults.add(f"A worker cannot start, perhaps without Frostflower's code: {reason}")
        else:
            started[said[answer]] = process
            inexact |= not exact
    if faults:
        raise ValueError(" ".join(sorted(faults)))
    if inexact:
        _log.warning("Processors of the cluster differ: features may differ in the last bit.")
    return started
