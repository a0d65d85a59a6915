"""The leader's step: it takes the requests of all nodes, and moves the rollouts by them, in one transaction.

The positions are read in the same transaction, so that a leader acts on what is stored, not on what it remembers.
Nothing is put in force here: the leader follows the stored positions as every node does.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from strangler.control.rollout.climb import Audit, ClimbState, GateFinding
from strangler.control.rollout.groups import is_overridden, led_by
from strangler.control.rollout.moves import decided
from strangler.control.rollout.reports import report
from strangler.control.rollout.request_effects import follow_request
from strangler.control.rollout.requested import KINDS
from strangler.control.rollout.restoring import log_unread, restored
from strangler.control.rollout.saving import Publisher, write_rollouts
from strangler.core.gate import Verdict
from strangler.core.rollout.advance import advance, needs_gate
from strangler.core.rollout.evidence import Numbers, StepCounts
from strangler.core.rollout.machine import RolloutEvent, RolloutState
from strangler.core.rollout.position import Position, WaitsFor
from strangler.core.rollout_percents import rollout_groups
from strangler.core.settings import Settings
from strangler.core.time_buckets import BOUNDS_S
from strangler.state.kill_switch import KillSwitchState
from strangler.store import numbered_batches, requests
from strangler.store.connection import Connection
from strangler.store.events import stored_gates
from strangler.store.events.event import Event
from strangler.store.evidence import stored_rollouts
from strangler.store.evidence.stored_rollouts import FleetNotes, StoredPosition, StoredRollout
from strangler.store.topics import Topic, announce

MAX_REQUESTS: Final = 1000
"""The most requests of a kind in one step."""


@dataclass(frozen=True, slots=True)
class LeaderView:
    """The facts that the leader's node knows beside the store. `now`: Unix time of the store's clock."""

    settings: Settings
    kill_switch: KillSwitchState
    gates: Mapping[str, GateFinding]
    """By group, for those whose gate is needed at `now`."""
    now: float
    prunes: bool


@dataclass(slots=True)
class Led:
    """The results of a step, for what follows its commit."""

    events: list[Event] = field(default_factory=list)
    audits: list[Audit] = field(default_factory=list)
    looks: list[tuple[str, str]] = field(default_factory=list)
    """Routes that were looked at, each with the verdict."""
    has_moved: bool = False
    """Whether more than counts has changed."""


def lead(
    publisher: Publisher, hold: Callable[[Connection], str | None], view: LeaderView, connection: Connection
) -> Led:
    """Move all rollouts by what has been asked, counted and found. `hold` returns why nothing may climb now."""
    led, held = Led(), hold(connection) or ""
    rows = stored_rollouts.load_positions(connection)
    climbs = _climbs(connection, view, rows)
    for climb in climbs.values():
        _follow_settings(climb, rows.get(climb.group), view)
    for request in requests.take_requests(connection, KINDS, MAX_REQUESTS):
        follow_request(connection, request, climbs, view.now)
    for climb in climbs.values():
        _advance(climb, view, held, led)
    gone = () if held else sorted(rows.keys() - climbs.keys())
    if view.prunes:
        requests.prune(connection, view.now)
        numbered_batches.prune(connection, view.now)
    _save(connection, publisher, rows, climbs, held, gone, led)
    return led


def _climbs(connection: Connection, view: LeaderView, rows: Mapping[str, StoredRollout]) -> dict[str, ClimbState]:
    """Return the rollouts as they are stored; one that is new begins with the percent that was in force before."""
    groups = rollout_groups(view.settings)
    log_unread({group: row for group, row in rows.items() if group in groups})
    former = stored_gates.load_rollouts(connection).rollouts if groups.keys() - rows.keys() else {}
    percents = {route: each.percent for route, each in former.items()}
    found = {}
    for group, routes in groups.items():
        made = restored(group, routes, rows.get(group), None, percents, view.now)
        made.climb.unsaved.add(report(made.climb, made.changes))
        found[group] = made.climb
    return found


def _follow_settings(climb: ClimbState, row: StoredRollout | None, view: LeaderView) -> None:
    """Follow a plan, candidates and a kill switch that are others than at the step before, whoever led then."""
    notes = row.kept.fleet if row is not None and row.kept is not None else None
    if notes is not None and notes.upstreams != _upstreams(climb):
        climb.set_position(climb.position.afresh(view.now))
    if notes is not None and notes.steps != climb.plan.steps:
        _happen(climb, RolloutEvent.PLAN_CHANGED, view.now)
    is_on = is_overridden(climb.routes, view.kill_switch)
    if is_on != climb.position.is_overridden:
        _happen(climb, RolloutEvent.KILL_SWITCH_ON if is_on else RolloutEvent.KILL_SWITCH_OFF, view.now)


def _happen(climb: ClimbState, event: RolloutEvent, now: float) -> None:
    after, unsaved = decided(climb, event, now)
    climb.set_position(after)
    climb.unsaved.add(unsaved)


def _advance(climb: ClimbState, view: LeaderView, held: str, led: Led) -> None:
    """Do what is due of a rollout: at most one step, and none up while it is held."""
    before, now = climb.position, view.now
    counts, climb.counts = climb.counts, StepCounts()
    gate = view.gates.get(climb.group)
    if gate is None and needs_gate(before, climb.plan, now):  # it is asked for before the next step
        climb.position = replace(before, counts=before.counts.plus(counts))
        return
    verdict = gate.verdict if gate is not None else Verdict.NOT_ENOUGH_EVIDENCE
    climb.gate = gate
    after, changes = advance(before, climb.plan, now, Numbers(counts, BOUNDS_S, verdict))
    has_looked = after.looks[-1:] != before.looks[-1:]
    if has_looked:
        led.looks += [(route.name, after.looks[-1].verdict.value) for route in climb.routes]
    if held and after.percent > before.percent:
        counted = replace(before, counts=before.counts.plus(counts))
        looked = replace(counted, looked_at=now, looks=after.looks, failed_looks=0)
        climb.position = looked if has_looked else counted
        return
    climb.set_position(after)
    climb.unsaved.add(report(climb, changes))


def _save(
    connection: Connection,
    publisher: Publisher,
    rows: Mapping[str, StoredRollout],
    climbs: Mapping[str, ClimbState],
    held: str,
    gone: tuple[str, ...] | list[str],
    led: Led,
) -> None:
    positions = {}
    for group, climb in climbs.items():
        row = rows.get(group)
        kept = None if row is None else row.kept
        position = _stored(climb, kept, held)
        if position != kept or not climb.unsaved.is_empty:
            positions[group] = position
            led.has_moved |= _has_moved(kept, position) or not climb.unsaved.is_empty
    if not positions and not gone:
        return
    led.has_moved |= bool(gone)
    if led.has_moved:
        announce(connection, Topic.ROLLOUTS)
    unsaved = [(group, climbs[group].unsaved) for group in positions]
    write_rollouts(publisher, positions, unsaved, gone, connection)
    led.events += [event for _, each in unsaved for event in each.events]
    led.audits += [audit for _, each in unsaved for audit in each.audits]


def _stored(climb: ClimbState, before: StoredPosition | None, held: str) -> StoredPosition:
    position = climb.position
    gate: tuple[str, ...] = ()
    if position.waits_for is WaitsFor.GATE:
        gate = climb.gate.reasons if climb.gate is not None else _gate_before(before)
    is_held = position.state is RolloutState.RUNNING
    notes = FleetNotes(climb.plan.steps, _upstreams(climb), held if is_held else "", gate)
    return StoredPosition(position, climb.pairs.legacy_times, climb.pairs.p95_s, fleet=notes)


def _gate_before(before: StoredPosition | None) -> tuple[str, ...]:
    return before.fleet.gate if before is not None and before.fleet is not None else ()


def _has_moved(before: StoredPosition | None, after: StoredPosition) -> bool:
    """Return whether more has changed than what was counted."""
    if before is None or before.fleet != after.fleet:
        return True
    return _uncounted(before.position) != _uncounted(after.position)


def _uncounted(position: Position) -> Position:
    return replace(position, counts=StepCounts())


def _upstreams(climb: ClimbState) -> tuple[str, ...]:
    return tuple(sorted(led_by(climb.routes)))
