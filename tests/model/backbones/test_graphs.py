"""The graphs that come with Frostflower: what they compute, and what a start need not load."""

import itertools
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from tiny import some_pixels, torch_features

from model.backbones import device, graphs, packaging, weights
from model.backbones.backbone import Backbone, open_backbone
from model.backbones.spec import Pooling
from model.recipes import BEST, FAST

ROOT = Path(__file__).resolve().parents[3]
POOLINGS = get_args(Pooling)
NAMES = list(dict.fromkeys([FAST["backbone"], BEST["backbone"], *weights.PACKAGED]))


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("name", NAMES)
def test_graphs_compute_what_torch_does(name: str, pooling: Pooling, tmp_path: Path):
    backbone = open_backbone(name, pooling=pooling, device="cpu", cache_dir=tmp_path)
    assert graphs.read(backbone.spec) is not None
    assert not list(tmp_path.iterdir())  # nothing was exported
    pixels = some_pixels(backbone, 2)
    found, expected = backbone.features(pixels), torch_features(backbone, pixels)
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()
    maps = backbone.maps(pixels[:1])[1]
    assert sum(part.info.width for part in maps) == backbone.embed_dim
    of_means = [part for part in maps if part.info.order == 1]
    assert sum(part.info.width for part in of_means) == backbone.mean_width
    for part in of_means:
        pooled = part.values.mean(axis=(2, 3))
        of_torch = expected[:1, part.info.offset : part.info.offset + part.info.width]
        assert np.allclose(pooled, of_torch, atol=1e-4 * np.abs(expected).max())


def test_every_graph_is_of_a_packaged_backbone():
    found = Counter(path.name.rpartition("-")[0] for path in graphs.FOLDER.iterdir())
    assert found == dict.fromkeys(NAMES, len(POOLINGS))  # none is left of an earlier version


def test_a_graph_that_is_written_anew_is_the_same(tmp_path: Path, monkeypatch):
    backbone = open_backbone(device="cpu", cache_dir=tmp_path)
    monkeypatch.setattr(graphs, "FOLDER", tmp_path / "written")
    packaging.write(backbone.spec, backbone.module)
    written = graphs.read(backbone.spec)
    assert written is not None
    assert len(written[0]) < 500_000  # weights are referred to, not held
    again = Backbone(backbone.spec, device="cpu", cache_dir=tmp_path)
    assert not (tmp_path / "engines").exists()
    pixels = some_pixels(backbone, 2)
    assert np.array_equal(again.features(pixels), backbone.features(pixels))


@pytest.mark.parametrize("options", [{"image_size": 224}, {"stages": 1}])
def test_other_sizes_and_stages_are_exported(options: dict, engines: Path):
    backbone = open_backbone(device="cpu", cache_dir=engines.parent, **options)
    assert graphs.read(backbone.spec) is None
    assert backbone.engine.name == "ONNX Runtime"


def test_framing_does_not_matter_to_a_graph(tmp_path: Path):
    backbone = open_backbone(device="cpu", framing="pad", cache_dir=tmp_path)
    assert graphs.read(backbone.spec) is not None


def test_weights_of_another_version_are_an_error(tmp_path: Path, monkeypatch):
    changed = tmp_path / "weights.pth"
    changed.write_bytes(weights.packaged_content("efficientnet_lite0")[:-1] + b"!")
    monkeypatch.setattr(weights, "packaged_file", lambda _: changed)
    with pytest.raises(ValueError, match=r"weights.pth has sha256 .* Reinstall the package"):
        open_backbone(device="cpu", cache_dir=tmp_path)


def test_a_first_prediction_needs_no_torch(flower: Path, tmp_path: Path):
    code = (
        "import sys; from model.commands import main as cli;"
        "options = cli.parse(sys.argv[1:]); assert options.run(options) == 0;"
        "assert not {'torch', 'timm', 'onnx'} & set(sys.modules)"
    )
    command = [sys.executable, "-c", code, "predict", str(flower), "--device", "cpu"]
    subprocess.run([*command, "--cache-dir", str(tmp_path)], cwd=ROOT, check=True)


def test_only_a_packaged_backbone_can_be_opened_without_torch(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(device, "find_spec", lambda name: None)
    packaged = open_backbone(device="auto", cache_dir=tmp_path)
    assert packaged.engine.name == "ONNX Runtime" and graphs.is_packaged(packaged.spec)
    with pytest.raises(ValueError) as caught:
        open_backbone(stages=2, device="auto", cache_dir=tmp_path)
    assert str(caught.value) == (
        "Backbone efficientnet_lite0 (256 px, 2 stages, mean pooling) is not packaged, so it needs "
        "torch, which is not installed: pip install -r requirements.txt"
    )


def test_no_heat_map_of_a_packaged_backbone_needs_a_tail_in_torch(tmp_path: Path):
    for name, pooling in itertools.product(NAMES, POOLINGS):
        backbone = open_backbone(name, pooling=pooling, device="cpu", cache_dir=tmp_path)
        assert {part.info.member for part in backbone.maps(some_pixels(backbone, 1))[1]} == {None}
