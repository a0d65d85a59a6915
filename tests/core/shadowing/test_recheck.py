"""Which differences are looked at again, and what the looks tell of those that are not."""

from dataclasses import replace

import pytest

from strangler.core.compare.model.values import Comparison, Difference, Kind, Outcome, Reason, Severity, Where
from strangler.core.shadowing import recheck
from strangler.core.shadowing.recheck import MAX_RECHECKS, RecheckState, found_again, key_of

GET = "GET /api/orders/{}"
NEVER, ALWAYS = 0.999, 0.0


def body(path: str = "$.price", kind: Kind = Kind.VALUE, severity: Severity = Severity.VALUE) -> Difference:
    return Difference(Where.BODY, path, kind, severity, "1", "2")


def status(legacy: int, candidate: int) -> Difference:
    return Difference(Where.STATUS, None, Kind.VALUE, Severity.BREAKING, legacy, candidate)


def mismatch(*differences: Difference) -> Comparison:
    return Comparison(Outcome.MISMATCH, severity=differences[0].severity, differences=differences)


PRICE, NOTE = body(), body("$.note", Kind.MISSING, Severity.BREAKING)


def look_at(state: RecheckState, *differences: Difference, found: bool = True, release: str = "1") -> bool:
    """One pair; True if it was looked at."""
    look = state.begin(release, GET, differences, NEVER)
    if look.is_wanted:
        state.end(look, frozenset(look.keys) if found else frozenset())
    return look.is_wanted


def outcome(state: RecheckState, *differences: Difference, release: str = "1") -> Comparison:
    look = state.begin(release, GET, differences, NEVER)
    assert not look.is_wanted
    return state.judged(look, mismatch(*differences))


def test_so_many_pairs_are_looked_at_and_then_one_in_a_hundred() -> None:
    state = RecheckState()
    assert [look_at(state, PRICE) for _ in range(100)] == [True] * MAX_RECHECKS + [False] * (100 - MAX_RECHECKS)
    assert state.begin("1", GET, [PRICE], 0.00999).is_wanted
    assert not state.begin("1", GET, [PRICE], 0.01).is_wanted


def test_looks_under_way_count_so_that_a_burst_gets_no_more() -> None:
    state = RecheckState()
    burst = [state.begin("1", GET, [PRICE], NEVER) for _ in range(100)]
    assert sum(look.is_wanted for look in burst) == MAX_RECHECKS
    assert not state.is_settled(burst[-1])
    for look in burst:
        if look.is_wanted:
            state.end(look, frozenset())
    assert state.is_settled(burst[-1])
    assert state.judged(burst[-1], mismatch(PRICE)).reason is Reason.LAG


def test_a_look_that_could_not_be_had_counts_as_one_and_tells_nothing() -> None:
    state = RecheckState()
    for _ in range(MAX_RECHECKS):
        state.end(state.begin("1", GET, [PRICE], NEVER), None)
    assert not look_at(state, PRICE)
    assert outcome(state, PRICE).outcome is Outcome.MISMATCH, "what nothing tells of is no lag"


@pytest.mark.parametrize(
    ("confirmed", "is_lag"),
    [
        pytest.param(0, True, id="none found again"),
        pytest.param(28, True, id="28 of 30: 93 %"),
        pytest.param(29, False, id="29 of 30: 97 %"),
        pytest.param(30, False, id="all found again"),
    ],
)
def test_what_the_looks_told_stands_for_what_is_not_looked_at(confirmed: int, is_lag: bool) -> None:
    state = RecheckState()
    for number in range(MAX_RECHECKS):
        assert look_at(state, PRICE, found=number < confirmed)
    judged = outcome(state, PRICE)
    assert (judged.reason is Reason.LAG) is is_lag
    assert (judged.outcome is Outcome.MISMATCH) is not is_lag


def test_a_pair_counts_with_those_of_its_differences_that_stay() -> None:
    state = RecheckState()
    for _ in range(MAX_RECHECKS):
        look = state.begin("1", GET, [NOTE, PRICE], NEVER)
        state.end(look, frozenset({key_of(GET, PRICE)}))
    judged = outcome(state, NOTE, PRICE)
    assert (judged.outcome, judged.severity, judged.differences) == (Outcome.MISMATCH, Severity.VALUE, (PRICE,))


def test_a_new_difference_beside_a_known_one_is_looked_at() -> None:
    state = RecheckState()
    for _ in range(MAX_RECHECKS):
        look_at(state, PRICE)
    assert look_at(state, PRICE, NOTE)


@pytest.mark.parametrize(
    ("difference", "other"),
    [
        pytest.param(PRICE, NOTE, id="place"),
        pytest.param(PRICE, replace(PRICE, kind=Kind.TYPE), id="kind"),
        pytest.param(status(200, 404), status(200, 403), id="status"),
        pytest.param(status(200, 404), status(201, 404), id="legacy's status"),
    ],
)
def test_each_difference_has_looks_of_its_own(difference: Difference, other: Difference) -> None:
    state = RecheckState()
    for _ in range(MAX_RECHECKS):
        look_at(state, difference)
    assert not look_at(state, difference)
    assert look_at(state, other)


def test_all_5xx_of_the_candidate_are_one() -> None:
    assert key_of(GET, status(200, 500)) == key_of(GET, status(200, 503))


def test_each_endpoint_has_looks_of_its_own() -> None:
    assert key_of(GET, PRICE) != key_of("HEAD /api/orders/{}", PRICE)


def test_a_new_release_begins_anew_and_a_rollback_goes_on() -> None:
    state = RecheckState()
    for _ in range(MAX_RECHECKS):
        look_at(state, PRICE, found=False, release="1")
    assert look_at(state, PRICE, release="2")
    assert outcome(state, PRICE, release="1").reason is Reason.LAG


def test_releases_and_differences_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recheck, "MAX_DIFFERENCES", 10)
    state = RecheckState()
    seen = [look_at(state, body(f"$.{number}")) for number in range(1000)]
    assert sum(seen) == 10 + MAX_RECHECKS, "what comes beyond shares one count"
    for number in range(100):
        late = state.begin(str(number), GET, [PRICE], NEVER)
    assert len(state._counts) == recheck.MAX_RELEASES
    state.end(late, frozenset())
    gone = recheck.PendingRecheck("0", (b"x",), True)
    state.end(gone, frozenset())
    assert len(state._counts) == recheck.MAX_RELEASES


def test_two_arms_share_the_looks() -> None:
    state = RecheckState(limit=15)
    assert sum(look_at(state, PRICE) for _ in range(100)) == 15


def test_what_both_looks_share_is_what_was_found_again() -> None:
    first = mismatch(NOTE, PRICE)
    look = RecheckState().begin("1", GET, first.differences, NEVER)
    assert found_again(look, first, mismatch(replace(PRICE, candidate="3"))) == {key_of(GET, PRICE)}
