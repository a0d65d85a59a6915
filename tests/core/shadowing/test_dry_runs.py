"""When a write may be sent as a dry run."""

import pytest

from strangler.core.shadowing import dry_runs
from strangler.core.shadowing.dry_runs import HOLDS_S, Basis, DryRunState, Place, Step, Verdict

ORDERS = Place("POST /api/orders", "http://orders:8001")
BASIS = Basis("1", 0)
NOON = 1000.0


def opened(named: str | None = None, basis: Basis = BASIS, place: Place = ORDERS) -> DryRunState:
    state = DryRunState()
    ask(state, Verdict.CONFIRMED, named, basis, place)
    prove(state, place)
    return state


def prove(state: DryRunState, place: Place = ORDERS) -> None:
    state.begin_trial(place)
    state.end_trial(place, Verdict.CONFIRMED)


def ask(
    state: DryRunState, verdict: Verdict, named: str | None = None, basis: Basis = BASIS, place: Place = ORDERS
) -> None:
    assert state.next_step(place, basis, NOON) is Step.ASK
    state.begin(place, basis, NOON)
    assert state.next_step(place, basis, NOON) is Step.WAIT
    state.end(place, verdict, named)


@pytest.mark.parametrize(
    ("verdict", "then"),
    [
        pytest.param(Verdict.CONFIRMED, Step.TRY, id="confirmed: one write goes out"),
        pytest.param(Verdict.REFUSED, Step.REFUSE, id="refused: none goes out"),
        pytest.param(Verdict.FAILED, Step.ASK, id="no response: it is asked anew"),
    ],
)
def test_what_the_candidate_says_is_what_happens(verdict: Verdict, then: Step) -> None:
    state = DryRunState()
    ask(state, verdict)
    assert state.next_step(ORDERS, BASIS, NOON + 1) is then


@pytest.mark.parametrize(
    ("verdict", "then"),
    [
        pytest.param(Verdict.CONFIRMED, Step.SEND, id="confirmed: all go out"),
        pytest.param(Verdict.REFUSED, Step.REFUSE, id="not confirmed: no other goes out"),
        pytest.param(Verdict.FAILED, Step.TRY, id="no response: another one is tried"),
    ],
)
def test_the_first_write_goes_alone_and_decides(verdict: Verdict, then: Step) -> None:
    state = DryRunState()
    ask(state, Verdict.CONFIRMED)
    assert state.next_step(ORDERS, BASIS, NOON) is Step.TRY
    state.begin_trial(ORDERS)
    assert state.next_step(ORDERS, BASIS, NOON) is Step.WAIT
    assert state.is_open(ORDERS, BASIS, NOON), "the first write itself may be sent"
    state.end_trial(ORDERS, verdict)
    assert state.next_step(ORDERS, BASIS, NOON) is then


def test_a_permission_that_ends_during_the_first_write_is_over() -> None:
    state = DryRunState()
    ask(state, Verdict.CONFIRMED, "1")
    state.begin_trial(ORDERS)
    state.see("2")
    assert not state.is_open(ORDERS, BASIS, NOON)
    state.end_trial(ORDERS, Verdict.CONFIRMED)
    assert state.next_step(ORDERS, BASIS, NOON) is Step.ASK


def test_a_refusal_is_for_all_endpoints_of_the_route() -> None:
    state = opened()
    other = Place("PUT /api/orders/{}", ORDERS.url)
    ask(state, Verdict.REFUSED, place=other)
    assert state.next_step(ORDERS, BASIS, NOON) is Step.REFUSE
    assert state.next_step(Place("PATCH /x", ORDERS.url), BASIS, NOON) is Step.REFUSE


@pytest.mark.parametrize(
    ("place", "basis", "later_s"),
    [
        pytest.param(Place("PUT /api/orders", ORDERS.url), BASIS, 0, id="another endpoint"),
        pytest.param(Place(ORDERS.endpoint, "http://orders:8002"), BASIS, 0, id="another URL of the candidate"),
        pytest.param(ORDERS, Basis("2", 0), 0, id="another current release"),
        pytest.param(ORDERS, Basis("1", 1), 0, id="a failed connection"),
        pytest.param(ORDERS, BASIS, HOLDS_S, id="a minute"),
    ],
)
def test_a_permission_holds_for_no_more_than_it_was_given_for(place: Place, basis: Basis, later_s: float) -> None:
    state = opened()
    assert state.next_step(ORDERS, BASIS, NOON + HOLDS_S - 0.1) is Step.SEND
    assert state.next_step(place, basis, NOON + later_s) is Step.ASK


def test_a_release_that_becomes_the_current_one_after_it_has_confirmed_is_no_other_one() -> None:
    state = opened("2")
    assert state.next_step(ORDERS, Basis("2", 0), NOON) is Step.SEND
    assert state.next_step(ORDERS, Basis("3", 0), NOON) is Step.ASK


@pytest.mark.parametrize(
    ("named", "seen", "step"),
    [
        pytest.param("1", "1", Step.SEND, id="the same"),
        pytest.param("1", "2", Step.ASK, id="another than the confirming response named"),
        pytest.param(None, "1", Step.SEND, id="the current one, and none was named"),
        pytest.param(None, "2", Step.ASK, id="not the current one, and none was named"),
        pytest.param("2", "2", Step.SEND, id="one that is not the current one yet"),
    ],
)
def test_a_response_of_another_release_ends_it(named: str | None, seen: str, step: Step) -> None:
    state = opened(named)
    state.see(seen)
    assert state.next_step(ORDERS, BASIS, NOON) is step


@pytest.mark.parametrize(
    ("seen", "step"),
    [
        pytest.param([], Step.SEND, id="none"),
        pytest.param(["1"], Step.SEND, id="the one that confirms"),
        pytest.param(["2"], Step.ASK, id="another"),
        pytest.param(["1", "2", "1"], Step.ASK, id="both"),
    ],
)
def test_a_release_seen_while_it_is_asked_must_be_the_one_that_confirms(seen: list[str], step: Step) -> None:
    state = DryRunState()
    state.begin(ORDERS, BASIS, NOON)
    for release in seen:
        state.see(release)
    state.end(ORDERS, Verdict.CONFIRMED, "1")
    prove(state)
    assert state.next_step(ORDERS, BASIS, NOON) is step


def test_permissions_are_bounded_and_the_oldest_is_asked_for_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dry_runs, "MAX_PLACES", 3)
    state = DryRunState()
    places = [Place(f"POST /{number}", ORDERS.url) for number in range(4)]
    for place in places:
        ask(state, Verdict.CONFIRMED, place=place)
        prove(state, place)
    assert [state.next_step(place, BASIS, NOON) for place in places] == [Step.ASK] + [Step.SEND] * 3
