"""Features that are computed on demand, because all of them together would not fit in memory."""

import numpy as np

from model.cache import row_blocks


class Rows:
    """Averages of views, float32 `[N, D]`; only the rows that are indexed are held in memory."""

    def __init__(
        self,
        views: np.ndarray,
        middle: np.ndarray | None = None,
        deviation: np.ndarray | None = None,
    ) -> None:
        """Wrap the features of N photographs.

        Args:
            views: float16 `[N, V, D]`; may be mapped from a file.
            middle: float32 `[D]`, subtracted from the averages; None to subtract nothing.
            deviation: float32 `[D]`, the divisor of the differences; None to divide by nothing.
        """
        self._views, self._middle, self._deviation = views, middle, deviation
        self.shape = (len(views), views.shape[2])

    def __len__(self) -> int:
        """Return the number of photographs, N."""
        return len(self._views)

    def __getitem__(self, rows: slice | np.ndarray) -> np.ndarray:
        """Return the features of some photographs, float32 `[n, D]`."""
        values = self._views[rows].mean(axis=1, dtype=np.float32)
        if self._middle is not None:
            values -= self._middle
        if self._deviation is not None:
            values /= self._deviation
        return np.asarray(values)

    def standardised(self) -> "Rows":
        """Return the same features, shifted and scaled as `ridge.standardise` does."""
        total, squares = np.zeros(self.shape[1]), np.zeros(self.shape[1])
        for rows in row_blocks(*self.shape):
            total += self[rows].sum(axis=0, dtype=np.float64)
        middle = (total / len(self)).astype(np.float32)
        for rows in row_blocks(*self.shape):
            squares += np.square(self[rows] - middle, dtype=np.float64).sum(axis=0)
        deviation = np.sqrt(squares / len(self)).astype(np.float32)
        return Rows(self._views, middle, np.where(deviation > 1e-6, deviation, np.float32(np.inf)))


Features = np.ndarray | Rows
"""Float32 `[N, D]`, in memory or not. Both types have a shape and a length, and can be indexed by
slices and by arrays of row numbers."""


def averages(views: np.ndarray, in_memory: int) -> Features:
    """Average the views of each photograph.

    Args:
        views: float16 `[N, V, D]`.
        in_memory: Largest result, in bytes, that is computed at once; a larger one is returned as
            `Rows`.

    Returns:
        float32 `[N, D]`.
    """
    count, _, width = views.shape
    if 4 * count * width > in_memory:
        return Rows(views)
    return views.mean(axis=1, dtype=np.float32)
