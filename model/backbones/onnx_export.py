"""Writes a backbone as an ONNX graph. No other code of the CPU engine uses torch."""

import json
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from model.backbones.extractor import WithMaps
from model.backbones.maps import MapInfo
from model.backbones.onnx_engine import MAPS


def export(extractor: nn.Module, path: Path, pixels: np.ndarray) -> np.ndarray:
    """Write an extractor's features and maps as an ONNX graph for any number of pictures.

    Args:
        extractor: The extractor, on the CPU and in eval mode.
        path: The file to write.
        pixels: uint8 `[N, S, S, 3]`, used to trace it.

    Returns:
        The features that torch computes for these pixels, `[N, D]`.
    """
    given = torch.from_numpy(pixels)
    module = WithMaps(extractor).eval()  # the export puts every part into the wrapper's mode
    with torch.no_grad():
        expected, maps = module.extractor.with_maps(given)
    names = ["features", *(f"map_{number}" for number in range(len(maps)))]
    with warnings.catch_warnings():  # the tracer warns of shapes, which are constant here
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            (given,),
            str(path),
            dynamo=False,
            opset_version=18,
            training=torch.onnx.TrainingMode.PRESERVE,  # keeps BatchNorm, see `graphs`
            input_names=["pixels"],
            output_names=names,
            dynamic_axes={name: {0: "N"} for name in ("pixels", *names)},
        )
    describe_maps(path, [info for info, _ in maps])
    return expected.numpy()


def describe_maps(path: Path, maps: Sequence[MapInfo]) -> None:
    """Describe a graph's maps in its metadata.

    Args:
        path: The ONNX file.
        maps: One entry for each output after the features.
    """
    import onnx

    model = onnx.load(path)
    onnx.helper.set_model_props(model, {MAPS: json.dumps(maps)})
    onnx.save(model, path)
