"""How a rollout moves: pure functions, from a position and what happened to the next position and the changes."""

from dataclasses import dataclass, replace
from enum import StrEnum

from strangler.core.gate import Verdict
from strangler.core.opening_windows import opening_windows
from strangler.core.rollout.evidence import Numbers
from strangler.core.rollout.judgement import LookRecord, LookVerdict, look_at
from strangler.core.rollout.machine import NoTransitionError, RolloutEvent, RolloutState
from strangler.core.rollout.position import MAX_LOOKS, Position, WaitsFor, step_above, step_below
from strangler.core.rollout_settings import RolloutSettings

_FALLS_TO_PAUSE = 2


class ChangeKind(StrEnum):
    STEPPED = "stepped"
    FAILED = "failed"
    WAITING = "waiting"
    """It waits for a person: for an approval, or to be resumed."""
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Change:
    """A change that people and systems hear of, with the look that it was decided by, if one was."""

    kind: ChangeKind
    at: float
    from_percent: float
    to_percent: float
    why: str
    look: LookRecord | None = None


Moved = tuple[Position, tuple[Change, ...]]


def advance(position: Position, settings: RolloutSettings, now: float, numbers: Numbers) -> Moved:
    """Take new counts and do what is due: at most one step, up or down."""
    if position.is_overridden:
        return replace(position, waits_for=WaitsFor.KILL_SWITCH, until=None), ()
    if position.state is RolloutState.DONE:
        return position, ()
    position = _until_now(replace(position, counts=position.counts.plus(numbers.counts)), now)
    if position.state is RolloutState.BACKING:
        return _back(position, settings, now)
    if position.state is RolloutState.RUNNING and not position.percent:
        return _begin(position, settings, now, numbers)
    if position.state is RolloutState.WAITING or not position.percent or not _is_due(position, settings, now):
        return position, ()
    return _look(position, settings, now, numbers)


def _until_now(position: Position, now: float) -> Position:
    """Return the position without times to come: once a clock was set back, its step and its last look are of now."""
    ahead_s = position.since - now
    if ahead_s > 0:
        until = (
            position.until if position.waits_for is not WaitsFor.HOLD else position.until and position.until - ahead_s
        )
        position = replace(position, since=now, until=until)
    is_look_ahead = position.looked_at is not None and position.looked_at > now
    return replace(position, looked_at=now) if is_look_ahead else position


def _is_due(position: Position, settings: RolloutSettings, now: float) -> bool:
    last = position.since if position.looked_at is None else position.looked_at
    return now - last >= settings.look_s


def _look(position: Position, settings: RolloutSettings, now: float, numbers: Numbers) -> Moved:
    counts, reference = position.counts, position.reference
    look = look_at(counts, reference, position.percent, settings, now, numbers.bounds_s)
    looks = (*position.looks, look)[-MAX_LOOKS:]
    position = replace(position.after(RolloutEvent.LOOK), looks=looks, looked_at=now)
    if position.state is not RolloutState.RUNNING:
        return position, ()
    match look.verdict:
        case LookVerdict.NOT_ENOUGH:
            return _waiting(position, WaitsFor.EVIDENCE, None), ()
        case LookVerdict.BAD:
            return _failed(position, settings, now, look)
        case LookVerdict.GOOD:
            return _climb(replace(position, failed_looks=0), settings, now, numbers, look)


def _begin(position: Position, settings: RolloutSettings, now: float, numbers: Numbers) -> Moved:
    """Enter the first step, for which the candidate has served nobody yet; after a fall it holds before that."""
    return (_climb if position.falls else _enter_next)(position, settings, now, numbers, None)


def _climb(
    position: Position, settings: RolloutSettings, now: float, numbers: Numbers, look: LookRecord | None
) -> Moved:
    if now - position.since < settings.hold_s:
        return _waiting(position, WaitsFor.HOLD, position.since + settings.hold_s), ()
    return _enter_next(position, settings, now, numbers, look)


def _enter_next(
    position: Position, settings: RolloutSettings, now: float, numbers: Numbers, look: LookRecord | None
) -> Moved:
    step = step_above(settings, position.percent)
    if step is None:
        done = _waiting(position.after(RolloutEvent.FINISHED), None, None)
        return done, (Change(ChangeKind.DONE, now, position.percent, position.percent, "the last step has held", look),)
    waits_for, until = _obstacle(position, settings, now, numbers, step)
    if waits_for is not None:
        position = _waiting(position, waits_for, until)
        if waits_for is not WaitsFor.APPROVAL or position.announced == step:
            return position, ()
        why = f"{step:g} % waits for an approval"
        change = Change(ChangeKind.WAITING, now, position.percent, step, why, look)
        return replace(position, announced=step, announced_at=now), (change,)
    why = "it begins" if look is None else "the look was good"
    after = _waiting(position.after(RolloutEvent.LOOK).at_percent(step, now), WaitsFor.HOLD, now + settings.hold_s)
    return after, (Change(ChangeKind.STEPPED, now, position.percent, step, why, look),)


def _obstacle(
    position: Position, settings: RolloutSettings, now: float, numbers: Numbers, step: float
) -> tuple[WaitsFor | None, float | None]:
    """Return what keeps a rollout from entering a step, though its own evidence is good, and until when."""
    if _is_gated(position, settings) and numbers.gate is not Verdict.READY:
        return WaitsFor.GATE, None
    if step in settings.approve and position.approved != step:
        return WaitsFor.APPROVAL, None
    windows = None if settings.within is None else opening_windows(settings.within)
    if windows is not None and not windows.is_open(now):
        return WaitsFor.WINDOW, windows.next_opening(now)
    return None, None


def _is_gated(position: Position, settings: RolloutSettings) -> bool:
    return settings.gate == "every" or (settings.gate == "first" and not position.percent)


def needs_gate(position: Position, settings: RolloutSettings, now: float) -> bool:
    """Return whether `advance` may use the gate's verdict now: it takes long to find, and is seldom needed."""
    return (
        position.state is RolloutState.RUNNING
        and not position.is_overridden
        and _is_gated(position, settings)
        and step_above(settings, position.percent) is not None
        and (not position.percent or (_is_due(position, settings, now) and now - position.since >= settings.hold_s))
    )


def _failed(position: Position, settings: RolloutSettings, now: float, look: LookRecord) -> Moved:
    position = replace(position, failed_looks=position.failed_looks + 1)
    if position.failed_looks < settings.failed_looks:
        return _waiting(position, WaitsFor.EVIDENCE, None), ()
    if settings.then == "pause":
        paused = _waiting(position.after(RolloutEvent.FAILED_TO_PAUSE), WaitsFor.RESUME, None)
        return paused, _fall(position, paused, now, look)
    below = step_below(settings, position.percent)
    if settings.then == "zero":
        backing = _descended(position.after(RolloutEvent.FAILED_TO_ZERO), settings, now, below)
        return backing, _fall(position, backing, now, look)
    fallen = position.fallen()
    event = RolloutEvent.FELL_TWICE if fallen.falls_here >= _FALLS_TO_PAUSE else RolloutEvent.LOOK
    after = fallen.after(event).at_percent(below, now)
    is_paused = after.state is RolloutState.PAUSED
    after = _waiting(
        after, WaitsFor.RESUME if is_paused else WaitsFor.HOLD, None if is_paused else now + settings.hold_s
    )
    return after, _fall(position, after, now, look)


def _fall(before: Position, after: Position, now: float, look: LookRecord) -> tuple[Change, ...]:
    why = f"{before.failed_looks} looks in a row were bad"
    failed = Change(ChangeKind.FAILED, now, before.percent, after.percent, why, look)
    if after.state is not RolloutState.PAUSED:
        return (failed,)
    return failed, Change(
        ChangeKind.WAITING, now, after.percent, after.percent, "paused until somebody resumes it", look
    )


def _back(position: Position, settings: RolloutSettings, now: float) -> Moved:
    if now - position.since < settings.back_hold_s:
        return position, ()
    after = _descended(position, settings, now, step_below(settings, position.percent))
    return after, (Change(ChangeKind.STEPPED, now, position.percent, after.percent, "going back"),)


def _descended(position: Position, settings: RolloutSettings, now: float, percent: float) -> Position:
    """Return a position that goes back at a lower percent; at 0 it is paused."""
    after = position.at_percent(percent, now)
    if percent:
        return _waiting(after, WaitsFor.HOLD, now + settings.back_hold_s)
    return _waiting(after.after(RolloutEvent.EMPTIED), WaitsFor.RESUME, None)


def _waiting(position: Position, waits_for: WaitsFor | None, until: float | None) -> Position:
    return replace(position, waits_for=waits_for, until=until)


def happen(position: Position, settings: RolloutSettings, event: RolloutEvent, now: float) -> Moved:
    """Follow a command, or what happened outside. Raise `NoTransitionError` for a command that is not possible now."""
    after, changes = _followed(position, settings, event, now)
    return (_waiting(after, WaitsFor.KILL_SWITCH, None) if after.is_overridden else after), changes


def _followed(position: Position, settings: RolloutSettings, event: RolloutEvent, now: float) -> Moved:
    match event:
        case RolloutEvent.START:
            started = replace(position.after(event).at_percent(position.percent, now), falls=())
            return _waiting(started, WaitsFor.EVIDENCE if position.percent else None, None), ()
        case RolloutEvent.PAUSE:
            return _waiting(position.after(event), WaitsFor.RESUME, None), ()
        case RolloutEvent.RESUME:
            resumed = replace(position.after(event).afresh(now), falls=())
            return _waiting(resumed, WaitsFor.EVIDENCE if position.percent else None, None), ()
        case RolloutEvent.APPROVE:
            return _approved(position.after(event), settings), ()
        case RolloutEvent.BACK:
            return _sent_back(position, settings, now)
        case RolloutEvent.BREAKER_OPENED:
            return _broken(position, now)
        case RolloutEvent.KILL_SWITCH_ON:
            return replace(position.after(event).afresh(now), is_overridden=True), ()
        case RolloutEvent.KILL_SWITCH_OFF:
            freed = replace(position.after(event).afresh(now), is_overridden=False)
            return _waiting(freed, _usual_wait(freed), None), ()
        case RolloutEvent.PLAN_CHANGED:
            return _replanned(position, settings, now)
        case _:
            return position.after(event), ()


def _usual_wait(position: Position) -> WaitsFor | None:
    waits = {RolloutState.WAITING: WaitsFor.START, RolloutState.PAUSED: WaitsFor.RESUME, RolloutState.DONE: None}
    return waits.get(position.state, WaitsFor.EVIDENCE)


def _approved(position: Position, settings: RolloutSettings) -> Position:
    step = step_above(settings, position.percent)
    if step is None or step not in settings.approve:
        later = ", ".join(f"{percent:g} %" for percent in settings.approve if percent > position.percent)
        hint = f"the next that does is {later}" if later else "no later step does"
        text = "the last step is reached" if step is None else f"{step:g} %, the next step, needs no approval"
        raise NoTransitionError(f"nothing waits for an approval: {text}; {hint}")
    if position.approved == step:
        raise NoTransitionError(f"{step:g} % is approved already; it is entered once nothing else keeps it back")
    approved = replace(position, approved=step)
    if position.waits_for is not WaitsFor.APPROVAL:
        return approved
    return _waiting(approved, WaitsFor.EVIDENCE if position.percent else None, None)


def _sent_back(position: Position, settings: RolloutSettings, now: float) -> Moved:
    backing = position.after(RolloutEvent.BACK)
    if not position.percent:
        raise NoTransitionError("the rollout is at 0 % already: back is not possible now")
    after = _descended(backing, settings, now, step_below(settings, position.percent))
    return after, (Change(ChangeKind.STEPPED, now, position.percent, after.percent, "going back"),)


def _broken(position: Position, now: float) -> Moved:
    broken = position.after(RolloutEvent.BREAKER_OPENED)
    if not position.percent:
        return _waiting(broken, _usual_wait(broken), None), ()
    fallen = broken.at_percent(0.0, now)
    after = _waiting(fallen, _usual_wait(fallen), None)
    return after, (Change(ChangeKind.FAILED, now, position.percent, 0.0, "the candidate's breaker opened"),)


def _replanned(position: Position, settings: RolloutSettings, now: float) -> Moved:
    """Keep the percent if it is still a step, and pause otherwise; also if a rollout was done and has new steps.

    One that was never started goes on waiting at any percent.
    """
    percent = position.percent
    is_kept = not percent or percent in settings.steps or position.state is RolloutState.WAITING
    if position.state is RolloutState.DONE and step_above(settings, percent) is not None:
        is_kept = False
    if is_kept:
        return position.after(RolloutEvent.PLAN_CHANGED), ()
    after = _waiting(position.after(RolloutEvent.PLAN_LOST_PERCENT), WaitsFor.RESUME, None)
    why = f"the plan was changed, and does not go on from {percent:g} %"
    return after, (Change(ChangeKind.WAITING, now, percent, percent, why),)
