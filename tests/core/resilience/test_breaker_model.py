"""The breaker agrees with a model that is easy to believe, and keeps count of trials in any order."""

from collections.abc import Iterator
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from strangler.core.resilience.breaker import HALF_OPEN, Breaker, BreakerOpening, BreakerPermit
from strangler.core.result import Result
from strangler.core.settings import BreakerSettings
from tests.core.resilience.breakers import ERROR, GONE, OK, REFUSED, ROW_ONLY, no_jitter


def model(part: BreakerSettings, script: list[tuple[float, str]]) -> Iterator[str]:
    """The state after each of a row of requests that do not overlap. The window's slot is 1 s."""
    assert part.consecutive is not None
    assert part.failure_rate is not None
    state, until, streak, row, passed = "closed", 0.0, 0, 0, 0
    seen: list[tuple[float, bool]] = []
    for now, outcome in script:
        if state == "open" and now >= until:
            state, passed = "half_open", 0
        failed = outcome in ("error", "refused", "slow")
        opens = state == "half_open" and failed
        if state == "closed" and outcome != "gone":
            seen = [(then, bad) for then, bad in seen if int(now) - int(then) < 10] + [(now, failed)]
            row = row + 1 if failed else 0
            too_many = len(seen) >= part.min_requests and sum(bad for _, bad in seen) >= part.failure_rate * len(seen)
            opens = failed and (row >= part.consecutive or too_many)
        if opens:
            state, until = "open", now + min(part.cooldown_s * 2**streak, part.max_cooldown_s)
            streak += 1
        elif state == "half_open" and outcome != "gone":
            passed += 1
            if passed == part.trials:
                state, streak, row, seen = "closed", 0, 0, []
        yield state


OUTCOMES = {"ok": OK, "error": ERROR, "refused": REFUSED, "slow": Result(None, 200, 9.0), "gone": GONE}


@given(
    st.builds(
        BreakerSettings,
        failure_rate=st.sampled_from([0.25, 0.5, 1.0]),
        min_requests=st.integers(1, 12),
        window_s=st.just(10.0),
        consecutive=st.sampled_from([1, 2, 4, 99]),
        slow_call_s=st.just(2.0),
        cooldown_s=st.sampled_from([0.5, 4.0]),
        max_cooldown_s=st.just(12.0),
        trials=st.integers(1, 3),
        counts=st.just(("connect", 503)),
    ),
    st.lists(
        st.tuples(
            st.sampled_from([0.0, 0.0, 0.25, 1.0, 7.5, 30.0]),
            st.sampled_from(["ok", "ok", "error", "refused", "slow", "gone"]),
        ),
        min_size=20,
        max_size=80,
    ),
)
def test_the_breaker_agrees_with_its_model(part: BreakerSettings, steps: list[tuple[float, str]]) -> None:
    breaker = Breaker("orders", part)
    now, script, states = 0.0, [], []
    for wait_s, outcome in steps:
        now += wait_s
        script.append((now, outcome))
        permit = breaker.try_acquire(now)
        if permit is not None:
            breaker.report(permit, OUTCOMES[outcome], now, no_jitter)
        states.append(str(breaker.state))
    assert states == list(model(part, script))


class OverlappingRequests(RuleBasedStateMachine):
    """Permits are out in any number and come back in any order, or not at all."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.breaker = Breaker("orders", replace(ROW_ONLY, consecutive=2))
        self.out: list[BreakerPermit] = []

    @rule(seconds=st.sampled_from([0.0, 1.0, 11.0, 61.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def ask(self) -> None:
        refuses = self.breaker.refuses(self.now)
        permit = self.breaker.try_acquire(self.now)
        assert refuses is (permit is None)
        if permit is not None:
            self.out.append(permit)

    @precondition(lambda self: self.out)
    @rule(data=st.data(), result=st.sampled_from([OK, ERROR, GONE, None]))
    def end(self, data: st.DataObject, result: Result | None) -> None:
        permit = self.out.pop(data.draw(st.integers(0, len(self.out) - 1)))
        if result is None:
            self.breaker.give_back(permit)
        else:
            self.breaker.report(permit, result, self.now, no_jitter)

    @rule(seconds=st.integers(-5, 30))
    def hear(self, seconds: int) -> None:
        self.breaker.force_open(BreakerOpening(self.now + seconds, 1, "told"), self.now)

    @invariant()
    def trials_are_those_of_this_epoch(self) -> None:
        epochs = [permit.epoch for permit in self.out]
        if self.breaker.state is HALF_OPEN:
            current = max(epochs, default=-1)
            assert self.breaker.in_trial <= 2
            assert self.breaker.in_trial in (0, epochs.count(current))
        else:
            assert self.breaker.in_trial == 0


TestOverlappingRequests = OverlappingRequests.TestCase
TestOverlappingRequests.settings = settings(max_examples=60)
