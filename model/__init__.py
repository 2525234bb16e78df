"""Frostflower: image classifiers from labelled photographs, on frozen pretrained backbones.

from model import Classifier

classifier = Classifier("runs/roses")  # by default the shipped flowers
predictions = classifier.predict([photograph])
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from model.classifier import Classifier as Classifier

__all__ = ["Classifier"]
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Import a name on first use, so that the help of a command does not wait for numpy."""
    if name == "Classifier":
        from model.classifier import Classifier

        return Classifier
    raise AttributeError(f"module 'model' has no attribute '{name}'")
