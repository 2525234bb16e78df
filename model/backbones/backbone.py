"""The frozen backbone: computes features of photographs with one of two engines."""

import functools
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from model.backbones import graphs
from model.backbones.device import require_torch, resolve_device
from model.backbones.maps import Maps
from model.backbones.onnx_engine import OnnxEngine
from model.backbones.spec import EXTRACTOR_VERSION, BackboneSpec, Member, Pooling
from model.backbones.torch_engine import TorchEngine
from model.backbones.transforms import Framing, Transforms
from model.backbones.weights import PACKAGED, describe, load_network
from model.cache import checksum, default_workers, temporary_folder

_log = logging.getLogger(__name__)

if TYPE_CHECKING:
    import torch
    from torch import nn

DEFAULT_BACKBONE = "efficientnet_lite0"

_TOLERANCE = 1e-3  # relative; if ONNX Runtime differs from torch by more than this, torch is used
_SLOWER = "torch is used, which is 2-3 times slower."
_ENGINE_VERSION = 3  # raise it when `onnx_export` writes a different graph


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
            networks: The members' networks, if they are already loaded.
            device: See `device.resolve_device`.
            cache_dir: Keeps the exported graph between runs.
            threads: Threads that one call of `features` may use on a CPU, one per picture.
        """
        self.spec = spec
        self.device = resolve_device(device)
        self.torch_engine = TorchEngine(spec, networks, device=self.device)
        self.engine: OnnxEngine | TorchEngine = self.torch_engine
        self.note = ""
        if self.device == "cpu":
            found, self.note = open_onnx(spec, self.torch_engine, cache_dir, threads)
            self.engine = found or self.torch_engine

    @property
    def transforms(self) -> Transforms:
        """The framing of photographs for this backbone."""
        return self.spec.transforms

    @property
    def device_text(self) -> str:
        """The device and engine in words, such as `CPU (ONNX Runtime)`."""
        return f"{self.device.upper()} ({self.engine.name})"

    @property
    def batch_size(self) -> int:
        """The number of pictures per call of `features` that is fastest."""
        return self.engine.batch_size

    @functools.cached_property
    def embed_dim(self) -> int:
        """D, the number of features."""
        return self.engine.width

    @functools.cached_property
    def mean_width(self) -> int:
        """How many of the first features are not second moments; with mean pooling, all."""
        return self.engine.mean_width

    @property
    def module(self) -> "nn.Module":
        """The torch module, frozen, in eval mode, on `device`: uint8 [N, S, S, 3] -> [N, D]."""
        return self.torch_engine.module

    def features(self, pixels: np.ndarray) -> np.ndarray:
        """Compute features; may be called from several threads at once.

        Args:
            pixels: uint8 `[N, image_size, image_size, 3]`, framed by `transforms`.

        Returns:
            float32 `[N, D]`.

        Raises:
            ValueError: The pixels have the wrong shape or type.
        """
        return self.engine.features(self._checked(pixels))

    def _checked(self, pixels: np.ndarray) -> np.ndarray:
        size = self.transforms.image_size
        if pixels.dtype != np.uint8 or pixels.shape[1:] != (size, size, 3):
            raise ValueError(
                f"Pixels have shape {pixels.shape} and type {pixels.dtype}; "
                f"expected uint8 [N, {size}, {size}, 3]."
            )
        return np.ascontiguousarray(pixels)

    def maps(self, pixels: np.ndarray) -> tuple[np.ndarray, list[Maps]]:
        """Compute features and their maps in one pass; may be called from several threads at once.

        Args:
            pixels: See `features`.

        Returns:
            float32 `[N, D]`, and the maps. Features without a map cannot be attributed to
            positions.

        Raises:
            ValueError: See `features`.
        """
        return self.engine.maps(self._checked(pixels))

    def attribute_tail(self, maps: Maps, weights: np.ndarray) -> np.ndarray:
        """Attribute a weighted sum of a tail's features to positions; see `tail.Tail.attribute`.

        Args:
            maps: The maps of a tail, whose `member` is not None.
            weights: float32 `[N, width]`, one weight per feature.

        Returns:
            float32 `[N, h, w]`.
        """
        return self.torch_engine.attribute_tail(maps, weights)

    def forward(self, pixels: "torch.Tensor") -> "torch.Tensor":
        """Run the torch module; see `TorchEngine.forward`."""
        return self.torch_engine.forward(pixels)


def open_onnx(
    spec: BackboneSpec, fallback: TorchEngine, cache_dir: Path, threads: int
) -> tuple[OnnxEngine | None, str]:
    """Open a backbone's graph: the one that ships with Frostflower, or one exported earlier.

    If there is neither, the graph is exported and compared with torch.

    Args:
        spec: The backbone.
        fallback: The backbone in torch on the CPU, from which the graph is exported.
        cache_dir: Keeps the exported graph between runs.
        threads: See `OnnxEngine`.

    Returns:
        The engine and an empty note; or None, and a sentence that says why torch is used instead.

    Raises:
        ValueError: Weights are missing or do not match the specification; or Frostflower does not
            ship the graph and torch, which would export it, is not installed.
    """
    shipped = graphs.read(spec)
    if shipped:
        return OnnxEngine(*shipped, threads=threads), ""
    require_torch(f"Backbone {spec.described} is not packaged, so it")
    import onnxruntime

    versions = f"{EXTRACTOR_VERSION}.{_ENGINE_VERSION}-{onnxruntime.__version__}"
    folder, name = cache_dir / "engines", f"{spec.key}-{versions}"
    for path in folder.glob(f"{name}-*.onnx"):
        if path.stem.endswith(checksum(path.read_bytes())):
            return OnnxEngine(path, threads=threads), ""
        _log.warning("Cache file %s is damaged and will be written again.", path)
        path.unlink()
    folder.mkdir(parents=True, exist_ok=True)
    with temporary_folder(folder) as temporary:
        from model.backbones.onnx_export import export

        exported, extractor = temporary / f"{name}.onnx", fallback.module
        try:
            trial = _trial(spec)
            expected = export(extractor, exported, trial)
            found = OnnxEngine(exported).features(trial)
        except Exception as error:  # errors of torch.onnx and onnxruntime share no other class
            reason = (str(error).splitlines() or ["no reason given"])[0]
            return None, f"{spec.name} cannot be exported ({reason}), so {_SLOWER}"
        difference = np.abs(found - expected).max() / max(np.abs(expected).max(), 1e-12)
        if not difference <= _TOLERANCE:
            return None, (
                f"ONNX Runtime differs from torch by {difference:.1e} on {spec.name}, so {_SLOWER}"
            )
        path = folder / f"{name}-{checksum(exported.read_bytes())}.onnx"
        exported.replace(path)
    return OnnxEngine(path, threads=threads), ""


def _trial(spec: BackboneSpec) -> np.ndarray:
    """Return two pictures of noise, uint8 `[2, S, S, 3]`."""
    size = spec.transforms.image_size
    return np.random.default_rng(0).integers(0, 256, (2, size, size, 3), np.uint8)


def open_backbone(
    name: str = DEFAULT_BACKBONE,
    *,
    stages: int = 3,
    pooling: Pooling = "mean",
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
        stages: How many of the last stages to pool in addition to the final layer; 0 for none.
        pooling: See `BackboneSpec`.
        image_size: Input size in px for every member, instead of each member's own.
        framing: See `Transforms`; None for the largest member's own.
        interpolation: `bicubic` or `bilinear`; None for the largest member's own.
        device: See `device.resolve_device`.
        cache_dir: Keeps the exported graph between runs.
        threads: Threads that one call of `features` may use on a CPU.

    Returns:
        The backbone.

    Raises:
        ConnectionError: Weights cannot be downloaded.
        ValueError: The name or the device is unknown, or a size is out of range.
    """
    names = [part.strip() for part in name.split("+")]
    if repeated := {part for part in names if names.count(part) > 1}:
        raise ValueError(f"Backbone '{name}' names {' and '.join(repeated)} twice.")
    # A packaged network is fully described without loading it; it is loaded when torch must run it.
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
    spec = BackboneSpec(members, stages, transforms, pooling)
    networks = [network for network, _, _ in loaded]
    return Backbone(spec, networks, device=device, cache_dir=cache_dir, threads=threads)


MOST_SERVING_THREADS = 4
"""The most threads that work on one photograph."""


def serving_threads() -> int:
    """Return how many threads to use for one photograph: one per core, up to the limit."""
    return min(MOST_SERVING_THREADS, default_workers())
