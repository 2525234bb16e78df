"""How a head is fitted on cached features: epochs, views, schedule, and which epoch is kept."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np
from threadpoolctl import threadpool_limits

from model.cache import Scratch
from model.heads import shuffle
from model.heads.conjugate import Ridge
from model.heads.cross_fit import CrossFit
from model.heads.head import (
    BLOCK,
    Head,
    HeadConfig,
    HeadType,
    Row,
    averaged,
    best_epoch,
    cross_entropy,
    require_finite,
)
from model.heads.linear import Linear

_STEPS = 25
"""The fewest steps in an epoch. With 8 steps instead of 25, the accuracy with 5 photographs a class
was 0.76 instead of 0.79."""

_LOGIT_STEP = 4.0
"""The default learning rate times the number of features. Adam changes each weight by about the
learning rate, and so a logit by about the learning rate times the number of features."""

_RISE = 0.3  # share of the steps during which the learning rate rises
_START, _END = 1 / 25, 1 / 250_000  # first and last learning rate, as shares of the highest
_MOMENTA = (0.85, 0.95)  # at the highest learning rate, and at the first and last


class Examples(NamedTuple):
    """The features and labels of N photographs.

    Attributes:
        features: float16 `[N, V, D]`. Training examples have all views, validation examples only
            the views that prediction averages.
        labels: int64 `[N]`.
    """

    features: np.ndarray
    labels: np.ndarray


@dataclass
class FittedHead:
    """The head of the best epoch, and the history of all epochs.

    Attributes:
        head: The head after the best epoch.
        history: One row for each epoch.
        best_epoch: Number of the best epoch, from 1.
        valid_logits: float32 `[M, C]`, cross-fitted logits of `valid`, see `cross_fit.CrossFit`.
        kind: `linear`, `ridge` or `mlp`.
    """

    head: Head
    history: list[Row] = field(default_factory=list)
    best_epoch: int = 0
    valid_logits: np.ndarray | None = None
    kind: HeadType = "mlp"

    def add(self, row: Row, head: Head) -> None:
        """Add an epoch, and keep its head if it is the best so far.

        Args:
            row: The epoch's row of the history.
            head: The head after it.

        Raises:
            ValueError: Training diverged: a loss is not a finite number.
        """
        require_finite(row)
        self.history.append(row)
        self.best_epoch = best_epoch(self.history)
        if self.best_epoch == row["epoch"]:
            self.head = head


def class_weights(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Return weights inverse to class sizes: float32 `[C]`, 1 on average over photographs."""
    counts = np.bincount(labels, minlength=num_classes)
    return (len(labels) / (num_classes * np.maximum(counts, 1))).astype(np.float32)


def one_cycle(step: int, steps: int, highest: float) -> tuple[float, float]:
    """Return the learning rate and momentum of a step.

    The learning rate rises and then falls; momentum falls and then rises.

    Args:
        step: Number of the step, from 0.
        steps: Number of all steps.
        highest: The highest learning rate.

    Returns:
        Learning rate and momentum.

    Source: Smith and Topin, "Super-convergence", 2018; with cosines, like torch's OneCycleLR.
    """
    last = max(2, steps) - 1
    summit = max(_RISE * (last + 1) - 1, 0)
    low, high = _MOMENTA
    if step < summit:
        share, rates, momenta = step / summit, (_START, 1.0), (high, low)
    else:
        share, rates, momenta = (step - summit) / (last - summit), (1.0, _END), (low, high)
    begin = (1 + math.cos(math.pi * share)) / 2
    rate, momentum = (start * begin + end * (1 - begin) for start, end in (rates, momenta))
    return highest * rate, momentum


FEW = 3000
"""From this many training photographs on, least squares are no longer better than AdamW, whatever
the number of features."""


def resolve(config: HeadConfig, count: int, width: int) -> HeadType:
    """Decide which type of head is fitted when the configuration says `auto`.

    Args:
        config: How to fit.
        count: Photographs to train on.
        width: D, the number of features.

    Returns:
        `linear`, `ridge` or `mlp`; `conjugate` gives the measurements behind the choice.
    """
    if config.head != "auto":
        return config.head
    return "ridge" if count < min(FEW, width / 2) else "linear"


# Numpy's threads wait for one another in busy loops, and a head's matrix products are small: on a
# busy machine two threads took 3-9 times as long as one.
@threadpool_limits.wrap(limits=1, user_api="blas")
def fit_head(
    train: Examples,
    valid: Examples,
    num_classes: int,
    config: HeadConfig,
    *,
    valid_groups: np.ndarray | None = None,
    standard: Head | None = None,
    device: str = "cpu",
    scratch: Scratch | None = None,
    on_epoch: Callable[[Row], None] | None = None,
) -> FittedHead:
    """Fit a head on standardised features, and keep the epoch that is best on `valid`.

    AdamW with a one-cycle schedule uses one random view of each photograph in every epoch; least
    squares use all views. The same seed gives the same weights on the same machine. Features may be
    mapped from a file: AdamW reads those of `train` as `shuffle` describes, and those of `valid`
    are read in blocks.

    Args:
        train: N photographs.
        valid: M photographs.
        num_classes: C.
        config: How to fit.
        valid_groups: int64 `[M]`: photographs with the same number are in the same part when
            logits are cross-fitted; None if every photograph is a group of its own.
        standard: `standardisation(train.features)`, if it has been computed already.
        device: Device for an MLP; a linear head is so small that it is fitted on the CPU.
        scratch: Creates the arrays of logits; its `in_memory` is also the buffer size of
            `shuffle.Shuffle`.
        on_epoch: Called with each row of the history.

    Returns:
        The head of the best epoch, the history, and cross-fitted logits of `valid`.

    Raises:
        OSError: The disk has no room for a large array.
        ValueError: Training diverged: a loss is not a finite number.
    """
    scratch = scratch or Scratch()
    standard = standard or standardisation(train.features)
    kind = resolve(config, len(train.labels), train.features.shape[2])
    weights = class_weights(train.labels, num_classes)[train.labels] if config.balance else None
    if kind == "ridge":
        values, labels = _rows(standard, train)
        if weights is not None:
            weights = weights.repeat(len(labels) // len(weights))
        smoothing = config.label_smoothing
        training = learner = Ridge(values, labels, num_classes, weights, smoothing)
    else:
        learner = _learner(kind, train, num_classes, config, device)
        order = shuffle.Shuffle(
            train.features,
            num_classes,
            _batch_size(len(train.labels), config),
            np.random.default_rng(config.seed),
            scratch.in_memory,
        )
        training = _Descent(train, standard, learner, weights, config, order)
    fitted = FittedHead(learner.head(standard.mean, standard.std), kind=kind)
    cross_fit = CrossFit(valid.labels, num_classes, config.seed, valid_groups, scratch)
    logits = scratch.array(cross_fit.logits.shape, np.float32)
    for epoch in range(1, config.epochs + 1):
        started = time.perf_counter()
        train_loss, train_accuracy, learning_rate = training.epoch()
        head = learner.head(standard.mean, standard.std)
        valid_loss, valid_accuracy = cross_fit.add(head.view_logits(valid.features, out=logits))
        row: Row = {
            "epoch": epoch,
            "train_loss": train_loss,
            "train_accuracy": train_accuracy,
            "valid_loss": valid_loss,
            "valid_accuracy": valid_accuracy,
            "learning_rate": learning_rate,
            "seconds": time.perf_counter() - started,
        }
        fitted.add(row, head)
        if on_epoch:
            on_epoch(row)
        if config.patience and epoch - fitted.best_epoch >= config.patience:
            break
    fitted.valid_logits = cross_fit.logits
    return fitted


def _rows(standard: Head, train: Examples) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows that least squares are fitted to, standardised float32 `[R, D]`, and labels.

    If there are random views, every view is a row: with 5 photographs a class and six views the
    accuracy was 0.914, and 0.889 with only the mean of centre and mirror image. If there are only
    these two views, their mean is as accurate as two rows and takes half the time.
    """
    views = train.features.shape[1]
    if views <= 2:
        return np.concatenate(list(averaged(standard, train.features))), train.labels
    rows = train.features.reshape(-1, train.features.shape[2]).astype(np.float32)
    rows -= standard.mean
    rows /= standard.std
    return rows, train.labels.repeat(views)


class _Learner(Protocol):
    """A head in training: it takes one step for each batch, and can return its head at any time."""

    def step(
        self,
        values: np.ndarray,
        labels: np.ndarray,
        weights: np.ndarray | None,
        rate: float,
        momentum: float,
    ) -> np.ndarray: ...

    def head(self, mean: np.ndarray, std: np.ndarray) -> Head: ...


def _learner(
    kind: HeadType, train: Examples, num_classes: int, config: HeadConfig, device: str
) -> _Learner:
    width, priors = train.features.shape[2], _priors(train.labels, num_classes, config.balance)
    if kind == "linear":
        return Linear(width, priors, config)
    from model.heads.mlp import Mlp

    return Mlp(width, priors, config, device)


def _batch_size(count: int, config: HeadConfig) -> int:
    return min(config.batch_size, max(8, count // _STEPS))


class _Descent:
    """Trains a learner on the training photographs, epoch by epoch, in batches."""

    def __init__(
        self,
        train: Examples,
        standard: Head,
        learner: _Learner,
        weights: np.ndarray | None,
        config: HeadConfig,
        order: shuffle.Shuffle,
    ) -> None:
        count, _, width = train.features.shape
        self._labels, self._standard, self._learner = train.labels, standard, learner
        self._highest = config.lr or _LOGIT_STEP / width
        self._weights, self._order = weights, order
        self._steps, self._step = config.epochs * -(-count // _batch_size(count, config)), 0

    def epoch(self) -> tuple[float, float, float]:
        """Train for an epoch; return loss, accuracy, and the learning rate at its beginning."""
        count, loss_sum, correct = len(self._labels), 0.0, 0
        learning_rate, _ = one_cycle(self._step, self._steps, self._highest)
        for features, chosen in self._order.epoch():
            values, labels = features.astype(np.float32), self._labels[chosen]
            values -= self._standard.mean
            values /= self._standard.std
            weights = None if self._weights is None else self._weights[chosen]
            rates = one_cycle(self._step, self._steps, self._highest)
            logits = self._learner.step(values, labels, weights, *rates)
            self._step += 1
            loss_sum += cross_entropy(logits, labels) * len(chosen)
            correct += int((logits.argmax(axis=1) == labels).sum())
        return loss_sum / count, correct / count, learning_rate


def _priors(labels: np.ndarray, num_classes: int, balance: bool) -> np.ndarray:
    """Return each class's share of the photographs, float32 `[C]`; the bias starts at their logs.

    As features are standardised, only the bias can express that a class is rare, and starting at 0
    it would change too slowly under Adam: with one class of 1,000 photographs and one of 10, a
    third of the 1,000 were misclassified.
    """
    counts = np.bincount(labels, minlength=num_classes)
    shares = np.full(num_classes, 1.0) if balance else np.maximum(counts, 0.5)
    return (shares / shares.sum()).astype(np.float32)


def standardisation(train: np.ndarray) -> Head:
    """Compute the mean and standard deviation of each feature over photographs and views.

    Args:
        train: float16 `[N, V, D]`; it is read in blocks.

    Returns:
        A head without layers, whose `mean` and `std` are float32 `[D]` each.
    """
    count, views, width = train.shape
    total, squares = np.zeros(width), np.zeros(width)
    # Sums of squares of values far from 0 would lose small differences in float32, so one
    # photograph's features are subtracted first.
    first = train[0, 0].astype(np.float32)
    for start in range(0, count, BLOCK):
        block = train[start : start + BLOCK].reshape(-1, width).astype(np.float32)
        block -= first
        total += block.sum(axis=0)
        squares += np.einsum("nd,nd->d", block, block)
    shift = total / (count * views)
    mean = shift + first
    std = np.sqrt(np.maximum(squares / (count * views) - shift**2, 0))
    # A feature that varies less than float16 can resolve carries no information. Dividing by such a
    # small deviation would amplify the cache's rounding, so training and serving would differ.
    std[std < np.maximum(1e-6, np.abs(mean) * 2**-9)] = 1
    return Head(mean.astype(np.float32), std.astype(np.float32), [])
