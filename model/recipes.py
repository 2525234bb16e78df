"""The figures of the recipes: fast and best on cached features, and the tutorial's.

Plain values, so that a command line can show them without loading torch.
"""

from typing import Any

FAST: dict[str, Any] = {
    "backbone": "efficientnet_lite0",
    "views": 0,
    "head": "auto",
    "epochs": 30,
}
"""The default: one network, seconds once the features are there."""

BEST: dict[str, Any] = {
    "backbone": "efficientnet_lite0+efficientnet_lite2",
    "views": 4,
    "head": "auto",
    "epochs": 60,
    "batch_size": 128,  # 108 wrong of 6,552 by 5-fold cross-validation; with 256 115
}
"""What trains the shipped checkpoint."""

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
"""What fast and best have in common."""

CLASSIC: dict[str, Any] = {
    "backbone": "efficientnet_lite0",
    "head": "mlp",
    "epochs": 20,
    "lr": 1e-3,
    "batch_size": 32,
    "weight_decay": 0.0,
    "label_smoothing": 0.0,
}
"""The tutorial's head and schedule; its backbone is whatever it is compared on. The other options
are no part of it."""


def resolve(recipe: str, quality: str) -> dict[str, Any]:
    """Return the values of all options that are not given.

    Args:
        recipe: `default` or `classic`.
        quality: `fast` or `best`, for the default recipe.

    Returns:
        Option -> value.
    """
    values = {**SHARED, **(BEST if quality == "best" else FAST)}
    plain = {"stages": 0, "pooling": "mean"}
    return {**values, **CLASSIC, **plain} if recipe == "classic" else values
