"""Turns the files that a visitor sent into rows: uploads only, limited in size and number."""

from pathlib import Path
from typing import Any, NamedTuple

from demo.many.batch import REMOVED, Batch, Row
from demo.photo import refusal
from model.photographs.images import BadImageError

MOST = 500
"""Most photographs in a batch."""

MOST_BYTES = 1_000_000_000
"""Most bytes of all files in a batch: half of what `demo.uploads` keeps for all visitors."""

LARGE = "large"
"""Code of the page's script for a file that is too large."""

REASONS = {
    "encrypted": "is encrypted",
    "compression": "uses a compression that the browser cannot read",
    "damaged": "is damaged inside the zip file",
    "empty": "holds no photographs",
}
"""The script's other codes -> the reason why it did not send a file."""

_CODES = {"", LARGE, *REASONS}
_LONGEST_NAME = 300


class Sent(NamedTuple):
    """A file in the list that the page sent; its path and size have not been checked.

    Attributes:
        name: The visitor's name of the file, with folders if a folder was sent.
        path: Where Gradio stored it; "" if it could not be sent.
        size: Its size in bytes.
        reason: Why it was not sent: `LARGE`, a key of `REASONS`, or "" if the page does not say.
    """

    name: str
    path: str
    size: int
    reason: str = ""


def read_list(files: Any, count: Any = None, size: Any = None) -> list[Sent]:
    """Read the list of files in an event of the page.

    Args:
        files: Objects with `name`, `path`, `size` and perhaps `reason`.
        count: Number of files, if the page sent none of them because there were too many.
        size: Bytes of all files, if the page sent none of them because they were too large.

    Returns:
        The files.

    Raises:
        gr.Error: The value is not such a list, is empty, or has too many or too large files.
    """
    if not isinstance(files, list):
        raise refusal("The list of files cannot be read. Please reload the page.")
    most = max(len(files), count if isinstance(count, int) else 0)
    if most > MOST:
        raise refusal(
            f"At most {MOST} photographs can be classified at once, but these are {most:,}. "
            "Nothing was classified; please send them in parts."
        )
    sent = [_read(file) for file in files]
    most = max(sum(file.size for file in sent if file.path), size if isinstance(size, int) else 0)
    if most > MOST_BYTES:
        raise refusal(
            f"At most {MOST_BYTES / 1e9:g} GB can be sent at once, but these files have "
            f"{most / 1e9:.2f} GB. Nothing was classified; please send them in parts."
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
    """Clean a visitor's name of a file: replace unprintable characters, and shorten it."""
    sound = name.encode("utf-8", "replace").decode("utf-8")
    clean = "".join(c if c.isprintable() else "_" for c in sound) or "_"
    if len(clean) <= _LONGEST_NAME:
        return clean
    half = _LONGEST_NAME // 2
    return f"{clean[: half - 1]}…{clean[-half:]}"  # the end is the name of the file itself


def accept(sent: list[Sent], batch: Batch, uploads: Path, max_bytes: int) -> None:
    """Add a row to a batch for each file; the row of an unusable file gets the reason.

    Args:
        sent: The list of files that the page sent.
        batch: The batch.
        uploads: The upload folder; nothing outside it is opened.
        max_bytes: Largest photograph, in bytes.
    """
    seen = set()
    for file in sent:
        if file.path and (file.name, file.path) in seen:
            continue  # a repeated entry; equal files with different names have the same path
        seen.add((file.name, file.path))
        row = Row(len(batch.rows), file.name, None)
        try:
            row.path = _uploaded(file, uploads, max_bytes)
        except BadImageError as error:
            # A new error, as the traceback of the raised one keeps local variables in memory.
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
    except (OSError, RuntimeError, ValueError) as error:  # not a valid path
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
