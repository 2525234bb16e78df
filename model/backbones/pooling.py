"""Second-order pooling: features that say which channels of a map are active together.

The mean of a map over its positions loses which activations occur together, and that is what
distinguishes textures. Here a map x `[C, h, w]` is projected to k directions, z = P'x, and the
features are its second moments G = mean over positions of z z' `[k, k]`: the upper triangle, each
moment divided by its own square root, so that a few strong channels do not outweigh the others.

    feature_ij = G_ij / sqrt(|G_ij| + e),    e = a tenth of the mean of G's diagonal.

The term e keeps the root's slope finite for uncorrelated channels, where it would magnify rounding
differences between engines and of half precision. It costs no accuracy. As G is a mean over
positions, so is each feature: position p contributes z_ip z_jp / (h w sqrt(|G_ij| + e)), see
`explain.heat_map`.

The directions are random and orthogonal, and the same for every map of C channels. So the features
of a photograph do not depend on the data set and can be cached.

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
    """Return the directions to which a map is projected.

    Args:
        channels: C.

    Returns:
        float32 `[C, k]` with orthonormal columns, k at most `DIRECTIONS` and at most C.
    """
    noise = np.random.default_rng(channels).normal(size=(channels, min(DIRECTIONS, channels)))
    basis, upper = np.linalg.qr(noise)
    return (basis * np.sign(np.diag(upper))).astype(np.float32)  # signs differ between LAPACKs


class SecondOrder(nn.Module):
    """The second moments of one map."""

    def __init__(self, channels: int) -> None:
        """Make the directions for a map with this many channels."""
        super().__init__()
        basis = torch.from_numpy(directions(channels))
        self.register_buffer("directions", basis.T.contiguous())
        self.count = basis.shape[1]
        rows, columns = torch.triu_indices(self.count, self.count)
        self.register_buffer("upper", rows * self.count + columns)
        self.register_buffer("diagonal", torch.arange(self.count) * (self.count + 1))
        self.width = len(rows)

    def project(self, values: torch.Tensor) -> torch.Tensor:
        """Project a map `[N, C, h, w]` to the directions: `[N, k, h, w]`."""
        found = self.directions @ values.flatten(2)
        return found.unflatten(2, values.shape[2:])

    def forward(self, projected: torch.Tensor) -> torch.Tensor:
        """Compute the features `[N, k (k + 1) / 2]` of a projected map `[N, k, h, w]`."""
        scaled = projected.flatten(2) / math.sqrt(projected.shape[2] * projected.shape[3])
        moments = (scaled @ scaled.transpose(1, 2)).flatten(1)
        mean = moments[:, self.diagonal].mean(dim=1, keepdim=True)
        upper = moments[:, self.upper]
        return upper / (upper.abs() + SMOOTHING * mean + 1e-12).sqrt()
