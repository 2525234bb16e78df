"""Photographs that benchmarks draw on the spot: flowers in classes that can be learned."""

import colorsys
import functools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from model.cache import default_workers

CLASSES = 20
_SIDE = 500  # px, the longer side


def draw(number: int, rng: np.random.Generator) -> Image.Image:
    """Draw a flower on a background of any colour; its petals show the class by number and colour.

    Args:
        number: The class, from 0.
        rng: Decides everything else.

    Returns:
        RGB, 500 px on the longer side.
    """
    width, height = _SIDE, int(rng.integers(330, _SIDE + 1))
    y, x = np.mgrid[:120, :160].astype(np.float32)
    x, y = (x / 160 - rng.uniform(0.4, 0.6)) * 4 / 3, y / 120 - rng.uniform(0.4, 0.6)
    petals = 3 + number % 5
    wave = np.cos(petals * (np.arctan2(y, x) + rng.uniform(0, 2 * np.pi)))
    inside = np.hypot(x, y) / (rng.uniform(0.25, 0.4) * (0.7 + 0.3 * wave))
    mask = Image.fromarray(((1.1 - inside) * 1275).clip(0, 255).astype(np.uint8))
    hue = (number // 5 / (CLASSES // 5) + rng.normal(0, 0.02)) % 1
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
        folder: Where to write; the class folders are created.
        count: The number of photographs.

    Returns:
        (file, class) pairs, the classes in turn.
    """
    for number in range(CLASSES):
        (folder / f"class{number:02d}").mkdir(parents=True)

    def make(index: int) -> tuple[Path, int]:
        number = index % CLASSES
        path = folder / f"class{number:02d}" / f"{index:06d}.jpg"
        draw(number, np.random.default_rng(index)).save(path, "JPEG", quality=85)
        return path, number

    with ThreadPoolExecutor(default_workers()) as pool:
        return list(pool.map(make, range(count)))
