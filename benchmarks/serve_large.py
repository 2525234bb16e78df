"""Sends large photographs all at once to the demo, and measures its memory and who has to wait.

    python benchmarks/serve_large.py --count 16

The same PNG of 8,000 x 5,000 px with transparency is sent many times at once, and ordinary
photographs one after the other in the meantime. The demo runs in its own process with the shipped
checkpoint.
"""

import argparse
import io
import sys
import threading
import time
from pathlib import Path

from PIL import Image, ImageDraw

# `python benchmarks/...` puts benchmarks/ on the path instead of the folder above it.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.client import Client, first_page, memory, serve
from model.commands import console


def draw(mode: str, size: tuple[int, int], kind: str) -> bytes:
    """Draw a disc on a coloured background.

    Args:
        mode: Colour mode.
        size: Width and height in px.
        kind: File format.

    Returns:
        The content of the file.
    """
    image = Image.new(mode, size, "orange")
    ImageDraw.Draw(image).ellipse((0, 0, *size), fill="purple")
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


def parse() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=console.HelpFormatter, prog="serve_large.py"
    )
    parser.add_argument("--count", type=int, default=16, help="large photographs sent at once")
    console.add_cache_dir(parser)
    return parser.parse_args()


def main() -> int:
    """Serve, send the photographs, and print the figures.

    Returns:
        Exit status 0.
    """
    options = parse()
    large = draw("RGBA", (8000, 5000), "PNG")
    ordinary = draw("RGB", (1600, 1200), "JPEG")
    with serve("--cache-dir", str(options.cache_dir), "--device", "cpu") as (address, process):
        first_page(address, process)
        visitor = Client(address)
        quiet = min(_seconds(visitor, ordinary) for _ in range(10))
        idle = memory(process)
        visits = [
            threading.Thread(target=Client(address).predict, args=(large,))
            for _ in range(options.count)
        ]
        started = time.perf_counter()
        for visit in visits:
            visit.start()
        waits = []
        while any(visit.is_alive() for visit in visits):
            waits.append(_seconds(visitor, ordinary))
        seconds = time.perf_counter() - started
        peak, after = memory(process, "VmHWM"), memory(process)
    print(f"{options.count} photographs of 40 million px, {len(large) / 1000:.0f} kB each")
    print(f"all answered after {seconds:.1f} s; an ordinary one on its own takes {quiet:.2f} s")
    print(f"memory {idle:.0f} MB idle, {after:.0f} MB afterwards")
    print(f"peak {peak - idle:.0f} MB above idle, an ordinary photograph took {max(waits):.1f} s")
    return 0


def _seconds(visitor: Client, photograph: bytes) -> float:
    started = time.perf_counter()
    visitor.predict(photograph)
    return time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(console.run("serve_large.py", main))
