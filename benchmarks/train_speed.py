"""Times the default recipe against the tutorial's: same photographs, backbone, epochs and cores.

    python benchmarks/train_speed.py PHOTOS --photographs 1000 --epochs 20
    python benchmarks/train_speed.py PHOTOS --photographs 1000 --epochs 5 --peer fastai

With `--peer fastai` the comparison is with fastai's `vision_learner` (`pip install fastai`), with
the same split and weights, instead of the tutorial's recipe.

Each recipe is a complete `python train.py` with an empty cache, including start-up and export.
Start-up happens once, so the ratio rises with photographs and epochs: for 1,000 photographs of the
flowers and 20 epochs it was 27.6 (475 s and 17.2 s) on two otherwise idle cores.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

# `python benchmarks/...` puts benchmarks/ on the path instead of the folder above it, and there
# benchmarks/cuda.py would hide NVIDIA's package `cuda`, which torch imports.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from model.commands import console
from model.photographs import scan

ROOT = Path(__file__).resolve().parent.parent
_LEAST = 5  # photographs per class


def draw(photos: Path, count: int, seed: int, target: Path) -> None:
    """Link a seeded, stratified sample of a folder of class folders.

    Args:
        photos: A folder of class folders; if it has splits, the `train` folder is used.
        count: Total number of photographs to draw.
        seed: Seed of the draw.
        target: Where to create class folders of links.

    Raises:
        ValueError: The folder has fewer photographs, or a class would have fewer than 5.
    """
    root = scan.split_folders(photos).get("train", photos)
    classes: dict[str, list[Path]] = {}
    for entry in scan.list_folder(root, splits=False).entries:
        classes.setdefault(entry.class_id, []).append(entry.path)
    shares = _shares({class_id: len(paths) for class_id, paths in classes.items()}, count)
    rng = np.random.default_rng(seed)
    for class_id, paths in sorted(classes.items()):
        (target / class_id).mkdir(parents=True)
        for index in rng.permutation(len(paths))[: shares[class_id]]:
            (target / class_id / paths[index].name).symlink_to(paths[index].resolve())


def _shares(sizes: dict[str, int], count: int) -> dict[str, int]:
    """Divide `count` photographs in proportion to the classes, at least 5 for each."""
    if not _LEAST * len(sizes) <= count <= sum(sizes.values()) or min(sizes.values()) < _LEAST:
        raise ValueError(
            f"--photographs {count} cannot be drawn from {sum(sizes.values())} in {len(sizes)} "
            f"classes; expected at least {_LEAST} per class, and no more than there are."
        )
    shares = dict.fromkeys(sizes, _LEAST)
    while count > sum(shares.values()):  # add to the class that is furthest below its proportion
        poorest = min(shares, key=lambda name: (shares[name] / sizes[name], name))
        shares[poorest] += 1
    return shares


def run(
    recipe: str, data: Path, work: Path, options: argparse.Namespace
) -> tuple[float, float, float]:
    """Train once, with an empty cache.

    Returns:
        Seconds, processor seconds of all its threads and processes, validation accuracy (0-1).
    """
    out = work / recipe
    command = [sys.executable, str(ROOT / "train.py"), str(data), "--recipe", recipe]
    command += ["--backbone", options.backbone, "--epochs", str(options.epochs)]
    command += ["--seed", str(options.seed), "--out", str(out), "--device", "cpu"]
    command += ["--cache-dir", str(work / f"cache-{recipe}")]
    started, before = time.perf_counter(), os.times()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    seconds, after = time.perf_counter() - started, os.times()
    busy = sum(after[2:4]) - sum(before[2:4])  # user and system time of child processes
    metrics = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    return seconds, busy, metrics["splits"]["valid"]["top1"]


def run_fastai(data: Path, work: Path, options: argparse.Namespace) -> tuple[float, float, float]:
    """Train fastai's learner once; see `run` for the result."""
    result, script = work / "fastai.json", ROOT / "benchmarks/peer_parts/fastai_head.py"
    command = [sys.executable, str(script), str(data), options.backbone, str(options.epochs)]
    started, before = time.perf_counter(), os.times()
    subprocess.run([*command, str(options.seed), str(result)], check=True)
    seconds, after = time.perf_counter() - started, os.times()
    found = json.loads(result.read_text(encoding="utf-8"))["accuracy"]
    return seconds, sum(after[2:4]) - sum(before[2:4]), found


def hold_out(folder: Path, seed: int) -> None:
    """Divide class folders of links into `train` and `valid`, which gets a fifth of each class."""
    rng = np.random.default_rng(seed)
    for class_folder in sorted(folder.iterdir()):
        links = sorted(class_folder.iterdir())
        for rank, number in enumerate(rng.permutation(len(links))):
            split = "valid" if rank < round(0.2 * len(links)) else "train"
            target = folder / split / class_folder.name
            target.mkdir(parents=True, exist_ok=True)
            links[number].rename(target / links[number].name)
        class_folder.rmdir()


def main() -> int:
    """Draw the photographs, train both recipes, and print the table.

    Returns:
        Exit status 0.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=console.HelpFormatter, prog="train_speed.py"
    )
    parser.add_argument("photos", type=Path, metavar="PHOTOS", help="a folder of class folders")
    parser.add_argument("--backbone", default="efficientnet_lite0", help="backbone of both")
    parser.add_argument("--photographs", type=int, default=1000, help="total; a fifth is for valid")
    parser.add_argument("--epochs", type=int, default=20, help="epochs of both")
    parser.add_argument("--seed", type=int, default=0, help="seed of the draw and of both recipes")
    parser.add_argument(
        "--peer", choices=("classic", "fastai"), default="classic", help="what to compare with"
    )
    options = parser.parse_args()
    if options.peer == "fastai" and importlib.util.find_spec("fastai") is None:
        raise ValueError("--peer fastai needs fastai. Install it: pip install fastai")
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        draw(options.photos, options.photographs, options.seed, work / "photographs")
        hold_out(work / "photographs", options.seed)
        results = {"default": run("default", work / "photographs", work, options)}
        results[options.peer] = (
            run_fastai(work / "photographs", work, options)
            if options.peer == "fastai"
            else run("classic", work / "photographs", work, options)
        )
    print(
        f"{options.photographs:,} photographs, {options.backbone}, {options.epochs} epochs, "
        f"seed {options.seed}"
    )
    rows = [
        (name, f"{took:.1f}", f"{busy:.1f}", f"{top1:.4f}")
        for name, (took, busy, top1) in results.items()
    ]
    print(console.table(("Recipe", "Seconds", "Processor seconds", "Valid accuracy"), rows))
    (default_took, _, default_top1), (peer_took, _, peer_top1) = results.values()
    print(f"accuracy {options.peer} {peer_top1:.4f} default {default_top1:.4f}")
    print(f"ratio {peer_took / default_took:.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(console.run("train_speed.py", main))
