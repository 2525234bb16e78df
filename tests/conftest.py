"""Fixtures: drawn photographs, tiny backbones, a cache folder. Nothing here needs a network."""

import importlib.util
import os
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import hub_stand_in
import pytest
import tiny
import torch
from drawing import CLASSES, draw_class
from huggingface_hub import constants

import train
from demo.page import MAX_BYTES, build
from demo.serve import launch
from demo.tabs.classify import example_photographs
from demo.uploads import UploadFolder
from model.backbones.backbone import Backbone, open_backbone
from model.classifier import Classifier


@pytest.fixture(scope="session", autouse=True)
def one_torch_thread() -> None:
    """Torch's threads spin while they wait, which on a busy machine costs more than they bring."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Exported backbones shared by all tests: an export is most of a short test's time."""
    folder = tmp_path_factory.mktemp("shared") / "engines"
    folder.mkdir()
    return folder


@pytest.fixture
def cache_dir(tmp_path: Path, engines: Path) -> Path:
    """A cache folder of the test's own, but for the exported backbones."""
    folder = tmp_path / "cache"
    folder.mkdir()
    (folder / "engines").symlink_to(engines, target_is_directory=True)
    return folder


@pytest.fixture
def photos_dir(tmp_path: Path) -> Callable[..., Path]:
    """Draws a folder of class folders; `splits` puts folders of splits above them."""

    def draw(
        name: str = "photographs",
        classes: Sequence[str] = CLASSES,
        count: int = 5,
        splits: Sequence[str] = (),
        suffix: str = ".jpg",
    ) -> Path:
        folder = tmp_path / name
        for above in [folder / split for split in splits] or [folder]:
            for number, class_id in enumerate(classes):
                draw_class(above / class_id, number, len(classes), count, suffix)
        return folder

    return draw


@pytest.fixture
def tiny_backbone(monkeypatch: pytest.MonkeyPatch, cache_dir: Path) -> Callable[..., Backbone]:
    """Opens tiny backbones; while it is in use, `open_backbone` knows their names."""
    tiny.install(monkeypatch)

    def open_tiny(name: str = "test_resnet", *, seed: int = 0, **options: Any) -> Backbone:
        with monkeypatch.context() as patch:
            tiny.install(patch, seed)
            options.setdefault("cache_dir", cache_dir)
            return open_backbone(name, **options)

    return open_tiny


@pytest.fixture(scope="session")
def lite0(engines: Path) -> Backbone:
    """The real EfficientNet-Lite0 with its packaged weights, three stages, at its own size."""
    return open_backbone("efficientnet_lite0", cache_dir=engines.parent)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint trained by `train.main` on drawn photographs with a tiny backbone.

    Beside it stand `photographs/` (its data, display names in `cat_to_name.json`) and `cache/`.
    """
    home = tmp_path_factory.mktemp("trained")
    for number, class_id in enumerate(CLASSES):
        draw_class(home / "photographs" / class_id, number, len(CLASSES), 8)
    names = '{"daisy": "Oxeye daisy", "rose": "Dog rose", "tulip": "Garden tulip"}'
    (home / "photographs" / "cat_to_name.json").write_text(names)
    with pytest.MonkeyPatch.context() as patch:
        tiny.install(patch)
        arguments = ["--backbone", "test_resnet", "--epochs", "12", "--device", "cpu"]
        places = ["--out", str(home / "checkpoint"), "--cache-dir", str(home / "cache")]
        train.main(train.parse([str(home / "photographs"), *arguments, *places]))
    return home / "checkpoint"


@pytest.fixture(scope="session")
def flowers102_dir() -> Path:
    """The real flowers, from the environment variable FLOWERS102_DIR."""
    value = os.environ.get("FLOWERS102_DIR")
    if not value:
        pytest.skip("FLOWERS102_DIR is not set: it names the folder of the real flowers.")
    folder = Path(value)
    if not (folder / "train").is_dir():
        pytest.fail(f"FLOWERS102_DIR is {value}, which has no train folder.")
    return folder


@pytest.fixture(scope="session")
def shipped(engines: Path) -> Classifier:
    """The shipped flower classifier on the CPU."""
    return Classifier(device="cpu", cache_dir=engines.parent)


@pytest.fixture(scope="session")
def uploads(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UploadFolder]:
    """Where pages that are served in this process keep uploads; ask for it before building one."""
    tmp_path_factory.getbasetemp()  # or it would lie among the uploads, which the page may read
    with UploadFolder() as folder:
        yield folder


@pytest.fixture(scope="session")
def demo_address(shipped: Classifier, uploads: UploadFolder) -> Iterator[str]:
    """The address of the page, served with the shipped checkpoint for as long as tests run."""
    demo = build(shipped)
    with socket.socket() as probe:  # any free port but 7860, which README's first command takes
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    where = {"server_name": "127.0.0.1", "server_port": port}
    address = launch(demo, max_bytes=MAX_BYTES, uploads=uploads, **where)
    yield address
    demo.close(verbose=False)


@pytest.fixture(scope="session")
def flower(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photograph of a flower that comes with scikit-learn."""
    return example_photographs(tmp_path_factory.mktemp("examples"))[0]


@pytest.fixture(scope="module")
def ray_is_installed() -> None:
    """Where CI runs it must be."""
    if sys.platform == "win32":
        pytest.skip("Ray's support of Windows is experimental, and for one machine.")
    if importlib.util.find_spec("ray") is None:
        assert not os.environ.get("CI"), "Ray is missing: pip install -r requirements-dev.txt"
        pytest.skip("Ray is not installed: pip install -r requirements-cluster.txt")


@pytest.fixture(scope="module")
def address(ray_is_installed: None) -> Iterator[str]:
    """The address of two Ray nodes with a CPU each, for the tests of a file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        utils = importlib.import_module("ray.cluster_utils")
        node = {"num_cpus": 1, "object_store_memory": 100_000_000, "include_dashboard": False}
        nodes = utils.Cluster(initialize_head=True, head_node_args=node)
        nodes.add_node(num_cpus=1, object_store_memory=100_000_000)
        yield nodes.address
        nodes.shutdown()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[hub_stand_in.Server]:
    """A stand-in that huggingface_hub in this process talks to, with a cache of its own."""
    made = hub_stand_in.Server()
    monkeypatch.setattr(constants, "ENDPOINT", made.hub.endpoint)
    files = made.hub.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", files)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub-cache"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", hub_stand_in.TOKEN)
    yield made
    made.stop()


@pytest.fixture
def standin(server: hub_stand_in.Server) -> hub_stand_in.Hub:
    """The state of that stand-in."""
    return server.hub
