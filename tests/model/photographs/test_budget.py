"""What is in memory at a time is bounded by size; ordinary photographs wait for no large ones."""

import io
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image

from model.photographs import budget, images
from model.photographs.budget import Budget

_SIXTEEN = """
import sys, threading
from pathlib import Path
from model.photographs import images

def resident(field):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1000 for line in lines if line.startswith(field))

path, small = Path(sys.argv[1]), Path(sys.argv[2])
images.decode(small)
idle = resident("VmRSS")
kept = []
threads = [threading.Thread(target=lambda: kept.append(images.decode(path))) for _ in range(16)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert len(kept) == 16
kept.clear()
print(resident("VmHWM") - idle, resident("VmRSS") - idle)
"""


def test_no_more_than_the_budget_is_held_at_a_time():
    shared, held, most, lock = Budget(100), 0, 0, threading.Lock()

    def use(amount: int) -> None:
        nonlocal held, most
        with shared.take(amount):
            with lock:
                held += amount
                most = max(most, held)
            time.sleep(0.002)
            with lock:
                held -= amount

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(use, [30, 60, 10, 100, 45] * 20))
    assert 60 < most <= 100
    assert shared.free == 100


def test_whoever_wants_more_than_there_is_gets_all_of_it():
    shared = Budget(100)
    with shared.take(10**9):
        assert shared.free == 0
    assert shared.free == 100


def test_a_large_share_is_not_overtaken_for_ever():
    shared, order = Budget(100), []

    def use(name: str, amount: int) -> None:
        with shared.take(amount):
            order.append(name)

    with shared.take(60):
        waiting = [threading.Thread(target=use, args=("large", 80))]
        waiting[0].start()
        while len(shared._waiting) < 1:
            time.sleep(0.001)
        waiting.append(threading.Thread(target=use, args=("small", 10)))
        waiting[1].start()
        time.sleep(0.05)
        assert order == []
    for thread in waiting:
        thread.join()
    assert order == ["large", "small"]


def test_what_fails_gives_its_share_back():
    shared = Budget(100)
    with pytest.raises(ZeroDivisionError), shared.take(70):
        1 / 0  # noqa: B018
    assert shared.free == 100


def test_an_ordinary_photograph_does_not_wait_behind_large_ones(tmp_path: Path):
    content = io.BytesIO()
    Image.new("RGB", (3000, 4000), "red").save(content, "PNG")
    with budget._FEW.take(budget._FEW.size):  # as large photographs do
        started = time.perf_counter()
        assert images.decode(content.getvalue()).size == (750, 1000)
    assert time.perf_counter() - started < 5


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("mode", "size", "options"),
    [
        ("RGBA", (8000, 5000), {"format": "PNG", "compress_level": 1}),
        ("I;16", (8000, 5000), {"format": "PNG", "compress_level": 1}),
        ("F", (8000, 5000), {"format": "TIFF"}),
        ("RGB", (8000, 5000), {"format": "WEBP", "method": 0}),
        ("RGB", (62_000, 640), {"format": "JPEG", "progressive": True}),
    ],
)
def test_sixteen_large_photographs_at_once_stay_below_a_gigabyte(
    mode: str, size: tuple[int, int], options: dict, tmp_path: Path
):
    path, small = tmp_path / "large", tmp_path / "small.png"
    if options["format"] == "WEBP":  # a larger side has no place in the format
        assert max(size) <= 16_383
    Image.new(mode, size).save(path, **options)
    Image.new("RGB", (20, 20)).save(small)
    code = [sys.executable, "-c", _SIXTEEN, str(path), str(small)]
    done = subprocess.run(code, capture_output=True, text=True, timeout=300, check=True)
    peak, left = map(float, done.stdout.split())
    assert peak < 850, "MB above idle"
    assert left < 250, "MB above idle, afterwards"
