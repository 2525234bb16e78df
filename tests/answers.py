"""A prediction made by hand, for tests of what shows answers."""

from typing import Any

from model.classifier import Candidate, Prediction


def predicted(**changes: Any) -> Prediction:
    """A sure prediction whose first name must be escaped, with these fields changed."""
    values: dict[str, Any] = {
        "top": [Candidate("<rose>", "1", 0.98764), Candidate("tulip", "2", 0.0123)],
        "label_set": ["<rose>"],
        "coverage": 0.99,
        "none_of_these": False,
        "unknown_score": 0.3,
        "seconds": 0.0421,
    }
    return Prediction(**{**values, **changes})
