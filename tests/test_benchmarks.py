"""Benchmarks that need no quiet machine: without a GPU, with damaged files, with faults."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from systems import LINUX

ROOT = Path(__file__).resolve().parent.parent
_WITHOUT_GRADIO = """
import runpy, sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("gradio", "altair", "transformers", "playwright"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Missing())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
_WHO_IS_CUDA = """
import runpy, sys
from importlib.util import find_spec

for script in sys.argv[1:]:
    sys.path[0] = "benchmarks"  # as `python benchmarks/...` does
    runpy.run_path(script)
    spec = find_spec("cuda")
    assert spec is None or "benchmarks" not in str(spec.origin), script
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != "FLOWERS102_DIR"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, env=environment
    )


def test_without_a_gpu_every_part_runs_and_says_that_cuda_is_unmeasured():
    options = ("--device", "cpu", "--photographs", "100", "--rounds", "1")
    result = run("-c", _WITHOUT_GRADIO, "benchmarks/cuda.py", *options)
    assert result.returncode == 0, result.stdout + result.stderr
    *before, said, agreement, ratio = result.stdout.splitlines()
    assert said.startswith("device: cpu: CUDA was not measured")
    assert agreement == "cuda agreement 1.0000"
    name, value = ratio.rsplit(" ", 1)
    assert name == "cuda ratio to timm"
    assert float(value) > 0
    assert any(line.startswith("also ran on cpu: heat map") for line in before)


@pytest.mark.skipif(torch.cuda.is_available(), reason="This machine has a GPU.")
def test_cuda_without_a_gpu_is_one_line_and_exit_status_2():
    result = run("benchmarks/cuda.py", "--device", "cuda")
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr == (
        "cuda.py: error: Device 'cuda' was requested, but torch finds none. Use --device cpu.\n"
    )


def test_no_benchmark_hides_nvidias_package_cuda():
    scripts = [str(path.relative_to(ROOT)) for path in (ROOT / "benchmarks").glob("*.py")]
    commands = [name for name in scripts if "__main__" in (ROOT / name).read_text()]
    assert "benchmarks/cuda.py" in commands
    result = run("-c", _WHO_IS_CUDA, *sorted(commands))
    assert result.returncode == 0, result.stderr


@LINUX
def test_damaged_files_of_every_kind_end_no_process():
    kinds = ("JPEG", "JPEG lossless", "PNG", "WebP", "GIF", "TIFF")
    result = run("benchmarks/fuzz_decode.py", "--seconds", "6", "--formats", *kinds)
    assert result.returncode == 0, result.stdout + result.stderr
    name, tried, word, held, last = result.stdout.splitlines()[-1].split()
    assert (name, word, last) == ("fuzz", "tried,", "held")
    assert int(tried) == int(held) >= 60


@LINUX
def test_the_search_for_bad_endings_finds_one(tmp_path: Path):
    """Where the guard before Pillow's draft() is off, a lossless JPEG ends the child."""
    program = (
        "import runpy, sys; from model.photographs import images;"
        "images.can_be_scaled = lambda content: True; sys.argv = sys.argv[1:];"
        "runpy.run_path('benchmarks/fuzz_decode.py', run_name='__main__')"
    )
    from drawing import lossless_jpeg

    (tmp_path / "original-00").write_bytes(lossless_jpeg(1400, 1300))
    result = run("-c", program, "fuzz_decode.py", "--child", str(tmp_path), "0", "60")
    assert result.returncode < 0, result.stdout + result.stderr
    assert (tmp_path / "file").is_file()


@LINUX
def test_what_grows_with_the_photographs_is_measured_without_any():
    result = run("benchmarks/growth.py", "--photographs", "1000")
    assert result.returncode == 0, result.stdout + result.stderr
    figures = re.findall(r"  +([\d.,]+) (bytes|photographs/s|s of a core)", result.stdout)
    assert len(figures) == 7
    assert 25_000 < float(figures[1][0].replace(",", "")) < 35_000


@LINUX
def test_a_row_of_features_that_are_made_up_is_fitted_measured_and_audited():
    done = run("benchmarks/scale.py", "--sizes", "--rows", "300x3", "--in-memory", "0")
    assert done.returncode == 0, done.stdout + done.stderr
    (row,) = [line for line in done.stdout.splitlines() if line.startswith("300 x 3")]
    *_, peak, top1, possible, found = row.replace(" %", "%").split()
    assert 50 < int(peak.replace(",", "")) < 1500
    assert abs(float(top1.rstrip("%")) - float(possible.rstrip("%"))) < 20
    assert float(found.rstrip("%")) > 60


@LINUX
@pytest.mark.slow
def test_sixteen_large_photographs_at_once_leave_memory_and_time_for_others(engines: Path):
    done = run("benchmarks/serve_large.py", "--count", "16", "--cache-dir", str(engines.parent))
    found = re.search(r"peak (\d+) MB above idle, an ordinary .* took ([\d.]+) s", done.stdout)
    assert found, done.stdout + done.stderr
    assert int(found[1]) < 1000
    assert float(found[2]) < 10


@pytest.mark.slow
def test_faults_of_every_kind_are_held(tmp_path: Path):
    counts = {"--files": "45", "--checkpoints": "3", "--changes": "1", "--kills": "2"}
    arguments = [text for pair in counts.items() for text in pair]
    done = run("benchmarks/faults.py", *arguments, "--seed", "7")
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.fullmatch(r"faults (\d+) tried, (\d+) held", done.stdout.splitlines()[-1])
    assert found and found[1] == found[2] and int(found[1]) >= 51
