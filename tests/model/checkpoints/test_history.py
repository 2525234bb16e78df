"""The history of a training: read, refused, and thinned to be drawn."""

import csv
import io
import time
from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image

from model.checkpoints import history
from model.checkpoints.files import InvalidFile
from model.checkpoints.plots import history_png
from model.heads.head import HISTORY_COLUMNS, Row


def rows(count: int, best: int = 1) -> list[Row]:
    """Epochs of which one is the best."""
    return [
        {
            "epoch": epoch,
            "train_loss": 1 / epoch,
            "train_accuracy": 0.5,
            "valid_loss": 2 / epoch,
            "valid_accuracy": 0.75 if epoch == best else 0.5,
            "learning_rate": 1e-3,
            "seconds": 0.01,
        }
        for epoch in range(1, count + 1)
    ]


def write(path: Path, written: list[Row]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, HISTORY_COLUMNS)
        writer.writeheader()
        writer.writerows(written)
    return path


@pytest.mark.parametrize("count", [1, 6000, 100_000])
def test_a_history_comes_back(count: int, tmp_path: Path):
    path = write(tmp_path / "history.csv", rows(count))
    started = time.perf_counter()
    assert history.load(path) == rows(count)
    assert time.perf_counter() - started < 10


@pytest.mark.parametrize(
    ("column", "cell", "said"),
    [
        (1, "nan", "row 2, train_loss: expected a number >= 0"),
        (3, "inf", "row 2, valid_loss: expected a number <= 1e+30"),
        (3, "1e999", "row 2, valid_loss: number out of range"),
        (4, "1.5", "row 2, valid_accuracy: expected a number <= 1.0"),
        (5, "-1", "row 2, learning_rate: expected a number >= 0"),
        (6, "much", "row 2, seconds: expected a number, got a text"),
        (6, "", "row 2, seconds: expected a number, got a text"),
        (6, "1,1", "row 2 must have 7 numbers"),
        (0, "3", "row 2 has the epoch 3"),
        (0, "nan", "row 2, epoch: expected a whole number"),
        (2, "x" * 200_000, "row 2, train_accuracy: expected a number"),
        (2, "\0\0", "row 2, train_accuracy: expected a number"),
    ],
)
def test_a_row_that_is_wrong_is_named(column: int, cell: str, said: str, tmp_path: Path):
    lines = write(tmp_path / "history.csv", rows(3)).read_text().splitlines()
    cells = lines[2].split(",")
    cells[column] = cell
    lines[2] = ",".join(cells)
    (tmp_path / "history.csv").write_text("\n".join(lines))
    with pytest.raises(InvalidFile) as error:
        history.load(tmp_path / "history.csv")
    message = str(error.value)
    assert message.startswith("history.csv: ") and said in message
    assert message.isprintable() and len(message) < 200


def test_a_history_without_rows_or_with_too_many_is_refused(tmp_path: Path):
    path = write(tmp_path / "history.csv", [])
    with pytest.raises(InvalidFile, match=r"the file has 0 rows; expected 1 to 100,000"):
        history.load(path)
    path.write_text(path.read_text() + "1,1,1,1,1,1,1\n" * 100_001)
    with pytest.raises(InvalidFile, match=r"the file has 100,001 rows; expected 1 to 100,000"):
        history.load(path)


@pytest.mark.parametrize("count", [1, 2, 999, 1000, 1001, 1999, 6000, 100_000])
@pytest.mark.parametrize("best", [1, 0.5, 1.0])
def test_a_thinned_history_keeps_both_ends_and_the_best_epoch(count: int, best: float):
    whole = rows(count, max(1, int(best * count)) if best != 1 else 1)
    kept = history.thinned(whole)
    assert len(kept) <= 1000
    assert (len(kept) == count) == (count <= 1000)
    epochs = [row["epoch"] for row in kept]
    assert epochs == sorted(set(epochs))
    assert {1, count, *(row["epoch"] for row in whole if row["valid_accuracy"] == 0.75)} <= set(
        epochs
    )
    assert count <= 1000 or len(kept) > 900
    steps = [late - early for early, late in pairwise(epochs)]
    assert not steps or max(steps) <= -(-count // 900)


def test_a_long_history_is_drawn(tmp_path: Path):
    started = time.perf_counter()
    picture = history_png(rows(100_000, 70_000))
    assert time.perf_counter() - started < 20
    assert Image.open(io.BytesIO(picture)).size[0] > 1000
