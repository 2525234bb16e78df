"""What a backbone computes: its networks, their weights, stages and framing, as plain values."""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from model.backbones.transforms import Transforms

EXTRACTOR_VERSION = 1
"""Part of every cache key: raise it when the extractor computes otherwise."""


@dataclass(frozen=True)
class Member:
    """One network of a backbone.

    Attributes:
        name: A packaged name or a timm model name.
        weights_sha256: Hash of its weights.
        image_size: Side of its own input, in px.
        mean: Mean of its input's channels, 0-1.
        std: Standard deviation of its input's channels, 0-1.
    """

    name: str
    weights_sha256: str
    image_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        """Check the values, which may come from a checkpoint somebody edited."""
        if not isinstance(self.image_size, int) or not 16 <= self.image_size <= 2048:
            raise ValueError(
                f"Image size {self.image_size!r} px of {self.name} is outside 16-2048."
            )
        if len(self.mean) != 3 or len(self.std) != 3:
            raise ValueError(f"Mean and std of {self.name} must have 3 channels each.")


@dataclass(frozen=True)
class BackboneSpec:
    """All that decides a feature, and so the key of the feature cache.

    Attributes:
        members: The networks whose features are concatenated.
        stages: How many of the last stages' pooled outputs stand beside the final layer's.
        transforms: How a photograph is framed for all members.
    """

    members: tuple[Member, ...]
    stages: int
    transforms: Transforms

    def __post_init__(self) -> None:
        """Check the values, as `Member` does."""
        if not self.members:
            raise ValueError("The backbone has no members.")
        if self.stages < 0:
            raise ValueError(f"--stages {self.stages} must be 0 or more.")

    @property
    def name(self) -> str:
        """The names joined by `+`, as `--backbone` takes them."""
        return "+".join(member.name for member in self.members)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "BackboneSpec":
        """Rebuild a specification from `to_json`'s values.

        Raises:
            KeyError: A field is missing.
            ValueError: A value is out of range.
        """
        members = tuple(
            Member(
                name=member["name"],
                weights_sha256=member["weights_sha256"],
                image_size=member["image_size"],
                mean=tuple(member["mean"]),
                std=tuple(member["std"]),
            )
            for member in values["members"]
        )
        return cls(members, int(values["stages"]), Transforms(**values["transforms"]))

    @property
    def key(self) -> str:
        """A short hash of all fields."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()[:16]
