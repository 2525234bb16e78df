"""Reads the members of a ZIP or TAR archive from beginning to end, trusting nothing in it.

A small archive can expand to petabytes, a header can claim any size, and Python's readers raise
many kinds of errors. So the bytes that come out are counted, and every fault becomes a
`RefusedArchive`.
"""

import bz2
import contextlib
import gzip
import io
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

_BLOCK = 1 << 20  # bytes in memory at a time
_LONGEST_HEADER = 16 * _BLOCK

_FAULTS = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError),
    *(NotImplementedError, RuntimeError, ValueError, LookupError, OverflowError, struct.error),
)
"""What Python's readers raise for damaged archives and unsupported compression."""


class RefusedArchive(ValueError):
    """An archive that is damaged or must not be unpacked; the message is a sentence."""


@dataclass(frozen=True)
class Limits:
    """What an archive may hold.

    Attributes:
        members: Most files and folders.
        size: Most bytes, uncompressed.
        ratio: Most uncompressed bytes per byte of the archive.
        small: Bytes that may come out of an archive whatever its ratio.
    """

    members: int = 1_000_000
    size: int = 100_000_000_000
    ratio: int = 200
    small: int = 100_000_000


class Member(NamedTuple):
    """A file or folder in an archive.

    Attributes:
        name: Its path in the archive, unchecked.
        flaw: Why it must not be unpacked, worded to follow the name; "" if nothing is wrong.
        is_folder: Whether it is a folder.
        size: Its bytes according to the archive; no more are read.
        blocks: Yields its content; only valid until the next member is read.
    """

    name: str
    flaw: str
    is_folder: bool
    size: int
    blocks: Callable[[], Iterator[bytes]]


def read_members(path: Path, limits: Limits) -> Iterator[Member]:
    """Read the members of an archive.

    Args:
        path: A ZIP file, or a TAR file that may be compressed by gzip, bzip2 or xz.
        limits: What the archive may hold.

    Yields:
        Its members.

    Raises:
        RefusedArchive: The file is damaged, is not an archive, or exceeds the limits.
    """
    meter = _Meter(path, limits)
    read = _zip_members if path.suffix.lower() == ".zip" else _tar_members
    for number, member in enumerate(read(path, meter), start=1):
        if number > limits.members:
            raise RefusedArchive(
                f"{path} has more than {limits.members:,} files and folders, the limit."
            )
        yield member


@contextlib.contextmanager
def _faults_named(path: Path) -> Generator[None]:
    """Turn errors of Python's readers into one sentence."""
    try:
        yield
    except RefusedArchive:
        raise
    except (OSError, *_FAULTS) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # an error of the disk, not the archive
        reason = str(error).split("\n")[0].rstrip(".") or type(error).__name__
        raise RefusedArchive(f"{path} is damaged or not an archive ({reason}).") from error


class _Meter:
    """Counts the bytes that come out of an archive."""

    def __init__(self, path: Path, limits: Limits) -> None:
        self.path = path
        self._limits = limits
        self._most = max(limits.small, limits.ratio * path.stat().st_size)
        self._count = 0

    def add(self, count: int) -> None:
        self._count += count
        if self._count > self._limits.size:
            raise RefusedArchive(
                f"{self.path} holds more than {self._limits.size / 1e9:g} GB, the limit."
            )
        if self._count > self._most:
            raise RefusedArchive(
                f"{self.path} expands to more than {self._limits.ratio} times its own size, which "
                "no archive of photographs does."
            )


def _zip_members(path: Path, meter: _Meter) -> Iterator[Member]:
    def blocks(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
        with _faults_named(path), archive.open(info) as file:
            while block := file.read(_BLOCK):
                meter.add(len(block))
                yield block

    with contextlib.ExitStack() as stack:
        with _faults_named(path):
            archive = stack.enter_context(zipfile.ZipFile(path))
        for info in archive.infolist():
            yield Member(
                info.filename,
                _zip_flaw(info),
                info.is_dir(),
                info.file_size,
                lambda info=info: blocks(archive, info),
            )


def _zip_flaw(info: zipfile.ZipInfo) -> str:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if info.flag_bits & 0x1:
        return "is encrypted"
    if kind == stat.S_IFLNK:
        return "is a link"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is neither a file nor a folder"
    if "\0" in info.orig_filename or "\\" in info.orig_filename:
        return r"has a name with \ or the character 0"  # the reader changes such names
    return ""


def _tar_members(path: Path, meter: _Meter) -> Iterator[Member]:
    def blocks(archive: tarfile.TarFile, info: tarfile.TarInfo) -> Iterator[bytes]:
        with _faults_named(path):
            file = archive.extractfile(info)
            while file is not None and (block := file.read(_BLOCK)):
                yield block

    with contextlib.ExitStack() as stack:
        with _faults_named(path):
            stream = _Stream(stack.enter_context(_uncompressed(path)), meter)
            archive = stack.enter_context(tarfile.TarFile(fileobj=stream))
        while True:
            with _faults_named(path):
                info = archive.next()
            # The reader keeps every header in this list, which would grow without limit.
            archive.members.clear()  # type: ignore[missing-attribute]
            if info is None:
                break
            yield Member(
                info.name,
                _tar_flaw(info),
                info.isdir(),
                info.size,
                lambda info=info: blocks(archive, info),
            )
        with _faults_named(path):
            stream.require_end()


def _tar_flaw(info: tarfile.TarInfo) -> str:
    if info.issym() or info.islnk():
        return "is a link"
    if info.issparse():
        return "is a sparse file"  # its size is only claimed
    return "" if info.isreg() or info.isdir() else "is neither a file nor a folder"


def _uncompressed(path: Path) -> io.BufferedIOBase:
    """Open an archive by its first bytes, because the ending may not match the compression."""
    with path.open("rb") as file:
        start = file.read(6)
    if start.startswith(b"\x1f\x8b"):
        return gzip.open(path)
    if start.startswith(b"BZh"):
        return bz2.open(path)
    if start.startswith(b"\xfd7zXZ\0"):
        return lzma.open(path)
    return path.open("rb")


class _Stream(io.RawIOBase):
    """A file that is only read forwards, in small pieces that are all counted."""

    def __init__(self, file: io.BufferedIOBase, meter: _Meter) -> None:
        self._file = file
        self._meter = meter
        self._position = 0
        self._last = b""

    def read(self, size: int = -1, /) -> Any:
        if not 0 <= size <= _LONGEST_HEADER:
            raise RefusedArchive(f"{self._meter.path} has a header of {size:,} bytes.")
        self._last = self._file.read(size)
        self._position += len(self._last)
        self._meter.add(len(self._last))
        return self._last

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        if whence != io.SEEK_SET or offset < self._position:
            raise tarfile.ReadError("a header points backwards")
        while self._position < offset and self.read(min(_BLOCK, offset - self._position)):
            pass
        return self._position

    def require_end(self) -> None:
        """Make sure that the archive ends here, and read the rest, so checksums are compared."""
        # The reader takes an unreadable header, or a file cut off there, for the end.
        if not self._last or self._last.strip(b"\0"):
            raise tarfile.ReadError("a header is missing or unreadable")
        while self.read(_BLOCK):
            pass
