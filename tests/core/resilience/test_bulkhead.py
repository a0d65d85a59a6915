import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from strangler.core.resilience.bulkhead import ENTERED, FULL, Bulkhead, Ticket, TicketState
from strangler.core.settings import BulkheadSettings

ONE_AND_TWO_WAIT = BulkheadSettings(in_flight=1, waiting=2, wait_s=1.0)


def wait_in(bulkhead: Bulkhead) -> Ticket:
    ticket = bulkhead.try_enter()
    assert isinstance(ticket, Ticket)
    return ticket


def test_slots_then_queue_then_full() -> None:
    bulkhead = Bulkhead(ONE_AND_TWO_WAIT)
    assert bulkhead.try_enter() is ENTERED
    wait_in(bulkhead)
    wait_in(bulkhead)
    assert bulkhead.try_enter() is FULL
    assert (bulkhead.in_flight, bulkhead.waiting) == (1, 2)


def test_who_leaves_hands_the_slot_to_the_first_in_the_queue() -> None:
    bulkhead = Bulkhead(ONE_AND_TWO_WAIT)
    bulkhead.try_enter()
    first, second = wait_in(bulkhead), wait_in(bulkhead)
    assert bulkhead.leave() is first
    assert first.state is TicketState.GRANTED
    assert second.state is TicketState.WAITING
    assert bulkhead.in_flight == 1


def test_a_newcomer_does_not_overtake_a_ticket_that_was_granted_but_not_claimed() -> None:
    bulkhead = Bulkhead(ONE_AND_TWO_WAIT)
    bulkhead.try_enter()
    first = wait_in(bulkhead)
    bulkhead.leave()
    assert isinstance(bulkhead.try_enter(), Ticket)
    bulkhead.claim(first)


def test_a_ticket_that_is_given_up_leaves_its_place_in_the_middle() -> None:
    bulkhead = Bulkhead(ONE_AND_TWO_WAIT)
    bulkhead.try_enter()
    first, second = wait_in(bulkhead), wait_in(bulkhead)
    assert bulkhead.give_up(first) is None
    third = wait_in(bulkhead)
    assert [bulkhead.leave(), bulkhead.leave(), bulkhead.leave()] == [second, third, None]


def test_a_slot_granted_to_a_ticket_that_is_given_up_goes_to_the_next() -> None:
    bulkhead = Bulkhead(ONE_AND_TWO_WAIT)
    bulkhead.try_enter()
    first, second = wait_in(bulkhead), wait_in(bulkhead)
    bulkhead.leave()
    assert bulkhead.give_up(first) is second
    assert bulkhead.in_flight == 1


@pytest.mark.parametrize(
    ("act", "message"),
    [
        pytest.param(lambda b, t: b.claim(t), "WAITING cannot become CLAIMED", id="claimed before its turn"),
        pytest.param(lambda b, t: [b.give_up(t), b.give_up(t)], "GIVEN_UP cannot become GIVEN_UP", id="given up twice"),
        pytest.param(
            lambda b, t: [b.leave(), b.claim(t), b.claim(t)], "CLAIMED cannot become CLAIMED", id="claimed twice"
        ),
        pytest.param(
            lambda b, t: [b.leave(), b.claim(t), b.give_up(t)], "CLAIMED cannot become GIVEN_UP", id="claimed, given up"
        ),
        pytest.param(lambda b, t: [b.leave(), b.leave(), b.leave()], "never entered", id="left too often"),
    ],
)
def test_a_slot_given_back_twice_is_a_bug_that_is_raised(act: object, message: str) -> None:
    bulkhead = Bulkhead(ONE_AND_TWO_WAIT)
    bulkhead.try_enter()
    ticket = wait_in(bulkhead)
    assert callable(act)
    with pytest.raises(ValueError, match=message):
        act(bulkhead, ticket)


@pytest.mark.parametrize(
    "part",
    [
        pytest.param(BulkheadSettings(in_flight=1, waiting=0, wait_s=1.0), id="waiting 0"),
        pytest.param(BulkheadSettings(in_flight=1, waiting=9, wait_s=0.0), id="wait 0"),
    ],
)
def test_without_a_queue_it_is_full_at_once(part: BulkheadSettings) -> None:
    bulkhead = Bulkhead(part)
    assert [bulkhead.try_enter(), bulkhead.try_enter()] == [ENTERED, FULL]


def test_switched_off_it_counts_and_never_refuses() -> None:
    bulkhead = Bulkhead(None)
    assert {bulkhead.try_enter() for _ in range(10_000)} == {ENTERED}
    assert bulkhead.in_flight == 10_000


def test_a_higher_limit_lets_those_in_who_wait() -> None:
    bulkhead = Bulkhead(ONE_AND_TWO_WAIT)
    bulkhead.try_enter()
    first, second = wait_in(bulkhead), wait_in(bulkhead)
    assert bulkhead.adopt(None) == [first, second]
    assert bulkhead.in_flight == 3


def test_a_lower_limit_throws_nobody_out() -> None:
    bulkhead = Bulkhead(BulkheadSettings(in_flight=2, waiting=2, wait_s=1.0))
    bulkhead.try_enter()
    bulkhead.try_enter()
    assert bulkhead.adopt(ONE_AND_TWO_WAIT) == []
    ticket = wait_in(bulkhead)
    assert bulkhead.leave() is None
    assert bulkhead.leave() is ticket


class NoSlotIsLostOrDoubled(RuleBasedStateMachine):
    """Against a model: a list for the queue, a set for those granted, a number for those inside."""

    def __init__(self) -> None:
        super().__init__()
        self.limit, self.waiting = 2, 3
        self.bulkhead = Bulkhead(BulkheadSettings(2, 3, 1.0))
        self.inside = 0
        self.queue: list[Ticket] = []
        self.granted: list[Ticket] = []

    def expect(self, woken: Ticket | None) -> None:
        """Check a slot that has just come free against the model."""
        fits = self.inside + len(self.granted) < self.limit
        assert woken is (self.queue[0] if self.queue and fits else None)
        if woken is not None:
            self.granted.append(self.queue.pop(0))

    @rule()
    def enter(self) -> None:
        entry = self.bulkhead.try_enter()
        if self.inside + len(self.granted) < self.limit:
            assert entry is ENTERED
            self.inside += 1
        elif len(self.queue) >= self.waiting:
            assert entry is FULL
        else:
            assert isinstance(entry, Ticket)
            self.queue.append(entry)

    @precondition(lambda self: self.inside)
    @rule()
    def leave(self) -> None:
        self.inside -= 1
        self.expect(self.bulkhead.leave())

    @precondition(lambda self: self.granted)
    @rule()
    def claim(self) -> None:
        self.bulkhead.claim(self.granted.pop(0))
        self.inside += 1

    @precondition(lambda self: self.granted)
    @rule()
    def give_up_a_granted_slot(self) -> None:
        self.expect(self.bulkhead.give_up(self.granted.pop()))

    @precondition(lambda self: self.queue)
    @rule(data=st.data())
    def give_up_a_place(self, data: st.DataObject) -> None:
        ticket = self.queue.pop(data.draw(st.integers(0, len(self.queue) - 1)))
        assert self.bulkhead.give_up(ticket) is None

    @rule(limit=st.integers(0, 4), waiting=st.integers(0, 4))
    def reload(self, limit: int, waiting: int) -> None:
        self.limit, self.waiting = limit, waiting
        free = max(0, limit - self.inside - len(self.granted))
        woken = self.bulkhead.adopt(BulkheadSettings(limit, waiting, 1.0))
        assert woken == self.queue[:free]
        self.granted += woken
        del self.queue[:free]

    @invariant()
    def counts_agree(self) -> None:
        assert self.bulkhead.in_flight == self.inside + len(self.granted)
        assert self.bulkhead.waiting == len(self.queue)

    @invariant()
    def nobody_waits_beside_a_free_slot(self) -> None:
        assert not self.queue or self.bulkhead.in_flight >= self.limit


TestNoSlotIsLostOrDoubled = NoSlotIsLostOrDoubled.TestCase
TestNoSlotIsLostOrDoubled.settings = settings(max_examples=60)
