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
"""Steps an epoch has at least; with 8, 5 photographs a class gave 0.76 instead of 0.79."""

_LOGIT_STEP = 4.0
"""The learning rate times the number of features, where none is given: Adam moves each weight by
about the rate, and so a logit by about the rate times the features."""

_RISE = 0.3  # share of the steps in which the learning rate rises
_START, _END = 1 / 25, 1 / 250_000  # learning rates, as shares of the highest
_MOMENTA = (0.85, 0.95)  # at the highest rate, and at both ends


class Examples(NamedTuple):
    """Photographs as a head sees them.

    Attributes:
        features: float16 `[N, V, D]`: for training all views, for validation those that prediction
            averages.
        labels: int64 `[N]`.
    """

    features: np.ndarray
    labels: np.ndarray


@dataclass
class FittedHead:
    """A fitted head, the row of each epoch, and which epoch it is.

    Attributes:
        head: Of the best epoch.
        history: One row an epoch.
        best_epoch: Its number, from 1.
        valid_logits: float32 `[M, C]`, cross-fitted, see `cross_fit.CrossFit`.
        kind: `linear`, `ridge` or `mlp`.
    """

    head: Head
    history: list[Row] = field(default_factory=list)
    best_epoch: int = 0
    valid_logits: np.ndarray | None = None
    kind: HeadType = "mlp"

    def add(self, row: Row, head: Head) -> None:
        """Add an epoch; its head is kept where it is the best so far.

        Args:
            row: The epoch's row of the history.
            head: The head after it.

        Raises:
            ValueError: As `require_finite`.
        """
        require_finite(row)
        self.history.append(row)
        self.best_epoch = best_epoch(self.history)
        if self.best_epoch == row["epoch"]:
            self.head = head


def class_weights(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Weigh classes inversely to their size: float32 `[C]`, 1 on average over photographs."""
    counts = np.bincount(labels, minlength=num_classes)
    return (len(labels) / (num_classes * np.maximum(counts, 1))).astype(np.float32)


def one_cycle(step: int, steps: int, highest: float) -> tuple[float, float]:
    """Return learning rate and momentum of a step: the rate rises and falls, momentum against it.

    Args:
        step: Number of the step, from 0.
        steps: Number of all steps.
        highest: The highest learning rate.

    Returns:
        Learning rate and momentum.

    Source: Smith and Topin, "Super-convergence", 2018; with cosines, as torch's OneCycleLR.
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
"""Photographs from which least squares are not better any more, whatever the number of features."""


def resolve(config: HeadConfig, count: int, width: int) -> HeadType:
    """Decide which head `auto` is.

    Args:
        config: How to fit.
        count: Photographs to train on.
        width: D, the number of features.

    Returns:
        `linear`, `ridge` or `mlp`; see `conjugate` for what decides.
    """
    if config.head != "auto":
        return config.head
    return "ridge" if count < min(FEW, width / 2) else "linear"


# Numpy's threads wait for one another by spinning, and a head's products are small: on a busy
# machine two took 3-9 times as long as one.
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
    """Fit a head on standardised features; the best epoch on `valid` is kept.

    By AdamW with a one-cycle schedule, one view of each photograph is drawn every epoch; least
    squares take them all. Same seed, same machine: same weights. Features may be mapped from a
    file; AdamW reads those of `train` as `shuffle` says, and those of `valid` are read in blocks.

    Args:
        train: N photographs.
        valid: M photographs.
        num_classes: C.
        config: How to fit.
        valid_groups: int64 `[M]`: photographs with one number are in one part of cross-fitting;
            None where each stands alone.
        standard: `standardisation(train.features)`, where it was computed already.
        device: Where an MLP is computed; a linear head is so small that the CPU takes it.
        scratch: Makes the arrays of logits; as many bytes as it holds in memory are the buffer of
            `shuffle.Shuffle`.
        on_epoch: Called with each row of the history.

    Returns:
        The head of the best epoch, the history, and cross-fitted logits of `valid`.

    Raises:
        OSError: As `Scratch.array`.
        ValueError: As `FittedHead.add`.
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
    """Return what least squares are fitted to: standardised float32 `[R, D]`, and its labels.

    Where there are random views, each view is a row: with 5 photographs a class and six views 0.914
    were recognised, by the mean of centre and mirror image alone 0.889. Where there are only these
    two, their mean does as well, and takes half the time.
    """
    views = train.features.shape[1]
    if views <= 2:
        return np.concatenate(list(averaged(standard, train.features))), train.labels
    rows = train.features.reshape(-1, train.features.shape[2]).astype(np.float32)
    rows -= standard.mean
    rows /= standard.std
    return rows, train.labels.repeat(views)


class _Learner(Protocol):
    """What is trained: takes a step a batch, and can be asked for its head at any time."""

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
    """Goes through the training photographs batch by batch, epoch by epoch."""

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
        """Take one step a batch; return loss, accuracy, and the learning rate at the beginning."""
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
    """Return the classes' shares, float32 `[C]`, whose logs the bias begins at.

    Features are standardised, so the bias alone can say that a class is rare, and at Adam's pace
    it would not get there: with 1,000 photographs beside 10, a third of the 1,000 were missed.
    """
    counts = np.bincount(labels, minlength=num_classes)
    shares = np.full(num_classes, 1.0) if balance else np.maximum(counts, 0.5)
    return (shares / shares.sum()).astype(np.float32)


def standardisation(train: np.ndarray) -> Head:
    """Return a head without layers: mean and standard deviation over photographs and views.

    Args:
        train: float16 `[N, V, D]`; it is read in blocks.

    Returns:
        `mean` and `std`, float32 `[D]` each.
    """
    count, views, width = train.shape
    total, squares = np.zeros(width), np.zeros(width)
    first = train[0, 0].astype(np.float32)  # taken off, that float32 can tell small differences
    for start in range(0, count, BLOCK):
        block = train[start : start + BLOCK].reshape(-1, width).astype(np.float32)
        block -= first
        total += block.sum(axis=0)
        squares += np.einsum("nd,nd->d", block, block)
    shift = total / (count * views)
    mean = shift + first
    std = np.sqrt(np.maximum(squares / (count * views) - shift**2, 0))
    # A feature that changes by less than float16 can tell says nothing; divided by such a spread,
    # the rounding of the cache would stand between training and serving.
    std[std < np.maximum(1e-6, np.abs(mean) * 2**-9)] = 1
    return Head(mean.astype(np.float32), std.astype(np.float32), [])
