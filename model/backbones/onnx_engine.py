"""The engine for CPUs: runs the backbone as an ONNX graph with ONNX Runtime."""

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from model.backbones.maps import MapInfo, Maps

MAPS = "maps"
"""Metadata key of the graph; its JSON value gives the offset, width, member and order of each
output after the features, see `MapInfo`."""


class OnnxEngine:
    """Runs a backbone's graph, one picture at a time on each thread.

    The activations of a single picture stay in the core's own cache. With a fixed size, ONNX
    Runtime computes padding in advance, leaves it to the convolutions, and folds BatchNorm into
    them when it loads the graph. The features are the same bit for bit, and a picture takes 7.2 ms;
    a graph for any number of pictures took 9.0 ms one by one, 11.4 ms in batches of eight (lite0).

    Attributes:
        width: D, the number of features.
        mean_width: How many of the first features are not second moments.
    """

    name = "ONNX Runtime"
    batch_size = 1

    def __init__(
        self, graph: Path | bytes, weights: Mapping[str, bytes] | None = None, *, threads: int = 1
    ) -> None:
        """Load a graph.

        Args:
            graph: An ONNX file, or its content.
            weights: The files that the graph refers to, name -> content.
            threads: Pictures that one call computes at the same time.
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
        """Compute features; may be called from several threads at once.

        Args:
            pixels: uint8 `[N, S, S, 3]`.

        Returns:
            float32 `[N, D]`.

        Raises:
            ValueError: N is 0.
        """
        return self._run(self._names[:1], pixels)[0]

    def maps(self, pixels: np.ndarray) -> tuple[np.ndarray, list[Maps]]:
        """Compute features and their maps; may be called from several threads at once.

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
        """Compute the named outputs, picture by picture."""
        if not len(pixels):
            raise ValueError("There are no pictures to compute features for.")

        def one(number: int) -> list[np.ndarray]:
            return self._session.run(names, {"pixels": pixels[number : number + 1]})

        apply = map if self._pool is None or len(pixels) == 1 else self._pool.map
        rows = apply(one, range(len(pixels)))
        return [np.concatenate(column) for column in zip(*rows, strict=True)]
