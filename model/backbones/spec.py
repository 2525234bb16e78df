"""What a backbone computes: its networks, weights, stages and framing, as plain values."""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

from model.backbones.transforms import MAX_SIZE, Transforms

EXTRACTOR_VERSION = 1
"""Part of every cache key: raise it when the extractor computes something different."""

Pooling = Literal["mean", "second-order"]
"""How features are computed from the stages' maps: from means only, or second moments as well."""

MAX_MEMBERS = 8
"""Most networks that a backbone may have."""


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


@dataclass(frozen=True)
class BackboneSpec:
    """Everything that affects features, and therefore the key of the feature cache.

    Attributes:
        members: The networks whose features are concatenated.
        stages: How many of the last stages are pooled in addition to the final layer.
        transforms: How a photograph is framed for all members.
        pooling: With `second-order`, the second moments of all these stages except the last follow
            the other features.
    """

    members: tuple[Member, ...]
    stages: int
    transforms: Transforms
    pooling: Pooling = "mean"

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: A value is out of range, or all networks together would take too long.
        """
        if len(self.members) > MAX_MEMBERS:
            raise ValueError(
                f"The backbone has {len(self.members)} networks; at most {MAX_MEMBERS} are allowed."
            )
        if sum(member.image_size**2 for member in self.members) > MAX_SIZE**2:
            sizes = " and ".join(f"{member.image_size} px" for member in self.members)
            raise ValueError(
                f"The backbone's networks take pictures of {sizes}. Together they may have at most "
                f"as many pixels as one picture of {MAX_SIZE} px."
            )
        if self.stages < 0:
            raise ValueError(f"--stages {self.stages} must be 0 or more.")
        if self.pooling == "second-order" and self.stages < 2:
            raise ValueError(
                f"--pooling second-order uses all stages except the last, so it needs --stages 2 "
                f"or more, not {self.stages}."
            )

    @property
    def name(self) -> str:
        """The members' names joined by `+`, in the form that `--backbone` takes."""
        return "+".join(member.name for member in self.members)

    @property
    def pooled_text(self) -> str:
        """The features that accompany the final layer's, in words for the user; may be empty."""
        if not self.stages:
            return ""
        means = f", with the pooled outputs of its last {self.stages} stages"
        if self.pooling == "mean":
            return means
        return f"{means} and second moments of {self.stages - 1} of them"

    @property
    def described(self) -> str:
        """Name, stages, pooling and size, which decide whether a packaged graph fits."""
        size = self.transforms.image_size
        return f"{self.name} ({size} px, {self.stages} stages, {self.pooling} pooling)"

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values; `pooling` only if it is not `mean`, so old keys stay valid."""
        values = asdict(self)
        if self.pooling == "mean":
            del values["pooling"]
        return values

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "BackboneSpec":
        """Rebuild a specification from the values of `to_json`."""
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
        transforms, pooling = Transforms(**values["transforms"]), values.get("pooling", "mean")
        return cls(members, values["stages"], transforms, pooling)

    @property
    def key(self) -> str:
        """A short hash of all fields."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()[:16]
