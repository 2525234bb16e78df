"""Archives of photographs: unpacked into the cache once, leaving out unsafe and unneeded files."""

import hashlib
import re
import shutil
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from model.cache import named_errors, temporary_folder
from model.photographs import images
from model.photographs.class_names import escaped, normal_form
from model.photographs.layout import is_junk, is_photograph
from model.photographs.members import Limits, Member, RefusedArchive, read_members
from model.photographs.tables import LABEL_FILES

ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
"""File endings of the archives that can be read."""

LIMITS = Limits()

_SPARE = 1_000_000_000  # bytes that stay free on the disk
_LARGEST_JSON = 10_000_000  # bytes
_LARGEST_TABLE = 500_000_000
_LONGEST_PART = 255  # bytes in one part of a path; the limit of most file systems
_DRIVE = re.compile(r"[A-Za-z]:")


class Unpacked(NamedTuple):
    """An archive that has been unpacked.

    Attributes:
        folder: The data folder.
        notes: Sentences that the user should read.
    """

    folder: Path
    notes: list[str]


def is_archive(path: Path) -> bool:
    """Return whether a file is an archive, judging by its ending."""
    return path.name.lower().endswith(ENDINGS) and path.is_file()


def unpack(path: Path, cache_dir: Path, *, limits: Limits = LIMITS) -> Unpacked:
    """Unpack an archive into the cache, where later calls find it again.

    Only photographs, `labels.csv`, `labels.tsv` and small JSON files are unpacked.

    Args:
        path: A file for which `is_archive` is true.
        cache_dir: The cache folder.
        limits: What the archive may hold.

    Returns:
        The unpacked folder. If the only thing in it is another folder that is not a class folder,
        this inner folder is returned.

    Raises:
        RefusedArchive: A ValueError. The archive is damaged, holds no photographs or exceeds the
            limits; or a member is encrypted, a link or a device, or has a name that leads out of
            the archive or clashes with another member's. Nothing is left on the disk.
    """
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    folder = cache_dir / "archives" / digest[:32]
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with temporary_folder(folder.parent) as temporary, named_errors(folder):
            new = temporary / "unpacked"
            notes = _extract(path, new / "files", limits)
            (new / "notes.txt").write_text("\n".join(notes), encoding="utf-8")
            try:
                new.replace(folder)
            except OSError:  # another process was faster
                if not folder.is_dir():
                    raise
    notes = (folder / "notes.txt").read_text(encoding="utf-8").splitlines()
    return Unpacked(_data_folder(folder / "files"), notes)


def _data_folder(folder: Path) -> Path:
    """Return the folder that was packed; a JSON file of class names may lie beside it."""
    while True:
        inner = [path for path in folder.iterdir() if path.suffix.lower() != ".json"]
        if len(inner) != 1 or not inner[0].is_dir():
            return folder
        if any((inner[0] / name).is_file() for name in LABEL_FILES):
            return inner[0]
        if any(map(is_photograph, inner[0].iterdir())):
            return folder
        folder = inner[0]


def _extract(path: Path, folder: Path, limits: Limits) -> list[str]:
    """Unpack the files that are needed into a new folder, and return notes."""
    folder.mkdir(parents=True)
    room = _Room(path, folder)
    names = _Names()
    photographs = 0
    left_out: list[str] = []
    for member in read_members(path, limits):
        parts = PurePosixPath(member.name).parts
        if flaw := member.flaw or _flaw(member.name, parts):
            raise _refused(path, member.name, flaw)
        if not parts or any(map(is_junk, parts)):
            continue
        if not member.is_folder and not _is_wanted(parts[-1], member.size):
            left_out.append("/".join(parts))
            continue
        if flaw := names.claim(parts, member.is_folder):
            raise _refused(path, member.name, flaw)
        if not member.is_folder:
            photographs += PurePosixPath(parts[-1]).suffix.lower() in images.SUFFIXES
            _write(member, folder.joinpath(*parts), room)
    others = f"{len(left_out):,} other {'file' if len(left_out) == 1 else 'files'}"
    if left_out:
        others += f", such as {escaped(left_out[0])}"
    if not photographs:
        raise RefusedArchive(f"{path} holds no photographs; it holds {others}.")
    return [f"{escaped(path.name)} also holds {others}. They were left out."] if left_out else []


def _refused(path: Path, name: str, flaw: str) -> RefusedArchive:
    shown = escaped(name if len(name) <= 200 else f"{name[:200]}…")
    return RefusedArchive(f"{path} was not unpacked, because '{shown}' in it {flaw}.")


def _flaw(name: str, parts: tuple[str, ...]) -> str:
    r"""Say why a member's name must not be used as a path on this or another operating system."""
    if name.startswith("/") or _DRIVE.match(name):
        return "is an absolute path"
    if ".." in parts:
        return "leads out of the archive"
    if "\\" in name or "\0" in name:
        return r"has a name with \ or the character 0"
    if any(len(part.encode(errors="surrogateescape")) > _LONGEST_PART for part in parts):
        return f"has a name longer than {_LONGEST_PART} bytes"
    return ""


def _is_wanted(name: str, size: int) -> bool:
    if name in LABEL_FILES:
        return size < _LARGEST_TABLE
    suffix = PurePosixPath(name).suffix.lower()
    return suffix in images.SUFFIXES or (suffix == ".json" and size < _LARGEST_JSON)


class _Names:
    """The names in use. Some file systems ignore case, or how an accented letter is encoded."""

    def __init__(self) -> None:
        self._files: set[str] = set()
        self._folders: dict[str, str] = {}

    def claim(self, parts: tuple[str, ...], is_folder: bool) -> str:
        """Reserve a name and the folders above it, or say what is wrong with the name."""
        above = len(parts) if is_folder else len(parts) - 1
        for depth in range(1, above + 1):
            name = "/".join(parts[:depth])
            key = normal_form(name).casefold()
            other = self._folders.setdefault(key, name)
            if other != name:
                return f"differs from '{escaped(other)}' only in upper and lower case or accents"
            if key in self._files:
                return "has the name of a file where it needs a folder"
        if not is_folder:
            key = normal_form("/".join(parts)).casefold()
            if key in self._files or key in self._folders:
                return "has the same name as another member, or differs from it only in case"
            self._files.add(key)
        return ""


class _Room:
    """The free space on the disk that an archive may use."""

    def __init__(self, path: Path, folder: Path) -> None:
        self._path = path
        self._folder = folder
        self._left = shutil.disk_usage(folder).free - _SPARE

    def take(self, count: int) -> None:
        """Use up this many bytes."""
        self._left -= count
        if self._left < 0:
            raise RefusedArchive(
                f"{self._path} does not fit on the disk of {self._folder.parents[2]}, where "
                f"{_SPARE / 1e9:g} GB must stay free. Free some space, or use another --cache-dir."
            )


def _write(member: Member, target: Path, room: _Room) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as file:
        for block in member.blocks():
            room.take(len(block))
            file.write(block)
