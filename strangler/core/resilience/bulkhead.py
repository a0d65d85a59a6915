# Compiled with mypyc: see docs/hot-path.md.
"""The bulkhead of one upstream: the most requests in flight, and the most that wait for one of them to end.

A request enters a slot and leaves it. A slot that is left goes to the first ticket in the queue, so a new request
never overtakes. The caller has a timer for each ticket: when it fires, or the waiting request is cancelled, the ticket
is given up. A slot that was granted to the ticket just before goes on to the next.

A tunnel, or a response without an end, is a stream: it leaves its slot once it is established, and is counted apart.
"""

from collections import OrderedDict
from collections.abc import Callable
from enum import Enum, auto
from sys import maxsize

from strangler.core.settings import BulkheadSettings


class Entry(Enum):
    """The result of `try_enter` without a ticket."""

    ENTERED = auto()
    FULL = auto()


ENTERED, FULL = Entry


class TicketState(Enum):
    WAITING = auto()
    GRANTED = auto()  # it has a slot, but the waiting request does not know yet
    CLAIMED = auto()
    GIVEN_UP = auto()


class Ticket:
    """A place in the queue. Equal only to itself."""

    __slots__ = ("on_turn", "state")

    def __init__(self) -> None:
        self.state = TicketState.WAITING
        self.on_turn: Callable[[], object] | None = None
        """Called once when the slot is granted; set by the waiting request. It must not raise."""

    def move(self, before: TicketState, after: TicketState) -> None:
        """Change the state. Raises `ValueError`, naming both states, unless the ticket was in `before`."""
        if self.state is not before:
            raise ValueError(f"bulkhead: a ticket that is {self.state.name} cannot become {after.name}")
        self.state = after


class Bulkhead:
    """One upstream's slots and queue. With `settings` None it is switched off: it counts and never refuses.

    While any ticket waits, all slots are taken: so taking a free slot overtakes no ticket.
    """

    __slots__ = ("_limit", "_queue", "_stream_limit", "_waiting_limit", "in_flight", "streams", "wait_s")

    def __init__(self, settings: BulkheadSettings | None) -> None:
        self.in_flight = 0
        self.streams = 0
        self._queue: OrderedDict[Ticket, None] = OrderedDict()  # not a deque: a ticket leaves from the middle in O(1)
        self._apply(settings)

    def _apply(self, settings: BulkheadSettings | None) -> None:
        if settings is None:
            self._limit, self._waiting_limit, self.wait_s = maxsize, 0, 0.0
            self._stream_limit = maxsize
            return
        self._stream_limit = maxsize if settings.streams is None else settings.streams
        self._limit = settings.in_flight
        self.wait_s = settings.wait_s
        self._waiting_limit = settings.waiting if settings.wait_s > 0 else 0

    @property
    def waiting(self) -> int:
        return len(self._queue)

    def try_enter(self) -> Entry | Ticket:
        """Take a slot at once, or return a ticket to wait with for up to `wait_s`, or `FULL`."""
        if self.in_flight < self._limit:
            self.in_flight += 1
            return ENTERED
        if len(self._queue) >= self._waiting_limit:
            return FULL
        ticket = Ticket()
        self._queue[ticket] = None
        return ticket

    def leave(self) -> Ticket | None:
        """Give a slot back; return the ticket that gets it, for the caller to wake."""
        if self.in_flight <= 0:
            raise ValueError("bulkhead: a slot is left that was never entered")
        self.in_flight -= 1
        return self._grant() if self._queue else None

    @property
    def is_full(self) -> bool:
        """Return True if a new request has to wait, or is refused."""
        return self.in_flight >= self._limit

    def try_enter_stream(self) -> bool:
        """Count one more stream; return False if the limit is reached."""
        if self.streams >= self._stream_limit:
            return False
        self.streams += 1
        return True

    def leave_stream(self) -> None:
        if self.streams <= 0:
            raise ValueError("bulkhead: a stream ends that was never counted")
        self.streams -= 1

    def claim(self, ticket: Ticket) -> None:
        """Take the slot that a ticket was granted; from then on it is left like any other."""
        ticket.move(TicketState.GRANTED, TicketState.CLAIMED)

    def give_up(self, ticket: Ticket) -> Ticket | None:
        """Stop waiting; return the ticket to wake next, if a slot had been granted already."""
        if ticket.state is TicketState.GRANTED:
            ticket.move(TicketState.GRANTED, TicketState.GIVEN_UP)
            return self.leave()
        ticket.move(TicketState.WAITING, TicketState.GIVEN_UP)
        del self._queue[ticket]
        return None

    def adopt(self, settings: BulkheadSettings | None) -> list[Ticket]:
        """Change the limits; return the tickets that fit now, for the caller to wake. Taken slots stay taken."""
        self._apply(settings)
        granted: list[Ticket] = []
        while ticket := self._grant():
            granted.append(ticket)
        return granted

    def _grant(self) -> Ticket | None:
        if not self._queue or self.in_flight >= self._limit:
            return None
        ticket, _ = self._queue.popitem(last=False)
        ticket.move(TicketState.WAITING, TicketState.GRANTED)
        self.in_flight += 1
        return ticket
