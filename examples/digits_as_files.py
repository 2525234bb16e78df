"""Write scikit-learn's scanned digits as files, in each form that docs/data.md describes.

    python examples/digits_as_files.py my-digits

    my-digits/folder/           a folder for each class
    my-digits/nested/           round digits in one folder, straight ones in another
    my-digits/split/            train, valid and test, each with a folder for each class
    my-digits/listed/           photographs beside a labels.csv
    my-digits/table.csv         path,label,split,group
    my-digits/other-names.csv   file,species,writer
    my-digits/digits.zip        the folder of class folders, packed
    my-digits/more/             what came later, to be added
    my-digits/with-background/  the digits 0 to 8, and the nines as "other"

The scans do not say who wrote them. They stand in the order in which they were collected, so each
block of 20 is taken for one writer's.
"""

import argparse
import csv
import io
import sys
import zipfile
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

BLOCK = 20  # scans that are taken for one writer's
BLANKS = 12
ABOVE: dict[str, str] = {  # 2, 3 and 5 stand alone
    **dict.fromkeys("0689", "round/"),
    **dict.fromkeys("147", "straight/"),
}
SPLIT_OF_WRITER = ("train", "train", "train", "valid", "test")  # in turn


class Scan(NamedTuple):
    """A scanned digit.

    Attributes:
        name: Its file, such as `0012.png`.
        digit: Its class.
        writer: The number of the writer.
        content: The PNG file.
    """

    name: str
    digit: str
    writer: int
    content: bytes

    @property
    def inside(self) -> str:
        """Its path below a folder of class folders."""
        return f"{self.digit}/{self.name}"

    @property
    def split(self) -> str:
        """The split that its writer belongs to."""
        return SPLIT_OF_WRITER[self.writer % len(SPLIT_OF_WRITER)]


def png(pixels: np.ndarray) -> bytes:
    """Encode grey pixels.

    Args:
        pixels: `[height, width]`, 0-16.

    Returns:
        A PNG file.
    """
    buffer = io.BytesIO()
    Image.fromarray((pixels * (255 / 16)).astype("uint8")).save(buffer, "PNG")
    return buffer.getvalue()


def read_scans(each: int | None) -> list[Scan]:
    """Read the scans.

    Args:
        each: How many of each digit; None for all.

    Returns:
        The scans, in their order.
    """
    data: Any = load_digits()
    seen: Counter[str] = Counter()
    scans = []
    for number, (pixels, target) in enumerate(zip(data.images, data.target, strict=True)):
        digit = str(target)
        seen[digit] += 1
        if each is None or seen[digit] <= each:
            scans.append(Scan(f"{number:04}.png", digit, number // BLOCK, png(pixels)))
    return scans


def write_files(folder: Path, files: Iterable[tuple[str, bytes]]) -> None:
    """Write files, each given by its path below the folder and its content."""
    for inside, content in files:
        path = folder / inside
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write a CSV file."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def write_more(folder: Path, scans: Sequence[Scan]) -> None:
    """Write what is to be added: a new class, a class that is too small, and a changed label."""
    rng = np.random.default_rng(0)
    paper = [png(rng.integers(0, 3, (8, 8))) for _ in range(BLANKS)]
    write_files(folder / "blank", ((f"{number}.png", sheet) for number, sheet in enumerate(paper)))
    write_files(folder / "smudge", [("0.png", png(rng.integers(0, 17, (8, 8))))])
    three = next(scan for scan in scans if scan.digit == "3" and scan.split == "train")
    write_files(folder / "8", [(three.name, three.content)])


def write_all(folder: Path, scans: Sequence[Scan]) -> None:
    """Write the scans in each form into a new folder."""
    folder.mkdir(parents=True)
    write_files(folder / "folder", ((scan.inside, scan.content) for scan in scans))
    nested = ((f"{ABOVE.get(scan.digit, '')}{scan.inside}", scan.content) for scan in scans)
    write_files(folder / "nested", nested)
    write_files(folder / "split", ((f"{s.split}/{s.inside}", s.content) for s in scans))
    write_files(folder / "listed", ((scan.name, scan.content) for scan in scans))
    write_table(
        folder / "listed" / "labels.csv",
        ("path", "label"),
        ((scan.name, scan.digit) for scan in scans),
    )
    write_table(
        folder / "table.csv",
        ("path", "label", "split", "group"),
        ((f"folder/{s.inside}", s.digit, s.split, f"writer {s.writer}") for s in scans),
    )
    write_table(
        folder / "other-names.csv",
        ("file", "species", "writer"),
        ((f"folder/{scan.inside}", scan.digit, f"writer {scan.writer}") for scan in scans),
    )
    with zipfile.ZipFile(folder / "digits.zip", "w") as archive:
        for scan in scans:
            archive.writestr(f"digits/{scan.inside}", scan.content)
    write_more(folder / "more", scans)
    others = ((f"{'other' if s.digit == '9' else s.digit}/{s.name}", s.content) for s in scans)
    write_files(folder / "with-background", others)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="folder to make; it must not exist")
    parser.add_argument(
        "--each", type=int, metavar="N", help="scans of each digit, at least 30 (default: all)"
    )
    return parser.parse_args(arguments)


def main(options: argparse.Namespace) -> None:
    """Write the files, or say in one sentence why not."""
    folder: Path = options.folder
    if folder.exists() or folder.is_symlink():
        print(f"{folder} exists already. Give another name, or remove it.", file=sys.stderr)
        sys.exit(2)
    if options.each is not None and options.each < 30:
        print(f"--each {options.each} is too few for all splits; expected 30.", file=sys.stderr)
        sys.exit(2)
    scans = read_scans(options.each)
    write_all(folder, scans)
    print(f"{len(scans):,} scanned digits are in {folder}.")


if __name__ == "__main__":
    main(parse())
