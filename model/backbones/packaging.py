"""Writes the graphs that Frostflower ships: `python -m model.backbones.packaging`.

Run it whenever `EXTRACTOR_VERSION` or what `extractor` computes changes.
"""

import gzip
import sys
import tempfile
from pathlib import Path
from typing import get_args

import numpy as np
import onnx
from torch import nn

from model.backbones.backbone import open_backbone
from model.backbones.graphs import path_of
from model.backbones.onnx_export import export
from model.backbones.spec import BackboneSpec, Pooling
from model.backbones.weights import PACKAGED, packaged_content, packaged_network
from model.recipes import BEST, FAST

_LEAST_BYTES = 64  # smaller tensors stay in the graph


def write(spec: BackboneSpec, extractor: nn.Module) -> Path:
    """Write the graph of a backbone of packaged networks.

    Args:
        spec: The backbone.
        extractor: Its torch module on the CPU.

    Returns:
        The file.
    """
    size = spec.transforms.image_size
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary, "graph.onnx")
        export(extractor, file, np.zeros((2, size, size, 3), np.uint8))
        model = onnx.load(file)
    for number, member in enumerate(spec.members):
        prefix = f"extractor.members.{number}.network."
        _refer(model.graph, prefix, member.name)
    path = path_of(spec)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(gzip.compress(model.SerializeToString(), mtime=0))
    return path


def _refer(graph: onnx.GraphProto, prefix: str, name: str) -> None:
    """Replace the values of a network's tensors by their positions in its weights file.

    If the file stores a tensor with another order of dimensions (TensorFlow's), a node transposes
    it; ONNX Runtime computes that once, when it loads the graph.
    """
    content, tensors = packaged_content(name), packaged_network(name)[1]
    nodes = []
    for initializer in graph.initializer:
        tensor = tensors.get(initializer.name.removeprefix(prefix))
        if not initializer.name.startswith(prefix) or tensor is None or tensor.dim() == 0:
            continue
        order = sorted(range(tensor.dim()), key=lambda d: (-tensor.stride(d), -tensor.shape[d]))
        stored = tensor.permute(order)
        values = stored.contiguous().numpy().tobytes()
        offset = content.find(values)
        if len(values) < _LEAST_BYTES or offset < 0:
            continue
        if order != sorted(order):
            back = [order.index(dimension) for dimension in range(tensor.dim())]
            given, wanted = f"{initializer.name}.stored", initializer.name
            nodes.append(onnx.helper.make_node("Transpose", [given], [wanted], perm=back))
            initializer.name = given
        place = {"location": name, "offset": str(offset), "length": str(len(values))}
        initializer.CopyFrom(
            onnx.TensorProto(
                name=initializer.name,
                dims=stored.shape,
                data_type=onnx.TensorProto.FLOAT,
                data_location=onnx.TensorProto.EXTERNAL,
                external_data=[
                    onnx.StringStringEntryProto(key=key, value=value)
                    for key, value in place.items()
                ],
            )
        )
    before = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes, *before])


def _write_all() -> None:
    """Write the graphs of the recipes' backbones, and of each packaged network on its own."""
    names = dict.fromkeys([FAST["backbone"], BEST["backbone"], *PACKAGED])
    for name in names:
        for pooling in get_args(Pooling):
            with tempfile.TemporaryDirectory() as temporary:
                folder = Path(temporary)
                backbone = open_backbone(name, pooling=pooling, device="cpu", cache_dir=folder)
                path = write(backbone.spec, backbone.module)
            sys.stdout.write(f"{path}: {path.stat().st_size / 1e3:.0f} kB\n")


if __name__ == "__main__":
    _write_all()
