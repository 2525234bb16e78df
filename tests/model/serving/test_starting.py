"""Replicas on a Ray cluster of two nodes on this machine: the page's answers, whatever dies."""

import os
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from drawing import drawn_photograph
from PIL import Image

from demo.replicas import ReplicatedClassifier
from model.classifier import Classifier, Prediction
from model.photographs import images
from model.serving.pool import Replicas
from model.serving.replica import Introduction
from model.serving.starting import start
from model.sharing.publish import redact

Started = tuple[Replicas, list[Introduction]]
ALLOWED = (3, 7)


@pytest.fixture(scope="module")
def photographs(flower: Path) -> list[Image.Image]:
    return [images.decode(flower), *(drawn_photograph(hue, 7) for hue in (0.1, 0.5))]


def served_like(shipped: Classifier) -> list[ReplicatedClassifier]:
    """The shipped classifier twice, as a public page may serve it: the second limited."""
    found = [ReplicatedClassifier(device="cpu", backbones=[shipped.backbone]) for _ in "ab"]
    found[1].allowed = ALLOWED
    for one in found:
        one.checkpoint = redact(one.checkpoint)
    return found


@pytest.fixture(scope="module")
def served(shipped: Classifier) -> list[ReplicatedClassifier]:
    """Two classifiers that have replicas while `started` is in use."""
    return served_like(shipped)


@pytest.fixture(scope="module")
def started(address: str, served: list[ReplicatedClassifier], engines: Path) -> Iterator[Started]:
    place: dict[str, Any] = {"address": address, "cache_dir": engines.parent}
    with start(served, 2, redacted=True, **place) as (replicas, introductions):
        for number, one in enumerate(served):
            one.ask(replicas, number)
        yield replicas, introductions


def same(found: Sequence[Prediction], expected: Sequence[Prediction]) -> bool:
    """Whether predictions are equal in all but their time, bit for bit; with their heat maps."""
    for one, other in zip(found, expected, strict=True):
        heats = [(p.heat.values.tobytes(), p.heat.logit) if p.heat else None for p in (one, other)]
        plain = [replace(p, heat=None, seconds=0) for p in (one, other)]
        if plain[0] != plain[1] or heats[0] != heats[1]:
            return False
    return True


@pytest.mark.slow
def test_replicas_answer_as_the_page_would_bit_for_bit(
    started: Started,
    served: list[ReplicatedClassifier],
    shipped: Classifier,
    photographs: list[Image.Image],
):
    assert all(one.exact and one.megabytes > 50 for one in started[1])
    assert len({one.process for one in started[1]} - {os.getpid()}) == 2
    for asked, own in zip(served, served_like(shipped), strict=True):
        assert same(asked.predict(photographs), own.predict(photographs))
        each = [None, own.resolve(["7"]) if own.allowed is None else (3,), None]
        found = asked.predict_each(photographs, each, 3, explain=True)
        assert same(found, own.predict_each(photographs, each, 3, explain=True))
        assert found[1].restricted and found[1].heat is not None
        together = asked.predict_together(photographs, explain=True)
        assert same([together], [own.predict_together(photographs, explain=True)])
        few = asked.predict_together(photographs, only=asked.checkpoint.class_ids[3:4])
        assert few.restricted and few.restricted.allowed == 1
        assert together.evidence and not any(one.thumbnail for one in together.evidence.similar)
    assert asked.predict(photographs)[0].restricted, "the second has two classes only"


@pytest.mark.slow
def test_killed_replicas_lose_no_photograph_and_are_replaced(
    started: Started, served: list[ReplicatedClassifier], photographs: list[Image.Image]
):
    replicas, introductions = started
    expected = served[0].predict(photographs)
    for one in introductions:
        os.kill(one.process, signal.SIGKILL)
    assert same(served[0].predict(photographs), expected)
    end = time.monotonic() + 60
    while not all(place.is_up for place in replicas._places) and time.monotonic() < end:
        time.sleep(0.1)
    assert replicas.can_answer() and replicas.lost <= 2
    assert same(served[0].predict(photographs), expected)
