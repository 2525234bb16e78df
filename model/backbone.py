"""The frozen backbone: what it computes, and the fastest engine that agrees with torch."""

import ctypes
import functools
import hashlib
import json
import sys
import tempfile
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from model.cache import default_workers
from model.transforms import Framing, Transforms
from model.weights import load_network

if TYPE_CHECKING:
    import torch
    from torch import nn

DEFAULT_BACKBONE = "efficientnet_lite0"
DEVICES = ("auto", "cpu", "cuda", "mps")

_TOLERANCE = 1e-3  # relative; what ONNX Runtime may differ from torch before torch is used instead
_SLOWER = "torch is used, which is 2-3 times slower."
EXTRACTOR_VERSION = 1  # part of every cache key: raise it when the module computes otherwise
_ENGINE_VERSION = 2  # raise it when the exported model has other outputs


@dataclass(frozen=True)
class Member:
    """One network of a backbone.

    Attributes:
        name: A packaged name or a timm model name.
        weights_sha256: Hash of its weights.
        image_size: Side of its own input, in px.
        mean: Mean of its input's channels, 0-1.
        std: Standard deviation of its input's channels, 0-1.
    """

    name: str
    weights_sha256: str
    image_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        """Check the values, which may come from a checkpoint somebody edited."""
        if not isinstance(self.image_size, int) or not 16 <= self.image_size <= 2048:
            raise ValueError(
                f"Image size {self.image_size!r} px of {self.name} is outside 16-2048."
            )
        if len(self.mean) != 3 or len(self.std) != 3:
            raise ValueError(f"Mean and std of {self.name} must have 3 channels each.")


@dataclass(frozen=True)
class BackboneSpec:
    """All that decides a feature, and so the key of the feature cache.

    Attributes:
        members: The networks whose features are concatenated.
        stages: How many of the last stages' pooled outputs stand beside the final layer's.
        transforms: How a photograph is framed for all members.
    """

    members: tuple[Member, ...]
    stages: int
    transforms: Transforms

    def __post_init__(self) -> None:
        """Check the values, as `Member` does."""
        if not self.members:
            raise ValueError("The backbone has no members.")
        if self.stages < 0:
            raise ValueError(f"--stages {self.stages} must be 0 or more.")

    @property
    def name(self) -> str:
        """The names joined by `+`, as `--backbone` takes them."""
        return "+".join(member.name for member in self.members)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "BackboneSpec":
        """Rebuild a specification from `to_json`'s values.

        Raises:
            KeyError: A field is missing.
            ValueError: A value is out of range.
        """
        members = tuple(
            Member(
                name=member["name"],
                weights_sha256=member["weights_sha256"],
                image_size=member["image_size"],
                mean=tuple(member["mean"]),
                std=tuple(member["std"]),
            )
            for member in values["members"]
        )
        return cls(members, int(values["stages"]), Transforms(**values["transforms"]))

    @property
    def key(self) -> str:
        """A short hash of all fields."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()[:16]


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


def resolve_device(device: str) -> str:
    """Choose the device.

    Args:
        device: `auto` (CUDA, else the CPU), `cpu`, `cuda` or `mps`.

    Returns:
        `cpu`, `cuda` or `mps`.

    Raises:
        ValueError: An unknown name, or a device this machine does not have.
    """
    if device not in DEVICES:
        raise ValueError(f"Device '{device}' is not one of {', '.join(DEVICES)}.")
    if device == "cpu" or (device == "auto" and not _may_have_gpu()):
        return "cpu"
    import torch

    cuda = torch.cuda.is_available()
    if device == "auto":
        return "cuda" if cuda else "cpu"
    if device == "cuda" and not cuda:
        raise ValueError("Device 'cuda' was asked for, but torch finds none. Use --device cpu.")
    if device == "mps" and not torch.backends.mps.is_available():
        raise ValueError("Device 'mps' was asked for, but torch finds none. Use --device cpu.")
    return device


def _may_have_gpu() -> bool:
    """Tell whether torch is worth asking: importing it takes seconds, looking for a driver none.

    Where torch is imported already (as ZeroGPU's `spaces` does, which lends GPUs to machines that
    have none) torch is asked.
    """
    if "torch" in sys.modules or Path("/dev/kfd").exists():  # ROCm's
        return True
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True


def _session(path: Path) -> Any:
    """Open an exported model for one picture a run, on the thread that calls it.

    One picture's activations stay in a core's own cache, and a fixed size lets ONNX Runtime work
    out padding beforehand and leave it to the convolutions: the same features, bit for bit, in
    7.2 ms a picture; any number of pictures took 9.0 ms one by one, 11.4 eight by eight (lite0).
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_free_dimension_override_by_name("N", 1)
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


class Backbone:
    """A frozen feature extractor: framed pixels in, feature vectors out."""

    def __init__(
        self,
        spec: BackboneSpec,
        networks: Sequence["nn.Module"] | None = None,
        *,
        device: str = "auto",
        cache_dir: Path,
        threads: int = 1,
    ) -> None:
        """Build the extractor; use `open_backbone` or `Backbone.load` instead.

        Args:
            spec: What to compute.
            networks: The members' networks, when they are loaded already.
            device: As `resolve_device`.
            cache_dir: Keeps the exported model between runs.
            threads: Threads that one call of `features` may use on a CPU; each takes a picture.
        """
        self.spec = spec
        self.device = resolve_device(device)
        self._networks = networks
        self._lock = threading.Lock()
        self._session: Any = None
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None
        self.engine = "torch"
        self.note = ""
        if self.device == "cpu":
            self._open_session(cache_dir)

    @property
    def transforms(self) -> Transforms:
        """How photographs are framed for this backbone."""
        return self.spec.transforms

    @property
    def device_text(self) -> str:
        """The device and engine in words, such as `CPU (ONNX Runtime)`."""
        return f"{self.device.upper()} ({self.engine})"

    @functools.cached_property
    def embed_dim(self) -> int:
        """D, the number of features."""
        size = self.transforms.image_size
        pixels = np.zeros((1, size, size, 3), np.uint8)
        if self._session is not None:
            return self.features(pixels).shape[1]
        import torch

        with torch.inference_mode():  # on the CPU: a ZeroGPU Space has no GPU while it starts
            return self._cpu_module(torch.from_numpy(pixels)).shape[1]

    @functools.cached_property
    def _cpu_module(self) -> "nn.Module":
        """The torch module before it is moved to its device; moving changes it in place."""
        from model.extractor import Extractor

        networks = self._networks
        if networks is None:
            networks = []
            for member in self.spec.members:
                network, sha256, _ = load_network(member.name, member.image_size)
                if sha256 != member.weights_sha256:
                    raise ValueError(
                        f"Weights of backbone '{member.name}' have sha256 {sha256[:12]}…, but the "
                        f"checkpoint was trained with {member.weights_sha256[:12]}…. Train again, "
                        "or install the weights it was trained with."
                    )
                networks.append(network)
        return Extractor(self.spec, networks).requires_grad_(False).eval()

    @functools.cached_property
    def module(self) -> "nn.Module":
        """The torch module, frozen, in eval mode, on `device`: uint8 [N, S, S, 3] -> [N, D]."""
        import torch

        if self.device != "cpu":
            _ = self.embed_dim  # while the module is still on the CPU
        module = self._cpu_module.to(device=self.device)
        if self.device == "cuda":
            module = module.to(memory_format=torch.channels_last)  # pyrefly: ignore
        return module

    def _open_session(self, cache_dir: Path) -> None:
        """Open the exported model; export it first if it is new, and compare it with torch."""
        import onnxruntime

        versions = f"{EXTRACTOR_VERSION}.{_ENGINE_VERSION}-{onnxruntime.__version__}"
        name = f"{self.spec.key}-{versions}.onnx"
        path = cache_dir / "engines" / name
        if path.is_file():
            try:
                self._session, self.engine = _session(path), "ONNX Runtime"
                return
            except Exception:  # a damaged file; onnxruntime's errors have no common class
                path.unlink()
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as temporary:
            exported = Path(temporary, name)
            _ = self.module  # weights that are not those of the checkpoint are an error, no note
            try:
                difference = self._difference(exported, self._export(exported))
            except Exception as error:  # torch.onnx's and onnxruntime's have no common class
                reason = (str(error).splitlines() or ["no reason given"])[0]
                self.note = f"{self.spec.name} cannot be exported ({reason}), so {_SLOWER}"
                return
            if not difference <= _TOLERANCE:
                self.note = (
                    f"ONNX Runtime differs from torch by {difference:.1e} on {self.spec.name}, "
                    f"so {_SLOWER}"
                )
                return
            exported.replace(path)
        self._session, self.engine = _session(path), "ONNX Runtime"

    def _difference(self, exported: Path, expected: np.ndarray) -> float:
        """Return the largest difference of an exported model's features from torch's, relative."""
        session = _session(exported)
        found = np.concatenate(
            [session.run(["features"], {"pixels": one[None]})[0] for one in self._trial()]
        )
        return float(np.abs(found - expected).max() / max(np.abs(expected).max(), 1e-12))

    def _trial(self) -> np.ndarray:
        """Return two pictures of noise, uint8 `[2, S, S, 3]`."""
        size = self.transforms.image_size
        return np.random.default_rng(0).integers(0, 256, (2, size, size, 3), np.uint8)

    def _export(self, path: Path) -> np.ndarray:
        """Export features and maps; return torch's features of `_trial`."""
        import warnings

        import torch

        from model.extractor import WithMaps

        pixels = torch.from_numpy(self._trial())
        module = WithMaps(self.module).eval()  # the export leaves all of it in the wrapper's mode
        with torch.no_grad():
            expected, maps = module.extractor.with_maps(pixels)
        names = ["features", *maps]
        with warnings.catch_warnings():  # the tracer's remarks on shapes that are constant here
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module,
                (pixels,),
                str(path),
                dynamo=False,
                opset_version=18,
                input_names=["pixels"],
                output_names=names,
                dynamic_axes={name: {0: "N"} for name in ("pixels", *names)},
            )
        return expected.numpy()

    def _run(self, names: list[str], pixels: np.ndarray) -> list[np.ndarray]:
        """Run the session picture by picture, on as many threads as there may be."""

        def run(number: int) -> list[np.ndarray]:
            return self._session.run(names, {"pixels": pixels[number : number + 1]})

        apply = map if self._pool is None or len(pixels) == 1 else self._pool.map
        rows = apply(run, range(len(pixels)))
        return [np.concatenate(column) for column in zip(*rows, strict=True)]

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
        if self._session is not None:
            return self._run(["features"], pixels)[0]
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
        if self._session is not None:
            names = [output.name for output in self._session.get_outputs()]
            results = dict(zip(names, self._run(names, pixels), strict=True))
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
        """Run the torch module, with mixed precision on CUDA; one call at a time.

        Args:
            pixels: uint8 `[N, S, S, 3]`, on any device.

        Returns:
            float32 `[N, D]`, on the backbone's device.
        """
        import torch

        if self.device != "cuda":
            return self.module(pixels.to(self.device)).float()
        pixels = pixels if pixels.is_cuda or pixels.is_pinned() else pixels.pin_memory()
        pixels = pixels.to("cuda", non_blocking=True)
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
        device: As `resolve_device`.
        cache_dir: Keeps the exported model between runs.
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
    loaded = [load_network(part, image_size) for part in names]
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
