"""The default options of each recipe: fast and best on cached features, and the tutorial's.

These are plain values, so a command can show them without loading torch.
"""

from typing import Any

FAST: dict[str, Any] = {
    "backbone": "efficientnet_lite0",
    "views": 0,
    "head": "auto",
    "epochs": 30,
}
"""The default: one network, and seconds of training once the features are computed."""

BEST: dict[str, Any] = {
    "backbone": "efficientnet_lite0+efficientnet_lite2",
    "views": 4,
    "head": "auto",
    "epochs": 60,
    "batch_size": 128,  # 5-fold cross-validation: 108 of 6,552 wrong; 115 with a batch of 256
}
"""The options that trained the shipped checkpoint."""

SHARED: dict[str, Any] = {
    "stages": 3,
    "pooling": "auto",
    "image_size": None,
    "framing": None,
    "balance": False,
    "lr": None,
    "patience": 0,
    "batch_size": 256,
    "weight_decay": 1.0,
    "label_smoothing": 0.1,
}
"""Options that fast and best share."""

CLASSIC: dict[str, Any] = {
    "backbone": "efficientnet_lite0",
    "head": "mlp",
    "epochs": 20,
    "lr": 1e-3,
    "batch_size": 32,
    "weight_decay": 0.0,
    "label_smoothing": 0.0,
}
"""The tutorial's head and schedule, and the backbone to compare them on. The other options cannot
be used with it."""


def resolve(recipe: str, quality: str) -> dict[str, Any]:
    """Return the default value of every option.

    Args:
        recipe: `default` or `classic`.
        quality: `fast` or `best`, for the default recipe.

    Returns:
        Option -> value.
    """
    values = {**SHARED, **(BEST if quality == "best" else FAST)}
    plain = {"stages": 0, "pooling": "mean"}
    return {**values, **CLASSIC, **plain} if recipe == "classic" else values
