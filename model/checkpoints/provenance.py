"""How a checkpoint was made: versions, options, and a sentence for people."""

import platform
from importlib.metadata import version

from model.heads.fit import FittedHead
from model.heads.head import HeadConfig


def describe_head(head: FittedHead) -> str:
    """Describe the kind of a fitted head in words."""
    widths = [len(bias) for _, bias in head.head.layers[:-1]]
    if widths:
        return f"MLP ({', '.join(map(str, widths))} hidden units)"
    return "linear head, fitted by least squares" if head.kind == "ridge" else "linear head"


def describe_training(fitted: FittedHead, config: HeadConfig, *, classic: bool, views: int) -> str:
    """Describe how a head was fitted.

    Args:
        fitted: The fitted head.
        config: The options of the fit.
        classic: Whether the tutorial's recipe was used.
        views: Augmented renderings of each photograph, in addition to centre and mirror image.

    Returns:
        Two sentences for the model card.
    """
    epochs = len(fitted.history)
    if classic:
        text = (
            "The tutorial's recipe: shear, scale and flip augmentation on every epoch, Adam "
            f"{config.lr:g}, batch {config.batch_size}, {epochs} epochs, nothing cached."
        )
    else:
        how = (
            f"by least squares, {epochs} iterations of conjugate gradients"
            if fitted.kind == "ridge"
            else f"with AdamW and a one-cycle schedule, {epochs} epochs, label smoothing "
            f"{config.label_smoothing:g}"
        )
        text = (
            f"Features of {2 + views} views of each photograph were computed once, and the head "
            f"was fitted to them {how}."
        )
    return f"{text} Epoch {fitted.best_epoch}, the best on the validation photographs, was kept."


def versions() -> dict[str, str]:
    """Return the versions of Python and the packages that affect results."""
    packages = [
        "torch",
        "torchvision",
        "timm",
        "onnxruntime",
        "numpy",
        "scipy",
        "pillow",
        "pillow-heif",
    ]
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}
