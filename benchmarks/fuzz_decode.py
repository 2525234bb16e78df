"""Decodes damaged files of every supported format in child processes, and checks that none dies.

    python benchmarks/fuzz_decode.py --seconds 600

Photographs are drawn and saved in every variant of the formats, then damaged: bits are flipped,
pieces are cut out, doubled or exchanged with another file of the format, numbers in headers are set
to extreme values, and ends are cut off. `decode` and `check` must give a photograph or a
BadImageError within 20 seconds and 2 GB, and what passes `check` must pass `decode`. Every file
follows from the seed, and files that failed are kept in --keep.
"""

import argparse
import io
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from PIL import Image

# `python benchmarks/...` puts benchmarks/ on the path instead of the folder above it, and there
# benchmarks/cuda.py would hide NVIDIA's package `cuda`.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.fault_parts.damaged_files import files, originals
from model.commands import console
from model.photographs import images

_SECONDS = 20  # time limit per file
_MEMORY = 2_000_000_000  # bytes of address space that a child may add after its start
_FILES = 60  # files per child process


def _try(content: bytes) -> str:
    """Check and decode a file; return `decoded`, `refused`, or a description of the problem."""
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
    """Try damaged copies, keeping the current one in the folder in case this process dies."""
    undamaged = [path.read_bytes() for path in sorted(home.glob("original-*"))]
    first = io.BytesIO()
    Image.new("RGB", (8, 8)).save(first, "PNG")
    images.decode(first.getvalue())  # registers the formats before memory is limited
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
    """Try damaged copies of a format's files in a child process.

    Args:
        home: A folder of undamaged files `original-*`; the current damaged one is kept as `file`.
        seed: Seed of the damage.
        count: The number of files.

    Returns:
        One outcome per file, and what ended the process early, or "".
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
    """Damage and decode files until the time is up.

    Returns:
        Exit status 1 if something went wrong, else 0.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=console.HelpFormatter, prog="fuzz_decode.py"
    )
    parser.add_argument("--seconds", type=float, default=600, help="how long to run")
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of the first process; the next one gets 1 more"
    )
    parser.add_argument("--formats", nargs="+", metavar="NAME", help="only these formats")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="folder for files that failed")
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
