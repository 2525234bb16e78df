"""The training history: a CSV file with one row per epoch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, TypedDict, cast

import msgspec
from msgspec import Meta

from model.checkpoints.files import InvalidFile, problem_of, read_text
from model.heads.head import HISTORY_COLUMNS, MAX_EPOCHS, Row, best_epoch

DRAWN = 1000
"""Most epochs in a chart or table; a chart has fewer pixels, and Altair takes 5,000 rows."""

_MAX_BYTES = 32_000_000  # 100,000 rows of seven numbers with 24 characters each take 17 MB
_Positive = Annotated[float, Meta(ge=0, le=1e30)]
_Share = Annotated[float, Meta(ge=0, le=1)]


class _Row(TypedDict):
    epoch: int
    train_loss: _Positive
    train_accuracy: _Share
    valid_loss: _Positive
    valid_accuracy: _Share
    learning_rate: _Positive
    seconds: _Positive


def thinned(history: Sequence[Row], most: int = DRAWN) -> list[Row]:
    """Select rows at equal distances, including the first, the last and the best epoch's.

    Args:
        history: One row per epoch.
        most: The most rows to return, 3 or more.

    Returns:
        At most that many rows; all of them if there are no more.
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
        One row per epoch.

    Raises:
        FileNotFoundError: There is no such file.
        InvalidFile: The file is not a history.
    """
    header, *lines = read_text(path, _MAX_BYTES).splitlines() or [""]
    if tuple(header.split(",")) != HISTORY_COLUMNS:
        raise InvalidFile(path.name, f"the file must have the columns {', '.join(HISTORY_COLUMNS)}")
    if not 1 <= len(lines) <= MAX_EPOCHS:
        problem = f"the file has {len(lines):,} rows; expected 1 to {MAX_EPOCHS:,}"
        raise InvalidFile(path.name, problem)
    return [_row(path.name, line, epoch) for epoch, line in enumerate(lines, 1)]


def _row(file: str, line: str, epoch: int) -> Row:
    cells = line.split(",")
    if len(cells) != len(HISTORY_COLUMNS):
        raise InvalidFile(file, f"row {epoch} must have {len(HISTORY_COLUMNS)} numbers")
    try:
        cells_by_name = dict(zip(HISTORY_COLUMNS, cells, strict=True))
        row: Row = msgspec.convert(cells_by_name, cast(Any, _Row), strict=False)
    except msgspec.ValidationError as error:
        raise InvalidFile(file, f"row {epoch}, {problem_of(error)}") from error
    if row["epoch"] != epoch:
        raise InvalidFile(file, f"row {epoch} has the epoch {row['epoch']}; expected {epoch}")
    return row
