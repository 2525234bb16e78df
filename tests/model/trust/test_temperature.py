"""The temperature that makes probabilities mean what they say."""

import numpy as np
import pytest
from scipy.special import softmax

from model.trust.temperature import fit_temperature


def overconfident(count: int, temperature: float, seed: int = 0, classes: int = 6):
    """Logits whose calibrated temperature is known: labels are drawn from softmax(logits / T)."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 3, (count, classes))
    chances = softmax(logits / temperature, axis=1)
    labels = np.array([rng.choice(classes, p=row) for row in chances])
    return logits, labels


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_temperature_is_found_again(temperature):
    logits, labels = overconfident(4000, temperature)
    assert fit_temperature(logits, labels) == pytest.approx(temperature, rel=0.1)


def test_temperature_of_a_few_photographs_that_are_all_right_stays_near_one():
    logits = np.array([[4.0, 0.0], [0.0, 4.0], [4.0, 0.0]])
    assert 0.3 < fit_temperature(logits, np.array([0, 1, 0])) <= 1.0
