"""The engine on a CPU: the backbone as an ONNX graph, run by ONNX Runtime."""

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from model.backbones.maps import MapInfo, Maps

MAPS = "maps"
"""Key of the graph's metadata that says, in JSON, what its outputs behind the features are: offset,
width, member and order of each, as `MapInfo`."""


class OnnxEngine:
    """A backbone's graph, run one picture at a time on each thread that there may be.

    One picture's activations stay in a core's own cache, and a fixed size lets ONNX Runtime work
    out padding beforehand and leave it to the convolutions, into which it folds BatchNorm when it
    loads the graph: the same features, bit for bit, in 7.2 ms a picture; any number of pictures
    took 9.0 ms one by one, 11.4 eight by eight (lite0).

    Attributes:
        width: D, the number of features.
        mean_width: How many of them are not second moments; these are the first.
    """

    name = "ONNX Runtime"
    batch_size = 1

    def __init__(
        self, graph: Path | bytes, weights: Mapping[str, bytes] | None = None, *, threads: int = 1
    ) -> None:
        """Load a graph.

        Args:
            graph: An ONNX file, or its content.
            weights: Files that the graph refers to, name -> content.
            threads: Pictures computed at the same time by one call.
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
        stored = self._session.get_modelmeta().custom_metadata_map
        self._maps = [MapInfo(*values) for values in json.loads(stored[MAPS])]
        outputs = self._session.get_outputs()
        self._names: list[str] = [output.name for output in outputs]
        self.width = int(outputs[0].shape[1])
        self.mean_width = self.width - sum(info.width for info in self._maps if info.order == 2)

    def features(self, pixels: np.ndarray) -> np.ndarray:
        """Compute features; may be called from several threads.

        Args:
            pixels: uint8 `[N, S, S, 3]`.

        Returns:
            float32 `[N, D]`.

        Raises:
            ValueError: N is 0.
        """
        return self._run(self._names[:1], pixels)[0]

    def maps(self, pixels: np.ndarray) -> tuple[np.ndarray, list[Maps]]:
        """Compute features and the maps behind them; may be called from several threads.

        Args:
            pixels: uint8 `[N, S, S, 3]`.

        Returns:
            float32 `[N, D]`, and the maps.

        Raises:
            ValueError: N is 0.
        """
        features, *values = self._run(self._names, pixels)
        return features, [Maps(*pair) for pair in zip(self._maps, values, strict=True)]

    def _run(self, names: list[str], pixels: np.ndarray) -> list[np.ndarray]:
        """Compute some outputs, one picture after the other."""
        if not len(pixels):
            raise ValueError("There are no pictures to compute features of.")

        def one(number: int) -> list[np.ndarray]:
            return self._session.run(names, {"pixels": pixels[number : number + 1]})

        apply = map if self._pool is None or len(pixels) == 1 else self._pool.map
        rows = apply(one, range(len(pixels)))
        return [np.concatenate(column) for column in zip(*rows, strict=True)]
