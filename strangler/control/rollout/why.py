"""Why a rollout stays where it is, in a sentence for people."""

from strangler.control.rollout.climb import ClimbState
from strangler.core.rollout.judgement import LookVerdict
from strangler.core.rollout.machine import RolloutState
from strangler.core.rollout.position import WaitsFor, step_above, step_below
from strangler.times import rfc3339

_PAUSING = ("failed", "waiting", "pause", "back")
"""The moves that may have paused a rollout."""


def why(climb: ClimbState, route: str, problem: str | None) -> str:
    """Return why a rollout waits. `problem`: why nothing can be stored."""
    position = climb.position
    if problem is not None and position.state is RolloutState.RUNNING:
        return f"it does not climb while its steps cannot be stored: {problem}"
    if climb.held and position.state is RolloutState.RUNNING:
        return f"it does not climb now: {climb.held}"
    match position.waits_for:
        case WaitsFor.START:
            return f"it was not started: strangler rollout start {route}"
        case WaitsFor.RESUME:
            return f"it is paused{_cause(climb)}; to go on: strangler rollout resume {route}"
        case WaitsFor.EVIDENCE:
            return _evidence(climb)
        case WaitsFor.HOLD:
            return _hold(climb)
        case WaitsFor.GATE:
            reasons = "; ".join(climb.gate.reasons) if climb.gate is not None else ""
            return f"the gate does not hold: {reasons}" if reasons else "the gate is looked at with the next look"
        case WaitsFor.APPROVAL:
            step = step_above(climb.plan, position.percent)
            return f"{step or 0:g} % waits for an approval: strangler rollout approve {route}"
        case WaitsFor.WINDOW:
            opens = f", which opens at {rfc3339(position.until)}" if position.until is not None else ""
            return f"it climbs within {climb.plan.within} only{opens}"
        case WaitsFor.KILL_SWITCH:
            return "its requests go to legacy: the kill switch is on, or a route of it is disabled"
        case None:
            return "the last step has held" if position.state is RolloutState.DONE else "it begins"


def _cause(climb: ClimbState) -> str:
    last = next((move for move in reversed(climb.moves) if move.what in _PAUSING), None)
    if last is None:
        return ""
    if last.who:
        what = "" if last.what == "pause" else ", since it was sent back"
        return f"{what} by {last.who}{f': {last.why}' if last.why else ''}"
    text = last.why.removesuffix("; paused until somebody resumes it")
    if text == "paused until somebody resumes it":
        failed = next((move for move in reversed(climb.moves) if move.what == "failed"), None)
        text = failed.why if failed is not None else ""
    return f", since {text}" if text else ""


def _evidence(climb: ClimbState) -> str:
    position = climb.position
    if position.looked_at is None or not position.looks:
        at = position.since + climb.plan.look_s
        return f"the first look at {position.percent:g} % is at {rfc3339(at)}"
    look = position.looks[-1]
    reasons = "; ".join(look.reasons)
    if look.verdict is LookVerdict.BAD:
        return f"{position.failed_looks} of {climb.plan.failed_looks} bad looks that bring it down: {reasons}"
    return reasons or "the next look decides"


def _hold(climb: ClimbState) -> str:
    position = climb.position
    at = rfc3339(position.until) if position.until is not None else "the end of its hold"
    if position.state is RolloutState.BACKING:
        return f"it goes down to {step_below(climb.plan, position.percent):g} % at {at}"
    return f"{position.percent:g} % is held until {at} at least"
