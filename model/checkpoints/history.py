"""The history of a training: one row an epoch, in a CSV file."""

from collections.abc import Sequence
from pathlib import Path

from model.checkpoints.fields import InvalidFile, Misfit, number, read_text, wrong
from model.heads.head import HISTORY_COLUMNS, MAX_EPOCHS, Row, best_epoch

DRAWN = 1000
"""Epochs that a chart or a table shows: more than a chart has pixels, and Altair takes 5,000."""

_MAX_BYTES = 32_000_000  # 100,000 rows of seven numbers of 24 characters: 17 MB
_MAX_LINE = 1000
_RANGES = {
    "train_loss": number(0, 1e30),
    "train_accuracy": number(0, 1),
    "valid_loss": number(0, 1e30),
    "valid_accuracy": number(0, 1),
    "learning_rate": number(0, 1e9),
    "seconds": number(0, 1e9),
}


def thinned(history: Sequence[Row], most: int = DRAWN) -> list[Row]:
    """Take rows at equal distances: the first, the last and the best epoch's among them.

    Args:
        history: One row an epoch.
        most: Rows, 3 or more.

    Returns:
        At most so many rows; all of them where there are no more.
    """
    if len(history) <= most:
        return list(history)
    step = (len(history) - 1) / (most - 2)
    kept = {round(step * number) for number in range(most - 1)} | {best_epoch(history) - 1}
    return [history[index] for index in sorted(kept)]


def load(path: Path) -> list[Row]:
    """Read and check a history.

    Args:
        path: The file.

    Returns:
        One row an epoch.

    Raises:
        FileNotFoundError: There is no such file.
        InvalidFile: It is not a history.
    """
    header, *lines = read_text(path, _MAX_BYTES).splitlines() or [""]
    if tuple(header.split(",")) != HISTORY_COLUMNS:
        raise InvalidFile(path.name, f"the file must have the columns {', '.join(HISTORY_COLUMNS)}")
    if not 1 <= len(lines) <= MAX_EPOCHS:
        problem = f"the file has {len(lines):,} rows; expected 1 to {MAX_EPOCHS:,}"
        raise InvalidFile(path.name, problem)
    try:
        return [_row(line, epoch) for epoch, line in enumerate(lines, 1)]
    except Misfit as error:
        raise InvalidFile(path.name, str(error)) from error


def _row(line: str, epoch: int) -> Row:
    cells = line.split(",") if len(line) <= _MAX_LINE else [line]
    if len(cells) != len(HISTORY_COLUMNS):
        raise wrong(line, f"{len(HISTORY_COLUMNS)} numbers").inside(f"row {epoch}")
    if cells[0] != str(epoch):
        raise wrong(cells[0], str(epoch)).inside(f"epoch in row {epoch}")
    row: Row = {"epoch": epoch}
    for column, cell in zip(HISTORY_COLUMNS[1:], cells[1:], strict=True):
        try:
            value: float | str = float(cell)
        except ValueError:
            value = cell
        try:
            row[column] = _RANGES[column](value)
        except Misfit as error:
            raise error.inside(f"{column} of epoch {epoch}") from None
    return row
