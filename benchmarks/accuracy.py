"""Measures how accurate the recipes are, on which photographs, and what they cost.

    python benchmarks/accuracy.py "$FLOWERS102_DIR"
    python benchmarks/accuracy.py "$FLOWERS102_DIR" --rows fast best
    python benchmarks/accuracy.py "$FLOWERS102_DIR" --signs "$SIGNS_DIR" --rows hands

Every row is a complete `python train.py`. FLOWERS holds `train`, `valid` and the data's
`setid.mat`. Rows share one feature cache, so only the first row that needs a photograph's features
includes the time to compute them. `--keep DIR` keeps finished rows, and a second run continues from
them. The classic recipe takes about an hour on two cores; all other rows together take about half
an hour.
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import loadmat
from scipy.stats import binomtest

# `python benchmarks/...` puts benchmarks/ on the path instead of the folder above it, and there
# benchmarks/cuda.py would hide NVIDIA's package `cuda`, which torch imports.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from model.commands import console
from model.photographs import scan

ROOT = Path(__file__).resolve().parent.parent
SCARCE, PLENTY = 10, 1000
PEOPLE_FOLDS = 5


@dataclass(frozen=True)
class Row:
    """One training run.

    Attributes:
        table: The table that it belongs to.
        name: Its first cell.
        data: Makes the data folder inside a given empty folder; None for `digits`.
        options: Options of train.py.
        split: The split that is measured.
    """

    table: str
    name: str
    data: Callable[[Path], Path] | None
    options: list[str] = field(default_factory=list)
    split: str = "valid"


def link(photographs: list[Path], folder: Path) -> None:
    """Link photographs `.../CLASS/NAME` into `folder/CLASS/NAME`."""
    for path in photographs:
        target = folder / path.parent.name
        target.mkdir(parents=True, exist_ok=True)
        (target / path.name).symlink_to(path.resolve())


def official(flowers: Path, out: Path) -> Path:
    """Lay out the data set's official split, with those of its photographs that `flowers` has."""
    ids = loadmat(flowers / "setid.mat")
    split_of = {
        number: split
        for split, key in {"train": "trnid", "valid": "valid", "test": "tstid"}.items()
        for number in ids[key][0].tolist()
    }
    for path in sorted(flowers.glob("*/*/image_*.jpg")):
        link([path], out / split_of[int(path.stem.rpartition("_")[2])])
    return out


def few(flowers: Path, out: Path, count: int, seed: int) -> Path:
    """Draw `count` training photographs per class; `valid` stays complete."""
    rng = np.random.default_rng(seed)
    for folder in sorted((flowers / "train").iterdir()):
        paths = sorted(folder.iterdir())
        link([paths[i] for i in rng.permutation(len(paths))[:count]], out / "train")
    link(sorted((flowers / "valid").glob("*/*.jpg")), out / "valid")
    return out


def scarce(flowers: Path, out: Path, seed: int) -> Path:
    """Link 10 training photographs of one kind of flower and 1,000 of all others.

    `valid` has 50 of that kind and 200 others, and none of them are in `train`.
    """
    rng = np.random.default_rng(seed)
    groups = {f.name: sorted(f.iterdir()) for f in sorted((flowers / "train").iterdir())}
    chosen = str(rng.choice([name for name, paths in groups.items() if len(paths) >= SCARCE + 50]))
    rare = [groups[chosen][i] for i in rng.permutation(len(groups[chosen]))]
    common = [path for name, paths in groups.items() if name != chosen for path in paths]
    common = [common[i] for i in rng.permutation(len(common))]
    parts = {
        ("train", "rare"): rare[:SCARCE],
        ("train", "others"): common[:PLENTY],
        ("valid", "rare"): rare[SCARCE : SCARCE + 50],
        ("valid", "others"): common[PLENTY : PLENTY + 200],
    }
    for (split, name), paths in parts.items():
        (out / split / name).mkdir(parents=True)
        for path in paths:
            (out / split / name / path.name).symlink_to(path.resolve())
    return out


def people(signs: Path, out: Path, fold: int) -> Path:
    """Hold out every fifth person in the photographs of hands."""
    with (signs / "labels.csv").open(encoding="utf-8", newline="") as file:
        person = {row["path"]: row["group"] for row in csv.DictReader(file)}
    names = np.random.default_rng(0).permutation(sorted(set(person.values())))
    held_out = set(names[fold::PEOPLE_FOLDS].tolist())
    for split, inside in (("train", False), ("valid", True)):
        chosen = [path for path, name in person.items() if (name in held_out) == inside]
        link([signs / path for path in chosen], out / split)
    return out


def rows(flowers: Path, signs: Path | None) -> list[Row]:
    """List all rows."""
    best = ["--quality", "best"]
    main, own, unequal = "Recipes", "Official split", "Few or unequal photographs"
    found = [
        Row(main, "classic", lambda out: flowers, ["--recipe", "classic"]),
        Row(main, "fast", lambda out: flowers),
        Row(main, "best", lambda out: flowers, best),
        Row(own, "official fast", lambda out: official(flowers, out), split="test"),
        Row(own, "official best", lambda out: official(flowers, out), best, "test"),
        Row("Other data", "digits fast", None),
        Row("Other data", "digits best", None, best),
        Row(unequal, "fast --balance", lambda out: flowers, ["--balance"]),
        Row(unequal, "5 per class fast", lambda out: few(flowers, out, 5, 0)),
        Row(unequal, "5 per class best", lambda out: few(flowers, out, 5, 0), best),
    ]
    for seed in range(3):
        name = f"{PLENTY:,} beside {SCARCE}, draw {seed}"
        found += [
            Row(unequal, name, lambda out, s=seed: scarce(flowers, out, s)),
            Row(
                unequal,
                f"{name} --balance",
                lambda out, s=seed: scarce(flowers, out, s),
                ["--balance"],
            ),
        ]
    for fold in range(PEOPLE_FOLDS if signs else 0):
        found.append(
            Row(
                "Hands of other people",
                f"hands, fold {fold}",
                lambda out, f=fold: people(signs or out, out, f),
            )
        )
    return found


def run(row: Row, keep: Path, cache: Path, seed: int) -> dict[str, Any]:
    """Train a row unless it is already finished.

    Returns:
        The checkpoint's `metrics.json`, with `wall` and the `backbone` of its configuration.
    """
    out = keep / row.name.replace(" ", "-").replace(",", "")
    timing = out.parent / f"{out.name}.seconds"
    if not timing.is_file():
        with tempfile.TemporaryDirectory() as temporary:
            data = str(row.data(Path(temporary))) if row.data else "digits"
            command = [sys.executable, str(ROOT / "train.py"), data, *row.options]
            command += ["--seed", str(seed), "--out", str(out), "--overwrite"]
            command += ["--cache-dir", str(cache), "--no-evidence"]
            started = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            timing.write_text(f"{time.perf_counter() - started:.1f}")
    result = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    config = json.loads((out / "config.json").read_text(encoding="utf-8"))
    return {**result, "wall": float(timing.read_text()), "backbone": config["backbone"]}


def cost(backbone: dict[str, Any]) -> tuple[float, float]:
    """Compute the cost of one view.

    Args:
        backbone: The backbone in a checkpoint's `config.json`.

    Returns:
        Multiply-adds in 10^9, and parameters in 10^6, of all its networks together.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from model.backbones.weights import load_network

    macs = parameters = 0
    for member in backbone["members"]:
        size = member["image_size"]
        network: Any = load_network(member["name"], size)[0]
        network.eval()
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            network.forward_features(torch.zeros(1, 3, size, size))
        macs += counter.get_total_flops() / 2
        parameters += sum(tensor.numel() for tensor in network.parameters())
    return macs / 1e9, parameters / 1e6


def cells(row: Row, result: dict[str, Any]) -> list[str]:
    """Format a row of a table."""
    values = result["splits"][row.split]
    count = values["photographs"]
    interval = binomtest(round(values["top1"] * count), count).proportion_ci(method="wilson")
    recall = np.mean([entry["recall"] for entry in values["per_class"] if entry["support"]])
    macs, parameters = cost(result["backbone"])
    return [
        row.name,
        f"{result['data']['photographs']['train']:,}",
        f"{count:,}",
        f"{values['top1']:.4f}",
        f"{interval.low:.4f}-{interval.high:.4f}",
        f"{recall:.4f}",
        f"{macs:.2f}",
        f"{parameters:.1f}",
        f"{result['wall']:.0f}",
    ]


def main() -> int:
    """Run the rows and print the tables.

    Returns:
        Exit status 0.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=console.HelpFormatter, prog="accuracy.py"
    )
    parser.add_argument("flowers", type=Path, metavar="FLOWERS", help="the flowers' folder")
    parser.add_argument(
        "--signs",
        type=Path,
        metavar="DIR",
        help="photographs of hands, with a labels.csv of people",
    )
    parser.add_argument(
        "--rows", nargs="+", metavar="NAME", help="only rows whose names begin with these"
    )
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep and reuse finished rows")
    parser.add_argument("--seed", type=int, default=0, help="seed of every run")
    console.add_cache_dir(parser)
    options = parser.parse_args()
    if not (options.flowers / "setid.mat").is_file() or "train" not in scan.split_folders(
        options.flowers
    ):
        raise FileNotFoundError(f"{options.flowers} has no train folder or no setid.mat.")
    wanted = [
        row
        for row in rows(options.flowers, options.signs)
        if not options.rows or row.name.startswith(tuple(options.rows))
    ]
    if not wanted:
        raise ValueError(f"No row has a name that begins with {' or '.join(options.rows)}.")
    with tempfile.TemporaryDirectory() as temporary:
        keep = options.keep or Path(temporary)
        keep.mkdir(parents=True, exist_ok=True)
        done = [(row, run(row, keep, options.cache_dir, options.seed)) for row in wanted]
    header = ["Row", "Train", "Measured on", "Top-1", "95 % interval", "Mean recall"]
    header += ["GMACs per view", "Parameters, M", "Seconds"]
    for table in dict.fromkeys(row.table for row in wanted):
        print(f"\n{table}")
        inside = [(row, found) for row, found in done if row.table == table]
        print(console.table(header, [cells(row, found) for row, found in inside]))
        if "fold" in inside[0][0].name:
            splits = [found["splits"][row.split] for row, found in inside]
            count = sum(split["photographs"] for split in splits)
            right = sum(split["top1"] * split["photographs"] for split in splits)
            print(f"all folds {right / count:.4f} of {count:,}")
    final = [found for row, found in done if row.name == "best"] or [done[-1][1]]
    print(f"valid {final[0]['splits']['valid']['top1']:.4f}")
    return 0


if __name__ == "__main__":
    sys.exit(console.run("accuracy.py", main))
