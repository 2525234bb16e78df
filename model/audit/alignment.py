"""Fit small pictures on one another by scale, shift and mirroring, and compare what coincides."""

from typing import NamedTuple

import numpy as np

SIDE = 64  # px of the grey thumbnails, whatever the photograph's shape
_GATES = {16: 0.6, 32: 0.85}  # side in px -> correlation without which a pair is given up
_ITERATIONS = {16: 8, 32: 5, 64: 5}
_SCALES = (0.72, 1 / 0.72)  # what one photograph may be of the other, a side
_SHIFT = 0.35  # of half the side


def compare(thumbnails: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Fit one photograph of each pair to the other, coarse to fine.

    Args:
        thumbnails: uint8 `[N, S, S]`.
        pairs: int64 `[P, 2]`.

    Returns:
        float64 `[P]`, the correlation of details after the fit; 0 for pairs given up before.
    """
    similarities = np.zeros(len(pairs))
    first, second = (thumbnails[pairs[:, side]].astype(np.float32) for side in (0, 1))
    start = np.tile(np.array([1, 0, 1, 0], np.float32), (len(pairs), 1))
    alive = np.arange(len(pairs))
    fits = [_fit(first, flipped, start, 16) for flipped in (second, second[:, :, ::-1])]
    mirrored = fits[1].correlation > fits[0].correlation
    second = np.where(mirrored[:, None, None], second[:, :, ::-1], second)
    fit = Aligned(*(np.where(_like(mirrored, b), b, a) for a, b in zip(*fits, strict=True)))
    for side, gate in _GATES.items():
        if side > 16:
            fit = _fit(first, second, fit.placement, side)
        passed = fit.correlation >= gate
        alive, first, second = alive[passed], first[passed], second[passed]
        fit = Aligned(*(values[passed] for values in fit))
    if len(alive):
        fit = _fit(first, second, fit.placement, SIDE)
        similarities[alive] = np.minimum(_correlation(*map(_details, fit[2:])), fit.correlation)
    return similarities


def _like(mask: np.ndarray, values: np.ndarray) -> np.ndarray:
    return mask.reshape(-1, *[1] * (values.ndim - 1))


class Aligned(NamedTuple):
    """How the second photographs lie on the first.

    Attributes:
        placement: float32 `[P, 4]`: scale and shift in x, then in y; each photograph is -1 to 1.
        correlation: float32 `[P]` of the pixels where both are.
        first: float32 `[P, S, S]`, the first photographs there, mean 0, and 0 elsewhere.
        second: float32 `[P, S, S]`, the second ones, placed, likewise.
    """

    placement: np.ndarray
    correlation: np.ndarray
    first: np.ndarray
    second: np.ndarray


def _fit(first: np.ndarray, second: np.ndarray, placement: np.ndarray, side: int) -> Aligned:
    """Scale and shift the second photographs by Gauss-Newton until they fit the first.

    Contrast is taken out by scaling the second's, brightness by the means.

    Args:
        first: float32 `[P, S, S]`.
        second: float32 `[P, S, S]`.
        placement: Where to start, as in `Aligned`.
        side: Side in px to which both are shrunk before.

    Returns:
        The fit.

    Source: B. D. Lucas and T. Kanade, An Iterative Image Registration Technique, 1981.
    """
    first, second = _shrink(first, side), _shrink(second, side)
    grid = ((np.arange(side) + 0.5) / side * 2 - 1).astype(np.float32)
    slope_y, slope_x = (slope * (side / 2) for slope in np.gradient(second, axis=(1, 2)))
    for _ in range(_ITERATIONS[side]):
        rows, columns, mask = _sampling(placement, grid)
        target, placed = _centred(first, mask), _centred(rows @ second @ columns, mask)
        contrast = (target * placed).sum((1, 2)) / ((placed**2).sum((1, 2)) + 1e-6)
        contrast = np.clip(contrast, 0.3, 3)[:, None, None]
        over_x, over_y = rows @ slope_x @ columns, rows @ slope_y @ columns
        slopes = (over_x * grid, over_x, over_y * grid[:, None], over_y)
        jacobian = np.stack([_centred(slope, mask) * contrast for slope in slopes], axis=1)
        jacobian = jacobian.reshape(len(first), 4, side * side)
        residual = (target - contrast * placed).reshape(len(first), side * side, 1)
        normal = jacobian @ jacobian.transpose(0, 2, 1)
        damping = 1e-3 * np.trace(normal, axis1=1, axis2=2) / 4 + 1e-3
        normal += np.eye(4, dtype=np.float32) * damping[:, None, None]
        step = np.linalg.solve(normal, jacobian @ residual)[:, :, 0]
        placement = placement + np.clip(step, -0.1, 0.1)
        placement[:, 0::2] = np.clip(placement[:, 0::2], *_SCALES)
        placement[:, 1::2] = np.clip(placement[:, 1::2], -_SHIFT, _SHIFT)
    rows, columns, mask = _sampling(placement, grid)
    target, placed = _centred(first, mask), _centred(rows @ second @ columns, mask)
    return Aligned(placement, _correlation(target, placed), target, placed)


def _sampling(placement: np.ndarray, grid: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what reads rows, then columns, of placed photographs, and where they have pixels."""
    side = len(grid)
    x = placement[:, 0:1] * grid + placement[:, 1:2]
    y = placement[:, 2:3] * grid + placement[:, 3:4]
    inside_x, inside_y = (np.abs(positions) <= 1 - 1 / side + 1e-5 for positions in (x, y))
    mask = (inside_y[:, :, None] & inside_x[:, None, :]).astype(np.float32)
    return _interpolation(y, side), _interpolation(x, side).transpose(0, 2, 1), mask


def _interpolation(positions: np.ndarray, side: int) -> np.ndarray:
    """Return `[P, S, S]` matrices that read a line of pixels at positions of -1 to 1."""
    pixels = (positions + 1) * (side / 2) - 0.5
    return np.maximum(0, 1 - np.abs(pixels[:, :, None] - np.arange(side, dtype=np.float32)))


def _shrink(pictures: np.ndarray, side: int) -> np.ndarray:
    factor = pictures.shape[1] // side
    return pictures.reshape(len(pictures), side, factor, side, factor).mean(axis=(2, 4))


def _centred(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Subtract the mean over the mask, and set the rest to 0."""
    mean = (values * mask).sum((1, 2)) / (mask.sum((1, 2)) + 1e-6)
    return (values - mean[:, None, None]) * mask


def _details(pictures: np.ndarray) -> np.ndarray:
    """Subtract the means of 4 x 4 px, which all photographs of one kind of subject share."""
    return np.where(
        pictures != 0, pictures - _shrink(pictures, 16).repeat(4, axis=1).repeat(4, axis=2), 0
    )


def _correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    powers = (first**2).sum((1, 2)) * (second**2).sum((1, 2))
    return (first * second).sum((1, 2)) / np.sqrt(powers + 1e-6)
