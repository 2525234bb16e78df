"""Measures whether the accuracy on a run's own split holds for photographs of other shoots.

    python benchmarks/splits.py --flowers "$FLOWERS102_DIR" --signs "$SIGNS_DIR"

There are two sets of photographs that belong together. Hands: the people are divided into five
parts; four are trained on, and the fifth, people that the classifier has never seen, is the truth.
Bursts: a number of photographs are drawn from each class of flowers, and four frames are made from
each (cropped, rotated by up to 6 degrees, lit differently) with meaningless names. Frames of half
of the photographs are trained on, frames of the other half are the truth, and then the other way
round.

Each set is trained on twice: with a random split (`--group-by none`) and with a grouped one (the
default: the hands' table names the people, while only the pixels reveal the bursts). The optimism
of a split is the accuracy that the run measured on its own `valid` minus the accuracy on the truth,
averaged over parts and seeds. The last line gives the larger optimism of the two sets.
"""

import argparse
import csv
import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

# `python benchmarks/...` puts benchmarks/ on the path instead of the folder above it, and there
# benchmarks/cuda.py would hide NVIDIA's package `cuda`, which torch imports.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from model.commands import console

ROOT = Path(__file__).resolve().parent.parent
PEOPLE_PARTS = 5
FRAMES = 4
MODES = ("none", "auto")
_TURN, _CROP, _LIGHT = 6.0, 0.15, 0.2  # degrees, share of a side, share


def frame(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Make the next frame of a burst: camera rotated, moved and lit a little differently."""
    turned = image.rotate(rng.uniform(-_TURN, _TURN), Image.Resampling.BICUBIC)
    width, height = turned.size
    share = rng.uniform(1 - _CROP, 1) * 0.86  # 0.86 removes the empty corners after a rotation
    left, top = rng.uniform(0.07, 0.93 - share, 2)
    box = (left * width, top * height, (left + share) * width, (top + share) * height)
    cropped = turned.crop(tuple(round(side) for side in box))
    for enhancer in (ImageEnhance.Brightness, ImageEnhance.Contrast):
        cropped = enhancer(cropped).enhance(rng.uniform(1 - _LIGHT, 1 + _LIGHT))
    return cropped


def make_bursts(flowers: Path, out: Path, originals: int) -> None:
    """Write `out/half-0` and `out/half-1`, with frames of equally many photographs per class."""
    rng = np.random.default_rng(0)
    for folder in sorted((flowers / "train").iterdir()):
        paths = sorted(folder.glob("*.jpg"))
        for number, index in enumerate(rng.permutation(len(paths))[: 2 * originals]):
            target = out / f"half-{number % 2}" / folder.name
            target.mkdir(parents=True, exist_ok=True)
            with Image.open(paths[index]) as opened:
                image = opened.convert("RGB")
            for _ in range(FRAMES):
                made = frame(image, rng)
                name = hashlib.sha256(made.tobytes()).hexdigest()[:12]
                made.save(target / f"{name}.jpg", quality=90)


def make_people(signs: Path, out: Path) -> None:
    """Write `out/part-K/trained.csv` and `out/part-K/truth.csv`, which list the hands' files."""
    with (signs / "labels.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    people = np.random.default_rng(0).permutation(sorted({row["group"] for row in rows}))
    for part in range(PEOPLE_PARTS):
        held = set(people[part::PEOPLE_PARTS].tolist())
        folder = out / f"part-{part}"
        folder.mkdir(parents=True)
        for name, wanted in (("trained", False), ("truth", True)):
            with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(("path", "label", "group"))
                for row in rows:
                    if (row["group"] in held) == wanted:
                        path = (signs / row["path"]).resolve()
                        writer.writerow((path, row["label"], row["group"]))


def measure(
    data: Path, truth: Path, mode: str, seed: int, work: Path, cache: Path
) -> tuple[float, float, int]:
    """Train and evaluate.

    Args:
        data: The photographs to train on.
        truth: Photographs of other shoots.
        mode: The value of `--group-by`.
        seed: Seed of the split and the weights.
        work: Folder for the checkpoint.
        cache: The cache folder.

    Returns:
        Accuracy on the run's own `valid` and on the truth, both 0-1, and the number of groups.
    """
    checkpoint = work / "checkpoint"
    command = [sys.executable, "train.py", str(data), "--group-by", mode, "--seed", str(seed)]
    command += ["--no-evidence", "--overwrite", "--out", str(checkpoint), "--cache-dir", str(cache)]
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    metrics = json.loads((checkpoint / "metrics.json").read_text(encoding="utf-8"))
    command = [sys.executable, "-m", "model", "evaluate", str(truth), "--json"]
    command += ["--checkpoint", str(checkpoint), "--cache-dir", str(cache)]
    done = subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.PIPE)
    own, groups = metrics["splits"]["valid"]["top1"], metrics["data"]["groups"]
    return own, json.loads(done.stdout)["top1"], groups


def cases(options: argparse.Namespace, work: Path) -> Iterator[tuple[str, list[tuple[Path, Path]]]]:
    """Yield each set's name, and pairs of the data to train on and its truth."""
    if options.signs:
        make_people(options.signs, work / "people")
        parts = sorted((work / "people").iterdir())
        yield "hands, people", [(part / "trained.csv", part / "truth.csv") for part in parts]
    if options.flowers:
        make_bursts(options.flowers, work / "bursts", options.originals)
        first, second = (work / "bursts" / f"half-{half}" for half in (0, 1))
        yield "flowers, bursts", [(first, second), (second, first)]


def main() -> int:
    """Measure the optimism of both kinds of split, and print it.

    Returns:
        Exit status 0.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=console.HelpFormatter, prog="splits.py"
    )
    parser.add_argument("--flowers", type=Path, metavar="FOLDER", help="the flowers' folder")
    parser.add_argument("--signs", type=Path, metavar="FOLDER", help="hands, with a labels.csv")
    parser.add_argument("--originals", type=int, default=8, help="per class, in each half")
    parser.add_argument("--seeds", type=int, default=2, help="splits per part")
    console.add_cache_dir(parser)
    options = parser.parse_args()
    if not (options.flowers or options.signs):
        raise ValueError("There is nothing to measure. Give --flowers, --signs or both.")
    rows, worst = [], dict.fromkeys(MODES, 0.0)
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary).absolute()
        for name, parts in cases(options, work):
            for mode in MODES:
                found = [
                    measure(data, truth, mode, seed, work, options.cache_dir.absolute())
                    for data, truth in parts
                    for seed in range(options.seeds)
                ]
                own, true, groups = (float(np.mean(column)) for column in zip(*found, strict=True))
                optimism = 100 * (own - true)
                worst[mode] = max(worst[mode], optimism, key=abs)
                how = "at random" if mode == "none" else "in groups"
                rows.append(
                    (name, how, f"{groups:,.0f}", f"{own:.4f}", f"{true:.4f}", f"{optimism:+.2f}")
                )
    print(console.table(("Set", "Split", "Groups", "Own valid", "Truth", "Points"), rows))
    print(f"optimism {worst['none']:.2f} points, grouped {worst['auto']:.2f} points")
    return 0


if __name__ == "__main__":
    sys.exit(console.run("splits.py", main))
