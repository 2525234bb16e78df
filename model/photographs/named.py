"""Data sets that go by a name: scikit-learn's digits (offline) and Oxford 102 Flowers."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from model.cache import temporary_folder
from model.photographs.class_names import read_class_names
from model.photographs.dataset import Entry, Listing
from model.photographs.scan import list_folder

DIGITS, FLOWERS = "digits", "flowers102"
_FLOWERS_PHOTOGRAPHS = 8189


def list_source(
    name: str, *, class_names: Path | None = None, data_dir: Path, cache_dir: Path
) -> Listing:
    """List a folder or a named data set.

    Args:
        name: A folder, `digits` or `flowers102`. A folder with such a name needs `./` before it.
        class_names: JSON file of display names, in place of the source's own.
        data_dir: The folder that holds `flowers-102/`, or where it is downloaded to.
        cache_dir: The cache folder.

    Returns:
        The photographs; none has been opened.

    Raises:
        ConnectionError: `flowers102` is not there and cannot be downloaded.
        FileNotFoundError: The folder or the names file does not exist.
        ValueError: `flowers102` is not complete, or as `list_folder`.
    """
    if name == FLOWERS:
        return _flowers102(data_dir, class_names)
    if name == DIGITS:
        return replace(list_folder(_digits(cache_dir), class_names=class_names), name=name)
    if not Path(name).is_dir():
        raise FileNotFoundError(
            f"{name} is not a folder, nor 'digits' or 'flowers102'. Expected a folder with one "
            "folder of photographs a class."
        )
    return list_folder(Path(name), class_names=class_names)


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


def _flowers102(data_dir: Path, class_names: Path | None) -> Listing:
    """List torchvision's Flowers102 in its official split, downloading it if need be."""
    import scipy.io
    from torchvision.datasets import Flowers102

    root = data_dir / "flowers-102"
    try:
        Flowers102(str(data_dir), split="train", download=False)
    except RuntimeError:  # torchvision's word for: not there, or not what it should be
        _download(data_dir)
    found = len(list((root / "jpg").glob("image_*.jpg")))
    if found != _FLOWERS_PHOTOGRAPHS:
        raise ValueError(
            f"{root / 'jpg'} has {found} of {_FLOWERS_PHOTOGRAPHS} photographs. "
            "Remove that folder, and it is downloaded anew."
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
    except (OSError, RuntimeError) as error:  # URLError is an OSError; RuntimeError: a wrong md5
        raise ConnectionError(
            f"Oxford 102 Flowers is not complete in {data_dir / 'flowers-102'} and could not be "
            f"downloaded ({error}). Connect to the internet, or give --data-dir the folder that "
            "holds a complete flowers-102."
        ) from error
