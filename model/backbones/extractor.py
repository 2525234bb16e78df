"""The torch module of a backbone: normalises, runs, pools the last stages and concatenates."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional

from model.backbones.maps import MapInfo
from model.backbones.pooling import SecondOrder
from model.backbones.tail import Tail, find_tail

if TYPE_CHECKING:
    from model.backbones.spec import BackboneSpec


def block_groups(network: nn.Module) -> list[nn.Module] | None:
    """Return the groups of blocks of an EfficientNet-like network.

    Args:
        network: A timm network.

    Returns:
        Its `blocks` if they are groups, else None. They are finer than timm's one map per stride.
    """
    blocks = getattr(network, "blocks", None)
    if isinstance(blocks, nn.Sequential) and all(isinstance(b, nn.Sequential) for b in blocks):
        return list(blocks)
    return None


@dataclass
class _Passed:
    """The results of one pass through a network.

    Attributes:
        features: `[N, D]`: the means of its stages, early to late, then its final layer.
        stages: The maps of its stages, `[N, C, h, w]` each.
        projected: The maps whose second moments are taken, after projection, `[N, k, h, w]` each.
        moments: The second-moment features of these maps, `[N, E]` each.
        final: The result of `forward_features`.
    """

    features: torch.Tensor
    stages: list[torch.Tensor]
    projected: list[torch.Tensor]
    moments: list[torch.Tensor]
    final: Any


class _Member(nn.Module):
    """One network: takes pixels of the shared frame, returns its features."""

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
        if spec.stages and not self._hooked and not hasattr(network, "forward_intermediates"):
            raise ValueError(
                f"--stages {spec.stages}: the installed version of timm does not return the stages "
                f"of {member.name}. Use --stages 0, or update timm."
            )
        for group in (groups or [])[-spec.stages :] if spec.stages else []:
            group.register_forward_hook(self._keep)
        # Resizing to a fixed size is linear along each side, so it is a matrix, found by resizing
        # the identity. Two matrix products give the same result in every engine, with antialiasing.
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
        self.second_order: Any = nn.ModuleList()
        if spec.pooling == "second-order":
            network.eval()
            stages = self._shapes().stages[:-1]
            self.second_order.extend(SecondOrder(stage.shape[1]) for stage in stages)

    def _shapes(self) -> _Passed:
        """Run on shapes only, without computing any values."""
        tensors = dict([*self.named_parameters(), *self.named_buffers()])
        meta = {name: tensor.to("meta") for name, tensor in tensors.items()}
        side = self.matrix.shape[1] if self.resizes else self._size
        pixels = torch.empty((1, 3, side, side), device="meta")
        with torch.inference_mode():
            return torch.func.functional_call(self, meta, (pixels,))

    def _keep(self, _module: nn.Module, _inputs: Any, output: torch.Tensor) -> None:
        self._maps.append(output)

    @functools.cached_property
    def tail(self) -> Tail:
        """The part of the network after its last map."""
        return find_tail(self.network, self._size)

    def forward(self, pixels: torch.Tensor) -> _Passed:
        """Run on float pixels [N, 3, S, S] from 0 to 255."""
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
        features = torch.cat([*(stage.mean((2, 3)) for stage in maps), last], dim=1)
        kind = "cuda" if pixels.is_cuda else "cpu"
        with torch.autocast(kind, enabled=False):  # the root magnifies half precision's rounding
            pairs = zip(self.second_order, maps, strict=False)  # the last map has no second moments
            projected = [second.project(stage.float()) for second, stage in pairs]
            moments = [of(z) for of, z in zip(self.second_order, projected, strict=True)]
        return _Passed(features, maps, projected, moments, final)


class Extractor(nn.Module):
    """All members side by side: uint8 [N, S, S, 3] -> float [N, D]."""

    def __init__(self, spec: "BackboneSpec", networks: Sequence[nn.Module]) -> None:
        """Wrap the networks.

        Args:
            spec: Their order, sizes, normalisation and stages.
            networks: One timm network per member, with its weights.
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
            float `[N, D]`: for each member its pooled stages, early to late, and its final layer;
            then, for each member, the second moments of its stages.
        """
        channels_first = pixels.permute(0, 3, 1, 2).float()
        return _joined([member(channels_first) for member in self.members])

    def with_maps(
        self, pixels: torch.Tensor
    ) -> tuple[torch.Tensor, list[tuple[MapInfo, torch.Tensor]]]:
        """Return the features and the maps behind them.

        Args:
            pixels: uint8 `[N, S, S, 3]`.

        Returns:
            float `[N, D]`, and the maps: `[N, d, h, w]` if the features are their means over
            positions, `[N, k, h, w]` if the features are their second moments, else the input of
            the member's `tail`.
        """
        channels_first = pixels.permute(0, 3, 1, 2).float()
        offset, passed = 0, []
        maps: list[tuple[MapInfo, torch.Tensor]] = []
        for number, member in enumerate(self.members):
            tail = member.tail
            with tail.watch() as watched:
                result = member(channels_first)
            passed.append(result)
            start, end = offset, offset + result.features.shape[1]
            for stage in result.stages:
                maps.append((MapInfo(start, stage.shape[1]), stage))
                start += stage.shape[1]
            if tail.is_mean:
                maps.append((MapInfo(start, end - start), tail.grid(result.final)))
            elif tail.found:
                entered = watched[0] if watched else result.final
                maps.append((MapInfo(start, end - start, number), entered))
            offset = end
        for result in passed:
            for projected, moments in zip(result.projected, result.moments, strict=True):
                maps.append((MapInfo(offset, moments.shape[1], order=2), projected))
                offset += moments.shape[1]
        return _joined(passed), maps


def _joined(passed: Sequence[_Passed]) -> torch.Tensor:
    """Concatenate the members' features, with all means before all second moments."""
    parts = [result.features for result in passed]
    return torch.cat([*parts, *(moments for result in passed for moments in result.moments)], dim=1)


class WithMaps(nn.Module):
    """An extractor that outputs the features and then each map, as ONNX export requires."""

    def __init__(self, extractor: nn.Module) -> None:
        """Wrap an extractor."""
        super().__init__()
        self.extractor: Any = extractor

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the features and the maps of uint8 `[N, S, S, 3]`."""
        features, maps = self.extractor.with_maps(pixels)
        return features, *(values for _, values in maps)
