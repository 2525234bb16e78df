"""Measures how well the classifier notices what it does not know.

    python benchmarks/unknown.py "$FLOWERS102_DIR"
    python benchmarks/unknown.py "$FLOWERS102_DIR" --others FOLDER
    python benchmarks/unknown.py "$FLOWERS102_DIR" --background

The hard part: 20 classes are left out of training (three seeded draws), and their photographs are
compared with `valid` of the other classes. With `--background`, 20 more classes are left out, and
200 of their photographs become a background class (`train.py --background`): the first 20 classes
are then tested on a training without it and on one with it, each at two known pass rates, and
nothing else is measured. The easy part: the shipped checkpoint on all of `valid` is compared with
drawings, noise, text and scikit-learn's scanned digits, which are generated here, and with the
photographs in `--others`, which must show none of its classes.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter
from sklearn.datasets import load_digits

# `python benchmarks/...` puts benchmarks/ on the path instead of the folder above it, and there
# benchmarks/cuda.py would hide NVIDIA's package `cuda`, which torch imports.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from model.commands import console

ROOT = Path(__file__).resolve().parent.parent
LEFT_OUT = 20
EACH = 50
BACKGROUND = 200
PASS_RATES = (0.99, 0.95)


def leave_out(flowers: Path, out: Path, seed: int, background: bool) -> None:
    """Link `known/train` and `known/valid`, and 20 drawn classes into `unknown`.

    With `background`, 200 photographs of 20 other classes are linked into
    `background/train/background`, and the rest of these classes is left out.
    """
    rng = np.random.default_rng(seed)
    classes = sorted(folder.name for folder in (flowers / "train").iterdir())
    drawn = rng.choice(classes, LEFT_OUT, replace=False).tolist()
    rest = [class_id for class_id in classes if class_id not in drawn]
    others = rng.choice(rest, LEFT_OUT, replace=False).tolist() if background else []
    against: list[Path] = []
    for path in sorted(flowers.glob("*/*/*.jpg")):
        split, class_id = path.parts[-3:-1]
        if class_id in others:
            against.append(path)
            continue
        link(path, out / ("unknown" if class_id in drawn else f"known/{split}") / class_id)
    for index in rng.permutation(len(against))[:BACKGROUND]:
        link(against[index], out / "background" / "train" / "background")


def link(path: Path, folder: Path) -> None:
    """Link a photograph into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{path.parent.name}-{path.name}").symlink_to(path.resolve())


def train(home: Path, cache: Path, *options: str) -> Path:
    """Train on `known` and return the checkpoint."""
    out = home / "checkpoint"
    command = [sys.executable, "train.py", str(home / "known"), "--no-evidence", "--overwrite"]
    command += ["--out", str(out), "--cache-dir", str(cache), *options]
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    return out


def scribble(rng: np.random.Generator) -> Image.Image:
    """Draw a few coloured shapes."""
    image = Image.new("RGB", (400, 300), tuple(rng.integers(150, 256, 3).tolist()))
    draw = ImageDraw.Draw(image)
    for _ in range(8):
        x, y, width, height = rng.integers(0, 300, 4).tolist()
        shape = draw.ellipse if rng.random() < 0.5 else draw.rectangle
        shape((x, y, x + width // 2, y + height // 2), fill=tuple(rng.integers(0, 256, 3).tolist()))
    return image


def flower_drawing(rng: np.random.Generator) -> Image.Image:
    """Draw a flower as a child would: six petals around a disc."""
    image = Image.new("RGB", (300, 300), tuple(rng.integers(100, 256, 3).tolist()))
    draw = ImageDraw.Draw(image)
    petal, radius = tuple(rng.integers(0, 256, 3).tolist()), int(rng.integers(40, 60))
    for angle in np.arange(6) * np.pi / 3:
        x, y = 150 + 70 * np.cos(angle), 150 + 70 * np.sin(angle)
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=petal, outline="black")
    draw.ellipse((115, 115, 185, 185), fill="yellow", outline="black")
    return image


def page(rng: np.random.Generator) -> Image.Image:
    """Typeset random words in black on white."""
    image = Image.new("RGB", (400, 300), "white")
    draw = ImageDraw.Draw(image)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz     "))
    for y in range(10, 290, 14):
        draw.text((10, y), "".join(rng.choice(letters, 60)), fill="black")
    return image


def noise(rng: np.random.Generator) -> Image.Image:
    """Make noise, sometimes blurred."""
    image = Image.fromarray(rng.integers(0, 256, (300, 400, 3), np.uint8))
    return image.filter(ImageFilter.GaussianBlur(int(rng.integers(0, 20))))


def make_others(out: Path, seed: int) -> list[Path]:
    """Write 50 pictures of each kind into separate folders, and return these."""
    rng = np.random.default_rng(seed)
    folders = []
    makers = {"scribbles": scribble, "drawn-flowers": flower_drawing, "pages": page, "noise": noise}
    for name, make in makers.items():
        folder = out / name
        folder.mkdir()
        for number in range(EACH):
            make(rng).save(folder / f"{number}.png")
        folders.append(folder)
    folder = out / "scanned-digits"
    folder.mkdir()
    pixels, _ = load_digits(return_X_y=True)
    for number, digit in enumerate(pixels[:EACH].reshape(-1, 8, 8)):
        scan = Image.fromarray((digit * 15.9).astype(np.uint8)).resize((160, 160))
        scan.save(folder / f"{number}.png")
    return [*folders, folder]


def evaluate(known: Path, unknown: Path, cache: Path, *options: str) -> dict[str, Any]:
    """Run `python -m model evaluate --unknown`."""
    command = [sys.executable, "-m", "model", "evaluate", str(known), "--unknown", str(unknown)]
    command += ["--json", "--cache-dir", str(cache), *options]
    done = subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.PIPE)
    return json.loads(done.stdout)


def row(name: str, found: dict[str, Any]) -> list[str]:
    """Format a row of the table."""
    return [
        name,
        f"{found['photographs']:,}",
        f"{found['unknown_photographs']:,}",
        f"{found['unknown_auroc']:.4f}",
        f"{found['unknown_rejected']:.1%}",
        f"{1 - found['known_pass_rate']:.1%}",
    ]


def main() -> int:
    """Measure and print.

    Returns:
        Exit status 0.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=console.HelpFormatter, prog="unknown.py"
    )
    parser.add_argument("flowers", type=Path, metavar="FLOWERS", help="the flowers' folder")
    parser.add_argument("--others", type=Path, metavar="FOLDER", help="photographs of no flowers")
    parser.add_argument(
        "--background",
        action="store_true",
        help=f"also train against {BACKGROUND} photographs of other classes",
    )
    parser.add_argument("--draws", type=int, default=3, help="draws of 20 classes")
    parser.add_argument("--quality", default="fast", help="of the training without them")
    console.add_cache_dir(parser)
    options = parser.parse_args()
    rows, cache = [], options.cache_dir.absolute()
    areas: dict[str, list[float]] = {}
    rejected: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary).absolute()
        for seed in range(options.draws):
            home = work / f"draw-{seed}"
            leave_out(options.flowers, home, seed, options.background)
            against = ["--add", str(home / "background"), "--background", "background"]
            trainings: dict[str, list[str]] = {} if options.background else {"": []}
            for rate in PASS_RATES if options.background else ():
                passing = ["--known-pass-rate", str(rate)]
                trainings[f", {rate:.0%}"] = passing
                trainings[f", {rate:.0%}, background"] = [*passing, *against]
            for name, arguments in trainings.items():
                checkpoint = train(home, cache, "--quality", options.quality, *arguments)
                valid, unknown = home / "known" / "valid", home / "unknown"
                found = evaluate(valid, unknown, cache, "--checkpoint", str(checkpoint))
                rows.append(row(f"20 classes left out, draw {seed}{name}", found))
                areas.setdefault(name, []).append(found["unknown_auroc"])
                rejected.setdefault(name, []).append(found["unknown_rejected"])
        valid = (options.flowers / "valid").absolute()
        easy = [] if options.background else make_others(work, 0)
        easy += [options.others.absolute()] if options.others else []
        for folder in easy:
            rows.append(row(folder.name, evaluate(valid, folder, cache)))
    header = ("Unknown", "Known", "Unknown", "AUROC", "Rejected", "Known rejected")
    print(console.table(header, rows))
    for name in areas if options.background else ():
        area, share = np.mean(areas[name]), np.mean(rejected[name])
        print(f"mean of draws{name}: AUROC {area:.4f}, rejected {share:.1%}")
    print(f"left out AUROC {np.mean(list(areas.values())[-1]):.4f}")
    return 0


if __name__ == "__main__":
    sys.exit(console.run("unknown.py", main))
