"""The MLP head in torch: its module, one AdamW step at a time, and its weights for numpy."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from model.heads.head import Head, HeadConfig


def build(
    num_features: int, num_classes: int, hidden: Sequence[int], dropout: float
) -> nn.Sequential:
    """Build the head's torch module: an MLP with ReLU and dropout, or linear if `hidden` is empty.

    Args:
        num_features: D.
        num_classes: C.
        hidden: Widths of the hidden layers.
        dropout: Share of hidden values set to zero in training, 0-1.

    Returns:
        A module that maps `[N, D]` to `[N, C]`.
    """
    layers: list[nn.Module] = []
    for width in hidden:
        layers += [nn.Linear(num_features, width), nn.ReLU(), nn.Dropout(dropout)]
        num_features = width
    return nn.Sequential(*layers, nn.Linear(num_features, num_classes))


def _copied(tensor: torch.Tensor) -> np.ndarray:
    """Return a copy; on a CPU it would share torch's memory and change with the next step."""
    return tensor.detach().float().cpu().numpy().copy()


def to_head(network: nn.Module, mean: np.ndarray, std: np.ndarray) -> Head:
    """Convert a torch head to a `Head`, copying its weights."""
    layers = [
        (_copied(layer.weight), _copied(layer.bias))
        for layer in network.modules()
        if isinstance(layer, nn.Linear)
    ]
    return Head(mean.astype(np.float32), std.astype(np.float32), layers)


class Mlp:
    """An MLP in training, with the same methods as `linear.Linear`."""

    def __init__(
        self, num_features: int, priors: np.ndarray, config: HeadConfig, device: str
    ) -> None:
        """Start from random weights; the last layer's bias starts at the log of the priors.

        Args:
            num_features: D.
            priors: Shares of the classes, `[C]`, above 0.
            config: Supplies widths, dropout, weight decay, label smoothing and seed.
            device: Torch device to compute on.
        """
        torch.manual_seed(config.seed)
        self._network = build(num_features, len(priors), config.hidden, config.dropout).to(device)
        self._network.train()
        with torch.no_grad():
            bias: torch.Tensor = self._network[-1].bias  # pyrefly: ignore
            bias.copy_(torch.from_numpy(np.log(priors)))
        self._optimizer = torch.optim.AdamW(
            self._network.parameters(), weight_decay=config.weight_decay
        )
        self._smoothing, self._device = config.label_smoothing, device

    def step(
        self,
        values: np.ndarray,
        labels: np.ndarray,
        weights: np.ndarray | None,
        rate: float,
        momentum: float,
    ) -> np.ndarray:
        """Take one step; arguments and result are those of `linear.Linear.step`."""
        for group in self._optimizer.param_groups:
            group["lr"], group["betas"] = rate, (momentum, group["betas"][1])
        logits = self._network(torch.from_numpy(values).to(self._device))
        losses = functional.cross_entropy(
            logits,
            torch.from_numpy(labels).to(self._device),
            label_smoothing=self._smoothing,
            reduction="none",
        )
        if weights is not None:
            losses = losses * torch.from_numpy(weights).to(self._device)
        self._optimizer.zero_grad()
        losses.mean().backward()
        self._optimizer.step()
        return logits.detach().float().cpu().numpy()

    def head(self, mean: np.ndarray, std: np.ndarray) -> Head:
        """Return a head with a copy of the weights; arguments as in `linear.Linear.head`."""
        return to_head(self._network, mean, std)
