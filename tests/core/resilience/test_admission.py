from contextlib import suppress
from dataclasses import replace

import pytest

from strangler.core.fault import Fault
from strangler.core.resilience.admission import Admission, Permit, Refusal
from strangler.core.resilience.breaker import CLOSED, HALF_OPEN, OPEN
from strangler.core.resilience.bulkhead import Ticket
from strangler.core.result import Result
from strangler.core.settings import (
    BulkheadSettings,
    HeaderEdits,
    RetrySettings,
    TimeoutSettings,
    TlsSettings,
    UpstreamSettings,
    Url,
)
from tests.factories import breaker

SETTINGS = UpstreamSettings(
    name="orders",
    urls=(Url("http", "127.0.0.1", 8001, ""),),
    tls=TlsSettings(ca=None, verify=True),
    host="preserve",
    timeouts=TimeoutSettings(connect_s=2.0, response_s=60.0, idle_s=60.0),
    bulkhead=BulkheadSettings(in_flight=2, waiting=2, wait_s=3.0),
    breaker=breaker(consecutive=2, cooldown_s=10.0, counts=("connect", 503)),
    retry=RetrySettings(attempts=2, when=("connect",), backoff_s=0.025, max_backoff_s=0.25, budget=0.2),
    health=None,
    headers=HeaderEdits(set=(), remove=()),
)
OK = Result(None, 200, 0.01)
ERROR = Result(None, 503, 0.01)


def no_jitter() -> float:
    return 0.0


def enter(admission: Admission, now: float = 0.0) -> Permit:
    permit = admission.admit(now)
    assert isinstance(permit, Permit)
    return permit


def queue(admission: Admission, woken: list[str], name: str) -> Ticket:
    ticket = admission.admit(0.0)
    assert isinstance(ticket, Ticket)
    ticket.on_turn = lambda: woken.append(name)
    return ticket


def trip(admission: Admission, now: float = 0.0) -> None:
    for _ in range(2):
        with enter(admission, now) as permit:
            permit.report(ERROR, now, no_jitter)
    assert admission.breaker.state is OPEN


def test_the_slot_is_given_back_on_every_way_out() -> None:
    admission = Admission(SETTINGS)
    for way_out in (KeyError, TimeoutError):
        with suppress(way_out), enter(admission):
            assert admission.bulkhead.in_flight == 1
            raise way_out
    with enter(admission):
        pass
    assert admission.bulkhead.in_flight == 0


def test_a_permit_is_released_once() -> None:
    admission = Admission(SETTINGS)
    permit, other = enter(admission), enter(admission)
    permit.release()
    permit.release()
    assert admission.bulkhead.in_flight == 1
    other.release()


def test_only_the_first_report_counts() -> None:
    admission = Admission(SETTINGS)
    with enter(admission) as permit:
        for _ in range(5):
            permit.report(ERROR, 0.0, no_jitter)
    assert admission.breaker.state is CLOSED


def test_a_report_leaves_the_slot_taken() -> None:
    admission = Admission(SETTINGS)
    with enter(admission) as permit:
        permit.report(OK, 0.0, no_jitter)
        assert admission.bulkhead.in_flight == 1


def test_the_report_returns_the_change() -> None:
    admission = Admission(SETTINGS)
    changes = []
    for _ in range(2):
        with enter(admission, 5.0) as permit:
            changes.append(permit.report(ERROR, 5.0, no_jitter))
    assert changes[0] is None
    assert changes[1] is not None
    assert (changes[1].upstream, changes[1].after) == ("orders", OPEN)


def test_an_open_breaker_refuses_and_takes_no_slot() -> None:
    admission = Admission(SETTINGS)
    trip(admission, now=100.0)
    assert admission.admit(104.0) == Refusal(Fault.OPEN, 6.0)
    assert admission.bulkhead.in_flight == 0


def test_the_first_trial_brings_the_change() -> None:
    admission = Admission(SETTINGS)
    trip(admission)
    with enter(admission, 10.0) as permit:
        assert permit.change is not None
        assert permit.change.after is HALF_OPEN


def test_a_trial_that_is_cancelled_is_free_again() -> None:
    admission = Admission(SETTINGS)
    trip(admission)
    with enter(admission, 10.0):
        assert admission.admit(10.0) == Refusal(Fault.OPEN, 1.0)
    assert isinstance(admission.admit(10.0), Permit)


def test_a_full_bulkhead_lets_wait_then_refuses() -> None:
    admission = Admission(SETTINGS)
    enter(admission)
    enter(admission)
    queue(admission, [], "first")
    queue(admission, [], "second")
    assert admission.admit(0.0) == Refusal(Fault.FULL, 3.0)


def test_whoever_waits_is_woken_in_order_and_resumes() -> None:
    admission = Admission(SETTINGS)
    woken: list[str] = []
    permit, other = enter(admission), enter(admission)
    first = queue(admission, woken, "first")
    queue(admission, woken, "second")
    permit.release()
    assert woken == ["first"]
    resumed = admission.resume(first, 1.0)
    assert isinstance(resumed, Permit)
    other.release()
    assert woken == ["first", "second"]
    resumed.release()
    assert admission.bulkhead.in_flight == 1


def test_a_waiter_who_gives_up_late_passes_the_slot_on() -> None:
    admission = Admission(SETTINGS)
    woken: list[str] = []
    permit, _ = enter(admission), enter(admission)
    first = queue(admission, woken, "first")
    queue(admission, woken, "second")
    permit.release()
    admission.give_up(first)
    assert woken == ["first", "second"]
    assert admission.bulkhead.in_flight == 2


def test_with_an_open_breaker_nobody_starts_to_wait() -> None:
    admission = Admission(SETTINGS)
    stuck = [enter(admission), enter(admission)]
    for permit in stuck:
        permit.report(ERROR, 0.0, no_jitter)
    assert admission.admit(1.0) == Refusal(Fault.OPEN, 9.0)
    assert (admission.bulkhead.in_flight, admission.bulkhead.waiting) == (2, 0)


def test_who_waited_while_the_breaker_opened_is_refused_and_the_next_is_woken() -> None:
    admission = Admission(SETTINGS)
    woken: list[str] = []
    stuck = [enter(admission), enter(admission)]
    first = queue(admission, woken, "first")
    queue(admission, woken, "second")
    for permit in stuck:
        permit.report(ERROR, 0.0, no_jitter)
    stuck[0].release()
    assert admission.resume(first, 1.0) == Refusal(Fault.OPEN, 9.0)
    assert woken == ["first", "second"]


def test_attempts_that_are_let_through_earn_retries() -> None:
    admission = Admission(SETTINGS)
    for _ in range(50):
        enter(admission).release()
    retries = 0
    while admission.budget.try_spend(0.0):
        retries += 1
    assert retries == 33  # the floor of 30, and a fifth of the first attempts that are left of 50


def test_switched_off_parts_let_everything_through() -> None:
    admission = Admission(replace(SETTINGS, breaker=None, bulkhead=None, retry=None))
    for _ in range(100):
        enter(admission).report(ERROR, 0.0, no_jitter)
    assert admission.bulkhead.in_flight == 100


# Reload.


def test_what_is_unchanged_keeps_its_state() -> None:
    admission = Admission(SETTINGS)
    trip(admission)
    budget = admission.budget
    assert admission.adopt(replace(SETTINGS, bulkhead=None, host="upstream"), 1.0) is None
    assert admission.breaker.state is OPEN
    assert admission.budget is budget


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param(replace(SETTINGS, urls=(Url("http", "127.0.0.1", 8002, ""),)), id="urls"),
        pytest.param(replace(SETTINGS, tls=TlsSettings(ca=None, verify=False)), id="tls"),
        pytest.param(replace(SETTINGS, breaker=None), id="breaker"),
    ],
)
def test_what_the_breaker_knew_no_longer_holds(changed: UpstreamSettings) -> None:
    admission = Admission(SETTINGS)
    trip(admission)
    change = admission.adopt(changed, 1.0)
    assert change is not None
    assert (change.before, change.after) == (OPEN, CLOSED)
    assert isinstance(admission.admit(1.0), Permit)


def test_a_permit_survives_a_reload_of_everything() -> None:
    admission = Admission(SETTINGS)
    permit = enter(admission)
    admission.adopt(replace(SETTINGS, bulkhead=None, breaker=None, retry=None), 1.0)
    permit.report(ERROR, 2.0, no_jitter)
    permit.release()
    assert admission.bulkhead.in_flight == 0


def test_a_higher_limit_wakes_those_who_wait() -> None:
    admission = Admission(SETTINGS)
    woken: list[str] = []
    enter(admission)
    enter(admission)
    queue(admission, woken, "first")
    admission.adopt(replace(SETTINGS, bulkhead=BulkheadSettings(in_flight=3, waiting=2, wait_s=3.0)), 1.0)
    assert woken == ["first"]


def test_new_retry_settings_are_followed() -> None:
    admission = Admission(SETTINGS)
    assert SETTINGS.retry is not None
    admission.adopt(replace(SETTINGS, retry=replace(SETTINGS.retry, when=(503,))), 1.0)
    assert admission.retry.when == {503}


def test_a_stream_leaves_its_slot_to_who_waits_and_is_counted_by_itself() -> None:
    admission, woken = Admission(SETTINGS), list[str]()
    permits = [enter(admission), enter(admission)]
    ticket = queue(admission, woken, "first")
    assert permits[0].become_stream()
    assert permits[0].become_stream()  # a second time it changes nothing
    assert (woken, admission.bulkhead.in_flight, admission.bulkhead.streams) == (["first"], 2, 1)
    assert isinstance(admission.resume(ticket, 0.0), Permit)
    permits[0].release()
    permits[0].release()
    assert (admission.bulkhead.in_flight, admission.bulkhead.streams) == (2, 0)


def test_beyond_its_limit_nothing_becomes_a_stream() -> None:
    admission = Admission(replace(SETTINGS, bulkhead=BulkheadSettings(2, 2, 3.0, streams=1)))
    first, second = enter(admission), enter(admission)
    assert first.become_stream()
    assert not second.become_stream()
    assert (admission.bulkhead.in_flight, admission.bulkhead.streams) == (1, 1)
    first.release()
    assert second.become_stream()


def test_responses_that_have_come_for_long_make_room_when_slots_lack() -> None:
    admission = Admission(SETTINGS)
    old, young = enter(admission), enter(admission)
    old.begin_body(0.0)
    young.begin_body(5.0)
    assert isinstance(admission.admit(9.9), Ticket)
    enter(admission, 20.0)
    assert (admission.bulkhead.streams, list(admission.bodies)) == (2, [])
    for permit in (old, young):
        permit.release()
    assert admission.bulkhead.streams == 0


def test_a_response_that_has_ended_is_no_stream() -> None:
    admission = Admission(SETTINGS)
    permit = enter(admission)
    permit.begin_body(0.0)
    permit.release()
    assert not admission.bodies
    assert permit.become_stream()
    assert admission.bulkhead.streams == 0
