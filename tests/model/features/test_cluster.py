"""Features on a Ray cluster of two nodes on this machine: the same bytes, whatever dies."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from loading import load_source
from processes import marked, running

import train
from model.backbones.backbone import Backbone, open_backbone
from model.backbones.transforms import EVALUATION_VIEWS, view_names
from model.commands import console
from model.commands import main as cli
from model.features import versions
from model.features.cluster import Cluster
from model.features.extract import extract
from model.features.joining import connect
from model.features.read import FilePass
from model.features.shards import FeatureCache
from model.features.summaries import summarise
from model.features.tasks import Task
from model.features.worker import Job, Worker
from model.photographs import images
from model.photographs.dataset import Photos, Skipped

ROOT = Path(__file__).resolve().parents[3]
VIEWS = view_names(1, 0)


@pytest.fixture
def folder(photos_dir: Callable[..., Path]) -> Path:
    """18 photographs of 3 classes, a copy of one, and a file that is none."""
    drawn = photos_dir(count=6)
    (drawn / "rose" / "copy.jpg").write_bytes(next((drawn / "rose").glob("*.jpg")).read_bytes())
    (drawn / "tulip" / "notes.jpg").write_text("no photograph")
    return drawn


def kept(cache_dir: Path, backbone: Backbone, photos: Photos) -> dict[bytes, bytes]:
    """Every feature in the cache, as bytes; that of a copy is there once."""
    cache = FeatureCache(cache_dir, backbone)
    keys = sorted({cache.key(digest, view) for digest in photos.digests for view in VIEWS})
    return {key: row.tobytes() for key, row in zip(keys, cache.gather(keys), strict=True)}


def found_in(
    folder: Path, backbone: Backbone, cache_dir: Path, cluster: Cluster | None
) -> tuple[list[str | None], list[Skipped], dict[bytes, bytes], list[bytes]]:
    """All that a pass over the files and an extraction leave in a cache."""
    paths, skipped = sorted(folder.rglob("*.jpg")), []
    arguments: dict[str, Any] = {"backbone": backbone, "summaries": True, "cluster": cluster}
    with FilePass(cache_dir, **arguments) as files:
        digests = files.read(paths, skipped)
    sound = [(path, digest) for path, digest in zip(paths, digests, strict=True) if digest]
    photos = Photos(
        [path for path, _ in sound], np.zeros(len(sound), np.int64), [digest for _, digest in sound]
    )
    extract(backbone, photos, VIEWS, cache_dir=cache_dir, cluster=cluster)
    thumbnails = summarise(photos, cache_dir=cache_dir).thumbnails
    return digests, skipped, kept(cache_dir, backbone, photos), thumbnails


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["onnx", "torch"])
def test_a_cluster_leaves_the_same_bytes_in_the_cache(
    engine: str, address: str, folder: Path, tmp_path: Path, monkeypatch, lite0: Backbone
):
    if engine == "torch":  # in which the size of a batch, and what is in it, may decide a last bit
        monkeypatch.setattr(lite0, "engine", lite0.torch_engine)
    alone = found_in(folder, lite0, tmp_path / "alone", None)
    with connect(address, lite0, cache_dir=tmp_path / "cluster") as cluster:
        assert len(cluster.processes) == 2
        together = found_in(folder, lite0, tmp_path / "cluster", cluster)
    assert together == alone
    assert [bad.path.name for bad in together[1]] == ["notes.jpg"]


@pytest.mark.slow
def test_training_on_a_cluster_makes_the_same_head(address: str, folder: Path, tmp_path: Path):
    for name, more in (("alone", []), ("cluster", ["--cluster", address, "--actors", "2"])):
        places = ["--out", str(tmp_path / name), "--cache-dir", str(tmp_path / f"{name}-cache")]
        options = train.parse([str(folder), "--epochs", "3", "--views", "1", *places, *more])
        assert console.run("train.py", lambda given=options: train.main(given)) == 0
    for file in ("head.safetensors", "evidence.safetensors", "skipped.csv"):
        alone, cluster = (tmp_path / name / file for name in ("alone", "cluster"))
        assert alone.read_bytes() == cluster.read_bytes(), file


@pytest.mark.slow
def test_a_killed_worker_is_replaced_and_no_result_is_lost(
    address: str, folder: Path, tmp_path: Path, lite0: Backbone
):
    photos = load_source(folder, cache_dir=tmp_path / "alone").splits["train"]
    files = list(zip(photos.paths, photos.digests, strict=True))
    batches: list[list[Task]] = [[([file], EVALUATION_VIEWS)] for file in files]
    with connect(address, lite0, cache_dir=tmp_path / "cluster") as cluster:
        computed = cluster.features(batches)
        found = [next(computed)]
        os.kill(cluster.processes[0], signal.SIGKILL)
        found += computed
    expected = extract(lite0, photos, EVALUATION_VIEWS, cache_dir=tmp_path / "alone")
    assert np.array_equal(np.stack([rows for (rows,) in found]).astype(np.float16), expected)


@pytest.mark.slow
@pytest.mark.parametrize("more", [[], ["--only"]], ids=["all classes", "only two"])
def test_predictions_on_a_cluster_are_the_same_lines(
    more: list[str], address: str, folder: Path, tmp_path: Path, capsys, monkeypatch
):
    monkeypatch.chdir(ROOT)
    given = Path(os.path.relpath(folder))  # names stay as they were given; workers need others
    (tmp_path / "only.txt").write_text("pink primrose\nbird of paradise\n")
    said = []
    for cluster in ([], ["--cluster", address, "--actors", "2"]):
        arguments = [str(given), str(given / "missing.jpg"), "--json"]
        arguments += ["--cache-dir", str(tmp_path / "cache")]
        only = [*more, str(tmp_path / "only.txt")] if more else []
        options = cli.parse(["predict", *arguments, *only, *cluster])
        assert console.run("predict", lambda given=options: given.run(given)) == 1
        captured = capsys.readouterr()
        errors = [line for line in captured.err.splitlines() if "jpg" in line]
        said.append((captured.out, errors))
    assert said[0] == said[1]
    rows = [json.loads(line) for line in said[0][0].splitlines()]
    assert len(rows) == 21
    assert {Path(row["path"]).name for row in rows if "error" in row} == {
        "notes.jpg",
        "missing.jpg",
    }
    assert all("evidence" in row for row in rows if "error" not in row)


class Deadly:
    """Ends every process that receives it."""

    def __reduce__(self) -> tuple[Callable[[int], object], tuple[int]]:
        return os._exit, (1,)


@pytest.mark.slow
def test_a_task_that_ends_every_worker_ends_the_run_and_names_its_files(
    address: str, folder: Path, tmp_path: Path, lite0: Backbone
):
    path = folder / "rose" / "copy.jpg"
    deadly: Any = [([(path, Deadly())], EVALUATION_VIEWS)]
    with (
        connect(address, lite0, cache_dir=tmp_path, actors=1) as cluster,
        pytest.raises(ValueError, match=rf"failed 4 times, .* It holds {path} and 0 more"),
    ):
        next(cluster.features([deadly]))


@pytest.mark.slow
def test_a_worker_that_dies_leaves_only_json_on_stdout(
    address: str, folder: Path, tmp_path: Path, monkeypatch, capsys
):
    real = Cluster.read

    def read(cluster: Cluster, *arguments: Any, **options: Any) -> Generator[Any]:
        for number, outcome in enumerate(real(cluster, *arguments, **options)):
            if number == 0:
                os.kill(cluster.processes[0], signal.SIGKILL)
            yield outcome

    monkeypatch.setattr(Cluster, "read", read)
    places = ["--cache-dir", str(tmp_path / "cache"), "--cluster", address, "--json"]
    options = cli.parse(["audit", str(folder), *places])
    assert console.run("audit", lambda: options.run(options)) == 0
    assert json.loads(capsys.readouterr().out)["photographs"] == 19


_KILLED_AFTER_A_SHARD = """
import os, signal, sys
from pathlib import Path
from model.commands import main
from model.features import shards

shards._SHARD_SECONDS = 0.0
real = shards.FeatureCache.flush

def flush(cache):
    real(cache)
    if len(list(cache.folder.glob("*.npy"))) == 2:
        os.kill(os.getpid(), signal.SIGKILL)

shards.FeatureCache.flush = flush
parsed = main.parse(["audit", *sys.argv[1:]])
parsed.run(parsed)
"""


@pytest.mark.slow
def test_a_killed_run_goes_on_from_its_shards(
    address: str, folder: Path, tmp_path: Path, lite0: Backbone, monkeypatch
):
    cache_dir = tmp_path / "cache"
    command = [str(folder), "--cache-dir", str(cache_dir), "--cluster", address]
    killed = subprocess.run([sys.executable, "-c", _KILLED_AFTER_A_SHARD, *command], cwd=ROOT)
    assert killed.returncode == -signal.SIGKILL
    photos = load_source(folder, cache_dir=cache_dir).splits["train"]
    backbone = open_backbone(pooling="second-order", cache_dir=cache_dir)
    cache = FeatureCache(cache_dir, backbone)
    there = [d for d in photos.digests if cache.key(d, EVALUATION_VIEWS[0]) in cache]
    assert 0 < len(there) < len(photos)
    with connect(address, backbone, cache_dir=cache_dir) as cluster:
        asked: list[str] = []
        real = cluster.features

        def features(batches: Iterable[list[Task]]) -> Generator[list[np.ndarray]]:
            given = list(batches)
            asked.extend(digest for one in given for files, _ in one for _, digest in files)
            return real(given)

        monkeypatch.setattr(cluster, "features", features)
        extract(backbone, photos, EVALUATION_VIEWS, cache_dir=cache_dir, cluster=cluster)
    assert sorted(asked) == sorted(set(photos.digests) - set(there))


@pytest.mark.slow
def test_workers_with_other_versions_or_weights_are_named_and_refused(
    address: str, tmp_path: Path, lite0: Backbone, monkeypatch
):
    with monkeypatch.context() as patch:
        patch.setattr(np, "__version__", "9.9.9")
        with (
            pytest.raises(ValueError, match=rf"worker on {socket.gethostname()} has numpy .* 9\.9"),
            connect(address, lite0, cache_dir=tmp_path),
        ):
            pytest.fail("It was accepted.")
    with monkeypatch.context() as patch:
        real = lite0.features
        patch.setattr(lite0, "features", lambda pixels: 1.01 * real(pixels))
        with (
            pytest.raises(ValueError, match="has other weights of backbone efficientnet_lite0"),
            connect(address, lite0, cache_dir=tmp_path),
        ):
            pytest.fail("It was accepted.")


@pytest.mark.slow
def test_more_workers_than_there_is_room_for_are_refused(
    address: str, tmp_path: Path, lite0: Backbone
):
    with (
        pytest.raises(ValueError, match="--actors 3: the cluster has room for 2 workers of 1 CPU"),
        connect(address, lite0, cache_dir=tmp_path, actors=3),
    ):
        pytest.fail("It was accepted.")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="Processes are looked for in /proc.")
@pytest.mark.usefixtures("ray_is_installed")
def test_a_cluster_that_auto_has_started_ends_with_a_command_that_is_stopped(
    folder: Path, tmp_path: Path
):
    mark = uuid.uuid4().hex
    command = [sys.executable, "-m", "model", "audit", str(folder), "--cluster", "auto"]
    command += ["--cache-dir", str(tmp_path / "cache")]
    with tempfile.TemporaryDirectory(dir="/tmp") as temporary:  # short: it will hold a socket
        variables = {**os.environ, "FROSTFLOWER_TEST": mark, "RAY_TMPDIR": temporary}
        with running(command, cwd=ROOT, env=variables, stderr=subprocess.PIPE) as process:
            assert process.stderr
            assert re.fullmatch(r"Cluster: \d+ workers?\n", process.stderr.readline())
            assert any(b"RAY_AUTH_MODE=token" in settings for settings in marked(mark))
            process.send_signal(signal.SIGINT)
            assert process.stderr.read().endswith("python -m model audit: stopped.\n")
            assert process.wait() == 130
            assert not marked(mark)


# What goes wrong before there is a cluster


def test_a_worker_that_does_not_see_the_cache_names_its_machine_and_the_folder(
    lite0: Backbone, tmp_path: Path
):
    job = Job(
        lite0.spec.to_json(),
        "cpu",
        False,
        tmp_path / "cache",
        tmp_path / "cache" / "not-mounted-here",
        images.MAX_PIXELS,
        1,
        versions.of(torch=False),
        np.zeros((1, 1), np.float32),
    )
    with pytest.raises(ValueError, match=f"{socket.gethostname()} does not see {tmp_path}/cache"):
        Worker(job).introduce()


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What `python -m model audit` with these arguments says."""
    options = cli.parse(["audit", *arguments])
    assert console.run("audit", lambda: options.run(options)) == 2
    return capsys.readouterr().err


def test_without_ray_one_sentence_says_what_to_install(
    folder: Path, cache_dir: Path, monkeypatch, capsys
):
    monkeypatch.setitem(sys.modules, "ray", None)
    said = refused(capsys, str(folder), "--cache-dir", str(cache_dir), "--cluster", "auto")
    assert said.endswith("--cluster needs Ray: pip install -r requirements-cluster.txt\n")


SETTINGS = b"\0\0\0\x04" + bytes(5)
NOT_FOUND = b"\0\0\x05\x01\x05\0\0\0\x01\x48\x03404"
OTHER_GRPC = (
    b"\0\0\x30\x01\x05\0\0\0\x01\x88@\x0ccontent-type\x10application/grpc@\x0bgrpc-status\x0212"
)
GOODBYE = b"\0\0\x08\x07\0\0\0\0\0" + bytes(7) + b"\x01"


@pytest.mark.parametrize(
    ("answer", "stays"),
    [
        pytest.param(None, False, id="nobody"),
        pytest.param(b"", False, id="closes at once"),
        pytest.param(b"", True, id="silent"),
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n", True, id="HTTP/1"),
        pytest.param(SETTINGS, True, id="HTTP/2, then silent"),
        pytest.param(SETTINGS + GOODBYE, False, id="HTTP/2, then closes"),
        pytest.param(SETTINGS + NOT_FOUND, True, id="HTTP/2, not found"),
        pytest.param(SETTINGS + OTHER_GRPC, True, id="gRPC, but not Ray"),
        pytest.param(SETTINGS + b"\xff\xff\xff" + bytes(200_000), True, id="HTTP/2, endless"),
    ],
)
def test_an_address_where_no_cluster_answers_is_one_sentence(
    answer: bytes | None, stays: bool, folder: Path, cache_dir: Path, capsys
):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        if answer is not None:
            listener.listen()
            arguments = (listener, answer, stays)
            threading.Thread(target=answer_once, args=arguments, daemon=True).start()
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        started = time.monotonic()
        said = refused(capsys, str(folder), "--cache-dir", str(cache_dir), "--cluster", address)
    assert time.monotonic() - started < 20
    assert said.count("\n") == 1
    assert f"--cluster {address}: no Ray cluster answers there." in said


def answer_once(listener: socket.socket, answer: bytes, stays: bool) -> None:
    """Answer whoever asks; where the server stays, it is the other one who hangs up."""
    line, _ = listener.accept()
    with line, contextlib.suppress(OSError):
        line.recv(1000)
        line.sendall(answer)
        while stays and line.recv(1000):
            pass


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--cluster", "nonsense"], "--cluster nonsense is neither auto nor HOST:PORT"),
        (["--cluster", "auto", "--actors", "0"], "--actors 0 must be 1 or more."),
        (["--actors", "2"], "--actors needs --cluster."),
    ],
)
def test_options_that_make_no_sense_are_refused(
    options: list[str], said: str, folder: Path, cache_dir: Path, capsys
):
    assert said in refused(capsys, str(folder), "--cache-dir", str(cache_dir), *options)


def test_a_heat_map_is_drawn_on_this_machine_only(folder: Path, tmp_path: Path, capsys):
    photograph = next(folder.rglob("*.jpg"))
    figure = ["--figure", str(tmp_path / "figure.png"), "--cluster", "auto"]
    options = cli.parse(["predict", str(photograph), *figure])
    assert console.run("predict", lambda: options.run(options)) == 2
    assert capsys.readouterr().err.count("Leave out --cluster.\n") == 1


def test_nothing_of_ray_is_imported_without_the_flag():
    program = (
        "import sys; sys.path.insert(0, '.'); import train; from model.commands import main;"
        "from model import evaluation, training; from model.audit import audit;"
        "assert 'ray' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)
