"""How a head is fitted on cached features: epochs, views, schedule, and which epoch is kept."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from threadpoolctl import threadpool_limits

from model.heads.head import (
    BLOCK,
    Head,
    HeadConfig,
    Row,
    best_epoch,
    cross_entropy,
    require_finite,
)
from model.heads.linear import Linear
from model.trust.sets import CrossFit

_STEPS = 25
"""Steps an epoch has at least; with 8, 5 photographs a class gave 0.76 instead of 0.79."""

_RISE = 0.3  # share of the steps in which the learning rate rises
_START, _END = 1 / 25, 1 / 250_000  # learning rates, as shares of the highest
_MOMENTA = (0.85, 0.95)  # at the highest rate, and at both ends


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


# Numpy's threads wait for one another by spinning, and a head's products are small: on a busy
# machine two took 3-9 times as long as one.
@threadpool_limits.wrap(limits=1, user_api="blas")
def fit_head(
    train: np.ndarray,
    train_labels: np.ndarray,
    valid: np.ndarray,
    valid_labels: np.ndarray,
    num_classes: int,
    config: HeadConfig,
    *,
    standard: Head | None = None,
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
        standard: `standardisation(train)`, where it was computed already.
        device: Where an MLP is computed; a linear head is so small that the CPU takes it.
        on_epoch: Called with each row of the history.

    Returns:
        The head of the best epoch, the history, and cross-fitted logits of `valid`.

    Raises:
        ValueError: As `require_finite`.
    """
    count, views, width = train.shape
    rng = np.random.default_rng(config.seed)
    standard = standard or standardisation(train)
    mean, std = standard.mean, standard.std
    priors = _priors(train_labels, num_classes, config.balance)
    if config.head == "linear":
        learner = Linear(width, priors, config)
    else:
        from model.heads.mlp import Mlp

        learner = Mlp(width, priors, config, device)
    batch_size = min(config.batch_size, max(8, count // _STEPS))
    steps, step = config.epochs * -(-count // batch_size), 0
    weights = class_weights(train_labels, num_classes)[train_labels] if config.balance else None
    fit = Fit(learner.head(mean, std))
    cross_fit = CrossFit(valid_labels, num_classes, config.seed)
    for epoch in range(1, config.epochs + 1):
        started = time.perf_counter()
        loss_sum, correct = 0.0, 0
        order = rng.permutation(count)
        drawn = rng.integers(views, size=count)
        learning_rate = one_cycle(step, steps, config.lr)[0]
        for start in range(0, count, batch_size):
            chosen = order[start : start + batch_size]
            values = train[chosen, drawn[chosen]].astype(np.float32)
            values -= mean
            values /= std
            labels = train_labels[chosen]
            logits = learner.step(
                values,
                labels,
                None if weights is None else weights[chosen],
                *one_cycle(step, steps, config.lr),
            )
            step += 1
            loss_sum += cross_entropy(logits, labels) * len(labels)
            correct += int((logits.argmax(axis=1) == labels).sum())
        head = learner.head(mean, std)
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
        require_finite(row)
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
    for start in range(0, count, BLOCK):
        block = train[start : start + BLOCK].reshape(-1, width).astype(np.float64)
        total += block.sum(axis=0)
        squares += (block**2).sum(axis=0)
    mean = total / (count * views)
    std = np.sqrt(np.maximum(squares / (count * views) - mean**2, 0))
    # A feature that changes by less than float16 can tell says nothing; divided by such a spread,
    # the rounding of the cache would stand between training and serving.
    std[std < np.maximum(1e-6, np.abs(mean) * 2**-9)] = 1
    return Head(mean.astype(np.float32), std.astype(np.float32), [])
