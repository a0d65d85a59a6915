"""The next step about an endpoint: a sentence, and a command or a block for routes.yaml to go with it."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from strangler.core.documents import LedgerStep
from strangler.core.ledger.counts import DAY_S, day_of
from strangler.core.ledger.named_templates import named_segments
from strangler.core.ledger.segments import joined_segments
from strangler.core.ledger.states import State
from strangler.core.ledger.word_classes import OVERFLOW
from strangler.core.retire_settings import utc_text
from strangler.core.routing.arm import LEGACY
from strangler.core.settings import RouteSettings, Settings
from strangler.ledger.route_blocks import retiring_route, shadow_of, shadowing_route

PERCENTS = (1, 5, 10, 25, 50, 100)
"""The percents of a split, one after the other."""
NOTICE_DAYS = 30
"""How long callers are told before an endpoint ends."""
_MAX_NAMED = 3


@dataclass(frozen=True, slots=True)
class StepFacts:
    """The facts that decide the next step. Times are Unix times."""

    method: str
    template: str
    state: State
    route: RouteSettings | None
    """The route that covers the endpoint."""
    last_call: float | None
    last_legacy: float | None
    deletable_at: float
    """When it is deletable at the earliest."""
    callers: Sequence[str]
    """Those who call it, the most frequent first."""
    callers_of_legacy: Sequence[str]
    """Those whom legacy has served within `quiet`, the most frequent first."""
    open_differences: int = 0
    """The differences of its responses that nobody has reviewed."""


def next_step(facts: StepFacts, settings: Settings, now: float) -> LedgerStep:
    """Return what can be done next about an endpoint."""
    if facts.template == OVERFLOW:
        return LedgerStep("Nothing: it stands for all endpoints that no row had room for.", None, None)
    step = _STEPS[facts.state](facts, settings, now)
    retire = None if facts.route is None else facts.route.retire
    if retire is not None and now < retire.sunset and facts.route is not None and facts.route.enabled:
        ends = f"Route '{facts.route.name}' ends it on {utc_text(retire.sunset)}."
        still = (
            f" It is still called, by {_named(facts.callers)}: tell them." if _is_called(facts, settings, now) else ""
        )
        return LedgerStep(ends + still, None, None)
    return step


def _legacy(facts: StepFacts, settings: Settings, now: float) -> LedgerStep:
    route = facts.route
    if route is None:
        block = shadowing_route(facts.method, facts.template, settings)
        text = "Legacy serves it. Compare a new service with it first: a route that sends nobody there, with a shadow."
        if block is None:
            text += " Its path has a value inside a segment, which `match` cannot name: write a route with a prefix."
        return LedgerStep(text, None, block)
    if not route.enabled:
        return LedgerStep(f"Route '{route.name}' is disabled: take `enabled: false` out of it.", None, None)
    if route.aggregate is None and route.candidate in (None, LEGACY):
        text = f"Route '{route.name}' keeps it at legacy: name the new service as its `candidate`."
        return LedgerStep(text, None, None)
    if route.rollout is not None and route.rollout.gate == "never":
        return _rollout_step(route)
    text = f"Route '{route.name}' sends nobody to its candidate, and compares nothing: give it a shadow."
    return LedgerStep(text, None, f"shadow: {shadow_of(facts.method)}\n")


def _shadowed(facts: StepFacts, settings: Settings, now: float) -> LedgerStep:
    name = _route_name(facts)
    if facts.open_differences:
        return _review(facts, f"Route '{name}' compares its candidate with legacy.", "send callers there")
    if facts.route is not None and facts.route.rollout is not None:
        return _rollout_step(facts.route)
    text = (
        f"Route '{name}' compares its candidate with legacy. When its verdict is ready, send the first callers there."
    )
    return LedgerStep(text, f"strangler ready {shlex.quote(name)}", None)


def _splitting(facts: StepFacts, settings: Settings, now: float) -> LedgerStep:
    name, percent = _route_name(facts), 0.0 if facts.route is None else facts.route.split.percent
    following = next((step for step in PERCENTS if step > percent), 100)
    now_sends = f"Route '{name}' sends {percent:g} % of the callers to its candidate."
    if facts.route is not None and facts.route.rollout is not None:
        if facts.open_differences:
            return _review(facts, now_sends, "let its rollout go on")
        return _rollout_step(facts.route)
    if facts.open_differences:
        return _review(facts, now_sends, f"raise it to {following} %")
    return LedgerStep(
        f"{now_sends} Raise it to {following} %.", f"strangler shift {shlex.quote(name)} {following}", None
    )


def _rollout_step(route: RouteSettings) -> LedgerStep:
    """Return the step about a route whose rollout moves the callers: what it waits for is known to it alone."""
    percent = route.split.percent
    sends = f"sends {percent:g} % of the callers" if percent else "sends nobody"
    text = f"Route '{route.name}' {sends} to its candidate, and its rollout moves them: see what it waits for."
    return LedgerStep(text, f"strangler rollout status {shlex.quote(route.name)}", None)


def _review(facts: StepFacts, begin: str, aim: str) -> LedgerStep:
    number = facts.open_differences
    differ = "1 difference of its responses is" if number == 1 else f"{number} differences of its responses are"
    endpoint = shlex.quote(f"{facts.method} {facts.template}")
    command = f"strangler diffs --route {shlex.quote(_route_name(facts))} --endpoint {endpoint}"
    return LedgerStep(f"{begin} {differ} open: review what is open before you {aim}.", command, None)


def _cut_over(facts: StepFacts, settings: Settings, now: float) -> LedgerStep:
    name, route = _route_name(facts), facts.route
    if route is not None and route.is_passthrough:
        return LedgerStep(f"Nothing: route '{name}' leads to a service that was never part of legacy.", None, None)
    until = f"It is deletable on {day_of(facts.deletable_at)} if legacy is not called again."
    if not facts.callers_of_legacy or facts.last_legacy is None:
        return LedgerStep(f"Wait: the candidate serves everybody. {until}", None, None)
    last = f"Legacy served a call on {day_of(facts.last_legacy)} for {_named(facts.callers_of_legacy)}."
    if route is not None and route.fallback is not None:
        way_out = f" If the candidate fails no more, take the fallback out of route '{name}'."
        return LedgerStep(f"{last}{way_out} {until}", None, "fallback: false\n")
    return LedgerStep(f"{last} {until}", None, None)


def _quiet(facts: StepFacts, settings: Settings, now: float) -> LedgerStep:
    last = (
        "Nobody has ever called it." if facts.last_call is None else f"The last call was on {day_of(facts.last_call)}."
    )
    if facts.route is not None and facts.route.is_passthrough:
        return LedgerStep(f"{last} Route '{facts.route.name}' leads to a service beside legacy.", None, None)
    days = _days(_quiet_s(settings))
    text = f"{last} It is deletable on {day_of(facts.deletable_at)}, when it has been watched for {days}."
    return LedgerStep(text, None, None)


def _deletable(facts: StepFacts, settings: Settings, now: float) -> LedgerStep:
    days = _days(_quiet_s(settings))
    if _is_called(facts, settings, now):  # by callers whom the candidate serves: it must not end
        has_fallback = facts.route is not None and facts.route.fallback is not None
        text = f"Legacy has not served it for {days}, its candidate has: delete the code in legacy."
        first = " Take the fallback out first: it would lead to nothing." if has_fallback else ""
        return LedgerStep(text + first, None, "fallback: false\n" if has_fallback else None)
    sunset = day_of(now + (NOTICE_DAYS + 1) * DAY_S)
    text = f"Nobody has called it for {days}. Announce its end, and delete its code after {sunset}."
    own = _own_route(facts)
    if own is not None:
        return LedgerStep(f"{text} Add this to route '{own.name}'.", None, f"retire: {{sunset: {sunset}}}\n")
    block = retiring_route(facts.method, facts.template, sunset, settings)
    if block is None:
        text += " Its path has a value inside a segment, which `match` cannot name: end it in legacy."
    return LedgerStep(text, None, block)


def _retired(facts: StepFacts, settings: Settings, now: float) -> LedgerStep:
    retire = None if facts.route is None else facts.route.retire
    since = "" if retire is None else f"It ended on {utc_text(retire.sunset)}. "
    if retire is not None and facts.last_call is not None and facts.last_call >= retire.sunset:
        last = f"It was last called on {day_of(facts.last_call)}; its callers were {_named(facts.callers)}."
        return LedgerStep(f"{since}{last} Tell them, then delete its code in legacy.", None, None)
    return LedgerStep(f"{since}Nobody has called it since: delete its code in legacy, then its route.", None, None)


def _probed(facts: StepFacts, settings: Settings, now: float) -> LedgerStep:
    return LedgerStep("Nothing: only probes have called it, and all of them were refused.", None, None)


_STEPS = {
    State.LEGACY: _legacy,
    State.SHADOWED: _shadowed,
    State.SPLITTING: _splitting,
    State.CUT_OVER: _cut_over,
    State.QUIET: _quiet,
    State.DELETABLE: _deletable,
    State.RETIRED: _retired,
    State.PROBED: _probed,
}


def _own_route(facts: StepFacts) -> RouteSettings | None:
    """Return the covering route if it is for this endpoint alone, so that it may end as a whole."""
    route = facts.route
    if route is None or route.match.path is None:
        return None
    is_same = joined_segments(named_segments(route.match.path)) == facts.template
    methods = route.match.methods or ("*",)
    return route if is_same and methods == (facts.method,) else None


def _is_called(facts: StepFacts, settings: Settings, now: float) -> bool:
    return facts.last_call is not None and now - facts.last_call < _quiet_s(settings)


def _quiet_s(settings: Settings) -> float:
    assert settings.ledger is not None
    return settings.ledger.quiet_s


def _days(seconds: float) -> str:
    return f"{seconds / DAY_S:g} days" if seconds >= DAY_S else f"{seconds / 3600:g} hours"


def _route_name(facts: StepFacts) -> str:
    return "" if facts.route is None else facts.route.name


def _named(callers: Sequence[str]) -> str:
    """Return the first callers as text: `Firefox, okhttp/4 and 2 others`."""
    if not callers:
        return "unknown callers"
    first = list(callers[:_MAX_NAMED])
    more = len(callers) - len(first)
    return ", ".join(first) + (f" and {more} others" if more > 1 else " and 1 other" if more else "")
