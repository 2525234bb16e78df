"""Aligns small pictures with each other, and compares the parts that overlap.

This goes from coarse to fine: first at 16 px by scale and shift alone, which rules out most pairs
at little cost, then by any affine map, so that a slightly turned camera does not matter.
"""

from typing import NamedTuple

import numpy as np

VERSION = 1
"""Part of the cache key of similarities: raise it when `compare` returns different values."""

SIDE = 64  # px of the square grey thumbnails, whatever the photograph's shape
_GATES = {16: 0.6, 32: 0.75, 64: 0}  # side in px -> correlation below which a pair is given up
_SURE = 0.97  # similarity of unmoved pictures above which no fit is tried
_ITERATIONS = {16: 6, 32: 5, 64: 4}
_SCALES = (0.72, 1 / 0.72)  # relative sizes of the two photographs to try, per side
_SHEAR = 0.4  # about 20 degrees of rotation
_SHIFT = 0.35  # as a share of half the side
_LOWEST = np.array([_SCALES[0], -_SHEAR, -_SHIFT, -_SHEAR, _SCALES[0], -_SHIFT], np.float32)
_HIGHEST = np.array([_SCALES[1], _SHEAR, _SHIFT, _SHEAR, _SCALES[1], _SHIFT], np.float32)


def compare(thumbnails: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Fit one photograph of each pair to the other and compare them, from coarse to fine.

    Args:
        thumbnails: uint8 `[N, S, S]`.
        pairs: int64 `[P, 2]`.

    Returns:
        float64 `[P]`, the correlation of details after the fit; 0 for pairs that were given up.
    """
    similarities = np.zeros(len(pairs))
    first, second = (thumbnails[pairs[:, side]].astype(np.float32) for side in (0, 1))
    start = np.tile(np.array([1, 0, 0, 0, 1, 0], np.float32), (len(pairs), 1))
    alive = np.arange(len(pairs))
    fits = [_fit(first, flipped, start, 16) for flipped in (second, second[:, :, ::-1])]
    mirrored = fits[1].correlation > fits[0].correlation
    second = np.where(mirrored[:, None, None], second[:, :, ::-1], second)
    fit = Aligned(*(np.where(_like(mirrored, b), b, a) for a, b in zip(*fits, strict=True)))
    for side in (16, 32, SIDE):
        if side > 16:
            fit = _fit(first, second, fit.placement, side)
        passed = fit.correlation >= _GATES[side]
        alive, first, second = alive[passed], first[passed], second[passed]
        fit = Aligned(*(values[passed] for values in fit))
        if side == 16:  # pairs that coincide without moving need no better fit
            whole = np.ones(first.shape, np.float32)
            found = _similarity(_centred(first, whole), _centred(second, whole))
            similarities[alive] = np.where(found >= _SURE, found, 0)
            unsure = found < _SURE
            alive, first, second = alive[unsure], first[unsure], second[unsure]
            fit = Aligned(*(values[unsure] for values in fit))
    similarities[alive] = _similarity(fit.first, fit.second)
    return similarities


def _similarity(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the lower of two correlations, of the details and of the whole picture: `[P]`."""
    return np.minimum(_correlation(_details(first), _details(second)), _correlation(first, second))


def _like(mask: np.ndarray, values: np.ndarray) -> np.ndarray:
    return mask.reshape(-1, *[1] * (values.ndim - 1))


class Aligned(NamedTuple):
    """How the second photographs are placed on the first ones.

    Attributes:
        placement: float32 `[P, 6]`: x' = a x + b y + c and y' = d x + e y + f map a position (x, y)
            in the first photograph to one in the second; each photograph spans -1 to 1.
        correlation: float32 `[P]`, over the pixels where both photographs are present.
        first: float32 `[P, S, S]`, the first photographs there, with mean 0; 0 elsewhere.
        second: float32 `[P, S, S]`, the second photographs after placing, with the same rule.
    """

    placement: np.ndarray
    correlation: np.ndarray
    first: np.ndarray
    second: np.ndarray


def _fit(first: np.ndarray, second: np.ndarray, placement: np.ndarray, side: int) -> Aligned:
    """Move the second photographs by Gauss-Newton steps until they fit the first ones.

    Scaling the second photograph removes differences of contrast, subtracting means of brightness.

    Args:
        first: float32 `[P, S, S]`.
        second: float32 `[P, S, S]`.
        placement: The starting placement, see `Aligned`.
        side: Side in px to which both are shrunk first; at 16, only scale and shift are fitted.

    Returns:
        The fit.

    Source: B. D. Lucas and T. Kanade, An Iterative Image Registration Technique, 1981.
    """
    first, second = _shrink(first, side), _shrink(second, side)
    grid = ((np.arange(side) + 0.5) / side * 2 - 1).astype(np.float32)
    upright = side == 16
    free = [0, 2, 4, 5] if upright else [0, 1, 2, 3, 4, 5]
    for _ in range(_ITERATIONS[side]):
        placed, mask = (_scaled if upright else _moved)(second, placement, grid)
        target = _centred(first, mask)
        slope_x, slope_y = _slopes(placed, placement, side)
        placed = _centred(placed, mask)
        contrast = (target * placed).sum((1, 2)) / ((placed**2).sum((1, 2)) + 1e-6)
        contrast = np.clip(contrast, 0.3, 3)[:, None, None]
        x, y = grid, grid[:, None]
        slopes = [slope_x * x, slope_x * y, slope_x, slope_y * x, slope_y * y, slope_y]
        jacobian = np.stack([_centred(slopes[i], mask) * contrast for i in free], axis=1)
        jacobian = jacobian.reshape(len(first), len(free), side * side)
        residual = (target - contrast * placed).reshape(len(first), side * side, 1)
        normal = jacobian @ jacobian.transpose(0, 2, 1)
        damping = 1e-3 * np.trace(normal, axis1=1, axis2=2) / len(free) + 1e-3
        normal += np.eye(len(free), dtype=np.float32) * damping[:, None, None]
        step = np.zeros_like(placement)
        step[:, free] = np.linalg.solve(normal, jacobian @ residual)[:, :, 0]
        placement = np.clip(placement + np.clip(step, -0.1, 0.1), _LOWEST, _HIGHEST)
    placed, mask = (_scaled if upright else _moved)(second, placement, grid)
    target, placed = _centred(first, mask), _centred(placed, mask)
    return Aligned(placement, _correlation(target, placed), target, placed)


def _slopes(placed: np.ndarray, placement: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the slopes of placed photographs along their own x and y: float32 `[P, S, S]` each."""
    down, across = (slope * (side / 2) for slope in np.gradient(placed, axis=(1, 2)))
    a, b, _, d, e, _ = placement.T[:, :, None, None]
    area = a * e - b * d  # never near 0, because _LOWEST and _HIGHEST limit a to e
    return (e * across - d * down) / area, (a * down - b * across) / area


def _scaled(
    pictures: np.ndarray, placement: np.ndarray, grid: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Place photographs by scale and shift, with one matrix product for rows and one for columns.

    Returns:
        The placed photographs, and where they have pixels: float32 `[P, S, S]` each.
    """
    side = len(grid)
    x = placement[:, 0:1] * grid + placement[:, 2:3]
    y = placement[:, 4:5] * grid + placement[:, 5:6]
    mask = _inside(y, side)[:, :, None] & _inside(x, side)[:, None, :]
    rows, columns = _interpolation(y, side), _interpolation(x, side).transpose(0, 2, 1)
    return rows @ pictures @ columns, mask.astype(np.float32)


def _moved(
    pictures: np.ndarray, placement: np.ndarray, grid: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Place photographs by an affine map; arguments and results are those of `_scaled`."""
    side = len(grid)
    a, b, c, d, e, f = placement.T[:, :, None, None]
    x = a * grid + b * grid[:, None] + c
    y = d * grid + e * grid[:, None] + f
    mask = _inside(y, side) & _inside(x, side)
    column, row = (np.clip((p + 1) * (side / 2) - 0.5, 0, side - 1) for p in (x, y))
    left, top = (np.minimum(p.astype(np.int32), side - 2) for p in (column, row))
    right, bottom = column - left, row - top  # weights of the right and lower pixel
    start = np.arange(len(pictures), dtype=np.int32)[:, None, None] * side**2 + top * side + left
    flat = pictures.ravel()
    upper = flat[start] * (1 - right) + flat[start + 1] * right
    lower = flat[start + side] * (1 - right) + flat[start + side + 1] * right
    return upper * (1 - bottom) + lower * bottom, mask.astype(np.float32)


def _inside(positions: np.ndarray, side: int) -> np.ndarray:
    return np.abs(positions) <= 1 - 1 / side + 1e-5


def _interpolation(positions: np.ndarray, side: int) -> np.ndarray:
    """Return `[P, S, S]` matrices that interpolate a line of pixels at positions from -1 to 1."""
    pixels = (positions + 1) * (side / 2) - 0.5
    return np.maximum(0, 1 - np.abs(pixels[:, :, None] - np.arange(side, dtype=np.float32)))


def _shrink(pictures: np.ndarray, side: int) -> np.ndarray:
    factor = pictures.shape[1] // side
    return pictures.reshape(len(pictures), side, factor, side, factor).mean(axis=(2, 4))


def _centred(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Subtract the mean over the mask, and set everything outside the mask to 0."""
    mean = (values * mask).sum((1, 2)) / (mask.sum((1, 2)) + 1e-6)
    return (values - mean[:, None, None]) * mask


def _details(pictures: np.ndarray) -> np.ndarray:
    """Subtract 4 x 4 px means, which all photographs of one kind of subject have in common."""
    return np.where(
        pictures != 0, pictures - _shrink(pictures, 16).repeat(4, axis=1).repeat(4, axis=2), 0
    )


def _correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    powers = (first**2).sum((1, 2)) * (second**2).sum((1, 2))
    return (first * second).sum((1, 2)) / np.sqrt(powers + 1e-6)
