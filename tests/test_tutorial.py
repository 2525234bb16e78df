"""The tutorial's exact shape, with random weights where the download would have put them."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import timm
import torch
from gradio_client import Client, handle_file
from safetensors import safe_open
from safetensors.torch import save_file

ROOT = Path(__file__).resolve().parent.parent
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def lay_random_weights(name: str, hub_cache: Path) -> None:
    """Write a file of random weights as huggingface_hub would have downloaded it."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = timm.create_model(name, pretrained=False)
    config = timm.get_pretrained_cfg(name)
    assert config and config.hf_hub_id
    repository = config.hf_hub_id
    folder = hub_cache / f"models--{repository.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(COMMIT)
    (folder / "snapshots" / COMMIT).mkdir(parents=True)
    save_file(network.state_dict(), folder / "snapshots" / COMMIT / "model.safetensors")


@contextmanager
def page(checkpoint: Path, cache_dir: Path, environment: dict[str, str]) -> Iterator[str]:
    """Serve a checkpoint in a process of its own; yield the address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ["-m", "demo", "--port", str(port), "--device", "cpu"]
    places = ["--checkpoint", str(checkpoint), "--cache-dir", str(cache_dir)]
    process = subprocess.Popen([sys.executable, *command, *places], cwd=ROOT, env=environment)
    address, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 120
    try:
        while True:
            assert process.poll() is None, "the page ended"
            assert time.monotonic() < deadline, "the page did not answer within 120 s"
            try:
                urllib.request.urlopen(address, timeout=5)
                break
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.5)
        yield address
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "embed_dim"),
    [("resnet152.tv_in1k", 2048), ("vit_tiny_patch16_224.augreg_in21k_ft_in1k", 192)],
)
def test_the_tutorials_recipe_trains_predicts_and_is_served(
    name: str, embed_dim: int, photos_dir: Callable[..., Path], tmp_path: Path
):
    hub_cache, cache_dir, out = tmp_path / "hub", tmp_path / "cache", tmp_path / "checkpoint"
    lay_random_weights(name, hub_cache)
    photographs = photos_dir(count=4)
    environment = {**os.environ, "HF_HUB_CACHE": str(hub_cache), "PYTHONPATH": ""}

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments, "--cache-dir", str(cache_dir), "--device", "cpu"],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=400,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    recipe = ["--recipe", "classic", "--backbone", name, "--epochs", "2", "--workers", "0"]
    printed = run("train.py", str(photographs), *recipe, "--out", str(out))
    assert f"Backbone: {name}, {embed_dim:,} features, 224 px, on CPU (torch)" in printed

    with safe_open(out / "head.safetensors", "numpy") as head:
        shapes = sorted(tuple(head.get_tensor(key).shape) for key in head.keys())  # noqa: SIM118
    hidden = {(1600, embed_dim), (1024, 1600), (3, 1024)}
    assert hidden <= set(shapes)
    config = json.loads((out / "config.json").read_text())
    assert config["backbone"]["stages"] == 0
    assert config["head"] == {"type": "mlp", "num_features": embed_dim, "hidden": [1600, 1024]}
    assert len((out / "history.csv").read_text().splitlines()) == 1 + 2

    photograph = photographs / "rose" / "000.jpg"
    row = json.loads(
        run("-m", "model", "predict", str(photograph), "--json", "--checkpoint", str(out))
    )
    assert sum(candidate["probability"] for candidate in row["top"]) == pytest.approx(1, abs=1e-5)

    with page(out, cache_dir, environment) as address:
        client = Client(address, verbose=False, analytics_enabled=False)
        label, _ = client.predict(handle_file(photograph), api_name="/predict")
    served = {one["label"]: one["confidence"] for one in label["confidences"]}
    predicted = {one["label"]: one["probability"] for one in row["top"]}
    assert served == pytest.approx(predicted, abs=1e-4)
