"""Whose photograph is next: visitors take turns, and nobody fills the line.

Gradio's queue serves calls in the order in which they come and refuses everybody once it is full,
so one visitor can take all of it. Calls stay where they are, in the context of their request, which
ZeroGPU looks at; only their order in the line is ours.
"""

from typing import Any, SupportsIndex

import gradio as gr
from gradio.queueing import Event, Queue

MAX_WAITING = 512
"""Calls of all visitors together that wait; each keeps its photograph in the upload folder."""

SHARE = 64
"""Calls of one visitor that wait: 32 programs behind one address may have two each."""

ADDRESS_SHARE = 256
"""Calls of one address that wait, whatever visitors it claims to be."""


def _address(request: Any) -> str:
    return request.client.host if request is not None and request.client else ""


def _visitor(event: Event) -> str:
    """Name the visitor: Gradio's session where there is one, else the address."""
    has_session = event.session_hash != event._id
    return event.session_hash if has_session else _address(event.request)


class Line(list[Event]):
    """Waiting calls: each visitor's first, then each visitor's second, and so on."""

    def __init__(self) -> None:
        """Start empty."""
        super().__init__()
        self._turn = 0  # of the call that was served last
        self._turns: dict[str, int] = {}  # by call
        self.newest = 0
        """Place of the call that came last, from 0."""

    def append(self, event: Event) -> None:
        """Let a call wait behind those of other visitors that have waited as often."""
        visitor = _visitor(event)
        own = [self._turns[other._id] for other in self if _visitor(other) == visitor]
        turn = max([self._turn, *own]) + 1
        self._turns[event._id] = turn
        place = next((i for i, other in enumerate(self) if self._turns[other._id] > turn), None)
        self.newest = len(self) if place is None else place
        self.insert(self.newest, event)

    def remove(self, event: Event) -> None:
        """Take a call out, because it is served or its visitor has left."""
        turn = self._turns.pop(event._id)
        if self[0] is event:
            self._turn = turn  # so that nobody who comes later overtakes those of this turn
        super().remove(event)

    def pop(self, index: SupportsIndex = -1) -> Event:
        """Take a call out and return it."""
        event = self[index]
        self.remove(event)
        return event


class FairQueue(Queue):
    """Gradio's queue, with a `Line` for each function, and a share of it for each visitor."""

    def create_event_queue_for_fn(self, block_fn: Any) -> None:
        """Make what Gradio makes, with a line of ours."""
        super().create_event_queue_for_fn(block_fn)
        waiting = self.event_queue_per_concurrency_id[block_fn.concurrency_id]
        if not isinstance(waiting.queue, Line):
            waiting.queue = Line()

    def broadcast_estimations(self, concurrency_id: str, after: int | None = None) -> None:
        """Tell waiting visitors their place in the line.

        Args:
            concurrency_id: Which line.
            after: None to tell all; else a call has just come, which Gradio takes to be the last.
        """
        if after is not None:
            waiting = self.event_queue_per_concurrency_id[concurrency_id].queue
            after = waiting.newest if isinstance(waiting, Line) else after
        super().broadcast_estimations(concurrency_id, after)

    async def push(self, body: Any, request: Any, username: str | None) -> Any:
        """Take a call, or say why not.

        Args:
            body: The call.
            request: Its request.
            username: Who has signed in.

        Returns:
            As Gradio's own: whether it was taken, its number or the reason, and the kind of answer.
        """
        address = _address(request)
        visitor = body.session_hash or address
        lines = self.event_queue_per_concurrency_id.values()
        events = [event for line in lines for event in line.queue]
        own = sum(_visitor(event) == visitor for event in events)
        beside = sum(_address(event.request) == address for event in events)
        if own >= SHARE or beside >= ADDRESS_SHARE:
            waiting = own if own >= SHARE else beside
            reason = f"{waiting} of your photographs are waiting. Send more when some are answered."
            return False, reason, "queue_full"
        if len(events) >= MAX_WAITING:
            reason = f"{len(events)} photographs are waiting. Please try again later."
            return False, reason, "queue_full"
        return await super().push(body, request, username)


def take_turns(page: gr.Blocks) -> gr.Blocks:
    """Give a page a queue in which visitors take turns.

    Args:
        page: The page; its queue has nothing in it yet.

    Returns:
        The page.
    """
    # The queue is the only way in: without it /run/predict would pass by the limit.
    page.queue(max_size=MAX_WAITING, api_open=False)
    page._queue.__class__ = FairQueue  # Gradio has no parameter for it
    return page
