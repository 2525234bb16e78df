"""The engine on a CPU: the backbone as an ONNX graph, run by ONNX Runtime."""

import tempfile
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from model.backbones import graphs
from model.backbones.spec import EXTRACTOR_VERSION, BackboneSpec

if TYPE_CHECKING:
    from torch import nn

_TOLERANCE = 1e-3  # relative; what ONNX Runtime may differ from torch before torch is used instead
_SLOWER = "torch is used, which is 2-3 times slower."
_ENGINE_VERSION = 2  # raise it when `export` writes another graph


class Engine:
    """A backbone's graph, run one picture at a time on each thread that there may be.

    One picture's activations stay in a core's own cache, and a fixed size lets ONNX Runtime work
    out padding beforehand and leave it to the convolutions, into which it folds BatchNorm when it
    loads the graph: the same features, bit for bit, in 7.2 ms a picture; any number of pictures
    took 9.0 ms one by one, 11.4 eight by eight (lite0).
    """

    def __init__(
        self, graph: Path | bytes, weights: Mapping[str, bytes] | None = None, *, threads: int = 1
    ) -> None:
        """Load a graph.

        Args:
            graph: An ONNX file, or its content.
            weights: Files that the graph refers to, name -> content.
            threads: Pictures computed at the same time by one call of `run`.
        """
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_free_dimension_override_by_name("N", 1)
        if weights:
            sizes = [len(content) for content in weights.values()]
            options.add_external_initializers_from_files_in_memory(
                list(weights), list(weights.values()), sizes
            )
        model = graph if isinstance(graph, bytes) else str(graph)
        self._session: Any = onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"]
        )
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None
        self.outputs: list[str] = [output.name for output in self._session.get_outputs()]

    def run(self, names: list[str], pixels: np.ndarray) -> list[np.ndarray]:
        """Compute some outputs; may be called from several threads.

        Args:
            names: Of `outputs`: `features`, and maps as `Extractor.with_maps` names them.
            pixels: uint8 `[N, S, S, 3]`.

        Returns:
            float32 `[N, ...]` for each name.

        Raises:
            ValueError: N is 0.
        """
        if not len(pixels):
            raise ValueError("There are no pictures to compute features of.")

        def one(number: int) -> list[np.ndarray]:
            return self._session.run(names, {"pixels": pixels[number : number + 1]})

        apply = map if self._pool is None or len(pixels) == 1 else self._pool.map
        rows = apply(one, range(len(pixels)))
        return [np.concatenate(column) for column in zip(*rows, strict=True)]


def open_engine(
    spec: BackboneSpec, module: Callable[[], "nn.Module"], cache_dir: Path, threads: int
) -> tuple[Engine | None, str]:
    """Open a backbone's graph: the one that comes with Frostflower, else one exported before.

    Where there is neither, it is exported and compared with torch.

    Args:
        spec: The backbone.
        module: Gives its torch module on the CPU, when one is needed.
        cache_dir: Keeps the exported graph between runs.
        threads: As `Engine`.

    Returns:
        The engine and no note; or None, and a sentence that says why torch is used instead.

    Raises:
        ValueError: Weights are missing, or are not those of the specification.
    """
    shipped = graphs.read(spec)
    if shipped:
        return Engine(*shipped, threads=threads), ""
    import onnxruntime

    versions = f"{EXTRACTOR_VERSION}.{_ENGINE_VERSION}-{onnxruntime.__version__}"
    name = f"{spec.key}-{versions}.onnx"
    path = cache_dir / "engines" / name
    if path.is_file():
        try:
            return Engine(path, threads=threads), ""
        except Exception:  # a damaged file; onnxruntime's errors have no common class
            path.unlink()
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as temporary:
        exported, extractor = Path(temporary, name), module()
        try:
            trial = _trial(spec)
            expected = export(extractor, exported, trial)
            found = Engine(exported).run(["features"], trial)[0]
        except Exception as error:  # torch.onnx's and onnxruntime's have no common class
            reason = (str(error).splitlines() or ["no reason given"])[0]
            return None, f"{spec.name} cannot be exported ({reason}), so {_SLOWER}"
        difference = np.abs(found - expected).max() / max(np.abs(expected).max(), 1e-12)
        if not difference <= _TOLERANCE:
            return None, (
                f"ONNX Runtime differs from torch by {difference:.1e} on {spec.name}, so {_SLOWER}"
            )
        exported.replace(path)
    return Engine(path, threads=threads), ""


def _trial(spec: BackboneSpec) -> np.ndarray:
    """Return two pictures of noise, uint8 `[2, S, S, 3]`."""
    size = spec.transforms.image_size
    return np.random.default_rng(0).integers(0, 256, (2, size, size, 3), np.uint8)


def export(extractor: "nn.Module", path: Path, pixels: np.ndarray) -> np.ndarray:
    """Write an extractor's features and maps as an ONNX graph of any number of pictures.

    Args:
        extractor: On the CPU, in eval mode.
        path: The file.
        pixels: uint8 `[N, S, S, 3]`, to trace it with.

    Returns:
        Torch's features of these pixels, `[N, D]`.
    """
    import torch

    from model.backbones.extractor import WithMaps

    given = torch.from_numpy(pixels)
    module = WithMaps(extractor).eval()  # the export leaves all of it in the wrapper's mode
    with torch.no_grad():
        expected, maps = module.extractor.with_maps(given)
    names = ["features", *maps]
    with warnings.catch_warnings():  # the tracer's remarks on shapes that are constant here
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            (given,),
            str(path),
            dynamo=False,
            opset_version=18,
            training=torch.onnx.TrainingMode.PRESERVE,  # BatchNorm stays, see `graphs`
            input_names=["pixels"],
            output_names=names,
            dynamic_axes={name: {0: "N"} for name in ("pixels", *names)},
        )
    return expected.numpy()
