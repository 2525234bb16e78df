"""What serving installs: a part of what training does, without torch, and enough."""

import json
import os
import re
import socket
import subprocess
from pathlib import Path

import fresh
import pytest
from gradio_client import Client, handle_file

from demo import deploy as spaces
from model.checkpoints.checkpoint import SHIPPED
from model.checkpoints.hub import Located
from model.classifier import Classifier
from model.photographs import images

ROOT = Path(__file__).resolve().parents[2]
_ABSENT = """
import importlib.util, sys
found = [name for name in sys.argv[1:] if importlib.util.find_spec(name)]
assert not found, found
"""


def listed(name: str) -> dict[str, str]:
    """Package -> its line."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return {re.split(r"[^\w-]", line)[0]: line for line in lines if line and line[0] != "#"}


def test_what_serves_is_a_part_of_what_trains_with_the_same_bounds():
    serve, full = listed("requirements-serve.txt"), listed("requirements.txt")
    assert serve.items() < full.items()
    assert {"torch", "torchvision", "timm", "onnx"} <= full.keys() - serve.keys()


def test_a_space_could_not_follow_an_include():
    for name in ("requirements.txt", "requirements-serve.txt"):
        assert not any(line.startswith("-") for line in listed(name).values())


def _click_through(browser, address: str, flower: Path) -> None:
    """Classify on the page, which draws what the API does not, and open every tab."""
    page = browser.new_page()
    page.goto(address)
    page.wait_for_selector("#photograph")
    page.set_input_files("#photograph input[type=file]", flower)
    page.wait_for_selector("#top5 meter[value]")
    page.wait_for_selector(".ff-heat")
    for tab in ("Many photographs", "Training history", "Evaluation", "About"):
        page.get_by_role("tab", name=tab).click()
        page.wait_for_timeout(500)
    page.get_by_text("it does not have torch, timm or onnx").wait_for()
    page.close()


@pytest.mark.slow
@pytest.mark.browser
def test_a_space_answers_alike_with_its_requirements_alone_and_without_torch(
    tmp_path: Path, flower: Path, shipped: Classifier, trained: Path, browser
):
    """As the Hub does it: a new environment, requirements.txt, then the app file."""
    space = tmp_path / "space"
    spaces.assemble(Located(SHIPPED, "", str(SHIPPED), ""), space, "alice/which-flower")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    environment = {
        "SYSTEM": "spaces",
        "SPACE_ID": "alice/which-flower",
        "GRADIO_SERVER_NAME": "0.0.0.0",
        "GRADIO_SERVER_PORT": port,
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_OFFLINE": "1",
        "CHECKPOINT": "",
    }
    address, log = f"http://127.0.0.1:{port}/", tmp_path / "log.txt"
    command = "pip install -q -r requirements.txt && python demo/app.py"
    with fresh.served(command, space, tmp_path, address, log, **environment):
        client = Client(address, verbose=False)
        answer, details = client.predict(handle_file(flower), api_name="/predict")
        _click_through(browser, address, flower)
    expected = shipped.predict([images.decode(flower)])[0]
    assert answer["label"] == expected.top[0].label
    for found, one in zip(answer["confidences"], expected.top, strict=True):
        assert found["label"] == one.label
        assert found["confidence"] == pytest.approx(one.probability, abs=1e-3)
    assert details["set"] == expected.label_set
    class_ids = set(shipped.checkpoint.class_ids)
    assert {one["name"] for one in details["evidence"]["similar"]} <= class_ids
    assert "with CPU (ONNX Runtime)" in log.read_text()
    # Gradio misses the package `spaces`, which the Hub installs beside it, and says so.
    assert f'File "{space}' not in log.read_text(), log.read_text()

    with fresh.served(f"python -m demo --port {port}", ROOT, tmp_path, address, log):
        again, _ = Client(address, verbose=False).predict(handle_file(flower), api_name="/predict")
    assert again == answer
    assert "with CPU (ONNX Runtime)" in log.read_text()
    assert "Traceback" not in log.read_text(), log.read_text()

    python = str(fresh.programs(tmp_path) / "python")
    subprocess.run([python, "-c", _ABSENT, "torch", "torchvision", "timm", "onnx"], check=True)

    def says(*arguments: str) -> str:
        environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
        places = ["--port", port, *arguments]
        done = subprocess.run(
            [python, "-m", "demo", *places],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 2, done.stderr
        return done.stderr.splitlines()[-1]

    missing = "needs torch, which is not installed: pip install -r requirements.txt"
    name = json.loads((trained / "config.json").read_text())["backbone"]["members"][0]["name"]
    refused = says("--checkpoint", str(trained), "--cache-dir", str(trained.parent / "cache"))
    assert f"Backbone {name} (" in refused and f"is not packaged, so it {missing}" in refused
    assert f"Device 'cuda' {missing}" in says("--device", "cuda")
