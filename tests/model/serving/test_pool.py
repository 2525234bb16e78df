"""The pool of replicas: who answers, who is asked again, and what replaces a replica that is lost.

Ray is stood in for by threads; `test_starting` has the real one.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from model.serving import pool
from model.serving.pool import Replicas, UnavailableError
from model.serving.replica import Introduction, UnlikeError


class RayError(Exception):
    pass


class RayTaskError(RayError):
    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


class GetTimeoutError(RayError, TimeoutError):
    pass


class Actor:
    """A replica that doubles numbers. Others may kill it, hold it up, or make it useless."""

    def __init__(self, number: int, refusal: Exception | None = None) -> None:
        self.number, self.refusal = number, refusal
        self.go_on = threading.Event()
        self.go_on.set()
        self.held: list[Future[Any]] = []
        self.ended = False

    def __getattr__(self, name: str) -> SimpleNamespace:
        return SimpleNamespace(remote=lambda *given: self._run(name, *given))

    def _run(self, name: str, *given: Any) -> Future[Any]:
        result = Future[Any]()
        self.held.append(result)
        if self.ended:
            self.end()
        threading.Thread(target=self._answer, args=(result, name, *given), daemon=True).start()
        return result

    def _answer(self, result: Future[Any], name: str, *given: Any) -> None:
        self.go_on.wait(10)
        with contextlib.suppress(InvalidStateError):  # it has ended meanwhile
            self._settle(result, name, *given)

    def _settle(self, result: Future[Any], name: str, *given: Any) -> None:
        if name == "introduce" and self.refusal:
            result.set_exception(RayTaskError(self.refusal))
        elif name == "die":
            self.end()
        elif name == "fail":
            result.set_exception(RayTaskError(ValueError("13 brings bad luck")))
        elif name == "introduce":
            result.set_result(Introduction("here", self.number, 1.0, True))
        else:
            result.set_result(2 * given[0] if given else None)

    def end(self) -> None:
        self.ended = True
        for result in self.held:
            with contextlib.suppress(InvalidStateError):  # it was answered
                result.set_exception(RayError("The actor died.\nMore of it."))


class Ray:
    """What `Replicas` uses of Ray."""

    exceptions = SimpleNamespace(RayError=RayError, RayTaskError=RayTaskError)

    @staticmethod
    def wait(results: list[Future[Any]], num_returns: int = 1, timeout: float = 0) -> Any:
        done, late = wait_for(results, timeout)
        assert num_returns == len(results)
        return list(done), list(late)

    inside: ClassVar[list[Future[Any]]] = []  # of threads in `get`, which take a moment to leave

    @classmethod
    def get(cls, result: Future[Any], timeout: float | None = None) -> Any:
        cls.inside.append(result)
        try:
            return result.result(timeout)
        except TimeoutError as error:
            raise GetTimeoutError from error
        except RayError:
            time.sleep(0.05)
            raise
        finally:
            cls.inside.remove(result)

    @staticmethod
    def kill(actor: Actor) -> None:
        actor.end()


class Made(list[Actor]):
    """All actors that were made; the next ones refuse where `refusal` is set."""

    refusal: Exception | None = None
    failure: Exception | None = None
    """Raised in their place, as Ray does where its head node is lost."""

    def __call__(self) -> Actor:
        if self.failure:
            raise self.failure
        self.append(Actor(len(self) + 1, self.refusal))
        return self[-1]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Made:
    for name, seconds in (("TICK", 0.01), ("CHECK", 0.05), ("ANSWER", 1.0), ("CALL", 5.0)):
        monkeypatch.setattr(pool, f"_{name}_SECONDS", seconds)
    monkeypatch.setattr(pool, "_LONGEST_PAUSE", 0.05)
    return Made()


@pytest.fixture
def opened(made: Made) -> Iterator[Callable[[int], Replicas]]:
    """Starts so many replicas, and ends them after the test."""
    started = []

    def start(count: int) -> Replicas:
        started.append(Replicas(Ray, made, count))
        started[-1].introduce()
        return started[-1]

    yield start
    for replicas in started:
        replicas.close()


def soon(is_so: Callable[[], bool]) -> bool:
    """Wait until something is so, for some seconds."""
    end = time.monotonic() + 5
    while not is_so() and time.monotonic() < end:
        time.sleep(0.005)
    return is_so()


def test_requests_go_to_whoever_is_free(opened: Callable[[int], Replicas], made: Made):
    replicas = opened(2)
    made[0].go_on.clear()
    with ThreadPoolExecutor() as threads:
        first, second = (threads.submit(replicas.ask, "double", number) for number in (1, 2))
        assert soon(lambda: first.done() or second.done())
        assert replicas.ask("double", 3) == 6
        made[0].go_on.set()
        assert (first.result(), second.result()) == (2, 4)


def test_a_request_whose_replica_dies_is_answered_by_another(
    opened: Callable[[int], Replicas], made: Made, caplog
):
    replicas = opened(2)
    for actor in made[:2]:
        actor.go_on.clear()
    with ThreadPoolExecutor() as threads:
        asked = threads.submit(replicas.ask, "double", 4)
        assert soon(lambda: any(len(actor.held) == 2 for actor in made))
        holder = next(actor for actor in made if len(actor.held) == 2)
        holder.end()
        for actor in made:
            actor.go_on.set()
        assert asked.result(timeout=5) == 8
    assert (replicas.lost, replicas.repeated) == (1, 1)
    assert "lost and will be replaced: The actor died. The batch" in caplog.text
    assert soon(lambda: "answers again: process 3 on here" in caplog.text)
    assert len(made) == 3


def test_replicas_that_died_while_they_were_idle_cost_no_request(
    opened: Callable[[int], Replicas], made: Made, monkeypatch
):
    monkeypatch.setattr(pool, "_CHECK_SECONDS", 100.0)
    replicas = opened(3)
    for actor in made[:3]:
        actor.end()
    assert replicas.ask("double", 5) == 10
    assert (replicas.lost, replicas.repeated) == (1, 1)


def test_with_no_replica_left_requests_wait_for_the_next_one(
    opened: Callable[[int], Replicas], made: Made, monkeypatch
):
    monkeypatch.setattr(pool, "_CHECK_SECONDS", 100.0)
    replicas = opened(1)
    made[0].end()
    assert replicas.ask("double", 5) == 10
    assert replicas.repeated == 1 and replicas.can_answer()


def test_where_none_comes_back_requests_are_refused_and_later_ones_at_once(
    opened: Callable[[int], Replicas], made: Made, monkeypatch, caplog
):
    monkeypatch.setattr(pool, "PATIENCE_SECONDS", 2.0)
    monkeypatch.setattr(pool, "_LONGEST_PAUSE", 0.3)
    replicas = opened(1)
    started = time.monotonic()
    made.refusal = UnlikeError("The replica on here does not see checkpoint x.")
    made[0].end()
    with pytest.raises(UnavailableError):
        replicas.ask("double", 5)
    assert not replicas.can_answer()
    later = time.monotonic()
    with pytest.raises(UnavailableError):
        replicas.ask("double", 5)
    assert time.monotonic() - later < 1
    assert caplog.text.count("cannot be replaced yet: The replica on here does not see") == 1
    assert 3 < len(made) < 3 + (time.monotonic() - started) / 0.3, "there are pauses between them"
    made.refusal = None
    assert soon(replicas.can_answer)
    assert replicas.ask("double", 5) == 10


def test_a_request_that_costs_two_replicas_is_refused(
    opened: Callable[[int], Replicas], made: Made
):
    replicas = opened(2)
    with pytest.raises(UnavailableError, match="Two replicas were lost"):
        replicas.ask("die")
    assert (replicas.lost, replicas.repeated) == (2, 0)
    assert replicas.ask("double", 1) == 2
    assert soon(lambda: len(made) == 4), "both are replaced"


def test_an_idle_replica_that_dies_or_hangs_is_replaced(
    opened: Callable[[int], Replicas], made: Made, caplog
):
    replicas = opened(2)
    made[0].end()
    made[1].go_on.clear()
    assert soon(lambda: len(made) == 4)
    assert soon(lambda: caplog.text.count("answers again") == 2)
    assert made[1].ended and "has not answered for 1 s" in caplog.text
    assert replicas.ask("double", 1) == 2 and replicas.lost == 0


def test_a_replica_that_holds_a_request_for_too_long_is_replaced(
    opened: Callable[[int], Replicas], made: Made, monkeypatch
):
    monkeypatch.setattr(pool, "_CALL_SECONDS", 0.2)
    monkeypatch.setattr(pool, "_CHECK_SECONDS", 100.0)
    replicas = opened(1)
    made[0].go_on.clear()
    assert replicas.ask("double", 6) == 12
    assert made[0].ended and replicas.repeated == 1


def test_a_replica_that_works_is_not_taken_for_stuck(opened: Callable[[int], Replicas], made: Made):
    replicas = opened(1)
    made[0].go_on.clear()
    assert soon(lambda: len(made[0].held) == 2), "it was asked whether it answers"
    with ThreadPoolExecutor() as threads:
        asked = threads.submit(replicas.ask, "double", 6)
        time.sleep(1.3)
        made[0].go_on.set()
        assert asked.result(timeout=5) == 12
    assert (replicas.lost, len(made)) == (0, 1)


def test_replicas_are_replaced_after_ray_itself_has_failed(
    opened: Callable[[int], Replicas], made: Made, caplog
):
    replicas = opened(1)
    made.failure = ConnectionError("The head node is away.")
    made[0].end()
    assert soon(lambda: "cannot be replaced yet: The head node is away." in caplog.text)
    made.failure = None
    assert soon(replicas.can_answer)
    assert replicas.ask("double", 5) == 10


def test_an_error_of_ray_itself_costs_no_replica(
    opened: Callable[[int], Replicas], made: Made, monkeypatch
):
    monkeypatch.setattr(pool, "_CHECK_SECONDS", 100.0)
    replicas = opened(1)
    with monkeypatch.context() as patch:
        patch.setattr(made[0], "_run", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            replicas.ask("double", 1)
    answers: list[int] = []
    threading.Thread(target=lambda: answers.append(replicas.ask("double", 1)), daemon=True).start()
    assert soon(lambda: answers == [2])


def test_what_a_replica_raises_is_raised_and_costs_no_replica(
    opened: Callable[[int], Replicas], made: Made
):
    replicas = opened(1)
    with pytest.raises(ValueError, match="13 brings bad luck"):
        replicas.ask("fail")
    assert replicas.ask("double", 1) == 2 and len(made) == 1


def test_a_replica_that_refuses_at_the_start_is_named_once(made: Made):
    made.refusal = UnlikeError("The replica on here has numpy 1 instead of 2.")
    replicas = Replicas(Ray, made, 2)
    with pytest.raises(ValueError, match=r"^The replica on here has numpy 1 instead of 2\.$"):
        replicas.introduce()
    replicas.close()
    assert all(actor.ended for actor in made)


def test_a_replica_that_is_late_at_the_start_ends_it(made: Made, monkeypatch):
    monkeypatch.setattr(pool, "START_SECONDS", 1.0)
    replicas = Replicas(Ray, made, 2)
    made[1].go_on.clear()
    with pytest.raises(ValueError, match="1 of 2 replicas have not started within 1 s"):
        replicas.introduce()
    replicas.close()


def test_requests_that_wait_when_the_page_ends_are_refused(
    opened: Callable[[int], Replicas], made: Made
):
    replicas = opened(1)
    made[0].go_on.clear()
    with ThreadPoolExecutor() as threads:
        asked = [threads.submit(replicas.ask, "double", number) for number in (1, 2)]
        assert soon(lambda: len(made[0].held) >= 2)
        replicas.close()
        assert not Ray.inside, "whoever leaves Ray next must not do so under a request"
        for one in asked:
            with pytest.raises(UnavailableError):
                one.result(timeout=5)
