"""The head on frozen features: a linear layer or an MLP, how it is fitted, and its history."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from model.recipes import FAST, SHARED
from model.trust import CrossFit

if TYPE_CHECKING:
    import torch
    from torch import nn

HISTORY_COLUMNS = (
    "epoch",
    "train_loss",
    "train_accuracy",
    "valid_loss",
    "valid_accuracy",
    "learning_rate",
    "seconds",
)

_BLOCK = 1024  # photographs whose features are in memory as float32 at a time

_STEPS = 25
"""Steps an epoch has at least; with 8, 5 photographs a class gave 0.76 instead of 0.79."""

HeadType = Literal["linear", "mlp"]
Row = dict[str, float]


@dataclass(frozen=True)
class HeadConfig:
    """How a head is fitted.

    Attributes:
        head: `linear`, or `mlp` with ReLU between its layers.
        hidden: Widths of the MLP's hidden layers.
        dropout: Share of hidden values (MLP) set to zero in training, 0-1.
        epochs: Passes over the training photographs.
        batch_size: Photographs a step; small data sets use fewer, so that an epoch has some steps.
        lr: Highest learning rate of the one-cycle schedule.
        weight_decay: AdamW's, which is multiplied by the learning rate.
        label_smoothing: Share of the target spread over all classes, 0-1.
        balance: Weigh classes inversely to their number of photographs.
        patience: Stop after this many epochs without a better one on `valid`; 0 for never.
        seed: Seed of weights, order and views.
    """

    head: HeadType = "linear"
    hidden: tuple[int, ...] = (1600, 1024)
    dropout: float = 0.1
    epochs: int = FAST["epochs"]
    batch_size: int = SHARED["batch_size"]
    lr: float = FAST["lr"]
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
            "epochs": (self.epochs, 1, 100_000),
            "batch-size": (self.batch_size, 1, 1_000_000),
            "lr": (self.lr, 1e-9, 1e3),
            "weight-decay": (self.weight_decay, 0, 1e3),
            "label-smoothing": (self.label_smoothing, 0, 0.99),
            "patience": (self.patience, 0, 100_000),
        }
        for name, (value, low, high) in limits.items():
            if not low <= value <= high:
                raise ValueError(f"--{name} {value} is outside {low} to {high}.")
        if self.head not in ("linear", "mlp"):
            raise ValueError(f"--head '{self.head}' is not linear or mlp.")
        if self.head == "mlp" and (not self.hidden or min(self.hidden) < 1):
            raise ValueError(f"--hidden {self.hidden} must be one or more widths above 0.")


@dataclass
class Head:
    """A fitted head; numpy only, so that serving needs no torch.

    Attributes:
        mean: float32 `[D]`, subtracted from the features.
        std: float32 `[D]`, which they are divided by.
        layers: (weight `[out, in]`, bias `[out]`) pairs, float32; ReLU between them.
    """

    mean: np.ndarray
    std: np.ndarray
    layers: list[tuple[np.ndarray, np.ndarray]]

    @property
    def num_classes(self) -> int:
        """C."""
        return len(self.layers[-1][1])

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

    def view_logits(self, features: np.ndarray) -> np.ndarray:
        """Score photographs by the mean of their views' logits.

        Args:
            features: `[N, V, D]`.

        Returns:
            float32 `[N, C]`.
        """
        result = np.empty((len(features), self.num_classes), np.float32)
        for start in range(0, len(features), _BLOCK):
            block = features[start : start + _BLOCK]
            if len(self.layers) == 1:  # linear: the mean may be taken first, V times less work
                logits = self.logits(block.mean(axis=1, dtype=np.float32))
            else:
                logits = self.logits(block).mean(axis=1)
            result[start : start + _BLOCK] = logits
        return result


@dataclass
class Fit:
    """A fitted head, the row of each epoch, and which epoch it is.

    Attributes:
        head: Of the best epoch.
        history: One row an epoch.
        best_epoch: Its number, from 1.
        valid_logits: float32 `[M, C]`, cross-fitted, see `trust.CrossFit`.
    """

    head: Head
    history: list[Row] = field(default_factory=list)
    best_epoch: int = 0
    valid_logits: np.ndarray | None = None


def build(
    num_features: int, num_classes: int, hidden: Sequence[int], dropout: float
) -> "nn.Sequential":
    """Build the head's torch module: linear without `hidden`, else an MLP with ReLU and dropout.

    Args:
        num_features: D.
        num_classes: C.
        hidden: Widths of the hidden layers.
        dropout: Share of hidden values set to zero in training, 0-1.

    Returns:
        `[N, D]` -> `[N, C]`.
    """
    from torch import nn

    layers: list[nn.Module] = []
    for width in hidden:
        layers += [nn.Linear(num_features, width), nn.ReLU(), nn.Dropout(dropout)]
        num_features = width
    return nn.Sequential(*layers, nn.Linear(num_features, num_classes))


def _copied(tensor: "torch.Tensor") -> np.ndarray:
    """Copy: on a CPU torch would share its memory, and the next step would change it."""
    return tensor.detach().float().cpu().numpy().copy()


def to_head(network: "nn.Module", mean: np.ndarray, std: np.ndarray) -> Head:
    """Take a copy of the weights out of a torch head."""
    from torch import nn

    layers = [
        (_copied(layer.weight), _copied(layer.bias))
        for layer in network.modules()
        if isinstance(layer, nn.Linear)
    ]
    return Head(mean.astype(np.float32), std.astype(np.float32), layers)


def class_weights(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Weigh classes inversely to their size: float32 `[C]`, 1 on average over photographs."""
    counts = np.bincount(labels, minlength=num_classes)
    return (len(labels) / (num_classes * np.maximum(counts, 1))).astype(np.float32)


def best_epoch(history: Sequence[Row]) -> int:
    """Return the epoch with the highest accuracy on `valid`; among equals, the lowest loss."""
    row = max(history, key=lambda row: (row["valid_accuracy"], -row["valid_loss"]))
    return int(row["epoch"])


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean cross-entropy, in nats, of logits `[N, C]` and labels `[N]`."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_sum = np.log(np.exp(shifted).sum(axis=1))
    return float((log_sum - shifted[np.arange(len(labels)), labels]).mean())


def fit_head(
    train: np.ndarray,
    train_labels: np.ndarray,
    valid: np.ndarray,
    valid_labels: np.ndarray,
    num_classes: int,
    config: HeadConfig,
    *,
    device: str = "cpu",
    on_epoch: Callable[[Row], None] | None = None,
) -> Fit:
    """Fit a head: standardised features, AdamW, one-cycle schedule, best epoch on `valid` kept.

    One view of each photograph is drawn every epoch. Same seed, same machine: same weights.

    Args:
        train: float16 `[N, V, D]`, all views.
        train_labels: int64 `[N]`.
        valid: float16 `[M, 2, D]`, the views that prediction averages.
        valid_labels: int64 `[M]`.
        num_classes: C.
        config: How to fit.
        device: Where to compute.
        on_epoch: Called with each row of the history.

    Returns:
        The head of the best epoch, the history, and cross-fitted logits of `valid`.
    """
    with _few_threads(config.head):
        return _fit(train, train_labels, valid, valid_labels, num_classes, config, device, on_epoch)


@contextlib.contextmanager
def _few_threads(head: HeadType) -> Iterator[None]:
    """Let a linear head use one thread, as its products are small.

    On a busy machine threads that wait for one another by spinning took 3-9 times as long.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1 if head == "linear" else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _start_from_priors(
    network: "nn.Sequential", labels: np.ndarray, num_classes: int, balance: bool
) -> None:
    """Let the last layer's bias begin at the log of the classes' shares.

    Features are standardised, so the bias alone can say that a class is rare, and at Adam's pace
    it would not get there: with 1,000 photographs beside 10, a third of the 1,000 were missed.
    """
    import torch

    counts = np.bincount(labels, minlength=num_classes)
    shares = np.full(num_classes, 1.0) if balance else np.maximum(counts, 0.5)
    with torch.no_grad():
        bias: torch.Tensor = network[-1].bias  # pyrefly: ignore
        bias.copy_(torch.from_numpy(np.log(shares / shares.sum()).astype(np.float32)))


def _fit(
    train: np.ndarray,
    train_labels: np.ndarray,
    valid: np.ndarray,
    valid_labels: np.ndarray,
    num_classes: int,
    config: HeadConfig,
    device: str,
    on_epoch: Callable[[Row], None] | None,
) -> Fit:
    import torch
    from torch.nn import functional

    count, views, width = train.shape
    rng = np.random.default_rng(config.seed)
    torch.manual_seed(config.seed)
    mean, std = _standardisation(train)
    hidden = config.hidden if config.head == "mlp" else ()
    network = build(width, num_classes, hidden, config.dropout).to(device)
    _start_from_priors(network, train_labels, num_classes, config.balance)
    batch_size = min(config.batch_size, max(8, count // _STEPS))
    steps = -(-count // batch_size)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=config.lr, weight_decay=config.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=config.lr, total_steps=max(2, config.epochs * steps)
    )
    weights = None
    if config.balance:
        weights = torch.from_numpy(class_weights(train_labels, num_classes)).to(device)
    targets = torch.from_numpy(train_labels)
    fit = Fit(to_head(network, mean, std))
    cross_fit = CrossFit(valid_labels, num_classes, config.seed)
    for epoch in range(1, config.epochs + 1):
        started = time.perf_counter()
        network.train()
        loss_sum, correct = 0.0, 0
        order = rng.permutation(count)
        drawn = rng.integers(views, size=count)
        learning_rate = float(schedule.get_last_lr()[0])
        for start in range(0, count, batch_size):
            chosen = order[start : start + batch_size]
            values = (train[chosen, drawn[chosen]].astype(np.float32) - mean) / std
            labels = targets[chosen].to(device)
            logits = network(torch.from_numpy(values).to(device))
            losses = functional.cross_entropy(
                logits, labels, label_smoothing=config.label_smoothing, reduction="none"
            )
            if weights is not None:  # photographs are weighed, not torch's classes: that would
                losses = losses * weights[labels]  # weigh the smoothed part of the targets, too
            loss = losses.mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            with torch.no_grad():
                loss_sum += functional.cross_entropy(logits, labels, reduction="sum").item()
                correct += int((logits.argmax(1) == labels).sum())
        network.eval()
        head = to_head(network, mean, std)
        valid_logits = head.view_logits(valid)
        cross_fit.add(valid_logits)
        row: Row = {
            "epoch": epoch,
            "train_loss": loss_sum / count,
            "train_accuracy": correct / count,
            "valid_loss": cross_entropy(valid_logits, valid_labels),
            "valid_accuracy": float((valid_logits.argmax(1) == valid_labels).mean()),
            "learning_rate": learning_rate,
            "seconds": time.perf_counter() - started,
        }
        fit.history.append(row)
        if on_epoch:
            on_epoch(row)
        fit.best_epoch = best_epoch(fit.history)
        if fit.best_epoch == epoch:
            fit.head = head
        if config.patience and epoch - fit.best_epoch >= config.patience:
            break
    fit.valid_logits = cross_fit.logits
    return fit


def _standardisation(train: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation `[D]` over photographs and views, in blocks of memory."""
    count, views, width = train.shape
    total, squares = np.zeros(width), np.zeros(width)
    for start in range(0, count, _BLOCK):
        block = train[start : start + _BLOCK].reshape(-1, width).astype(np.float64)
        total += block.sum(axis=0)
        squares += (block**2).sum(axis=0)
    mean = total / (count * views)
    std = np.sqrt(np.maximum(squares / (count * views) - mean**2, 0))
    # A feature that changes by less than float16 can tell says nothing; divided by such a spread,
    # the rounding of the cache would stand between training and serving.
    std[std < np.maximum(1e-6, np.abs(mean) * 2**-9)] = 1
    return mean.astype(np.float32), std.astype(np.float32)
