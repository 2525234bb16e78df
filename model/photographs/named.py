"""Data sets with a name of their own: scikit-learn's digits (offline) and Oxford 102 Flowers."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image

from model.cache import temporary_folder
from model.photographs.class_names import read_class_names
from model.photographs.dataset import Entry, Listing
from model.photographs.scan import list_folder

DIGITS, FLOWERS = "digits", "flowers102"
_FLOWERS_PHOTOGRAPHS = 8189


@dataclass(frozen=True)
class KnownData:
    """What people should know about a data set with a name of its own.

    Attributes:
        title: Its full name.
        num_classes: C.
        citation: Its authors, title and year.
        url: Its page.
        licence: A sentence.
        warning: What a classifier trained on it must not be used for.
    """

    title: str
    num_classes: int
    citation: str
    url: str
    licence: str
    warning: str


_KNOWN = {
    DIGITS: KnownData(
        "scikit-learn's scanned digits",
        10,
        "E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, 1998.",
        "https://archive.ics.uci.edu/dataset/80",
        "CC BY 4.0.",
        "Do not use it where a misread digit can harm somebody.",
    ),
    FLOWERS: KnownData(
        "Oxford 102 Flowers",
        102,
        "M.-E. Nilsback and A. Zisserman, Automated flower classification over a large number of "
        "classes, 2008.",
        "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/",
        "Its authors state no licence; the photographs belong to those who took them.",
        "Do not use it to decide whether a plant, mushroom or anything else is safe to eat or "
        "touch.",
    ),
}


def known_data(name: str, num_classes: int) -> KnownData | None:
    """Look up what is known about a data set.

    Args:
        name: The name of the data in a checkpoint.
        num_classes: Its number of classes; a folder of the same name may hold other data.

    Returns:
        The entry, or None if the data set is not known.
    """
    known = _KNOWN.get(name)
    return known if known and known.num_classes == num_classes else None


def list_digits(cache_dir: Path, class_names: Path | None = None) -> Listing:
    """List scikit-learn's 1,797 scanned digits; they need no network.

    Args:
        cache_dir: The cache folder, where the digits are written as PNG files.
        class_names: JSON file of display names.

    Returns:
        The photographs.

    Raises:
        FileNotFoundError: The names file does not exist.
        ValueError: The names file is not valid.
    """
    return replace(list_folder(_digits(cache_dir), class_names=class_names), name=DIGITS)


def _digits(cache_dir: Path) -> Path:
    """Write scikit-learn's 1,797 scanned digits as PNG files, once, and return their folder."""
    from sklearn.datasets import load_digits

    folder = cache_dir / "datasets" / "digits"
    if folder.is_dir():
        return folder
    scans: Any = load_digits()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with temporary_folder(folder.parent) as temporary:
        for number, (scan, digit) in enumerate(zip(scans.images, scans.target, strict=True)):
            path = temporary / "digits" / str(digit) / f"{number:04}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray((scan * (255 / 16)).astype("uint8")).save(path)
        try:
            (temporary / "digits").replace(folder)
        except OSError:  # another process was faster
            if not folder.is_dir():
                raise
    return folder


def list_flowers102(data_dir: Path, class_names: Path | None = None) -> Listing:
    """List Oxford 102 Flowers in its official split, downloading it if needed.

    Args:
        data_dir: The folder that holds `flowers-102/`, or into which it is downloaded.
        class_names: JSON file of display names, in place of the data set's own.

    Returns:
        The photographs.

    Raises:
        ConnectionError: The data set is missing and cannot be downloaded.
        FileNotFoundError: The names file does not exist.
        ValueError: The data set is incomplete, or the names file is not valid.
    """
    import scipy.io
    from torchvision.datasets import Flowers102

    root = data_dir / "flowers-102"
    try:
        Flowers102(str(data_dir), split="train", download=False)
    except RuntimeError:  # torchvision raises it for a missing or damaged data set
        _download(data_dir)
    found = len(list((root / "jpg").glob("image_*.jpg")))
    if found != _FLOWERS_PHOTOGRAPHS:
        raise ValueError(
            f"{root / 'jpg'} has {found} of {_FLOWERS_PHOTOGRAPHS} photographs. "
            "Remove that folder; it will be downloaded again."
        )
    labels = scipy.io.loadmat(root / "imagelabels.mat", squeeze_me=True)["labels"]
    numbers = scipy.io.loadmat(root / "setid.mat", squeeze_me=True)
    entries = [
        Entry(root / "jpg" / f"image_{number:05}.jpg", str(labels[number - 1]), split)
        for split, key in (("train", "trnid"), ("valid", "valid"), ("test", "tstid"))
        for number in numbers[key]
    ]
    names = {str(number): name for number, name in enumerate(Flowers102.classes, start=1)}
    if class_names:
        names = read_class_names(class_names)
    return Listing(FLOWERS, root, entries, names)


def _download(data_dir: Path) -> None:
    from torchvision.datasets import Flowers102

    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        Flowers102(str(data_dir), split="train", download=True)
    except (OSError, RuntimeError) as error:  # URLError is an OSError; a wrong md5 a RuntimeError
        raise ConnectionError(
            f"Oxford 102 Flowers is not complete in {data_dir / 'flowers-102'} and could not be "
            f"downloaded ({error}). Connect to the internet, or point --data-dir to the folder "
            "that holds a complete flowers-102."
        ) from error
