"""An answer in words, for someone who does not know what a probability of 0.93 is worth."""

from typing import NamedTuple

from model.classifier import Prediction, Restricted
from model.trust.levels import Answer

_VERY_SURE, _SURE, _PERHAPS = 0.9, 0.6, 0.1
_MOST_NAMED = 3
_MOSTLY = 0.5  # of the probability


class Verdict(NamedTuple):
    """What the page says first.

    Attributes:
        headline: The answer.
        sentence: How far to trust it.
    """

    headline: str
    sentence: str


def verdict(prediction: Prediction, num_classes: int) -> Verdict:
    """Put a prediction into words.

    Probabilities are calibrated, so that of 100 answers given with 93 %, about 93 are right.

    Args:
        prediction: The most probable classes, two or more where two may be answered. Where they
            have parents and none of them is sure enough, the words are of the parent that is.
        num_classes: How many classes there are.

    Returns:
        The words; where only some classes may be answered, they say so.
    """
    restricted = prediction.restricted
    if restricted is None:
        return _ordinary(prediction, num_classes)
    aside, first = aside_words(restricted), prediction.top[0].label
    is_ordinary = restricted.allowed > 1 and restricted.set_aside <= _MOSTLY
    if prediction.none_of_these or is_ordinary:
        said = _ordinary(prediction, num_classes, ", if it is one of those allowed")
        return Verdict(said.headline, f"{said.sentence} {aside}")
    if restricted.allowed == 1:
        return Verdict(f"{first}, the only class allowed", aside)
    return Verdict(f"Most likely {first}, of the {restricted.allowed:,} allowed", aside)


def is_doubtful(prediction: Prediction) -> bool:
    """Tell whether the sentence of a verdict warns: none of these, or mostly set aside."""
    return prediction.none_of_these or (prediction.set_aside or 0) > _MOSTLY


def aside_words(restricted: Restricted) -> str:
    """Say how many classes may be answered, and how much of the probability went to the others.

    Args:
        restricted: Of a prediction.
    """
    verb = "was" if restricted.allowed == 1 else "were"
    few = f"Only {restricted.allowed:,} of {restricted.classes:,} classes {verb} allowed"
    share = _percent(restricted.set_aside)
    if restricted.set_aside <= _MOSTLY:
        return f"{few}; {share} of the probability went to others."
    best = restricted.best
    return (
        f"Most of the probability ({share}) went to classes that were set aside; the best of "
        f"those: {best.label} ({_percent(best.probability)}). {few}."
    )


def _ordinary(prediction: Prediction, num_classes: int, given: str = "") -> Verdict:
    first, share = prediction.top[0], prediction.top[0].probability
    if prediction.none_of_these:
        return Verdict(
            f"Probably none of the {num_classes:,} classes",
            f"This is unlike the photographs that the classifier knows. Its nearest guess is "
            f"{first.label}.",
        )
    if prediction.answer and prediction.answer.class_id is None and prediction.answer.level:
        return _of_parent(prediction.answer, given)
    second, right = prediction.top[1], _right(share)
    if share >= _VERY_SURE:
        return Verdict(first.label, f"Very sure{given}: {right}.")
    if share >= _SURE:
        perhaps = f", perhaps {second.label}" if second.probability >= _PERHAPS else ""
        return Verdict(f"Probably {first.label}{perhaps}", f"Fairly sure{given}: {right}.")
    names = prediction.label_set[:_MOST_NAMED]
    if first.label not in names:
        names = [first.label, *names][:_MOST_NAMED]
    if len(names) == 1:
        names.append(second.label)
    headline = f"{', '.join(names[:-1])} or {names[-1]}?"
    return Verdict(headline, f"Not sure{given}: only {right}.")


def short(prediction: Prediction) -> tuple[str, float]:
    """Return the answer alone, and its probability, 0-1: a parent where that is the answer."""
    answer, first = prediction.answer, prediction.top[0]
    if answer and answer.class_id is None and answer.level:
        return answer.name, answer.probability
    return first.label, first.probability


def _of_parent(answer: Answer, given: str) -> Verdict:
    """Put into words that a parent is sure and its classes are not."""
    perhaps = [
        f"{part.label} ({_of_hundred(part.probability)}\N{NO-BREAK SPACE}%)"
        for number, part in enumerate(answer.perhaps)
        if part.probability >= _PERHAPS or not number
    ]
    listed = " or ".join(filter(None, [", ".join(perhaps[:-1]), perhaps[-1]]))
    manner = "Very" if answer.probability >= _VERY_SURE else "Fairly"
    return Verdict(
        f"{answer.name}, but which one is unsure",
        f"{manner} sure of “{answer.name}”{given}: {_right(answer.probability)}. Perhaps {listed}.",
    )


def as_text(prediction: Prediction, num_classes: int) -> str:
    """Write a prediction as lines of plain text, to be copied.

    Args:
        prediction: The prediction.
        num_classes: How many classes there are.

    Returns:
        The words, then a line a class.
    """
    said = verdict(prediction, num_classes)
    lines = [said.headline, said.sentence]
    lines += [f"{one.label}: {one.probability:.1%}" for one in prediction.top]
    return "\n".join(lines)


def _right(share: float) -> str:
    return f"about {_of_hundred(share)} of 100 answers like this are right"


def _of_hundred(share: float) -> int:
    """Round a probability to answers of 100; nothing is certain."""
    return min(max(round(100 * share), 1), 99)


def _percent(share: float) -> str:
    """Write a share of the probability as whole percents; nothing is certain."""
    if share < 0.01:
        return "less than 1 %"
    return "more than 99 %" if share > 0.99 else f"{round(100 * share)} %"
