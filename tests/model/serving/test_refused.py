"""Replicas that must not answer: each reason is one sentence at the start, and ends the page."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from demo.__main__ import parse
from demo.replicas import ReplicatedClassifier
from model.classifier import Classifier
from model.commands import console
from model.serving import starting
from model.serving.starting import room, start

HERE = f"The replica on {socket.gethostname()}"


def no_folder(patch: pytest.MonkeyPatch, classifier: Classifier, folder: Path) -> str:
    patch.setattr(classifier, "folder", folder / "gone")
    return f"{HERE} does not see checkpoint {folder / 'gone'}. All machines of the cluster must"


def another_checkpoint(patch: pytest.MonkeyPatch, classifier: Classifier, _folder: Path) -> str:
    patch.setattr(starting, "fingerprint", lambda _: "of another one")
    return f"{HERE} has another checkpoint at {classifier.folder} than the one on the page."


def other_versions(patch: pytest.MonkeyPatch, _classifier: Classifier, _folder: Path) -> str:
    patch.setattr(np, "__version__", "9.9.9")
    return f"{HERE} has numpy "


def other_answers(patch: pytest.MonkeyPatch, _classifier: Classifier, _folder: Path) -> str:
    real = starting.probe
    patch.setattr(starting, "probe", lambda one: 1.1 * real(one))
    return f"{HERE} answers differently to test patterns with checkpoint "


@pytest.mark.slow
@pytest.mark.parametrize("change", [no_folder, another_checkpoint, other_versions, other_answers])
def test_a_replica_that_would_answer_otherwise_is_named_and_refused(
    change: Callable[..., str], address: str, shipped: Classifier, tmp_path: Path, monkeypatch
):
    classifier = ReplicatedClassifier(device="cpu", backbones=[shipped.backbone])
    said = change(monkeypatch, classifier, tmp_path)
    with (
        pytest.raises(ValueError) as refused,
        start([classifier], 1, address=address, cache_dir=tmp_path / "cache"),
    ):
        pytest.fail("It was accepted.")
    assert str(refused.value).startswith(said)


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What `python -m demo` says when it ends with exit status 2."""
    options = parse([*arguments, "--device", "cpu"])
    assert console.run("python -m demo", lambda: options.run(options)) == 2
    return capsys.readouterr().err


@pytest.mark.slow
def test_the_command_ends_with_a_sentence_where_a_replica_is_refused(
    address: str, engines: Path, monkeypatch, capsys
):
    monkeypatch.setattr(starting, "fingerprint", lambda _: "of another one")
    options = ["--replicas", "1", "--cluster", address, "--cache-dir", str(engines.parent)]
    said = answer(capsys, *options)
    assert f"error: {HERE} has another checkpoint" in said.splitlines()[-1]


def test_an_address_where_no_cluster_answers_is_one_sentence(engines: Path, capsys):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
        options = ["--replicas", "1", "--cluster", address, "--cache-dir", str(engines.parent)]
        said = answer(capsys, *options)
    assert f"error: --cluster {address}: no Ray cluster answers there." in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--cluster", "auto"], "--cluster works only with --replicas."),
        (["--replica-threads", "2"], "--replica-threads works only with --replicas."),
        (["--replicas", "0"], "--replicas 0 must be 1 or more."),
        (["--replicas", "1", "--replica-threads", "0"], "--replica-threads 0 must be 1 or more."),
    ],
)
def test_options_that_make_no_sense_are_refused(
    options: list[str], said: str, engines: Path, capsys
):
    assert said in answer(capsys, *options, "--cache-dir", str(engines.parent))


@pytest.mark.parametrize(
    ("cpus", "count", "threads", "each"),
    [
        ([8], 2, None, 4),  # more threads than 4 a replica bring nothing
        ([8], 3, None, 2),
        ([3, 3], 2, None, 3),  # a replica is on one machine
        ([2, 2, 2], 2, None, 2),
        ([2], 2, 1, 1),
        ([1, 1], 3, None, "room for 2 replicas of 1 CPU each"),
        ([4, 4], 3, 3, "room for 2 replicas of 3 CPUs each"),
    ],
)
def test_replicas_share_the_cores_of_each_machine(
    cpus: list[int], count: int, threads: int | None, each: int | str
):
    nodes: list[dict[str, Any]] = [{"CPU": float(there)} for there in cpus]
    if isinstance(each, int):
        assert room(nodes, count, threads, gpu=False) == (each, 0)
        return
    with pytest.raises(ValueError, match=f"--replicas {count}: the cluster has {each}"):
        room(nodes, count, threads, gpu=False)


@pytest.mark.parametrize(("gpus", "share"), [(4, 1), (2, 1), (1, 0.5)])
def test_replicas_share_a_gpu_only_where_there_are_fewer(gpus: int, share: float):
    assert room([{"CPU": 8.0, "GPU": float(gpus)}], 2, None, gpu=True) == (4, share)


def test_no_gpu_in_the_cluster_is_said():
    with pytest.raises(ValueError, match="no machine of the cluster has a GPU"):
        room([{"CPU": 8.0}], 1, None, gpu=True)
