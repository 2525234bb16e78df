"""The frozen backbone: photographs' features, by the engine or by torch."""

import functools
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from model.backbones.device import resolve_device
from model.backbones.onnx_engine import Engine, open_engine
from model.backbones.spec import BackboneSpec, Member
from model.backbones.transforms import Framing, Transforms
from model.backbones.weights import PACKAGED, describe, load_network
from model.cache import default_workers

if TYPE_CHECKING:
    import torch
    from torch import nn

DEFAULT_BACKBONE = "efficientnet_lite0"

_MIXED_FROM = 64
"""Pictures from which mixed precision pays on CUDA: below it the time goes into starting kernels,
and mixed precision starts one more for every weight, which it casts anew in each call."""


@dataclass(frozen=True)
class Maps:
    """The activations behind some of the features, place by place.

    Attributes:
        offset: The first of the features, 0 to D - 1.
        width: Their number, d.
        values: float32 `[N, d, h, w]`, whose means over places are the features; for a tail, the
            activations as its network lays them out.
        member: Number of the network whose tail makes features of them, not being a plain mean
            (`Backbone.attribute_tail`); None where they are means.
    """

    offset: int
    width: int
    values: np.ndarray
    member: int | None = None


def _as_maps(name: str, values: np.ndarray) -> Maps:
    """Read what `Extractor.with_maps` put into the name."""
    kind, offset, width, *member = name.split("_")
    return Maps(int(offset), int(width), values, int(member[0]) if kind == "tail" else None)


def _load(member: Member) -> "nn.Module":
    """Load the network of a member, and no other."""
    network, sha256, _ = load_network(member.name, member.image_size)
    if sha256 != member.weights_sha256:
        raise ValueError(
            f"Weights of backbone '{member.name}' have sha256 {sha256[:12]}…, but the checkpoint "
            f"was trained with {member.weights_sha256[:12]}…. Train again, or install the weights "
            "it was trained with."
        )
    return network


class Backbone:
    """A frozen feature extractor: framed pixels in, feature vectors out."""

    def __init__(
        self,
        spec: BackboneSpec,
        networks: Sequence["nn.Module | None"] = (),
        *,
        device: str = "auto",
        cache_dir: Path,
        threads: int = 1,
    ) -> None:
        """Open the backbone of a checkpoint; `open_backbone` opens one by name.

        Args:
            spec: What to compute.
            networks: The members' networks, where they are loaded already.
            device: As `device.resolve_device`.
            cache_dir: Keeps the exported graph between runs.
            threads: Threads that one call of `features` may use on a CPU; each takes a picture.
        """
        self.spec = spec
        self.device = resolve_device(device)
        self._networks = networks
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        self.note = ""
        if self.device == "cpu":
            self._engine, self.note = open_engine(spec, lambda: self.module, cache_dir, threads)

    @property
    def transforms(self) -> Transforms:
        """How photographs are framed for this backbone."""
        return self.spec.transforms

    @property
    def engine(self) -> str:
        """What runs the network: `ONNX Runtime` or `torch`."""
        return "torch" if self._engine is None else "ONNX Runtime"

    @property
    def device_text(self) -> str:
        """The device and engine in words, such as `CPU (ONNX Runtime)`."""
        return f"{self.device.upper()} ({self.engine})"

    @property
    def batch_size(self) -> int:
        """How many pictures one call of `features` should hold to be quick."""
        if self._engine is not None:
            return 1  # it takes pictures one by one
        return 128 if self.device == "cuda" else 8

    @functools.cached_property
    def embed_dim(self) -> int:
        """D, the number of features."""
        size = self.transforms.image_size
        pixels = np.zeros((1, size, size, 3), np.uint8)
        if self._engine is not None:
            return self.features(pixels).shape[1]
        import torch

        with torch.inference_mode():  # on the CPU: a ZeroGPU Space has no GPU while it starts
            return self._cpu_module(torch.from_numpy(pixels)).shape[1]

    @functools.cached_property
    def _cpu_module(self) -> "nn.Module":
        """The torch module before it is moved to its device; moving changes it in place."""
        import torch

        from model.backbones.extractor import Extractor

        members = self.spec.members
        given = self._networks or [None] * len(members)
        # Who asks first may be in inference mode, whose tensors autograd refuses for ever after.
        with torch.inference_mode(False):
            networks = [
                _load(member) if network is None else network
                for member, network in zip(members, given, strict=True)
            ]
            return Extractor(self.spec, networks).requires_grad_(False).eval()

    @functools.cached_property
    def module(self) -> "nn.Module":
        """The torch module, frozen, in eval mode, on `device`: uint8 [N, S, S, 3] -> [N, D]."""
        import torch

        if self.device != "cpu":
            _ = self.embed_dim  # while the module is still on the CPU
        with torch.inference_mode(False):  # as in `_cpu_module`: moving makes new tensors
            module = self._cpu_module.to(device=self.device)
            if self.device == "cuda":
                module = module.to(memory_format=torch.channels_last)  # pyrefly: ignore
        return module

    def features(self, pixels: np.ndarray) -> np.ndarray:
        """Compute features; may be called from several threads.

        Args:
            pixels: uint8 `[N, image_size, image_size, 3]`, framed by `transforms`.

        Returns:
            float32 `[N, D]`.

        Raises:
            ValueError: The pixels have another shape or type.
        """
        pixels = self._checked(pixels)
        if self._engine is not None:
            return self._engine.run(["features"], pixels)[0]
        import torch

        with self._lock, torch.inference_mode():  # the extractor's hooks serve one call at a time
            return self.forward(torch.from_numpy(pixels)).cpu().numpy()

    def _checked(self, pixels: np.ndarray) -> np.ndarray:
        size = self.transforms.image_size
        if pixels.dtype != np.uint8 or pixels.shape[1:] != (size, size, 3):
            raise ValueError(
                f"Pixels have shape {pixels.shape} and type {pixels.dtype}; "
                f"expected uint8 [N, {size}, {size}, 3]."
            )
        return np.ascontiguousarray(pixels)

    def maps(self, pixels: np.ndarray) -> tuple[np.ndarray, list[Maps]]:
        """Compute features and the maps behind them in one pass; may be called from threads.

        Args:
            pixels: As `features`.

        Returns:
            float32 `[N, D]`, and the maps. Features that are in none cannot be attributed to
            places.

        Raises:
            ValueError: As `features`.
        """
        pixels = self._checked(pixels)
        if self._engine is not None:
            names = self._engine.outputs
            results = dict(zip(names, self._engine.run(names, pixels), strict=True))
            features = results.pop("features")
            return features, [_as_maps(name, values) for name, values in results.items()]
        import torch

        with self._lock, torch.no_grad():  # in full precision, that the maps' means are exact
            module: Any = self.module
            result, maps = module.with_maps(torch.from_numpy(pixels).to(self.device))
        found = [_as_maps(name, values.cpu().numpy()) for name, values in maps.items()]
        return result.cpu().numpy(), found

    def attribute_tail(self, maps: Maps, weights: np.ndarray) -> np.ndarray:
        """Attribute a weighted sum of a tail's features to places; see `tail.Tail.attribute`.

        Args:
            maps: Of a tail: `member` is not None.
            weights: float32 `[N, width]`, of the features.

        Returns:
            float32 `[N, h, w]`.
        """
        import torch

        with self._lock:
            module: Any = self.module
            tail = module.members[maps.member].tail
            values = torch.from_numpy(maps.values).to(self.device)
            result = tail.attribute(values, torch.from_numpy(weights).to(self.device))
        return result.cpu().numpy()

    def forward(self, pixels: "torch.Tensor") -> "torch.Tensor":
        """Run the torch module, large batches on CUDA with mixed precision; one call at a time.

        Args:
            pixels: uint8 `[N, S, S, 3]`, on any device.

        Returns:
            float32 `[N, D]`, on the backbone's device.
        """
        import torch

        if self.device != "cuda":
            return self.module(pixels.to(self.device)).float()
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
        return self.module(pixels).float()  # half precision overflowed


def open_backbone(
    name: str = DEFAULT_BACKBONE,
    *,
    stages: int = 3,
    image_size: int | None = None,
    framing: Framing | None = None,
    interpolation: str | None = None,
    device: str = "auto",
    cache_dir: Path,
    threads: int = 1,
) -> Backbone:
    """Open a pretrained backbone by name.

    Args:
        name: A packaged name, a timm name, or several joined by `+`.
        stages: How many of the last stages to pool beside the final layer; 0 for none.
        image_size: Input size in px for every member, instead of each one's own.
        framing: As `Transforms`; None for the largest member's own.
        interpolation: `bicubic` or `bilinear`, instead of the largest member's own.
        device: As `device.resolve_device`.
        cache_dir: Keeps the exported graph between runs.
        threads: Threads that one call of `features` may use on a CPU.

    Returns:
        The backbone.

    Raises:
        ConnectionError: Weights cannot be downloaded.
        ValueError: An unknown name or device, or a size out of range.
    """
    names = [part.strip() for part in name.split("+")]
    if repeated := {part for part in names if names.count(part) > 1}:
        raise ValueError(f"Backbone '{name}' names {' and '.join(repeated)} twice.")
    # Of a packaged network all is known beforehand; it is loaded when torch must run it.
    loaded = [
        (None, *describe(part)) if part in PACKAGED else load_network(part, image_size)
        for part in names
    ]
    members = tuple(
        Member(part, sha256, image_size or config["input_size"][-1], config["mean"], config["std"])
        for part, (_, sha256, config) in zip(names, loaded, strict=True)
    )
    largest = max(loaded, key=lambda entry: entry[2]["input_size"][-1])[2]
    own: Framing = "squash" if largest.get("crop_mode") == "squash" else "crop"
    transforms = Transforms(
        max(member.image_size for member in members),
        framing or own,
        largest["crop_pct"],
        interpolation or ("bilinear" if largest["interpolation"] == "bilinear" else "bicubic"),
    )
    spec = BackboneSpec(members, stages, transforms)
    networks = [network for network, _, _ in loaded]
    return Backbone(spec, networks, device=device, cache_dir=cache_dir, threads=threads)


def serving_threads() -> int:
    """Return how many threads one photograph is worth: the cores, at most 4."""
    return min(4, default_workers())
