"""What a visitor sent becomes rows: uploads only, of bounded size and number."""

from pathlib import Path
from typing import Any, NamedTuple

from demo.many.batch import REMOVED, Batch, Row
from demo.photo import refusal
from model.photographs.images import BadImageError

MOST = 500
"""Photographs of a batch, at most."""

MOST_BYTES = 1_000_000_000
"""All files of a batch together, in bytes: half of what `demo.uploads` keeps of all visitors."""

LARGE = "large"
"""Code of the page's script for a file that is larger than a photograph may be."""

REASONS = {
    "encrypted": "is encrypted",
    "compression": "uses a compression that the browser cannot read",
    "damaged": "is damaged inside the zip file",
    "empty": "holds no photographs",
}
"""Its other codes -> why it did not send a file."""

_CODES = {"", LARGE, *REASONS}
_LONGEST_NAME = 300


class Sent(NamedTuple):
    """A file that the page says it has sent; nothing of it has been checked.

    Attributes:
        name: The visitor's own name, with folders where a folder was sent.
        path: Where Gradio put it; "" where it could not be sent.
        size: Bytes.
        reason: Why it was not sent, `LARGE` or a key of `REASONS`; "" where nothing is said.
    """

    name: str
    path: str
    size: int
    reason: str = ""


def read_list(files: Any, count: Any = None, size: Any = None) -> list[Sent]:
    """Read the list of files in an event of the page.

    Args:
        files: Objects with `name`, `path`, `size` and perhaps `reason`.
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
        raise refusal(
            f"{most:,} photographs are more than the {MOST} that can be classified at once. "
            "Nothing was classified; please send them in parts."
        )
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


def _read(file: Any) -> Sent:
    values = file if isinstance(file, dict) else {}
    name, path, size = (values.get(key) for key in ("name", "path", "size"))
    reason = values.get("reason", "")
    is_text = isinstance(name, str) and isinstance(path, str) and isinstance(reason, str)
    if not (is_text and isinstance(size, int) and reason in _CODES):
        raise refusal("The list of files cannot be read. Please reload the page.")
    return Sent(clean_name(name), path, size, reason)


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
        batch: Gets the rows.
        uploads: Nothing outside this folder is opened.
        max_bytes: Largest photograph, in bytes.
    """
    seen = set()
    for file in sent:
        if file.path and (file.name, file.path) in seen:
            continue  # Gradio gives equal files one path, so that two names of it are two rows
        seen.add((file.name, file.path))
        row = Row(len(batch.rows), file.name, None)
        try:
            row.path = _uploaded(file, uploads, max_bytes)
        except BadImageError as error:
            # A new one: the traceback of the raised one keeps what its functions have in memory.
            row.outcome = BadImageError(str(error))
        batch.rows.append(row)


def _uploaded(file: Sent, uploads: Path, max_bytes: int) -> Path:
    """Return the path of an upload.

    Raises:
        BadImageError: It was not sent, is too large, is not below the upload folder, or has been
            removed.
    """
    large = f"is larger than {max_bytes / 1e6:g} MB"
    if file.reason in REASONS:
        raise BadImageError(REASONS[file.reason])
    if file.reason == LARGE or file.size > max_bytes:
        raise BadImageError(large)
    if not file.path:
        raise BadImageError("could not be sent to the server")
    try:
        path = Path(file.path).resolve()
    except (OSError, RuntimeError, ValueError) as error:  # no path at all
        raise BadImageError("is not an uploaded file") from error
    if not path.is_relative_to(uploads.resolve()):
        raise BadImageError("is not an uploaded file")
    try:
        size = path.stat().st_size
    except OSError as error:
        raise BadImageError(REMOVED) from error
    if not path.is_file():
        raise BadImageError(REMOVED)
    if size > max_bytes:
        raise BadImageError(large)
    return path
