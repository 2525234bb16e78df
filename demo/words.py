"""An answer in words, for someone who does not know what a probability of 0.93 is worth."""

import math
from typing import NamedTuple

from model.classifier import Prediction, Restricted
from model.trust.levels import Answer

VERY_SURE, SURE = 0.9, 0.6
"""Probabilities from which an answer is called very sure, and fairly sure."""

_PERHAPS = 0.1
_MOST_NAMED = 3
_PERCENT = "\N{NO-BREAK SPACE}%"


class Verdict(NamedTuple):
    """What the page says first.

    Attributes:
        headline: The answer.
        sentence: How far to trust it.
    """

    headline: str
    sentence: str


def probability_text(share: float) -> str:
    """Write a probability with one decimal, never rounding a doubt away to 0.0 or 100.0 %."""
    tenths = min(max(share * 1000, 0), 1000)
    if 0 < tenths < 0.5:
        return f"< 0.1{_PERCENT}"
    if 999.5 <= tenths < 1000:
        return f"> 99.9{_PERCENT}"
    return f"{math.floor(tenths + 0.5) / 10:.1f}{_PERCENT}"


def verdict(prediction: Prediction, num_classes: int, photographs: int = 1) -> Verdict:
    """Put a prediction into words.

    Probabilities are calibrated, so that of 100 answers given with 93 %, about 93 are right.

    Args:
        prediction: The most probable classes, two or more where two may be answered. Where they
            have parents and none of them is sure enough, the words are of the parent that is.
        num_classes: How many classes there are.
        photographs: How many of the same object it was made of. With several the words promise
            nothing, as calibration looked at one at a time.

    Returns:
        The words; where only some classes may be answered, or the most similar training photographs
        are of other classes, they say so.
    """
    said = _of_all(prediction, num_classes, photographs > 1)
    restricted = prediction.restricted
    if restricted is not None:
        said = _of_some(said, prediction, restricted)
    if _is_contradicted(prediction):
        doubt = "But most of the similar training photographs are of other classes: look twice."
        said = Verdict(said.headline, f"{said.sentence} {doubt}")
    return said


def is_doubtful(prediction: Prediction) -> bool:
    """Tell whether the sentence of a verdict warns of something."""
    return _is_warned_of(prediction) or _is_contradicted(prediction)


def _is_warned_of(prediction: Prediction) -> bool:
    return prediction.none_of_these or prediction.is_mostly_aside


def _is_contradicted(prediction: Prediction) -> bool:
    """Tell whether similar photographs are of other classes, where no other words warn already."""
    evidence = prediction.evidence
    return evidence is not None and evidence.disagree and not _is_warned_of(prediction)


def aside_words(restricted: Restricted) -> str:
    """Say how many classes may be answered, and how much of the probability went to the others.

    Args:
        restricted: Of a prediction.
    """
    verb = "was" if restricted.allowed == 1 else "were"
    few = f"Only {restricted.allowed:,} of {restricted.classes:,} classes {verb} allowed"
    best = f"{restricted.best.label} ({_percent(restricted.best.probability)})"
    if not restricted.is_most:
        return f"{few}; {_percent(restricted.set_aside)} of the probability went to others."
    return f"{few}. Without that limit the best guess would be {best}."


def _of_some(said: Verdict, prediction: Prediction, restricted: Restricted) -> Verdict:
    """Put into words an answer among some classes, from the words of an ordinary one."""
    aside, first = aside_words(restricted), prediction.top[0].label
    is_ordinary = restricted.allowed > 1 and not restricted.is_most
    if prediction.none_of_these or is_ordinary:
        return Verdict(said.headline, f"{said.sentence} {aside}")
    if restricted.allowed == 1:
        return Verdict(f"{first}, the only class allowed", aside)
    return Verdict(f"Most likely {first}, of the {restricted.allowed:,} allowed", aside)


def _of_all(prediction: Prediction, num_classes: int, several: bool) -> Verdict:
    first, share = prediction.top[0], prediction.top[0].probability
    if prediction.none_of_these:
        nearest = "The nearest of the allowed classes" if prediction.restricted else "The nearest"
        return Verdict(
            f"Probably none of the {num_classes:,} classes",
            f"This is unlike the photographs that the classifier knows. {nearest} is "
            f"{first.label}.",
        )
    given = ", if it is one of those allowed" if prediction.restricted else ""
    if prediction.parent:
        return _of_parent(prediction.parent, given, several)
    right = _right(share, several)
    if share >= VERY_SURE or len(prediction.top) == 1:
        return Verdict(first.label, f"Very sure{given}{right}.")
    second = prediction.top[1]
    if share >= SURE:
        perhaps = f", perhaps {second.label}" if second.probability >= _PERHAPS else ""
        return Verdict(f"Probably {first.label}{perhaps}", f"Fairly sure{given}{right}.")
    names = prediction.label_set[:_MOST_NAMED]
    if first.label not in names:
        names = [first.label, *names][:_MOST_NAMED]
    if len(names) == 1:
        names.append(second.label)
    headline = f"{', '.join(names[:-1])} or {names[-1]}?"
    return Verdict(headline, f"Not sure{given}{_right(share, several, 'only ')}.")


def short(prediction: Prediction) -> tuple[str, float]:
    """Return the answer alone, and its probability, 0-1: a parent where that is the answer."""
    first = prediction.top[0]
    if prediction.parent:
        return prediction.parent.name, prediction.parent.probability
    return first.label, first.probability


def _of_parent(answer: Answer, given: str, several: bool) -> Verdict:
    """Put into words that a parent is sure and its classes are not."""
    perhaps = [
        f"{part.label} ({_of_hundred(part.probability)}{_PERCENT})"
        for number, part in enumerate(answer.perhaps)
        if part.probability >= _PERHAPS or not number
    ]
    listed = " or ".join(filter(None, [", ".join(perhaps[:-1]), perhaps[-1]]))
    manner = "Very" if answer.probability >= VERY_SURE else "Fairly"
    return Verdict(
        f"{answer.name}, but it is not clear which one",
        f"{manner} sure of “{answer.name}”{given}{_right(answer.probability, several)}. "
        f"Perhaps {listed}.",
    )


def as_text(prediction: Prediction, num_classes: int, photographs: int = 1) -> str:
    """Write a prediction as lines of plain text, to be copied.

    Args:
        prediction: The prediction.
        num_classes: How many classes there are.
        photographs: How many of the same object it was made of.

    Returns:
        The words, then a line a class.
    """
    lines = [*verdict(prediction, num_classes, photographs)]
    lines += [f"{one.label}: {probability_text(one.probability)}" for one in prediction.top]
    if photographs > 1:
        lines.append(f"The average over {photographs} photographs.")
    return "\n".join(lines)


def _right(share: float, several: bool, only: str = "") -> str:
    """Say how often such an answer is right; nothing of one from several photographs."""
    if several:
        return ""
    return f": {only}about {_of_hundred(share)} of 100 answers like this are right"


def _of_hundred(share: float) -> int:
    """Round a probability to answers of 100; nothing is certain."""
    return min(max(round(100 * share), 1), 99)


def _percent(share: float) -> str:
    """Write a share of the probability as whole percents; nothing is certain."""
    if share < 0.01:
        return f"less than 1{_PERCENT}"
    return f"more than 99{_PERCENT}" if share > 0.99 else f"{round(100 * share)}{_PERCENT}"
