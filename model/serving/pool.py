"""The page's side of its replicas: gives requests to free ones, and replaces those that died.

Replicas are plain actors of Ray. Ray Serve is not used, because a single page sends all requests
and forms the batches itself, so that answers are the same as without replicas; docs/scaling.md has
the details.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from model.serving.replica import Introduction

_log = logging.getLogger(__name__)

START_SECONDS = 120.0
"""The longest time in which a replica may load everything."""

PATIENCE_SECONDS = 30.0
"""How long requests wait after the last replica was lost; replacing one takes about 4 s."""

_CALL_SECONDS = 60.0  # for one batch; a replica that takes longer counts as stuck
_CHECK_SECONDS = 3.0  # between two checks of an idle replica
_ANSWER_SECONDS = 15.0  # for the answer to a check
_TICK_SECONDS = 0.25
_CLOSE_SECONDS = 5.0  # for threads to stop using Ray before the page leaves it
_LONGEST_PAUSE = 30.0  # between two attempts to start a replacement


class UnavailableError(ConnectionError):
    """No replica can answer at the moment."""


@dataclass(eq=False)
class _Place:
    """The place of a replica, and of those that replace it.

    Attributes:
        number: Its number in messages, from 1.
        actor: The current actor.
        is_up: Whether the actor has shown that it answers, and has not been lost since.
        is_busy: Whether the actor holds a request.
        asked: The pending result of a check or of the start; None if there is none.
        when: When the actor was last given back, lost or created, in s of `time.monotonic`.
        checked: When the last check began, in s of `time.monotonic`.
        pause: Seconds to wait before the next attempt to replace the actor.
        said: Why the last attempt failed.
    """

    number: int
    actor: Any
    is_up: bool = False
    is_busy: bool = False
    asked: Any = None
    when: float = field(default_factory=time.monotonic)
    checked: float = 0.0
    pause: float = 0.0
    said: str = ""


class Replicas:
    """The replicas of a page; `starting.start` creates them.

    Attributes:
        lost: How many requests a replica held when it died or got stuck.
        repeated: How many of these another replica has answered.
    """

    def __init__(self, ray: Any, make: Callable[[], Any], count: int) -> None:
        """Start replicas; `introduce` waits until they are ready.

        Args:
            ray: The module `ray`.
            make: Creates an actor of `Replica`.
            count: Number of replicas.
        """
        self._ray, self._make = ray, make
        self._places = [_Place(number, make()) for number in range(1, count + 1)]
        self._changed = threading.Condition()
        self._asking = 0  # requests that a replica holds, or that are about to be given to one
        self._closed = threading.Event()
        self._down_since = time.monotonic()
        self._watcher = threading.Thread(target=self._watch, name="replicas", daemon=True)
        self.lost = self.repeated = 0

    def __len__(self) -> int:
        """Return the number of replicas, whether or not they answer."""
        return len(self._places)

    def can_answer(self) -> bool:
        """Tell whether at least one replica answers."""
        return any(place.is_up for place in self._places)

    def introduce(self) -> list[Introduction]:
        """Wait until all replicas have loaded everything, and then start watching them.

        Returns:
            The introduction of each replica.

        Raises:
            ValueError: A replica cannot start, or has other versions, checkpoints or weights.
        """
        said = [place.actor.introduce.remote() for place in self._places]
        _, late = self._ray.wait(said, num_returns=len(said), timeout=START_SECONDS)
        if late:
            raise ValueError(
                f"{len(late)} of {len(said)} replicas have not started within "
                f"{START_SECONDS:.0f} s. Check with `ray status` whether the CPUs are in use."
            )
        found, faults = [], dict[str, None]()
        for answer in said:
            try:
                found.append(self._ray.get(answer))
            except self._ray.exceptions.RayTaskError as error:
                faults[str(error.cause)] = None
            except self._ray.exceptions.RayError as error:
                last = str(error).strip().splitlines()[-1].strip()
                faults[f"A replica cannot start, perhaps without Frostflower's code: {last}"] = None
        if faults:
            raise ValueError(" ".join(faults))
        for place in self._places:
            self._up(place)
        self._watcher.start()
        return found

    def ask(self, method: str, *arguments: Any) -> Any:
        """Let a free replica answer; if it is lost in the meantime, ask another one.

        Args:
            method: Name of a method of `Replica`.
            arguments: Arguments of the method.

        Returns:
            The result of the method.

        Raises:
            UnavailableError: No replica answers, or a second one was lost as well.
            Exception: Whatever the replica raises.
        """
        with self._counted():
            for attempt in (1, 2):
                place, actor = self._take() if attempt == 1 else self._take_sound()
                try:
                    asked = getattr(actor, method).remote(*arguments)
                    answer = self._ray.get(asked, timeout=_CALL_SECONDS)
                except self._ray.exceptions.RayTaskError as error:
                    raise error.cause from None
                except self._ray.exceptions.RayError as error:
                    with self._changed:
                        self.lost += 1
                    again = "asked again" if attempt == 1 else "refused, as it was repeated before"
                    self._lose(place, actor, f"{_reason(error)} The batch that it held is {again}.")
                else:
                    with self._changed:
                        self.repeated += attempt - 1
                    return answer
                finally:
                    self._give_back(place, actor)
        raise UnavailableError("Two replicas were lost while they held the same request.")

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        """Count a request within the block, so that `close` can wait for it."""
        with self._changed:
            self._asking += 1
        try:
            yield
        finally:
            with self._changed:
                self._asking -= 1
                self._changed.notify_all()

    def close(self) -> None:
        """End the replicas, and wait a few seconds until no request needs Ray any more.

        Requests that wait for a replica, or whose replica ends now, are refused.
        """
        with self._changed:
            self._closed.set()
            self._changed.notify_all()
        if self._watcher.is_alive():
            self._watcher.join(_CLOSE_SECONDS)
        for place in self._places:
            self._end(place.actor)
        with self._changed:
            self._changed.wait_for(lambda: not self._asking, _CLOSE_SECONDS)

    def _take(self) -> tuple[_Place, Any]:
        """Wait for a free replica; if there are several, take the one that was free the longest.

        Raises:
            UnavailableError: No replica has answered for `PATIENCE_SECONDS`, or the pool is closed.
        """
        with self._changed:
            while not self._closed.is_set():
                if free := [one for one in self._places if one.is_up and not one.is_busy]:
                    place = min(free, key=lambda one: one.when)
                    place.is_busy = True
                    return place, place.actor
                left = self._down_since + PATIENCE_SECONDS - time.monotonic()
                if not self.can_answer() and left <= 0:
                    break
                self._changed.wait(None if self.can_answer() else left)
        raise UnavailableError("No replica answers.")

    def _take_sound(self) -> tuple[_Place, Any]:
        """Take a replica and check it first, because it may have died unnoticed while idle.

        Raises:
            UnavailableError: No replica has answered for `PATIENCE_SECONDS`, or the pool is closed.
        """
        while True:
            place, actor = self._take()
            try:
                self._ray.get(actor.check.remote(), timeout=_ANSWER_SECONDS)
            except self._ray.exceptions.RayError as error:
                self._lose(place, actor, _reason(error))
            else:
                return place, actor

    def _give_back(self, place: _Place, actor: Any) -> None:
        with self._changed:
            if place.actor is actor:  # otherwise it has been replaced
                place.is_busy, place.when = False, time.monotonic()
                self._changed.notify_all()

    def _up(self, place: _Place) -> None:
        with self._changed:
            place.is_up, place.asked, place.pause, place.said = True, None, 0.0, ""
            place.is_busy, place.when = False, time.monotonic()
            self._changed.notify_all()

    def _lose(self, place: _Place, actor: Any, reason: str) -> None:
        """Mark a replica as lost, and kill what is left of it; the watcher replaces it."""
        with self._changed:
            if self._closed.is_set() or place.actor is not actor or not place.is_up:
                return
            place.is_up = place.is_busy = False
            place.asked, place.when = None, time.monotonic()
            if not self.can_answer():
                self._down_since = time.monotonic()
            self._changed.notify_all()
        _log.warning("Replica %d is lost and will be replaced: %s", place.number, reason)
        self._end(actor)

    def _end(self, actor: Any) -> None:
        with contextlib.suppress(Exception):  # Ray raises various errors after a cluster has ended
            self._ray.kill(actor)

    def _watch(self) -> None:
        """Replace lost replicas and check idle ones, until the pool is closed."""
        while not self._closed.wait(_TICK_SECONDS):
            for place in self._places:
                if place.is_up:
                    self._check(place, place.actor)
                else:
                    self._replace(place)

    def _check(self, place: _Place, actor: Any) -> None:
        """Check an idle replica from time to time; if it does not answer in time, it is lost.

        A request may reach the replica during a check, and then waits for a few milliseconds.
        Another thread may mark the replica as lost at any time; `_replace` then takes over.
        """
        now = time.monotonic()
        try:
            if (asked := place.asked) is None:
                if not place.is_busy and now - max(place.when, place.checked) > _CHECK_SECONDS:
                    self._note(place, actor.check.remote())
                    place.checked = now
                return
            done, _ = self._ray.wait([asked], timeout=0)
            if done:
                self._ray.get(done[0])
                self._note(place, None)
            elif not place.is_busy and now - max(place.when, place.checked) > _ANSWER_SECONDS:
                self._lose(place, actor, f"It has not answered for {_ANSWER_SECONDS:.0f} s.")
        except Exception as error:  # whatever Ray raises: this thread must go on
            self._lose(place, actor, _reason(error))

    def _note(self, place: _Place, asked: Any) -> None:
        """Remember the pending check of a replica, unless it was lost in the meantime."""
        with self._changed:
            if place.is_up:
                place.asked = asked

    def _replace(self, place: _Place) -> None:
        """Start a replacement, or find out whether it has loaded everything."""
        now = time.monotonic()
        try:
            if place.asked is None:
                if now - place.when >= place.pause:
                    place.actor, place.when = self._make(), now
                    place.asked = place.actor.introduce.remote()
                return
            done, _ = self._ray.wait([place.asked], timeout=0)
            if done:
                said: Introduction = self._ray.get(done[0])
                self._up(place)
                _log.warning("Replica %d answers again: %s", place.number, said.text)
                return
            if now - place.when <= START_SECONDS:
                return
            reason = f"It has not started within {START_SECONDS:.0f} s."
        except Exception as error:  # whatever Ray raises: this thread must go on
            reason = _reason(error)
        self._end(place.actor)
        place.asked, place.when = None, now
        place.pause = min(_LONGEST_PAUSE, max(1.0, 2 * place.pause))
        if reason != place.said:
            place.said = reason
            _log.warning("Replica %d cannot be replaced yet: %s", place.number, reason)


def _reason(error: Exception) -> str:
    """Describe in a sentence why a replica did not answer."""
    if isinstance(error, TimeoutError):
        return f"It has not answered for {_CALL_SECONDS:.0f} s."
    said = str(getattr(error, "cause", None) or error).strip()
    return said.splitlines()[0] if said else f"{type(error).__name__}."
