"""What a start need not wait for: imports that the work at hand has no use for."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from drawing import CLASSES, draw_class

from model.classifier import Classifier

ROOT = Path(__file__).resolve().parent.parent
HEAVY = {"torch", "timm", "gradio", "pandas", "matplotlib", "sklearn", "scipy"}
_PREDICT = """
import sys
from model.commands import main as cli
options = cli.parse(sys.argv[1:])
assert options.run(options) == 0
print("imported", *sys.modules)
"""
_FIND_DEVICE = """
import ctypes, sys
real = ctypes.CDLL

class Library(real):
    def __init__(self, name, *arguments, **options):
        if "cuda" not in str(name):
            super().__init__(name, *arguments, **options)
        elif sys.argv[1] == "none":
            raise OSError(name)

ctypes.CDLL = Library
from model.backbones.device import resolve_device
assert resolve_device("auto") in ("cpu", "cuda")
print("imported", *sys.modules)
"""


def imported_by(code: str, *arguments: str) -> set[str]:
    """Run code in a process of its own; it ends by printing the modules that it imported."""
    run = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return set(run.stdout.splitlines()[-1].split())


def test_predict_imports_no_training_and_no_page(shipped: Classifier, engines: Path, flower: Path):
    assert shipped.backbone.engine.name == "ONNX Runtime"
    places = ("--cache-dir", str(engines.parent), "--device", "cpu")
    modules = imported_by(_PREDICT, "predict", str(flower), *places)
    assert "onnxruntime" in modules
    assert not HEAVY & modules


@pytest.mark.skipif(Path("/dev/kfd").exists(), reason="ROCm's driver is asked through torch.")
@pytest.mark.parametrize("driver", [False, True])
def test_torch_is_asked_for_a_gpu_only_where_there_is_a_driver(driver: bool):
    modules = imported_by(_FIND_DEVICE, "driver" if driver else "none")
    assert ("torch" in modules) == driver


def test_the_page_is_built_without_what_only_training_needs():
    code = "import sys, demo.serve, demo.page, model.classifier; print('imported', *sys.modules)"
    assert not {"torch", "timm", "matplotlib", "sklearn"} & imported_by(code)


def test_using_a_classifier_leaves_nothing_in_the_temporary_folder(
    engines: Path, flower: Path, tmp_path: Path
):
    arguments = [sys.executable, "-m", "model", "predict", str(flower), "--json"]
    arguments += ["--cache-dir", str(engines.parent), "--device", "cpu"]
    variables = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}
    subprocess.run(arguments, cwd=ROOT, env=variables | {"TMPDIR": str(tmp_path)}, check=True)
    assert list(tmp_path.iterdir()) == [], "ONNX Runtime's telemetry, for one, keeps a file there"


def test_a_default_training_run_imports_no_torch(tmp_path: Path):
    for number, class_id in enumerate(CLASSES):
        draw_class(tmp_path / "photographs" / class_id, number, len(CLASSES), 3)
    code = (
        "import sys, train; train.main(train.parse(sys.argv[1:])); print('imported', *sys.modules)"
    )
    places = ["--out", str(tmp_path / "out"), "--cache-dir", str(tmp_path / "cache")]
    options = ["--epochs", "2", "--device", "cpu"]
    modules = imported_by(code, str(tmp_path / "photographs"), *options, *places)
    assert "scipy.linalg" in modules
    assert not {"torch", "timm", "sklearn", "gradio", "pandas"} & modules


def test_one_thread_is_the_limit_of_every_linear_algebra_while_training():
    code = (
        "from model import training; from threadpoolctl import threadpool_info, threadpool_limits;"
        "limit = threadpool_limits(1, user_api='blas');"
        "import model.trust.unknown, model.trust.temperature, scipy.linalg, scipy.optimize;"
        "found = [i['num_threads'] for i in threadpool_info() if i['user_api'] == 'blas'];"
        "assert len(found) > 1 and set(found) == {1}, found; print('imported')"
    )
    imported_by(code)
