"""Damaged files of every format that is read, decoded in child processes: does any end one?

    python benchmarks/fuzz_decode.py --seconds 600

Photographs are drawn and saved in every way that the formats allow, then damaged: bits flipped,
pieces cut out, doubled or exchanged with another file of the format, numbers in headers set to
extreme values, ends cut off. `decode` and `check` must give a photograph or a BadImageError, within
20 seconds and 2 GB; what passes `check` must pass `decode`. Every file follows from the seed, and
those that failed are kept in --keep.
"""

import argparse
import io
import resource
import subprocess
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pillow_heif
from PIL import Image

# `python benchmarks/...` puts benchmarks/ on the path, not the folder above it; left there, this
# file's neighbour would be taken for NVIDIA's package `cuda`.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from model.commands import console
from model.photographs import images

_SECONDS = 20  # for one file
_MEMORY = 2_000_000_000  # bytes of address space beyond what the child has at its start
_FILES = 60  # a child; a new process then
_SIDES = ((160, 120), (1400, 1100))


def _picture(size: tuple[int, int]) -> Image.Image:
    """Draw something that every coder has work with."""
    x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    noise = np.random.default_rng(0).integers(0, 40, (size[1], size[0]))
    planes = (x * 255 // size[0], y * 255 // size[1], (x + y) % 216 + noise)
    return Image.fromarray(np.stack(planes, axis=-1).clip(0, 255).astype(np.uint8))


def _lossless_jpeg(width: int, height: int) -> bytes:
    """Write a plain lossless JPEG (SOF3): one 0-bit a pixel says that it is as predicted."""
    frame = bytes([0xFF, 0xC3, 0, 11, 8, *height.to_bytes(2), *width.to_bytes(2), 1, 1, 0x11, 0])
    table = bytes([0xFF, 0xC4, 0, 20, 0, 1, *[0] * 16])
    scan = bytes([0xFF, 0xDA, 0, 8, 1, 1, 0, 1, 0, 0])
    return b"\xff\xd8" + frame + table + scan + bytes(-(-width * height // 8)) + b"\xff\xd9"


def originals() -> dict[str, list[bytes]]:
    """Save pictures in every way that is read: format -> files."""
    pillow_heif.register_heif_opener()
    found: dict[str, list[bytes]] = {"JPEG lossless": [_lossless_jpeg(*size) for size in _SIDES]}

    def add(name: str, kind: str, picture: Image.Image, **options: object) -> None:
        file = io.BytesIO()
        picture.save(file, kind, **options)
        found.setdefault(name, []).append(file.getvalue())

    for size in _SIDES:
        rgb = _picture(size)
        grey, cmyk, palette = rgb.convert("L"), rgb.convert("CMYK"), rgb.quantize(60)
        alpha = rgb.copy()
        alpha.putalpha(grey)
        deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
        exif = Image.Exif()
        exif[0x0112] = 6
        for picture in (rgb, grey, cmyk):
            add("JPEG", "JPEG", picture, exif=exif)
            add("JPEG progressive", "JPEG", picture, progressive=True, quality=90)
        add("JPEG", "JPEG", rgb, subsampling=0, restart_marker_blocks=4)
        add("MPO", "MPO", rgb, save_all=True, append_images=[rgb.rotate(9)])
        for picture in (rgb, grey, alpha, palette, deep, grey.convert("1")):
            add("PNG", "PNG", picture)
        add("APNG", "PNG", rgb, save_all=True, append_images=[rgb.rotate(9)])
        for options in ({"quality": 60}, {"lossless": True}):
            add("WebP", "WEBP", alpha, **options)
        add("WebP animated", "WEBP", rgb, save_all=True, append_images=[rgb.rotate(9)])
        for picture in (rgb, palette, grey.convert("1")):
            add("BMP", "BMP", picture)
        add("GIF", "GIF", palette, save_all=True, append_images=[palette.rotate(9)])
        for coding in (None, "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "zstd"):
            add("TIFF", "TIFF", rgb, compression=coding)
        add("TIFF", "TIFF", deep)
        add("TIFF", "TIFF", grey.convert("1"), compression="group4")
        add("AVIF", "AVIF", alpha, quality=50)
        add("HEIC", "HEIF", rgb, quality=50)
    return found


def damage(content: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """Damage a file.

    Args:
        content: The file.
        other: Another of its format.
        rng: What follows from the seed.

    Returns:
        The damaged file.
    """
    data = bytearray(content)
    for _ in range(int(rng.integers(1, 4))):
        if not data:
            break
        size = max(len(data), 1)
        # half of the damage is done to the beginning, where the headers are
        at = int(rng.integers(size if rng.random() < 0.5 else min(size, 400)))
        length = int(rng.integers(1, 1 + min(size, int(2 ** rng.integers(1, 14)))))
        kind = rng.integers(7)
        if kind == 0:
            for place in rng.integers(at, min(size, at + 64), int(rng.integers(1, 12))):
                data[place : place + 1] = bytes([data[place] ^ (1 << int(rng.integers(8)))])
        elif kind == 1:
            del data[at : at + length]
        elif kind == 2:
            data[at:at] = data[at : at + length]
        elif kind == 3:
            start = int(rng.integers(max(len(other), 1)))
            data[at : at + length] = other[start : start + length]
        elif kind == 4:
            width = int(rng.choice([1, 2, 4]))
            value = int(rng.choice([0, 1, 127, 255, 256, 65_535, 2**31 - 1, 2**32 - 1, 4_000]))
            order = "big" if rng.random() < 0.5 else "little"
            data[at : at + width] = (value % 256**width).to_bytes(width, order)
        elif kind == 5:
            data[at : at + length] = rng.bytes(length)
        else:
            del data[at + (0 if rng.random() < 0.3 else size // 2) :]
    return _with_sums(bytes(data)) if rng.random() < 0.7 else bytes(data)


def _with_sums(content: bytes) -> bytes:
    """Correct the check sums of a PNG's chunks, which would hide all other damage."""
    if content[:8] != b"\x89PNG\r\n\x1a\n":
        return content
    data, at = bytearray(content), 8
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4])
        data[end : end + 4] = zlib.crc32(data[at + 4 : end]).to_bytes(4)
        at = end + 4
    return bytes(data[: len(content)])


def files(all_of: list[bytes], seed: int) -> Iterator[bytes]:
    """Yield damaged copies of files without end; the same for the same seed."""
    rng = np.random.default_rng(seed)
    while True:
        first, second = (all_of[int(number)] for number in rng.integers(len(all_of), size=2))
        yield damage(first, second, rng)


def _try(content: bytes) -> str:
    """Check and decode a file: `decoded`, `refused`, or what went wrong."""
    outcome = {}
    for name, call in (("check", images.check), ("decode", images.decode)):
        try:
            call(content)
            outcome[name] = "decoded"
        except images.BadImageError:
            outcome[name] = "refused"
        except Exception as error:
            return f"{name} raised {type(error).__name__}: {error}"[:200].replace("\n", " ")
    if outcome["check"] != outcome["decode"]:
        return f"check {outcome['check']}, decode {outcome['decode']}"
    return outcome["decode"]


def _child(home: Path, seed: int, count: int) -> None:
    """Try damaged copies; the one at hand lies in the folder, should this process end."""
    undamaged = [path.read_bytes() for path in sorted(home.glob("original-*"))]
    first = io.BytesIO()
    _picture((8, 8)).save(first, "PNG")
    images.decode(first.getvalue())  # registers the formats, which takes memory
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + _MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for _, content in zip(range(count), files(undamaged, seed), strict=False):
        (home / "file").write_bytes(content)
        started = time.perf_counter()
        outcome = _try(content)
        slow = time.perf_counter() - started > _SECONDS
        print("took too long" if slow else outcome, flush=True)


def run_child(home: Path, seed: int, count: int) -> tuple[list[str], str]:
    """Try damaged copies of a format's files in a process of its own.

    Args:
        home: A folder of undamaged files `original-*`; gets the file at hand as `file`.
        seed: Of the damage.
        count: How many files.

    Returns:
        An outcome a file, and what ended the process early, or "".
    """
    command = [sys.executable, __file__, "--child", str(home), str(seed), str(count)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=60 + _SECONDS * 2, check=False
        )
    except subprocess.TimeoutExpired as error:
        text = error.stdout.decode() if isinstance(error.stdout, bytes) else error.stdout or ""
        return text.splitlines(), "hung"
    ended = "" if done.returncode == 0 else f"ended with {done.returncode}"
    if ended and done.returncode > 0:
        ended += f": {(done.stderr.splitlines() or [''])[-1][:200]}"
    return done.stdout.splitlines(), ended


def main() -> int:
    """Damage and decode until the time is over.

    Returns:
        Exit status: 1 if something went wrong, else 0.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=console.HelpFormatter, prog="fuzz_decode.py"
    )
    parser.add_argument("--seconds", type=float, default=600, help="how long")
    parser.add_argument("--seed", type=int, default=0, help="of the first process; then one more")
    parser.add_argument("--formats", nargs="+", metavar="NAME", help="some only")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="where files that failed go")
    options = parser.parse_args()
    undamaged = originals()
    names = options.formats or list(undamaged)
    counts = {name: Counter[str]() for name in names}
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as temporary:
        homes = {name: Path(temporary, name.replace(" ", "-")) for name in names}
        for name, home in homes.items():
            home.mkdir()
            for number, content in enumerate(undamaged[name]):
                (home / f"original-{number:02}").write_bytes(content)
        started, seed = time.monotonic(), options.seed
        while time.monotonic() - started < options.seconds:
            name = names[(seed - options.seed) % len(names)]
            outcomes, ended = run_child(homes[name], seed, _FILES)
            for number, outcome in enumerate([*outcomes, *([ended] if ended else [])]):
                good = outcome in ("decoded", "refused")
                counts[name][outcome if good else "failed"] += 1
                if not good:
                    wrong.append(f"{name}, seed {seed}, file {number}: {outcome}")
                    print(wrong[-1], file=sys.stderr, flush=True)
            if ended and options.keep:
                options.keep.mkdir(parents=True, exist_ok=True)
                kept = options.keep / f"{homes[name].name}-{seed}"
                kept.write_bytes((homes[name] / "file").read_bytes())
            seed += 1
    columns = ("decoded", "refused", "failed")
    rows = [
        (name, f"{sum(found.values()):,}", *(f"{found[column]:,}" for column in columns))
        for name, found in counts.items()
    ]
    print(console.table(("Format", "Files", *columns), rows))
    tried = sum(sum(found.values()) for found in counts.values())
    print(f"fuzz {tried} tried, {tried - len(wrong)} held")
    return 1 if wrong else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        _child(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
    else:
        sys.exit(console.run("fuzz_decode.py", main))
