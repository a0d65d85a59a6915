"""The kill switch of several nodes: what a node has in its own file, and what the store has, put together.

Of each scope, all routes or one, the later turn holds. Times are compared in whole milliseconds, as the file has them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from strangler.state.kill_switch import KilledRoute, KillSwitchState, PendingTurn
from strangler.store.stored_kill_switch import ALL_ROUTES, StoredTurn
from strangler.times import rfc3339

MAX_AHEAD_S: Final = 1.0
"""How far a turn may be ahead of the store's clock: one that follows another at once is a millisecond later."""
NO_EVENT: Final = ""
"""The absent id of an event: the turn had its event when it was made."""


@dataclass(frozen=True, slots=True)
class Merged:
    """The state in force, and by scope the turns that the store does not have yet."""

    state: KillSwitchState
    unpublished: Mapping[str, PendingTurn]


def whole_ms(at: float) -> float:
    """Return a Unix time without what is less than a millisecond."""
    return int(at * 1000) / 1000


def moment(text: str | None) -> float | None:
    """Return the Unix time that a text as `rfc3339` writes it means; None if it means none."""
    try:
        return None if text is None else datetime.fromisoformat(text).timestamp()
    except ValueError:  # somebody has edited the file
        return None


def with_turn(before: KillSwitchState, scope: str, turn: PendingTurn) -> KillSwitchState:
    """Return the state after a turn that the store does not know yet: `before` if it is so already."""
    since = rfc3339(turn.since)
    if scope == ALL_ROUTES:
        after = before.turned(turn.on, turn.reason, since)
    else:
        after = before.turned_for(scope, turn.on, turn.reason, since)
    return before if after is before else replace(after, pending=before.pending | {scope: turn})


def merge(local: KillSwitchState, stored: Mapping[str, StoredTurn], damaged_at: float | None = None) -> Merged:
    """Put a node's state and the turns of the store together.

    `damaged_at`: since when the node's own file cannot be read, as a Unix time. It counts as on for all routes, for
    this node only, until somebody turns that later.
    """
    turns = _local_turns(local)
    unpublished = {scope: turn for scope, turn in turns.items() if _is_later(turn.since, stored.get(scope))}
    state = replace(local, pending={scope: turn for scope, turn in local.pending.items() if scope in unpublished})
    for scope in sorted(stored.keys() - unpublished.keys()):
        state = _adopted(state, scope, stored[scope], damaged_at)
    return Merged(state, unpublished)


def _local_turns(local: KillSwitchState) -> dict[str, PendingTurn]:
    """Return the turns that a node knows: of a route that is off, only one that is pending."""
    since = {ALL_ROUTES: (local.on, local.reason, local.since)}
    since |= {name: (True, killed.reason, killed.since) for name, killed in local.routes.items()}
    known = {
        scope: PendingTurn(on, reason, at, "", NO_EVENT, is_own_time=False)
        for scope, (on, reason, text) in since.items()
        if (at := moment(text)) is not None
    }
    return known | local.pending


def _is_later(since: float, stored: StoredTurn | None) -> bool:
    return stored is None or round(since * 1000) > round(stored.since * 1000)


def _adopted(state: KillSwitchState, scope: str, turn: StoredTurn, damaged_at: float | None) -> KillSwitchState:
    since = rfc3339(round(turn.since * 1000) / 1000)
    if scope == ALL_ROUTES:
        if state.is_unreadable and damaged_at is not None and turn.since <= damaged_at:
            return state
        return replace(state, on=turn.on, reason=turn.reason, since=since)
    others = {name: each for name, each in state.routes.items() if name != scope}
    if not turn.on:
        return replace(state, routes=others)
    killed = KilledRoute(turn.reason, since)
    return state if state.routes.get(scope) == killed else replace(state, routes=others | {scope: killed})


def set_right(state: KillSwitchState, ahead_s: float, now: float) -> KillSwitchState:
    """Return the state with times of the store's clock, which is `ahead_s` ahead of this host's and shows `now`.

    Only turns made before that clock was known are changed, and times that have not come yet.
    """
    for scope, turn in state.pending.items():
        if turn.is_own_time:
            since = whole_ms(min(turn.since + ahead_s, now))
            state = _timed(state, scope, since)
            state = replace(state, pending=state.pending | {scope: replace(turn, since=since, is_own_time=False)})
    for scope, turn in _local_turns(state).items():
        if turn.since > now + MAX_AHEAD_S:
            state = _timed(state, scope, whole_ms(now))
    return state


def _timed(state: KillSwitchState, scope: str, since: float) -> KillSwitchState:
    text = rfc3339(since)
    if scope == ALL_ROUTES:
        return replace(state, since=text)
    killed = state.routes.get(scope)
    return state if killed is None else replace(state, routes=state.routes | {scope: replace(killed, since=text)})
