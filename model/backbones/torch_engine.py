"""The engine for GPUs, and for backbones that ONNX Runtime cannot run: the backbone in torch."""

import functools
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from model.backbones.maps import Maps
from model.backbones.spec import BackboneSpec, Member
from model.backbones.weights import load_network

if TYPE_CHECKING:
    import torch
    from torch import nn

_MIXED_FROM = 64
"""Batch size above which mixed precision pays on CUDA. Below it, the time goes into starting
kernels, and mixed precision starts one more per weight, to cast it in every call."""


def _load(member: Member) -> "nn.Module":
    """Load the network of a member, and refuse weights with another hash."""
    network, sha256, _ = load_network(member.name, member.image_size)
    if sha256 != member.weights_sha256:
        raise ValueError(
            f"Weights of backbone '{member.name}' have sha256 {sha256[:12]}…, but the checkpoint "
            f"was trained with {member.weights_sha256[:12]}…. Train again, or install the "
            "weights that it was trained with."
        )
    return network


class TorchEngine:
    """A backbone in torch, frozen and in eval mode, loaded only when it is needed."""

    name = "torch"

    def __init__(
        self, spec: BackboneSpec, networks: Sequence["nn.Module | None"] = (), *, device: str
    ) -> None:
        """Describe the backbone.

        Args:
            spec: What to compute.
            networks: The members' networks, if they are already loaded.
            device: `cpu`, `cuda` or `mps`.
        """
        self._spec, self._networks, self._device = spec, networks, device
        self._lock = threading.Lock()  # the extractor's hooks can serve only one call at a time
        self.batch_size = 128 if device == "cuda" else 8

    @functools.cached_property
    def _cpu_module(self) -> "nn.Module":
        """The module before it is moved to its device, which changes it in place."""
        import torch

        from model.backbones.extractor import Extractor

        members = self._spec.members
        given = self._networks or [None] * len(members)
        with torch.inference_mode(False):  # attributing to positions needs autograd
            networks = [
                _load(member) if network is None else network
                for member, network in zip(members, given, strict=True)
            ]
            return Extractor(self._spec, networks).requires_grad_(False).eval()

    @functools.cached_property
    def width(self) -> int:
        """D, the number of features, found from shapes without computing anything."""
        import torch

        size, module = self._spec.transforms.image_size, self._cpu_module
        tensors = dict([*module.named_parameters(), *module.named_buffers()])
        shapes = {name: tensor.to("meta") for name, tensor in tensors.items()}
        pixels = torch.empty((1, size, size, 3), dtype=torch.uint8, device="meta")
        with torch.inference_mode():
            return torch.func.functional_call(module, shapes, (pixels,)).shape[1]

    @property
    def mean_width(self) -> int:
        """How many of the first features are not second moments."""
        members: Any = self._cpu_module.members
        return self.width - sum(of.width for member in members for of in member.second_order)

    @functools.cached_property
    def module(self) -> "nn.Module":
        """The torch module on its device: uint8 [N, S, S, 3] -> [N, D]."""
        import torch

        if self._device != "cpu":
            _ = self.width  # must be found while the module is still on the CPU
        with torch.inference_mode(False):
            module = self._cpu_module.to(device=self._device)
            if self._device == "cuda":
                module = module.to(memory_format=torch.channels_last)  # pyrefly: ignore
        return module

    def features(self, pixels: np.ndarray) -> np.ndarray:
        """Compute features; see `OnnxEngine.features`."""
        import torch

        with self._lock, torch.inference_mode():
            return self.forward(torch.from_numpy(pixels)).cpu().numpy()

    def maps(self, pixels: np.ndarray) -> tuple[np.ndarray, list[Maps]]:
        """Compute features and their maps; see `OnnxEngine.maps`."""
        import torch

        with self._lock, torch.no_grad():  # in full precision, so that the maps' means are exact
            module: Any = self.module
            result, maps = module.with_maps(torch.from_numpy(pixels).to(self._device))
        found = [Maps(info, values.cpu().numpy()) for info, values in maps]
        return result.cpu().numpy(), found

    def attribute_tail(self, maps: Maps, weights: np.ndarray) -> np.ndarray:
        """Attribute a weighted sum of a tail's features; see `Backbone.attribute_tail`."""
        import torch

        with self._lock:
            module: Any = self.module
            tail = module.members[maps.info.member].tail
            values = torch.from_numpy(maps.values).to(self._device)
            result = tail.attribute(values, torch.from_numpy(weights).to(self._device))
        return result.cpu().numpy()

    def forward(self, pixels: "torch.Tensor") -> "torch.Tensor":
        """Run the module, with mixed precision for large batches on CUDA; one call at a time.

        Args:
            pixels: uint8 `[N, S, S, 3]`, on any device.

        Returns:
            float32 `[N, D]`, on the engine's device.
        """
        import torch

        if self._device != "cuda":
            return self.module(pixels.to(self._device)).float()
        small = len(pixels) < _MIXED_FROM
        if not (small or pixels.is_cuda or pixels.is_pinned()):
            pixels = pixels.pin_memory()
        pixels = pixels.to("cuda", non_blocking=True)
        if small:
            return self.module(pixels).float()
        with torch.autocast("cuda", dtype=torch.float16):
            result = self.module(pixels).float()
        if result.isfinite().all():
            return result
        return self.module(pixels).float()  # repeated in full precision after an overflow
