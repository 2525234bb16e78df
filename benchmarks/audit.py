"""Measures how many problems planted in a data set `python -m model audit` finds.

    python benchmarks/audit.py "$FLOWERS102_DIR"

In a temporary folder of links, a share of the photographs is moved to a random other class, and
copies are added: resized to 50-80 %, recompressed at JPEG quality 30-75, mirrored, cropped to 90 %
of both sides at a random place, and all of these together. A pair counts as false if it was not
planted and the same audit of the original folder does not report it. In the original flowers the
audit reports 86 pairs; we looked at all of them, and each one shows the same photograph twice.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

# `python benchmarks/...` puts benchmarks/ on the path instead of the folder above it, and there
# benchmarks/cuda.py would hide NVIDIA's package `cuda`, which torch imports.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from model.audit import audit
from model.audit.findings import Audit
from model.backbones.backbone import open_backbone
from model.commands import console
from model.features.read import read_photos
from model.photographs import images
from model.photographs.dataset import Collection
from model.photographs.scan import list_folder
from model.splits import copies

KINDS = ("resized", "recompressed", "mirrored", "cropped", "all")


def alter(image: Image.Image, kind: str, rng: np.random.Generator) -> tuple[Image.Image, int]:
    """Make a near duplicate.

    Returns:
        The picture, and the JPEG quality for saving it.
    """
    whole = kind == "all"
    if kind == "cropped" or whole:
        width, height = (round(0.9 * side) for side in image.size)
        left = int(rng.integers(image.width - width + 1))
        top = int(rng.integers(image.height - height + 1))
        image = image.crop((left, top, left + width, top + height))
    if kind == "mirrored" or whole:
        image = ImageOps.mirror(image)
    if kind == "resized" or whole:
        scale = rng.uniform(0.5, 0.8)
        size = (round(image.width * scale), round(image.height * scale))
        image = image.resize(size, Image.Resampling.LANCZOS)
    return image, int(rng.integers(30, 76)) if kind == "recompressed" or whole else 90


def plant(
    data: Collection, flips: float, copies: int, rng: np.random.Generator, target: Path
) -> tuple[set[Path], dict[Path, tuple[Path, str]]]:
    """Link the photographs into class folders with wrong labels and near duplicates.

    Returns:
        The links with a wrong label; near duplicate -> (the link it was made from, its kind).
    """
    photos, num_classes = data.photos, len(data.class_ids)
    flipped = set(rng.choice(len(photos), round(flips * len(photos)), replace=False).tolist())
    links: list[Path] = []
    for i, (path, label) in enumerate(zip(photos.paths, photos.labels, strict=True)):
        wrong = (label + rng.integers(1, num_classes)) % num_classes if i in flipped else label
        folder = target / data.class_ids[wrong]
        folder.mkdir(exist_ok=True)
        links.append(folder / f"{i:06}{path.suffix}")
        links[-1].symlink_to(path.resolve())
    planted = {}
    for number, i in enumerate(rng.choice(len(photos), copies, replace=False).tolist()):
        kind = KINDS[number % len(KINDS)]
        image, quality = alter(images.decode(photos.paths[i]), kind, rng)
        copy = links[i].with_name(f"x{number:06}.jpg")
        image.save(copy, quality=quality)
        planted[copy] = (links[i], kind)
    return {links[i] for i in flipped}, planted


def pairs_of(found: Audit) -> list[tuple[Path, Path]]:
    """Return all pairs of duplicates, each with the second photograph first."""
    problems = ("exact_duplicate", "near_duplicate")
    return [(row.path, row.other_path) for p in problems for row in found.findings[p]]  # type: ignore


def groups(pairs: Sequence[tuple[Path, Path]], paths: Sequence[Path]) -> dict[Path, int]:
    """Number the groups of photographs that pairs connect; each other one is its own group."""
    index = {path: i for i, path in enumerate(paths)}
    joined = np.array([(index[a], index[b]) for a, b in pairs], np.int64).reshape(-1, 2)
    return dict(zip(paths, copies.groups_of(joined, len(paths)).tolist(), strict=True))


def main() -> int:
    """Plant problems, run the audit, and count what it finds.

    Returns:
        Exit status 0.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=console.HelpFormatter, prog="audit.py"
    )
    parser.add_argument("photos", type=Path, metavar="FOLDER", help="a folder of class folders")
    parser.add_argument("--flips", type=float, default=0.03, help="share with a wrong label")
    parser.add_argument("--copies", type=int, default=250, help="near duplicates")
    parser.add_argument("--seed", type=int, default=0, help="seed of the planted problems")
    console.add_cache_dir(parser)
    options = parser.parse_args()
    cache_dir = options.cache_dir
    backbone = open_backbone(cache_dir=cache_dir)
    data = read_photos(list_folder(options.photos), cache_dir=cache_dir)
    own = pairs_of(audit.audit(data, backbone, cache_dir=cache_dir))
    with tempfile.TemporaryDirectory() as temporary:
        rng = np.random.default_rng(options.seed)
        flipped, planted = plant(data, options.flips, options.copies, rng, Path(temporary))
        changed = read_photos(list_folder(Path(temporary)), cache_dir=cache_dir)
        found = audit.audit(changed, backbone, cache_dir=cache_dir)
        real = {path.resolve(): path for path in data.photos.paths}
        source = {path: real[path.resolve()] for path in changed.photos.paths if path.is_symlink()}
    source |= {copy: source[link] for copy, (link, _) in planted.items()}
    group = groups(own, data.photos.paths)
    reported = pairs_of(found)
    false = [pair for pair in reported if len({group[source[path]] for path in pair}) > 1]
    member = groups(reported, changed.photos.paths)
    missed = [kind for copy, (link, kind) in planted.items() if member[copy] != member[link]]
    first = found.findings["label_error"][: round(0.06 * len(changed.photos))]
    labels = len(flipped & {row.path for row in first}) / len(flipped)
    kinds = [kind for _, kind in planted.values()]
    rows = [(k, kinds.count(k), kinds.count(k) - missed.count(k)) for k in KINDS]
    print(console.table(("Near duplicates", "Planted", "Found"), rows))
    print(f"{len(flipped)} of {len(data.photos):,} labels flipped, seed {options.seed}")
    print(f"{len(own)} pairs in the original data, {len(reported)} with the planted ones")
    print(
        f"label errors {labels:.1%} duplicates {1 - len(missed) / len(planted):.1%} "
        f"false pairs {len(false) / max(1, len(reported)):.1%}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(console.run("audit.py", main))
