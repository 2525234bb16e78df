"""The head on frozen features (a linear layer or an MLP), its configuration and its history."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from model.cache import row_blocks
from model.recipes import FAST, SHARED

HISTORY_COLUMNS = (
    "epoch",
    "train_loss",
    "train_accuracy",
    "valid_loss",
    "valid_accuracy",
    "learning_rate",
    "seconds",
)

MAX_HIDDEN, MAX_WIDTH = 8, 100_000
"""The most hidden layers in a head, and the largest width of a layer or of the features."""

MAX_EPOCHS = 100_000
MAX_SEED = 2**64 - 1
"""The largest seed that torch accepts."""

BLOCK = 1024
"""Photographs that are processed at a time, so that only their features are held as float32."""

HeadType = Literal["auto", "linear", "ridge", "mlp"]
Row = dict[str, float]


@dataclass(frozen=True)
class HeadConfig:
    """How a head is fitted.

    Attributes:
        head: `linear` (cross-entropy by AdamW), `ridge` (least squares by conjugate gradients), or
            `mlp` with ReLU between its layers; `auto` is `ridge` for few photographs (see
            `fit.resolve`) and `linear` for more.
        hidden: Widths of the MLP's hidden layers.
        dropout: Share of an MLP's hidden values set to zero in training, 0-1.
        epochs: Passes over the training photographs; the head after the best one is kept.
        batch_size: Photographs in a step; small data sets use fewer, so that an epoch has at least
            25 steps where possible.
        lr: Highest learning rate of the one-cycle schedule; None for 4 / D, with which a step
            changes logits equally much whatever the number of features.
        weight_decay: Weight decay of AdamW, which multiplies it by the learning rate.
        label_smoothing: Share of the target spread over all classes, 0-1.
        balance: Weigh classes inversely to their number of photographs.
        patience: Stop after this many epochs without improvement on `valid`; 0 to never stop early.
        seed: Seed of the order, the views, and an MLP's initial weights.
    """

    head: HeadType = "auto"
    hidden: tuple[int, ...] = (1600, 1024)
    dropout: float = 0.1
    epochs: int = FAST["epochs"]
    batch_size: int = SHARED["batch_size"]
    lr: float | None = SHARED["lr"]
    weight_decay: float = SHARED["weight_decay"]
    label_smoothing: float = SHARED["label_smoothing"]
    balance: bool = False
    patience: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ValueError: A value is out of range.
        """
        limits = {
            "dropout": (self.dropout, 0, 0.99),
            "epochs": (self.epochs, 1, MAX_EPOCHS),
            "batch-size": (self.batch_size, 1, 1_000_000),
            "lr": (1.0 if self.lr is None else self.lr, 1e-9, 1e3),
            "weight-decay": (self.weight_decay, 0, 1e3),
            "label-smoothing": (self.label_smoothing, 0, 0.99),
            "patience": (self.patience, 0, MAX_EPOCHS),
            "seed": (self.seed, 0, MAX_SEED),
        }
        for name, (value, low, high) in limits.items():
            if not low <= value <= high:
                raise ValueError(f"--{name} {value} is outside {low} to {high}.")
        if self.head not in get_args(HeadType):
            raise ValueError(f"--head '{self.head}' is not one of {', '.join(get_args(HeadType))}.")
        sound = 1 <= len(self.hidden) <= MAX_HIDDEN
        if self.head == "mlp" and not (sound and all(1 <= w <= MAX_WIDTH for w in self.hidden)):
            raise ValueError(
                f"--hidden {self.hidden} must be 1 to {MAX_HIDDEN} widths from 1 to {MAX_WIDTH:,}."
            )


@dataclass
class Head:
    """A fitted head. It needs only numpy, so that serving does not need torch.

    Attributes:
        mean: float32 `[D]`, subtracted from the features.
        std: float32 `[D]`, the divisor of the features.
        layers: (weight `[out, in]`, bias `[out]`) pairs, float32; ReLU between them.
    """

    mean: np.ndarray
    std: np.ndarray
    layers: list[tuple[np.ndarray, np.ndarray]]

    @property
    def num_classes(self) -> int:
        """The number of outputs, C."""
        return len(self.layers[-1][1])

    def first(self, count: int) -> "Head":
        """Return a head with only the first `count` outputs."""
        weight, bias = self.layers[-1]
        return Head(self.mean, self.std, [*self.layers[:-1], (weight[:count], bias[:count])])

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Score features.

        Args:
            features: `[..., D]`, any float type.

        Returns:
            float32 `[..., C]`.
        """
        values = (features.astype(np.float32) - self.mean) / self.std
        for number, (weight, bias) in enumerate(self.layers):
            if number:
                values = np.maximum(values, 0)
            values = values @ weight.T + bias
        return values

    def view_logits(self, features: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Score photographs by the mean of their views' logits.

        Args:
            features: `[N, V, D]`; they are read in blocks.
            out: float32 `[N, C]`, the array for the result; None for a new one.

        Returns:
            float32 `[N, C]`.
        """
        result = out
        if result is None:
            result = np.empty((len(features), self.num_classes), np.float32)
        for start in range(0, len(features), BLOCK):
            block = features[start : start + BLOCK]
            if len(self.layers) == 1:  # a linear head may average first, which is V times faster
                logits = self.logits(block.mean(axis=1, dtype=np.float32))
            else:
                logits = self.logits(block).mean(axis=1)
            result[start : start + BLOCK] = logits
        return result


def best_epoch(history: Sequence[Row]) -> int:
    """Return the epoch with the highest accuracy on `valid`; the lower loss breaks a tie."""
    row = max(history, key=lambda row: (row["valid_accuracy"], -row["valid_loss"]))
    return int(row["epoch"])


def require_finite(row: Row) -> None:
    """Stop when training has diverged, because later epochs do not recover.

    Raises:
        ValueError: A loss is not a finite number.
    """
    for name in ("train_loss", "valid_loss"):
        if not math.isfinite(row[name]):
            raise ValueError(
                f"Training diverged: in epoch {row['epoch']:.0f} the {name.replace('_', ' ')} is "
                f"{row[name]}. Choose a lower --lr or --weight-decay."
            )


def surprises(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the cross-entropy of each photograph.

    Args:
        logits: `[N, C]`; they are read in blocks.
        labels: int64 `[N]`.

    Returns:
        `[N]`, in nats.
    """
    result = np.empty(len(labels), np.result_type(logits, np.float32))
    for rows in row_blocks(*logits.shape):
        shifted = logits[rows] - logits[rows].max(axis=1, keepdims=True)
        right = shifted[np.arange(len(shifted)), labels[rows]]
        result[rows] = np.log(np.exp(shifted, out=shifted).sum(axis=1)) - right
    return result


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean cross-entropy, in nats, of logits `[N, C]` and labels `[N]`."""
    return float(surprises(logits, labels).mean())


def averaged(standard: Head, features: np.ndarray) -> Iterator[np.ndarray]:
    """Average each photograph's first two views, centre and mirror image, and standardise them.

    Args:
        standard: Head whose mean and standard deviation are used; it may cover more than D
            features, of which the first D are used.
        features: `[N, V, D]`.

    Yields:
        Blocks of float32 `[<= 1024, D]`.
    """
    width = features.shape[2]
    for start in range(0, len(features), BLOCK):
        block = features[start : start + BLOCK, :2].mean(axis=1, dtype=np.float32)
        yield (block - standard.mean[:width]) / standard.std[:width]
