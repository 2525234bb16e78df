"""The part of a network after its last map, for attributing the final features to positions."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn


class Tail:
    """Computes the final layer's features from the last activations that have positions.

    Attributes:
        is_mean: Whether the features are plain means of the last map over its positions.
        found: Whether their gradient reaches positions; if not, nothing can be attributed.
    """

    def __init__(
        self,
        prefix: int,
        run: Callable[[torch.Tensor], torch.Tensor],
        block: nn.Module | None = None,
    ) -> None:
        """Describe a tail; use `find_tail`.

        Args:
            prefix: Number of tokens before those that are positions, such as a class token.
            run: Activations -> features `[N, d]`.
            block: The module whose input the activations are; None for the result of
                `forward_features`.
        """
        self.is_mean = False
        self.found = True
        self._prefix = prefix
        self._run = run
        self._block = block

    def grid(self, activations: torch.Tensor) -> torch.Tensor:
        """Arrange activations as a map.

        Args:
            activations: `[N, d, h, w]`, `[N, h, w, d]` or tokens `[N, prefix + h * w, d]`; a frame
                is square, so h = w.

        Returns:
            `[N, d, h, w]`.

        Raises:
            ValueError: The activations have another shape.
        """
        shape = activations.shape
        if activations.ndim == 4 and shape[2] == shape[3]:
            return activations
        if activations.ndim == 4 and shape[1] == shape[2]:
            return activations.permute(0, 3, 1, 2)
        if activations.ndim == 3:
            side = round((shape[1] - self._prefix) ** 0.5)
            if side and side**2 == shape[1] - self._prefix:
                places = activations[:, self._prefix :].transpose(1, 2)
                return places.reshape(-1, shape[2], side, side)
        raise ValueError(f"Activations of shape {tuple(shape)} have no square grid of positions.")

    @contextlib.contextmanager
    def watch(self) -> Iterator[list[torch.Tensor]]:
        """Collect the input of the tail's first block, if it has one, while the network runs."""
        inputs: list[torch.Tensor] = []
        if self._block is None:
            yield inputs
            return
        hook = self._block.register_forward_pre_hook(lambda _, given: inputs.append(given[0]))
        try:
            yield inputs
        finally:
            hook.remove()

    def attribute(self, activations: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Attribute a weighted sum of the features to positions, by gradient times activation.

        Autograd runs through the tail only.

        Args:
            activations: The activations as the network returned them.
            weights: float `[N, d]`, one weight per feature.

        Returns:
            float `[N, h, w]`. Its sum differs from the weighted sum by the part that belongs to no
            position: biases, prefix tokens and the curvature of the tail.

        Source: Shrikumar et al., "Not Just a Black Box: Learning Important Features Through
        Propagating Activation Differences", 2016 (gradient times input); here on the last maps.
        """
        with torch.enable_grad():
            leaf = activations.detach().clone().requires_grad_(True)
            (self._run(leaf) * weights).sum().backward()
        gradient = torch.zeros_like(leaf) if leaf.grad is None else leaf.grad
        return self.grid(leaf.detach() * gradient).sum(1)


def find_tail(network: Any, image_size: int) -> Tail:
    """Find how a network computes its final features from positions, by running it on noise.

    It returns the shortest tail whose gradient reaches positions: the head after `forward_features`
    (pooling, and perhaps a norm or attention), or, if the head reads only a class token, the last
    block as well.

    Args:
        network: A timm network, in eval mode.
        image_size: Side of its input, in px.

    Returns:
        The tail; its `found` is False if no gradient reaches a position.
    """
    prefix = int(getattr(network, "num_prefix_tokens", 0) or 0)

    def head(final: torch.Tensor) -> torch.Tensor:
        return network.forward_head(final, pre_logits=True)

    calls: list[tuple[torch.Tensor, tuple[Any, ...], dict[str, Any]]] = []
    block = _last_block(network)
    hook = (
        None
        if block is None
        else block.register_forward_pre_hook(
            lambda _, given, named: calls.append((given[0], given[1:], named)), with_kwargs=True
        )
    )
    generator = torch.Generator().manual_seed(0)
    device = next(network.parameters()).device
    noise = torch.randn(2, 3, image_size, image_size, generator=generator).to(device)
    try:
        with torch.no_grad():
            final = network.forward_features(noise)
            last = head(final)
    finally:
        if hook:
            hook.remove()
    tail = Tail(prefix, head)
    if not isinstance(final, torch.Tensor):  # several maps or streams at once, as in CoaT
        tail.found = False
        return tail
    if _reaches_places(tail, final, last):
        mean = tail.grid(final).mean((2, 3))
        tail.is_mean = mean.shape == last.shape and _close(mean, last)
        return tail
    if block is not None and len(calls) == 1:
        entered, others, named = calls[0]

        def run(activations: torch.Tensor) -> torch.Tensor:
            return head(network.norm(block(activations, *others, **named)))

        longer = Tail(prefix, run, block)
        if _reaches_places(longer, entered, last):
            return longer
    tail.found = False
    return tail


def _last_block(network: Any) -> nn.Module | None:
    """Return the last transformer block, if only a final `norm` and the head come after it."""
    blocks = getattr(network, "blocks", None)
    plain = isinstance(blocks, nn.Sequential | nn.ModuleList) and len(blocks) > 0
    return blocks[-1] if plain and isinstance(getattr(network, "norm", None), nn.Module) else None


def _close(found: torch.Tensor, expected: torch.Tensor) -> bool:
    return bool((found - expected).abs().max() <= 1e-4 * expected.abs().max())


def _reaches_places(tail: Tail, activations: torch.Tensor, last: torch.Tensor) -> bool:
    """Return whether a tail computes the features and their gradient reaches positions."""
    try:
        if not _close(tail._run(activations), last):
            return False
        # The weights are noise, because the gradient of a plain sum vanishes behind a layer norm.
        weights = torch.randn(last.shape, generator=torch.Generator().manual_seed(1))
        return bool(tail.attribute(activations, weights.to(last.device)).abs().max() > 0)
    except (ValueError, TypeError, RuntimeError):  # other layouts, or blocks with other inputs
        return False
