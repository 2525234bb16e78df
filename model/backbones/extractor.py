"""The torch module behind a backbone: normalise, run, pool the last stages, concatenate."""

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional

from model.backbones.maps import MapInfo
from model.backbones.tail import Tail, find_tail

if TYPE_CHECKING:
    from model.backbones.spec import BackboneSpec


def block_groups(network: nn.Module) -> list[nn.Module] | None:
    """Return the groups of blocks of an EfficientNet-like network.

    Args:
        network: A timm network.

    Returns:
        Its `blocks`, when they are groups (finer than timm's one map a stride), else None.
    """
    blocks = getattr(network, "blocks", None)
    if isinstance(blocks, nn.Sequential) and all(isinstance(b, nn.Sequential) for b in blocks):
        return list(blocks)
    return None


class _Member(nn.Module):
    """One network: pixels of the shared frame in, its features out."""

    def __init__(self, network: nn.Module, spec: "BackboneSpec", number: int) -> None:
        super().__init__()
        member = spec.members[number]
        self.network: Any = network
        self.stages = spec.stages
        self.register_buffer("mean", torch.tensor(member.mean).view(1, 3, 1, 1) * 255)
        self.register_buffer("std", torch.tensor(member.std).view(1, 3, 1, 1) * 255)
        self._maps: list[torch.Tensor] = []
        self._size = member.image_size
        groups = block_groups(network)
        available = len(network.feature_info if groups is None else groups)  # type: ignore
        if spec.stages > available:
            raise ValueError(f"--stages {spec.stages}: backbone {member.name} has {available}.")
        self._hooked = groups is not None
        for group in (groups or [])[-spec.stages :] if spec.stages else []:
            group.register_forward_hook(self._keep)
        # Resizing to a fixed size is linear along each side: a matrix, found by resizing the
        # identity. Two products run in every engine alike, and with antialiasing.
        frame = spec.transforms.image_size
        self.resizes = member.image_size != frame
        if self.resizes:
            matrix = functional.interpolate(
                torch.eye(frame)[None, None],
                size=(member.image_size, frame),
                mode="bicubic",
                antialias=True,
            )[0, 0]
            self.register_buffer("matrix", matrix)

    def _keep(self, _module: nn.Module, _inputs: Any, output: torch.Tensor) -> None:
        self._maps.append(output)

    @functools.cached_property
    def tail(self) -> Tail:
        """The part of the network behind its last map."""
        return find_tail(self.network, self._size)

    def run(self, pixels: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor], torch.Tensor]:
        """Return features [N, D], the pooled maps, and what `forward_features` gave."""
        if self.resizes:
            pixels = self.matrix @ pixels @ self.matrix.T
        pixels = (pixels - self.mean) / self.std
        self._maps = []
        if self.stages and not self._hooked:
            final, self._maps = self.network.forward_intermediates(pixels, indices=self.stages)
        else:
            final = self.network.forward_features(pixels)
        maps, self._maps = self._maps, []
        last = self.network.forward_head(final, pre_logits=True)
        return torch.cat([*(stage.mean((2, 3)) for stage in maps), last], dim=1), maps, final

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Map float pixels [N, 3, S, S], 0-255, to features [N, D]."""
        return self.run(pixels)[0]


class Extractor(nn.Module):
    """All members side by side: uint8 [N, S, S, 3] -> float [N, D]."""

    def __init__(self, spec: "BackboneSpec", networks: Sequence[nn.Module]) -> None:
        """Wrap the networks.

        Args:
            spec: Their order, sizes, normalisation and stages.
            networks: One timm network a member, with its weights.
        """
        super().__init__()
        self.members: Any = nn.ModuleList(
            _Member(network, spec, number) for number, network in enumerate(networks)
        )

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the features of framed photographs.

        Args:
            pixels: uint8 `[N, S, S, 3]`.

        Returns:
            float `[N, D]`: for each member its pooled stages, early to late, then its final layer.
        """
        channels_first = pixels.permute(0, 3, 1, 2).float()
        return torch.cat([member(channels_first) for member in self.members], dim=1)

    def with_maps(
        self, pixels: torch.Tensor
    ) -> tuple[torch.Tensor, list[tuple[MapInfo, torch.Tensor]]]:
        """Return the features and the maps behind them.

        Args:
            pixels: uint8 `[N, S, S, 3]`.

        Returns:
            float `[N, D]`, and the maps: `[N, d, h, w]` where their means over places are features,
            else what the member's `tail` makes features of.
        """
        channels_first = pixels.permute(0, 3, 1, 2).float()
        offset, features = 0, []
        maps: list[tuple[MapInfo, torch.Tensor]] = []
        for number, member in enumerate(self.members):
            tail = member.tail
            with tail.watch() as watched:
                result, pooled, final = member.run(channels_first)
            features.append(result)
            start, end = offset, offset + result.shape[1]
            for stage in pooled:
                maps.append((MapInfo(start, stage.shape[1]), stage))
                start += stage.shape[1]
            if tail.is_mean:
                maps.append((MapInfo(start, end - start), tail.grid(final)))
            elif tail.found:
                entered = watched[0] if watched else final
                maps.append((MapInfo(start, end - start, number), entered))
            offset = end
        return torch.cat(features, dim=1), maps


class WithMaps(nn.Module):
    """An extractor whose outputs are the features and then the maps, as an export wants them."""

    def __init__(self, extractor: nn.Module) -> None:
        """Wrap an extractor."""
        super().__init__()
        self.extractor: Any = extractor

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the features and the maps of uint8 `[N, S, S, 3]`."""
        features, maps = self.extractor.with_maps(pixels)
        return features, *(values for _, values in maps)
