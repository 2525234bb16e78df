"""Turns a prediction into words for visitors who do not think in probabilities."""

import math
from typing import NamedTuple

from model.classifier import Prediction, Restricted
from model.trust.levels import Answer

VERY_SURE, SURE = 0.9, 0.6
"""The lowest probabilities at which an answer is called very sure, or fairly sure."""

_PERHAPS = 0.1
_MOST_NAMED = 3
_PERCENT = "\N{NO-BREAK SPACE}%"


class Verdict(NamedTuple):
    """The words at the top of an answer.

    Attributes:
        headline: The answer.
        sentence: How far the visitor can trust it.
    """

    headline: str
    sentence: str


def probability_text(share: float) -> str:
    """Write a probability as a percentage with one decimal; only 0 and 1 become 0.0 and 100.0 %."""
    tenths = min(max(share * 1000, 0), 1000)
    if 0 < tenths < 0.5:
        return f"< 0.1{_PERCENT}"
    if 999.5 <= tenths < 1000:
        return f"> 99.9{_PERCENT}"
    return f"{math.floor(tenths + 0.5) / 10:.1f}{_PERCENT}"


def verdict(prediction: Prediction, num_classes: int, photographs: int = 1) -> Verdict:
    """Put a prediction into words.

    Probabilities are calibrated: about 93 of 100 answers with a probability of 93 % are right.

    Args:
        prediction: The most probable classes; at least two, unless only one is allowed. If classes
            have parents and no class is sure enough, the words name the parent that is.
        num_classes: Number of classes of the classifier.
        photographs: Number of photographs of the same object that were classified together. For
            several, the words promise no share of right answers: calibration used single ones.

    Returns:
        The words. They also say when only some classes were allowed, and when the most similar
        training photographs show other classes.
    """
    said = _of_all(prediction, num_classes, photographs > 1)
    restricted = prediction.restricted
    if restricted is not None:
        said = _of_some(said, prediction, restricted)
    if _is_contradicted(prediction):
        doubt = "But most similar training photographs show other classes: look twice."
        said = Verdict(said.headline, f"{said.sentence} {doubt}")
    return said


def is_doubtful(prediction: Prediction) -> bool:
    """Tell whether the sentence of a verdict contains a warning."""
    return _is_warned_of(prediction) or _is_contradicted(prediction)


def _is_warned_of(prediction: Prediction) -> bool:
    return prediction.none_of_these or prediction.is_mostly_aside


def _is_contradicted(prediction: Prediction) -> bool:
    """Tell whether similar photographs show other classes and no other warning is given."""
    evidence = prediction.evidence
    return evidence is not None and evidence.disagree and not _is_warned_of(prediction)


def aside_words(restricted: Restricted) -> str:
    """Say how many classes were allowed, and how much of the probability went to the others.

    Args:
        restricted: The `restricted` part of a prediction.
    """
    verb = "was" if restricted.allowed == 1 else "were"
    few = f"Only {restricted.allowed:,} of {restricted.classes:,} classes {verb} allowed"
    best = f"{restricted.best.label} ({_percent(restricted.best.probability)})"
    if not restricted.is_most:
        return f"{few}; {_percent(restricted.set_aside)} of the probability went to others."
    return f"{few}. Without that limit the best guess would be {best}."


def _of_some(said: Verdict, prediction: Prediction, restricted: Restricted) -> Verdict:
    """Adapt the words for an answer that could only be one of some classes."""
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
        nearest = "The nearest allowed class" if prediction.restricted else "The nearest class"
        return Verdict(
            f"Probably none of the {num_classes:,} classes",
            f"This looks unlike the photographs used for training. {nearest} is {first.label}.",
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
    """Return the name of the answer and its probability (0-1); the name may be that of a parent."""
    first = prediction.top[0]
    if prediction.parent:
        return prediction.parent.name, prediction.parent.probability
    return first.label, first.probability


def _of_parent(answer: Answer, given: str, several: bool) -> Verdict:
    """Say that the parent is certain enough to be the answer, but its classes are not."""
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
    """Write a prediction as plain text for the button "Copy as text".

    Args:
        prediction: The prediction.
        num_classes: Number of classes of the classifier.
        photographs: Number of photographs of the same object that were classified together.

    Returns:
        The words, then one line for each class.
    """
    lines = [*verdict(prediction, num_classes, photographs)]
    lines += [f"{one.label}: {probability_text(one.probability)}" for one in prediction.top]
    if photographs > 1:
        lines.append(f"Averaged over {photographs} photographs.")
    return "\n".join(lines)


def _right(share: float, several: bool, only: str = "") -> str:
    """Say how often such an answer is right; "" for an answer from several photographs."""
    if several:
        return ""
    return f": {only}about {_of_hundred(share)} of 100 answers like this are right"


def _of_hundred(share: float) -> int:
    """Round a probability to a number of answers in 100, but never to 0 or 100."""
    return min(max(round(100 * share), 1), 99)


def _percent(share: float) -> str:
    """Write a share as a whole percentage, but never as 0 or 100 %."""
    if share < 0.01:
        return f"less than 1{_PERCENT}"
    return f"more than 99{_PERCENT}" if share > 0.99 else f"{round(100 * share)}{_PERCENT}"
