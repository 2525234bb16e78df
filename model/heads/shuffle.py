"""The order in which a head sees its photographs, also where their features are not in memory.

Where all features fit in memory, an epoch takes the photographs in a random order. Where they do
not, reading them one by one from a disk in such an order would take most of the time. They are
then read in pieces of consecutive photographs, many pieces are mixed in a buffer, and batches are
drawn from the buffer.

How random that is: features are stored class by class, so consecutive photographs are of one class,
and a buffer of pieces that chance alone chose would lack many classes. Therefore every buffer takes
its pieces evenly from the whole storage, one of each stretch of as many pieces as there are
buffers, and pieces are small enough that a class of average size is in all buffers. Which piece of
a stretch goes into which buffer, and the order within a buffer, is random and new in every epoch.
What remains of the storage is that photographs of one piece, which are neighbours there, are always
in the same buffer, and so meet in a batch more often than others do.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from model.cache import IN_MEMORY

BUFFERS = 4
"""How many buffers the features must fill to be read in this way. The system holds what was read
from a mapped file in memory that nobody else needs, so that smaller files are soon there."""


class Batch(NamedTuple):
    """Some photographs.

    Attributes:
        features: float16 `[B, D]`, of one view each.
        numbers: int64 `[B]`, which photographs they are.
    """

    features: np.ndarray
    numbers: np.ndarray


class Shuffle:
    """Draws batches of photographs, one view of each, in a new random order every epoch."""

    def __init__(
        self,
        features: np.ndarray,
        num_classes: int,
        batch_size: int,
        rng: np.random.Generator,
        buffer: int = IN_MEMORY,
    ) -> None:
        """Decide how to read.

        Args:
            features: float16 `[N, V, D]`; may be mapped from a file.
            num_classes: C, by which the length of a piece is chosen.
            batch_size: B.
            rng: Draws order and views.
            buffer: Bytes of features that are mixed at a time, where there are more than `BUFFERS`
                times as many; else photographs are taken one by one.
        """
        self._features, self._batch_size, self._rng = features, batch_size, rng
        count, _, width = features.shape
        self.buffered = count
        if features.nbytes > BUFFERS * buffer:
            most = batch_size * max(1, buffer // (2 * width * batch_size))
            # All buffers are about equally large, as `spread` deals equal shares to them.
            share = -(-count // most) * batch_size
            self.buffered = min(count, -(-count // share) * batch_size)
        self._pieces = piece_length(count, self.buffered, num_classes)

    def epoch(self) -> Iterator[Batch]:
        """Yield all photographs once, in batches of B; the last may be smaller."""
        count, views, _ = self._features.shape
        order = spread(self._rng, count, self.buffered, self._pieces)
        drawn = self._rng.integers(views, size=count)
        for start in range(0, count, self.buffered):
            mixed = order[start : start + self.buffered]
            source, places = self._features, mixed
            if self.buffered < count:
                ascending = np.sort(mixed)
                source = self._features[ascending, drawn[ascending]][:, None]
                places = self._rng.permutation(len(mixed))
                mixed = ascending[places]
            for first in range(0, len(mixed), self._batch_size):
                numbers = mixed[first : first + self._batch_size]
                at = places[first : first + self._batch_size]
                view = drawn[numbers] if source is self._features else 0
                yield Batch(source[at, view], numbers)


def piece_length(count: int, buffered: int, num_classes: int) -> int:
    """Choose how many consecutive photographs are read at a time.

    Args:
        count: N photographs.
        buffered: Photographs that are mixed at a time.
        num_classes: C.

    Returns:
        So many that a class of average size has two pieces for each buffer. Where that is one
        photograph, reading takes longer, but still goes through the storage in ascending order.
    """
    buffers = -(-count // buffered)
    return max(1, count // (2 * num_classes * buffers))


def spread(rng: np.random.Generator, count: int, buffered: int, piece: int) -> np.ndarray:
    """Deal photographs into buffers.

    Args:
        rng: Deals.
        count: N photographs.
        buffered: Photographs in a buffer.
        piece: Consecutive photographs that go into the same buffer.

    Returns:
        int64 `[N]`: the first `buffered` photographs are those of the first buffer, and so on. In
        random order where all fit in one buffer.
    """
    buffers = -(-count // buffered)
    if buffers == 1:
        return rng.permutation(count)
    pieces = -(-count // piece)
    stretches = np.tile(np.arange(buffers), (-(-pieces // buffers), 1))
    turns = rng.permuted(stretches, axis=1).ravel()[:pieces]
    # Shares and buffers are not exactly of one size, so a share may continue in the next buffer. In
    # stored order, the last buffer would get the last classes only.
    mixed = rng.permutation(count)
    return mixed[np.argsort(turns.repeat(piece)[mixed], kind="stable")]
