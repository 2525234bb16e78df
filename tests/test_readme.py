"""README's first command, as it stands, in a new virtual environment."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import fresh
import pytest
import yaml
from gradio_client import Client, handle_file

ROOT = Path(__file__).resolve().parent.parent


def commands() -> list[str]:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL)


def test_the_second_command_is_what_ci_runs():
    second = commands()[1].strip()
    assert second == "pip install -r requirements-dev.txt && python -m pytest"
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for part in second.split(" && "):
        more = re.escape(part).replace("install", "install( --quiet)?")
        assert re.search(rf"^{more}( --cov\S*)*$", ci, re.M)


def test_the_hosted_workflow_runs_ci_on_linux_and_the_second_command_elsewhere():
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8"))["jobs"]
    last = {name: job["steps"][-1]["run"] for name, job in jobs.items()}
    assert last == {"linux": ".ci/run", "others": commands()[1].strip()}
    assert jobs["others"]["strategy"]["matrix"]["os"] == ["windows-latest", "macos-latest"]


def test_the_python_example_runs_as_it_stands(flower: Path, tmp_path: Path):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    (example,) = [block for block in blocks if "Classifier(" in block]
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "photographs").symlink_to(ROOT / "demo" / "flowers102")
    shutil.copy(flower, tmp_path / "flower.jpg")
    done = subprocess.run(
        [sys.executable, "-c", example],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.startswith("pink-yellow dahlia 0."), done.stderr


@pytest.mark.slow
def test_the_first_command_serves_the_flower_classifier(tmp_path: Path, flower: Path):
    command = commands()[0].strip()
    assert command == "pip install -r requirements.txt && python -m demo"
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", 7860)) != 0, "port 7860 is in use"
    log = tmp_path / "log.txt"
    with fresh.served(command, ROOT, tmp_path, "http://127.0.0.1:7860/", log):
        answer, _ = Client("http://127.0.0.1:7860/", verbose=False).predict(
            handle_file(flower), api_name="/predict"
        )
        names = json.loads((ROOT / "demo/flowers102/config.json").read_text())["class_names"]
        assert answer["label"] in names
        assert "with CPU (ONNX Runtime)" in log.read_text() or "CUDA" in log.read_text()
