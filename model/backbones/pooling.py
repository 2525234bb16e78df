"""Second-order pooling: which channels of a map fire together, as features.

The mean of a map over its places forgets what stands beside what, and that is what tells textures
apart. Here a map x `[C, h, w]` is projected to k directions, z = P'x, and its second moments
G = mean over places of z z' `[k, k]` are kept: the upper triangle, each moment divided by its own
square root, so that a few strong channels do not outweigh the others.

    feature_ij = G_ij / sqrt(|G_ij| + e),    e = a tenth of the mean of G's diagonal.

The e keeps the root's slope finite where channels have nothing to do with each other; there it
would magnify the rounding of engines and of half precision. It costs no accuracy. As G is a mean
over places, each feature is one too: place p adds z_ip z_jp / (h w sqrt(|G_ij| + e)), see
`explain.heat_map`.

The directions are random and orthogonal, the same for every map of C channels, so the features of
a photograph do not depend on the data set and can be cached.

Sources: Lin, RoyChowdhury and Maji, "Bilinear CNN models for fine-grained visual recognition",
ICCV 2015; Perronnin, Sanchez and Mensink, "Improving the Fisher kernel for large-scale image
classification", ECCV 2010 (signed square root); Gao et al., "Compact bilinear pooling", CVPR 2016
(random projections).
"""

import math

import numpy as np
import torch
from torch import nn

from model.backbones.maps import DIRECTIONS, SMOOTHING


def directions(channels: int) -> np.ndarray:
    """Return the directions that a map is projected to.

    Args:
        channels: C.

    Returns:
        float32 `[C, k]` with orthonormal columns, k at most `DIRECTIONS` and at most C.
    """
    noise = np.random.default_rng(channels).normal(size=(channels, min(DIRECTIONS, channels)))
    basis, upper = np.linalg.qr(noise)
    return (basis * np.sign(np.diag(upper))).astype(np.float32)  # LAPACKs differ in signs


class SecondOrder(nn.Module):
    """The second moments of one map."""

    def __init__(self, channels: int) -> None:
        """Make the directions for a map of so many channels."""
        super().__init__()
        basis = torch.from_numpy(directions(channels))
        self.register_buffer("directions", basis.T.contiguous())
        self.count = basis.shape[1]
        rows, columns = torch.triu_indices(self.count, self.count)
        self.register_buffer("upper", rows * self.count + columns)
        self.register_buffer("diagonal", torch.arange(self.count) * (self.count + 1))
        self.width = len(rows)

    def project(self, values: torch.Tensor) -> torch.Tensor:
        """Return the map in the directions: `[N, k, h, w]` of `[N, C, h, w]`."""
        found = self.directions @ values.flatten(2)
        return found.unflatten(2, values.shape[2:])

    def forward(self, projected: torch.Tensor) -> torch.Tensor:
        """Return the features of a projected map `[N, k, h, w]`: `[N, k (k + 1) / 2]`."""
        scaled = projected.flatten(2) / math.sqrt(projected.shape[2] * projected.shape[3])
        moments = (scaled @ scaled.transpose(1, 2)).flatten(1)
        mean = moments[:, self.diagonal].mean(dim=1, keepdim=True)
        upper = moments[:, self.upper]
        return upper / (upper.abs() + SMOOTHING * mean + 1e-12).sqrt()
