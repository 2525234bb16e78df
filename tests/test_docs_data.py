"""docs/data.md: its commands run one after the other, and print what it quotes."""

import io
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import hub_stand_in
import pytest
from drawing import drawn_photograph

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
BEANS = ("angular_leaf_spot", "bean_rust", "healthy")
NOT_RUN = ("pip install pyarrow", "python train.py flowers102 --data-dir data")


def commands() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", TEXT, flags=re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def is_hub(command: str) -> bool:
    return " hf:" in command


def local_commands() -> list[str]:
    return [line for line in commands() if line not in NOT_RUN and not is_hub(line)]


def run(
    command: str, home: Path, more: Sequence[str] = (), **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder that looks like the repository's."""
    for name in ("train.py", "model", "examples", "demo"):
        if not (home / name).exists():
            (home / name).symlink_to(ROOT / name)
    program, *arguments = shlex.split(command)
    assert program == "python", command
    return subprocess.run(
        [sys.executable, *arguments, *more],
        cwd=home,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def quotations() -> list[str]:
    """What commands print, as the text quotes it before its table of errors."""
    quoted = re.findall(r': "([^"]+)"', TEXT.partition("## What goes wrong")[0])
    return [" ".join(found.split()) for found in quoted if found.endswith(".")]


def cache(home: Path) -> list[str]:
    return ["--cache-dir", str(home / "cache")]


def test_every_command_is_run_or_left_out_by_name():
    assert set(NOT_RUN) <= set(commands())
    assert sum(map(is_hub, commands())) == 2


@pytest.mark.slow
def test_the_commands_run_in_their_order_as_they_stand(tmp_path: Path):
    pytest.importorskip("pyarrow")
    outputs = []
    for line in local_commands():
        more = () if "digits_as_files" in line or " -c " in line else cache(tmp_path)
        done = run(line, tmp_path, more)
        assert done.returncode == 0, f"{line}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        outputs.append(done.stdout)
    printed = " ".join(" ".join(outputs).split())
    assert len(quotations()) == 2
    for sentence in quotations():
        assert sentence in printed


def beans(count: int) -> bytes:
    """A Parquet file with the columns of the beans' own."""
    pa = pytest.importorskip("pyarrow")
    pictures = []
    for number in range(count):
        buffer = io.BytesIO()
        drawn_photograph(number % 3 / 3, number).save(buffer, "JPEG")
        pictures.append({"bytes": buffer.getvalue(), "path": f"bean.{number}.jpg"})
    features = {
        "image_file_path": {"_type": "Value", "dtype": "string"},
        "image": {"_type": "Image"},
        "labels": {"_type": "ClassLabel", "names": list(BEANS)},
    }
    columns = {
        "image_file_path": [f"/home/somebody/bean.{number}.jpg" for number in range(count)],
        "image": pictures,
        "labels": [number % 3 for number in range(count)],
    }
    described = {"huggingface": json.dumps({"info": {"features": features}})}
    buffer = io.BytesIO()
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pa.table(columns).replace_schema_metadata(described), buffer)
    return buffer.getvalue()


def test_the_commands_on_the_hub_run_on_a_stand_in(server: hub_stand_in.Server, tmp_path: Path):
    counts = {"train": 24, "validation": 9, "test": 9}
    files = {
        f"data/{split}-00000-of-00001.parquet": beans(count) for split, count in counts.items()
    }
    server.hub.add("AI-Lab-Makerere/beans", files, "dataset")
    hub = {
        "HF_ENDPOINT": server.hub.endpoint,
        "HF_HUB_CACHE": str(tmp_path / "hub-cache"),
        "HF_HUB_DISABLE_XET": "1",
    }
    more = [*cache(tmp_path), "--epochs", "2", "--group-by", "none"]
    for line in filter(is_hub, commands()):
        done = run(line, tmp_path, more, **hub)
        assert done.returncode == 0, f"{line}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        assert "To use this version again: hf:AI-Lab-Makerere/beans@" in done.stdout
    metrics = json.loads((tmp_path / "runs" / "beans-train" / "metrics.json").read_text())
    assert list(metrics["splits"]) == ["valid"]


def test_the_example_writes_into_no_folder_that_exists(tmp_path: Path):
    (tmp_path / "my-digits").mkdir()
    done = run("python examples/digits_as_files.py my-digits", tmp_path)
    assert done.returncode == 2
    assert done.stderr == "my-digits exists already. Give another name, or remove it.\n"
    assert not any((tmp_path / "my-digits").iterdir())
