"""A classifier for the page that lets replicas classify the photographs."""

from collections.abc import Sequence
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from demo.batch import SharedError
from model.classifier import Classifier, Prediction
from model.serving.pool import Replicas, UnavailableError
from model.trust.restrict import Allowed


class AwayError(gr.Error, SharedError):
    """The message for visitors while no replica answers."""

    def __init__(self) -> None:
        """Make the message; it leaves no traceback in the owner's log."""
        super().__init__(
            "The classifier is not available at the moment. Please try again in a minute.",
            title="Not classified",
            print_exception=False,
        )


class ReplicatedClassifier(Classifier):
    """A classifier that knows everything the page shows, but may let replicas predict."""

    _replicas: Replicas | None = None
    _number = 0

    def ask(self, replicas: Replicas, number: int) -> None:
        """Let replicas predict from now on.

        Args:
            replicas: Replicas that serve this classifier's checkpoint.
            number: Index of this checkpoint in the list that they serve, from 0.
        """
        self._replicas, self._number = replicas, number

    def predict_each(
        self,
        images: Sequence[Image.Image],
        allowed: Sequence[Allowed | None],
        top: int = 5,
        *,
        explain: bool = False,
    ) -> list[Prediction]:
        """Classify photographs with the replicas; see `Classifier.predict_each`.

        Raises:
            AwayError: No replica answers.
        """
        if self._replicas is None or not images:
            return super().predict_each(images, allowed, top, explain=explain)
        return self._asked(self._replicas, "predict_each", images, list(allowed), top, explain)

    def predict_together(
        self,
        images: Sequence[Image.Image],
        top: int = 5,
        *,
        explain: bool = False,
        only: Sequence[str] | None = None,
    ) -> Prediction:
        """Classify photographs of one object with a replica; see `Classifier.predict_together`.

        Raises:
            AwayError: No replica answers.
        """
        if self._replicas is None or not images:
            return super().predict_together(images, top, explain=explain, only=only)
        return self._asked(self._replicas, "predict_together", images, top, explain, only)

    def _asked(
        self, replicas: Replicas, method: str, images: Sequence[Image.Image], *more: Any
    ) -> Any:
        try:
            return replicas.ask(
                method, self._number, [np.asarray(image) for image in images], *more
            )
        except UnavailableError:
            raise AwayError from None
