"""The batcher: who waits together is answered together, and fails alone."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from demo.batch import Batcher, SharedError


class Doubler:
    """Doubles numbers, but not 13; the first call waits until it is let go."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.started, self.go_on = threading.Event(), threading.Event()

    def __call__(self, items: Sequence[int]) -> list[int]:
        self.calls.append(list(items))
        self.started.set()
        assert self.go_on.wait(10)
        if 13 in items:
            raise ValueError("13 brings bad luck")
        return [2 * item for item in items]


def gathered(run: Doubler, first: int, others: Sequence[int], size: int = 4) -> list[object]:
    """Send one item, and the others while it is being worked on."""
    batcher = Batcher[int, int](run, size)

    def call(item: int) -> object:
        try:
            return batcher(item)
        except ValueError as error:
            return str(error)

    with ThreadPoolExecutor(1 + len(others)) as pool:
        results = [pool.submit(call, first)]
        assert run.started.wait(10)
        results += [pool.submit(call, item) for item in others]
        while len(batcher._waiting) < len(others):
            pass
        run.go_on.set()
        return [result.result(timeout=10) for result in results]


def test_a_single_item_is_answered_at_once_and_alone():
    run = Doubler()
    run.go_on.set()
    batcher = Batcher[int, int](run)
    assert [batcher(item) for item in (1, 2, 3)] == [2, 4, 6]
    assert run.calls == [[1], [2], [3]]


def test_those_who_wait_are_answered_together_up_to_the_size():
    run = Doubler()
    assert gathered(run, 0, range(1, 8), size=4) == [0, 2, 4, 6, 8, 10, 12, 14]
    assert [len(call) for call in run.calls] == [1, 4, 3]


def test_one_bad_item_does_not_fail_its_batch():
    run = Doubler()
    answers = gathered(run, 0, [1, 13, 3])
    assert answers == [0, 2, "13 brings bad luck", 6]
    assert sorted(map(len, run.calls)) == [1, 1, 1, 1, 3]


def test_a_failure_leaves_the_batcher_in_order():
    run = Doubler()
    run.go_on.set()
    batcher = Batcher[int, int](run)
    with pytest.raises(ValueError, match="bad luck"):
        batcher(13)
    assert batcher(4) == 8


def test_as_many_batches_run_at_once_as_there_are_replicas():
    run = Doubler()
    batcher = Batcher[int, int](run, 2, passes=2)
    with ThreadPoolExecutor() as pool:
        results = [pool.submit(batcher, item) for item in (1, 2)]
        while len(run.calls) < 2:  # the second does not wait for the first
            pass
        results += [pool.submit(batcher, item) for item in (3, 4, 5)]
        while len(batcher._waiting) < 3:
            pass
        assert len(run.calls) == 2
        run.go_on.set()
        assert [result.result(timeout=10) for result in results] == [2, 4, 6, 8, 10]
    assert sorted(len(call) for call in run.calls) == [1, 1, 1, 2]


def test_what_nobody_is_answered_for_is_not_tried_again_for_each():
    calls: list[Sequence[int]] = []
    started, go_on = threading.Event(), threading.Event()

    def run(items: Sequence[int]) -> list[int]:
        calls.append(items)
        started.set()
        assert go_on.wait(10)
        raise SharedError("Nobody is there.")

    batcher = Batcher[int, int](run)
    with ThreadPoolExecutor() as pool:
        results = [pool.submit(batcher, 0)]
        assert started.wait(10)
        results += [pool.submit(batcher, item) for item in (1, 2, 3)]
        while len(batcher._waiting) < 3:
            pass
        go_on.set()
        for result in results:
            with pytest.raises(SharedError):
                result.result(timeout=10)
    assert [len(items) for items in calls] == [1, 3]
