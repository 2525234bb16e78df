"""What a visitor sent becomes rows: uploads only, of bounded size and number, archives unpacked."""

from pathlib import Path
from typing import Any, NamedTuple

from demo.many.batch import REMOVED, Batch, Row
from demo.photo import refusal
from model.photographs.archives import unpack
from model.photographs.images import BadImageError
from model.photographs.layout import is_photograph, walk
from model.photographs.members import Limits, RefusedArchive

MOST = 500
"""Photographs of a batch, at most."""

MOST_BYTES = 1_000_000_000
"""All files of a batch together, in bytes: half of what `demo.uploads` keeps of all visitors."""

UNPACKED_BYTES = 1_000_000_000
"""What all zip files of a batch may hold, in bytes."""

_LONGEST_NAME = 300
_MEMBERS = 5_000  # of a zip, folders and other files among them
_RATIO, _SMALL = 100, 100_000_000  # as `Limits`


class Sent(NamedTuple):
    """A file that the page says it has sent; nothing of it has been checked.

    Attributes:
        name: The visitor's own name, with folders where a folder was sent.
        path: Where Gradio put it; "" where it could not be sent.
        size: Bytes.
    """

    name: str
    path: str
    size: int


def read_list(files: Any, count: Any = None, size: Any = None) -> list[Sent]:
    """Read the list of files in an event of the page.

    Args:
        files: Objects with `name`, `path` and `size`.
        count: How many files there were, if that is more than were sent.
        size: Bytes of all files, if that is more than were sent.

    Returns:
        The files.

    Raises:
        gr.Error: It is not such a list, is empty, or has too many or too large files.
    """
    if not isinstance(files, list):
        raise refusal("The list of files cannot be read. Please reload the page.")
    most = max(len(files), count if isinstance(count, int) else 0)
    if most > MOST:
        raise too_many(most)
    sent = [_read(file) for file in files]
    most = max(sum(file.size for file in sent if file.path), size if isinstance(size, int) else 0)
    if most > MOST_BYTES:
        raise refusal(
            f"These files have {most / 1e9:.2f} GB together; no more than {MOST_BYTES / 1e9:g} GB "
            "can be sent at once. Nothing was classified; please send them in parts."
        )
    if not sent:
        raise refusal("No photographs were sent.")
    return sent


def too_many(count: int) -> Exception:
    """Say that there are too many photographs."""
    return refusal(
        f"{count:,} photographs are more than the {MOST} that can be classified at once. "
        "Nothing was classified; please send them in parts."
    )


def _read(file: Any) -> Sent:
    values = file if isinstance(file, dict) else {}
    name, path, size = (values.get(key) for key in ("name", "path", "size"))
    if not (isinstance(name, str) and isinstance(path, str) and isinstance(size, int)):
        raise refusal("The list of files cannot be read. Please reload the page.")
    return Sent(clean_name(name), path, size)


def clean_name(name: str) -> str:
    """Return a visitor's name of a file without what no file system or table takes."""
    sound = name.encode("utf-8", "replace").decode("utf-8")
    clean = "".join(c if c.isprintable() else "_" for c in sound) or "_"
    if len(clean) <= _LONGEST_NAME:
        return clean
    half = _LONGEST_NAME // 2
    return f"{clean[: half - 1]}…{clean[-half:]}"  # the start, and the file's own name


def accept(sent: list[Sent], batch: Batch, uploads: Path, max_bytes: int) -> None:
    """Fill a batch with rows; what cannot be used is a row with its reason.

    Args:
        sent: What the page says.
        batch: Gets the rows; archives are unpacked into its folder.
        uploads: Nothing outside this folder is opened.
        max_bytes: Largest photograph or archive, in bytes.

    Raises:
        gr.Error: There are too many photographs.
    """
    left, seen = UNPACKED_BYTES, set()
    for file in sent:
        if file.path and (file.name, file.path) in seen:
            continue  # Gradio gives equal files one path, so that two names of it are two rows
        seen.add((file.name, file.path))
        try:
            path = _uploaded(file, uploads, max_bytes)
            if file.name.lower().endswith(".zip"):
                left = max(0, left - _add_archive(file, path, batch, max_bytes, left))
            else:
                _add(batch, file.name, path, max_bytes)
        except BadImageError as error:
            # A new one: the traceback of the raised one keeps what its functions have in memory.
            reason = BadImageError(str(error))
            batch.rows.append(Row(len(batch.rows), file.name, None, reason))
        if len(batch.rows) > MOST:
            raise too_many(len(batch.rows))


def _uploaded(file: Sent, uploads: Path, max_bytes: int) -> Path:
    """Return the path of an upload.

    Raises:
        BadImageError: It was not sent, is not below the upload folder, or has been removed.
    """
    if file.size > max_bytes:
        raise BadImageError(f"is larger than {max_bytes / 1e6:g} MB")
    if not file.path:
        raise BadImageError("could not be sent to the server")
    try:
        path = Path(file.path).resolve()
    except (OSError, RuntimeError, ValueError) as error:  # no path at all
        raise BadImageError("is not an uploaded file") from error
    if not path.is_relative_to(uploads.resolve()):
        raise BadImageError("is not an uploaded file")
    if not path.is_file():
        raise BadImageError(REMOVED)
    return path


def _add(batch: Batch, name: str, path: Path, max_bytes: int) -> None:
    reason = None
    try:
        if path.stat().st_size > max_bytes:
            reason = BadImageError(f"is larger than {max_bytes / 1e6:g} MB")
    except OSError:  # swept just now
        reason = BadImageError(REMOVED)
    batch.rows.append(Row(len(batch.rows), name, path, reason))


def _add_archive(file: Sent, path: Path, batch: Batch, max_bytes: int, left: int) -> int:
    """Unpack an archive and add its photographs; return how many bytes they have.

    Raises:
        BadImageError: It is damaged, or must not be unpacked.
    """
    if left <= 0:
        raise BadImageError(_too_much())
    limits = Limits(_MEMBERS, left, _RATIO, min(_SMALL, left))
    cache = batch.folder / f"zip-{len(batch.rows)}"  # its own: large members of it are removed
    try:
        folder = unpack(path, cache, limits=limits).folder
    except (RefusedArchive, OSError) as error:
        raise BadImageError(_archive_reason(error, path, batch, left)) from error
    size = 0
    for found in walk(folder):
        size += found.stat().st_size
        if is_photograph(found):
            inner = found.relative_to(folder).as_posix()
            _add(batch, clean_name(f"{file.name}/{inner}"), found, max_bytes)
            if batch.rows[-1].outcome is not None:  # too large: it is not kept
                batch.rows[-1].path = None
                found.unlink(missing_ok=True)
        if len(batch.rows) > MOST:
            break
    return size


def _too_much() -> str:
    return f"is left out: these zip files together hold more than {UNPACKED_BYTES / 1e9:g} GB"


def _archive_reason(error: Exception, path: Path, batch: Batch, left: int) -> str:
    """Return why an archive is refused, without paths of the server."""
    if not path.exists():
        return REMOVED
    if isinstance(error, RefusedArchive):
        if left < UNPACKED_BYTES and f"{left / 1e9:g} GB, which is the limit" in str(error):
            return _too_much()
        reason = str(error).replace(str(path), "").strip().rstrip(".")
        if str(batch.folder) not in reason and str(path.parent) not in reason:
            return reason
    return "cannot be unpacked: the server has no room for it"
