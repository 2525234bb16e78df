"""The linear head in numpy: multinomial logistic regression by AdamW, one step at a time.

Torch's optimizer takes the same steps (a test compares the two), but importing torch takes longer
than fitting a few thousand photographs, and a default run would need torch for nothing else.
"""

import numpy as np

from model.heads.head import Head, HeadConfig

_DECAY_OF_SQUARES = 0.999
_EPSILON = 1e-8


class _AdamW:
    """A parameter that is updated in place, with the running means of its gradient and squares.

    Source: Loshchilov and Hutter, "Decoupled weight decay regularization", 2019.
    """

    def __init__(self, values: np.ndarray) -> None:
        self.values = values
        self._mean, self._square = np.zeros_like(values), np.zeros_like(values)
        self._work = np.empty_like(values)

    def step(
        self, gradient: np.ndarray, rate: float, momentum: float, decay: float, count: int
    ) -> None:
        """Take step number `count`, from 1; this overwrites the gradient."""
        work = np.square(gradient, out=self._work)
        self._square *= _DECAY_OF_SQUARES
        self._square += np.multiply(work, 1 - _DECAY_OF_SQUARES, out=work)
        self._mean *= momentum
        self._mean += np.multiply(gradient, 1 - momentum, out=gradient)
        np.sqrt(np.divide(self._square, 1 - _DECAY_OF_SQUARES**count, out=work), out=work)
        work += _EPSILON
        np.divide(self._mean, work, out=work)
        self.values *= 1 - rate * decay
        self.values -= np.multiply(work, rate / (1 - momentum**count), out=work)


class Linear:
    """A linear layer in training."""

    def __init__(self, num_features: int, priors: np.ndarray, config: HeadConfig) -> None:
        """Start from weights of 0 and a bias equal to the log of the priors.

        Args:
            num_features: D.
            priors: Shares of the classes, float32 `[C]`, above 0.
            config: Supplies weight decay and label smoothing.
        """
        self._weight = _AdamW(np.zeros((len(priors), num_features), np.float32))
        self._bias = _AdamW(np.log(priors))
        self._decay, self._smoothing = config.weight_decay, config.label_smoothing
        self._count = 0

    def step(
        self,
        values: np.ndarray,
        labels: np.ndarray,
        weights: np.ndarray | None,
        rate: float,
        momentum: float,
    ) -> np.ndarray:
        """Take one gradient step on the mean cross-entropy with smoothed labels.

        Args:
            values: Standardised features, float32 `[B, D]`.
            labels: int64 `[B]`.
            weights: Weights of the photographs, float32 `[B]`; None for 1 each.
            rate: Learning rate.
            momentum: Share of the gradient's running mean that is kept in this step, 0-1.

        Returns:
            Logits from before the step, float32 `[B, C]`.
        """
        logits = values @ self._weight.values.T + self._bias.values
        # The gradient with respect to the logits is probabilities minus smoothed targets.
        slope = np.exp(logits - logits.max(axis=1, keepdims=True))
        slope /= slope.sum(axis=1, keepdims=True)
        slope -= self._smoothing / slope.shape[1]
        slope[np.arange(len(labels)), labels] -= 1 - self._smoothing
        if weights is not None:
            slope *= weights[:, None]
        slope /= len(labels)
        self._count += 1
        how = rate, momentum, self._decay, self._count
        self._weight.step(slope.T @ values, *how)
        self._bias.step(slope.sum(axis=0), *how)
        return logits

    def head(self, mean: np.ndarray, std: np.ndarray) -> Head:
        """Return a head with a copy of the current weights.

        Args:
            mean: Mean of each feature, float32 `[D]`.
            std: Standard deviation of each feature, float32 `[D]`.

        Returns:
            The head.
        """
        return Head(mean, std, [(self._weight.values.copy(), self._bias.values.copy())])
