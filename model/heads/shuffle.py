"""The order in which a head sees its photographs, including features too large for memory.

If all features fit in memory, an epoch takes the photographs in a random order. If they do not,
reading them from the disk one by one in random order would take most of the time. They are then
read in pieces of consecutive photographs; many pieces are mixed in a buffer, and batches are drawn
from the buffer.

How random is this? Features are stored class by class, so consecutive photographs are mostly of the
same class, and a buffer filled with randomly chosen pieces would lack many classes. Therefore every
buffer takes its pieces evenly from the whole file: with K buffers, one piece from every K
consecutive pieces. Pieces are small enough that a class of average size is in all buffers. Which
buffer gets which of the K pieces, and the order within a buffer, are random and change every epoch.
One trace of the stored order remains: photographs of the same piece, which are neighbours in the
file, usually share a buffer, and so appear in the same batch more often than others.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from model.cache import IN_MEMORY

BUFFERS = 4
"""Features are read through buffers only if they would fill more than this many. The system keeps
what was read from a mapped file in otherwise unused memory, so a smaller file is soon all there."""


class Batch(NamedTuple):
    """The photographs of one training step.

    Attributes:
        features: float16 `[B, D]`, one view of each photograph.
        numbers: int64 `[B]`, the positions of the photographs in the data set.
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
        """Decide whether the features are read through buffers, and how large those are.

        Args:
            features: float16 `[N, V, D]`; may be mapped from a file.
            num_classes: C; it decides the length of a piece.
            batch_size: B.
            rng: Draws the order and the views.
            buffer: Size of a buffer in bytes. Features of at most `BUFFERS` times this size are
                read in random order without a buffer.
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
        """Yield all photographs once, in batches of B; the last batch may be smaller."""
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
        buffered: Photographs in a buffer.
        num_classes: C.

    Returns:
        The length at which a class of average size has two pieces for each buffer, at least 1. At
        length 1 reading takes longer, but still goes through the file in ascending order.
    """
    buffers = -(-count // buffered)
    return max(1, count // (2 * num_classes * buffers))


def spread(rng: np.random.Generator, count: int, buffered: int, piece: int) -> np.ndarray:
    """Deal photographs into buffers.

    Args:
        rng: Draws the order.
        count: N photographs.
        buffered: Photographs in a buffer.
        piece: Length of a piece, in photographs.

    Returns:
        int64 `[N]`, photographs in the order of their buffers: the first `buffered` belong to the
        first buffer, and so on. If all fit in one buffer, their order is random.
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
