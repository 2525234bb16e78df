"""A queue in which visitors take turns, so that none of them can fill it.

Gradio's queue serves calls in the order of their arrival and refuses everybody once it is full, so
one visitor can occupy all of it. This module changes only the order: each call keeps the context of
its request, which ZeroGPU needs.
"""

from typing import Any, SupportsIndex

import gradio as gr
from gradio.queueing import Event, Queue

MAX_WAITING = 512
"""Most waiting calls of all visitors together; each keeps its photograph in the upload folder."""

SHARE = 64
"""Most waiting calls of one visitor: enough for 32 programs behind one address, with two each."""

ADDRESS_SHARE = 256
"""Most waiting calls from one address, however many visitors it claims to be."""


def _address(request: Any) -> str:
    return request.client.host if request is not None and request.client else ""


def _visitor(event: Event) -> str:
    """Return Gradio's session as the visitor's name, or the address if there is no session."""
    has_session = event.session_hash != event._id
    return event.session_hash if has_session else _address(event.request)


class Line(list[Event]):
    """Waiting calls: the first call of each visitor, then the second of each, and so on."""

    def __init__(self) -> None:
        """Make an empty line."""
        super().__init__()
        self._turn = 0  # turn of the call that was served last
        self._turns: dict[str, int] = {}  # call -> turn
        self.newest = 0
        """Place in the line of the call that came last, from 0."""

    def append(self, event: Event) -> None:
        """Insert a call behind the calls of other visitors that have the same turn."""
        visitor = _visitor(event)
        own = [self._turns[other._id] for other in self if _visitor(other) == visitor]
        turn = max([self._turn, *own]) + 1
        self._turns[event._id] = turn
        place = next((i for i, other in enumerate(self) if self._turns[other._id] > turn), None)
        self.newest = len(self) if place is None else place
        self.insert(self.newest, event)

    def remove(self, event: Event) -> None:
        """Remove a call, because it is served or its visitor has left."""
        turn = self._turns.pop(event._id)
        if self[0] is event:
            self._turn = turn  # so that no later call overtakes the others of this turn
        super().remove(event)

    def pop(self, index: SupportsIndex = -1) -> Event:
        """Remove a call and return it."""
        event = self[index]
        self.remove(event)
        return event


class FairQueue(Queue):
    """Gradio's queue with a `Line` for each function, and a limit for each visitor."""

    def create_event_queue_for_fn(self, block_fn: Any) -> None:
        """Make Gradio's queue for a function, and put a `Line` into it."""
        super().create_event_queue_for_fn(block_fn)
        waiting = self.event_queue_per_concurrency_id[block_fn.concurrency_id]
        if not isinstance(waiting.queue, Line):
            waiting.queue = Line()

    def broadcast_estimations(self, concurrency_id: str, after: int | None = None) -> None:
        """Tell waiting visitors their place in the line.

        Args:
            concurrency_id: The id of the line.
            after: None to tell all. Otherwise the place of a call that has just come, which Gradio
                assumes to be the last one.
        """
        if after is not None:
            waiting = self.event_queue_per_concurrency_id[concurrency_id].queue
            after = waiting.newest if isinstance(waiting, Line) else after
        super().broadcast_estimations(concurrency_id, after)

    async def push(self, body: Any, request: Any, username: str | None) -> Any:
        """Add a call to the queue, or refuse it with a reason.

        Args:
            body: The call.
            request: The request that brought the call.
            username: The name of the visitor who has signed in; None without a sign-in.

        Returns:
            Whether the call was added, its id or the reason why not, and Gradio's name for the
            outcome.
        """
        address = _address(request)
        visitor = body.session_hash or address
        lines = self.event_queue_per_concurrency_id.values()
        events = [event for line in lines for event in line.queue]
        own = sum(_visitor(event) == visitor for event in events)
        beside = sum(_address(event.request) == address for event in events)
        if own >= SHARE or beside >= ADDRESS_SHARE:
            waiting = own if own >= SHARE else beside
            reason = f"{waiting} of your photographs are waiting. Send more when some are done."
            return False, reason, "queue_full"
        if len(events) >= MAX_WAITING:
            reason = f"{len(events)} photographs are waiting. Please try again later."
            return False, reason, "queue_full"
        return await super().push(body, request, username)


def take_turns(page: gr.Blocks) -> gr.Blocks:
    """Give a page a queue in which visitors take turns.

    Args:
        page: The page; its queue must still be empty.

    Returns:
        The same page.
    """
    # Without api_open=False, calls of /run/predict would bypass the queue and its limits.
    page.queue(max_size=MAX_WAITING, api_open=False)
    page._queue.__class__ = FairQueue  # Gradio has no parameter for the class of the queue
    return page
