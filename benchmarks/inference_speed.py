"""Measures classification speed against timm in torch, transformers' pipeline, and the roof.

    python benchmarks/inference_speed.py

All of them use the same EfficientNet-Lite0 at 256 px, one centre view, 102 random classes and the
same photographs (those that scikit-learn and Gradio ship). `features` is from framed pixels to
features, `all` is from the file's bytes to probabilities. Everything runs in turn for several
rounds; the table shows medians in images/s. timm and transformers are used as their documentation
shows, at their best batch size. In Frostflower each core takes its own photograph from bytes to
probabilities, as `features.extract` does. The roof is the fastest of three float32 matrix products
(numpy's, torch's, ONNX Runtime's) with one thread per core, applied to the network's counted
operations.
"""

import argparse
import importlib.util
import io
import itertools
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from threadpoolctl import threadpool_limits

# `python benchmarks/...` puts benchmarks/ on the path instead of the folder above it, and there
# benchmarks/cuda.py would hide NVIDIA's package `cuda`, which torch imports.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from model.backbones.backbone import Backbone, open_backbone
from model.cache import default_workers
from model.commands import console
from model.heads.head import Head
from model.photographs import images
from model.trust.metrics import softmax

BATCHES, CORES, CLASSES = (1, 8, 32), (1, 2), 102
_SIDE, _PRODUCTS = 512, 24  # size and number of the matrix products that measure the roof

OURS, PEERS = "Frostflower", ("timm, torch", "transformers")
LIBRARIES = ("numpy", "torch", "ONNX Runtime")

Work = Callable[[], object]
Key = tuple[str, str, int, int]  # name, kind, batch, cores


def photographs(count: int) -> list[bytes]:
    """Return the files of photographs from installed packages, repeated up to `count`."""
    found: list[Path] = []
    for package, folder in (("sklearn", "datasets/images"), ("gradio", "test_data")):
        spec = importlib.util.find_spec(package)
        places = spec.submodule_search_locations if spec else None
        if places:
            found += sorted(Path(places[0], folder).glob("*.jpg"))
    if not found:
        raise FileNotFoundError("No packaged photographs found: pip install scikit-learn gradio")
    return [path.read_bytes() for path in itertools.islice(itertools.cycle(found), count)]


def ours(backbone: Backbone, files: Sequence[bytes], batch: int, cores: int) -> dict[str, Work]:
    """Return the work to time for Frostflower, with one photograph per core."""
    rng = np.random.default_rng(0)
    width = backbone.embed_dim
    weight = rng.normal(size=(CLASSES, width)).astype(np.float32)
    bias = np.zeros(CLASSES, np.float32)
    head = Head(np.zeros(width, np.float32), np.ones(width, np.float32), [(weight, bias)])
    pool = ThreadPoolExecutor(cores)

    def probabilities(content: bytes) -> np.ndarray:
        pixels = backbone.transforms.center(images.decode(content))
        return softmax(head.logits(backbone.features(pixels[None])))

    framed = np.stack([backbone.transforms.center(images.decode(file)) for file in files])
    parts = [slice(start, start + batch) for start in range(0, len(files), batch)]
    return {
        "features": lambda: [
            list(pool.map(lambda one: backbone.features(one[None]), framed[part])) for part in parts
        ],
        "all": lambda: [list(pool.map(probabilities, files[part])) for part in parts],
    }


def peers(backbone: Backbone, files: Sequence[bytes], batch: int) -> dict[str, dict[str, Work]]:
    """Return the work to time for timm in torch and transformers' pipeline on the same model."""
    import timm
    import torch
    from timm.data import create_transform
    from transformers import (
        TimmWrapperConfig,
        TimmWrapperForImageClassification,
        TimmWrapperImageProcessor,
        pipeline,
    )

    member, framing = backbone.spec.members[0], backbone.transforms
    config: dict[str, Any] = {
        "input_size": (3, framing.image_size, framing.image_size),
        "crop_pct": framing.crop_pct,
        "interpolation": framing.interpolation,
        "mean": member.mean,
        "std": member.std,
    }
    network = timm.create_model("tf_efficientnet_lite0", num_classes=CLASSES).eval()
    transform: Any = create_transform(**config, is_training=False)
    settings = TimmWrapperConfig(
        architecture="tf_efficientnet_lite0", id2label={i: str(i) for i in range(CLASSES)}
    )
    settings.pretrained_cfg = config
    wrapper = TimmWrapperForImageClassification(settings).eval()
    processor = TimmWrapperImageProcessor(config, architecture="tf_efficientnet_lite0")
    pipe: Any = pipeline("image-classification", wrapper, image_processor=processor, device="cpu")

    def decoded(part: slice) -> list[Image.Image]:
        return [Image.open(io.BytesIO(file)).convert("RGB") for file in files[part]]

    framed = torch.stack([transform(image) for image in decoded(slice(None))])
    parts = [slice(start, start + batch) for start in range(0, len(files), batch)]

    def plain(part: slice, pixels: torch.Tensor | None = None) -> torch.Tensor:
        with torch.inference_mode():
            if pixels is not None:
                return network.forward_features(pixels)  # pyrefly: ignore
            given = torch.stack([transform(image) for image in decoded(part)])
            return network(given).softmax(dim=1)

    def wrapped(part: slice) -> object:
        with torch.inference_mode():
            return wrapper(framed[part])

    return {
        "timm, torch": {
            "features": lambda: [plain(part, framed[part]) for part in parts],
            "all": lambda: [plain(part) for part in parts],
        },
        "transformers": {
            "features": lambda: [wrapped(part) for part in parts],
            "all": lambda: [pipe(decoded(part), batch_size=batch) for part in parts],
        },
    }


def products(cores: int) -> dict[str, Work]:
    """Return matrix products to time, by library, with one thread per core."""
    import onnxruntime
    import torch
    from onnx import TensorProto, helper

    sides, kind = [_SIDE, _SIDE], TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["a", "b"], ["c"])],
        "product",
        [helper.make_tensor_value_info(name, kind, sides) for name in "ab"],
        [helper.make_tensor_value_info("c", kind, sides)],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        made.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    a, b = np.random.default_rng(0).random((2, _SIDE, _SIDE), np.float32)
    first, second = torch.from_numpy(a), torch.from_numpy(b)
    pool = ThreadPoolExecutor(cores)

    def on_all_cores(product: Work) -> Work:
        def repeated(_: int) -> None:
            torch.set_num_threads(1)  # applies only to the calling thread
            for _ in range(_PRODUCTS):
                product()

        return lambda: list(pool.map(repeated, range(cores)))

    return {
        "numpy": on_all_cores(lambda: a @ b),
        "torch": on_all_cores(lambda: first @ second),
        "ONNX Runtime": on_all_cores(lambda: session.run(None, {"a": a, "b": b})),
    }


def measure(work: dict[Key, tuple[Work, int]], rounds: int) -> dict[Key, list[float]]:
    """Time all work in turn.

    Args:
        work: The work to time, and how many photographs (or products per core) each call handles.
        rounds: Number of rounds, after one warm-up round.

    Returns:
        Seconds per photograph (or product) for each round.
    """
    import torch

    seconds: dict[Key, list[float]] = {key: [] for key in work}
    for number in range(rounds + 1):
        for key, (run, count) in work.items():
            torch.set_num_threads(key[3])
            started = time.perf_counter()
            run()
            if number:
                seconds[key].append((time.perf_counter() - started) / count)
    return seconds


def best(
    seconds: dict[Key, list[float]], names: Sequence[str], kind: str, cores: int
) -> np.ndarray:
    """Return the rounds `[R]` of the fastest combination of program and batch size."""
    keys = [key for key in seconds if key[0] in names and key[1] == kind and key[3] == cores]
    return np.array(seconds[min(keys, key=lambda key: statistics.median(seconds[key]))])


def print_results(seconds: dict[Key, list[float]], operations: int, counts: Sequence[int]) -> None:
    """Print the table and the ratios for each number of cores; the last ones are the named lines.

    Args:
        seconds: The result of `measure`.
        operations: Floating-point operations of the network per photograph.
        counts: Numbers of cores.
    """
    rows = []
    for name, kind, cores in dict.fromkeys((key[0], key[1], key[3]) for key in seconds):
        if kind != "product":
            cells = [seconds[name, kind, batch, cores] for batch in BATCHES]
            speeds = [f"{1 / statistics.median(cell):.1f}" for cell in cells]
            rows.append((f"{name}, {kind}", cores, *speeds))
    titles = [f"batch {batch}" for batch in BATCHES]
    print(f"{operations / 1e9:.3f} GFLOP per photograph; images/s")
    print(console.table(("Program", "Cores", *titles), sorted(rows, key=lambda row: row[1])))
    for cores in counts:
        features = best(seconds, [OURS], "features", cores)
        whole = best(seconds, [OURS], "all", cores)
        peer = best(seconds, PEERS, "all", cores)
        product = best(seconds, LIBRARIES, "product", cores)
        roof = cores * 2 * _SIDE**3 / product  # FLOP/s
        share = float(np.median(operations / features / roof))
        print(
            f"{cores} cores: the roof is {np.median(roof) / 1e9:.0f} GFLOP/s; from bytes to "
            f"probabilities runs at {np.median(features / whole):.0%} of the speed of features"
        )
        print(f"roof {share:.0%}".replace("%", " %"))
        print(f"best peer ratio {np.median(peer / whole):.1f}")


def main() -> int:
    """Time everything, and print the table.

    Returns:
        Exit status 0.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=console.HelpFormatter, prog="inference_speed.py"
    )
    parser.add_argument(
        "--photographs", type=int, default=16, help="number per measurement, at least one batch"
    )
    parser.add_argument("--rounds", type=int, default=5, help="rounds of all measurements")
    console.add_cache_dir(parser)
    options = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"  # nothing is downloaded
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    files = photographs(max(*BATCHES, options.photographs))
    backbone = open_backbone(device="cpu", cache_dir=options.cache_dir)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        backbone.module(torch.zeros(1, *[backbone.transforms.image_size] * 2, 3, dtype=torch.uint8))
    operations = counter.get_total_flops()
    work: dict[Key, tuple[Work, int]] = {}
    counts = [cores for cores in CORES if cores <= default_workers()]
    for batch in BATCHES:
        some = files[: max(batch, options.photographs)]
        others = peers(backbone, some, batch)
        for cores in counts:
            programs = {OURS: ours(backbone, some, batch, cores), **others}
            for name, kinds in programs.items():
                timed = {
                    (name, kind, batch, cores): (run, len(some)) for kind, run in kinds.items()
                }
                work |= timed
    for cores in counts:
        work |= {
            (name, "product", 0, cores): (run, _PRODUCTS) for name, run in products(cores).items()
        }
    with threadpool_limits(1, user_api="blas"):
        seconds = measure(work, options.rounds)
    print_results(seconds, operations, counts)
    return 0


if __name__ == "__main__":
    sys.exit(console.run("inference_speed.py", main))
