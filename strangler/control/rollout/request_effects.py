"""The effect of a node's request on the rollouts, in the leader's transaction."""

from collections.abc import Mapping

import msgspec

from strangler.control.rollout.climb import Audit, ClimbState
from strangler.control.rollout.commands import GOES_ANYWAY, command_event, commanded
from strangler.control.rollout.groups import led_by
from strangler.control.rollout.moves import decided
from strangler.control.rollout.requested import (
    BREAKER,
    COMMAND,
    COUNTS,
    WAIT_S,
    BreakerRequest,
    CommandRequest,
    CommandResponse,
    CountedStep,
    decoded,
    read_counts,
)
from strangler.core.rollout.evidence import StepCounts
from strangler.core.rollout.machine import NoTransitionError, RolloutEvent
from strangler.core.rollout.position import awaits
from strangler.store.connection import Connection
from strangler.store.requests import Request, respond, response_to


def follow_request(connection: Connection, request: Request, climbs: Mapping[str, ClimbState], now: float) -> None:
    """Move the rollouts, in memory, by a request, and respond to a command. `now`: Unix time of the store's clock."""
    if request.kind == COUNTS:
        for group, step in read_counts(request).groups.items():
            if group in climbs:
                count(climbs[group], step)
    elif request.kind == BREAKER:
        found = decoded(request, BreakerRequest)
        for group in found.groups if found is not None else ():
            if found is not None and group in climbs:
                _break(climbs[group], found.upstream, now)
    elif request.kind == COMMAND and response_to(connection, request.name) is None:
        response = _command(request, climbs, now)
        respond(connection, request.name, msgspec.json.encode(response), now)


def count(climb: ClimbState, step: CountedStep) -> None:
    """Count what a node has served at a position, if the rollout still stands there."""
    if step.since != climb.position.since:
        return
    climb.counts = climb.counts.plus(step.counts)
    latency = climb.plan.latency
    for legacy_s, candidate_s in step.pairs if latency is not None else ():
        assert latency is not None
        paired = climb.pairs.count(legacy_s, candidate_s, latency.ratio)
        climb.counts = climb.counts.plus(StepCounts(paired=paired))


def _break(climb: ClimbState, upstream: str, now: float) -> None:
    """Send nobody to a candidate whose breaker a node has found open; a second node that finds it changes nothing."""
    if climb.position.percent and upstream in led_by(climb.routes):
        after, unsaved = decided(climb, RolloutEvent.BREAKER_OPENED, now)
        climb.set_position(after)
        climb.unsaved.add(unsaved)


def _command(request: Request, climbs: Mapping[str, ClimbState], now: float) -> CommandResponse:
    """Follow a command, and return what its person hears of it."""
    found = decoded(request, CommandRequest)
    if found is None:
        return CommandResponse("the node that leads has another version of this program, and does not know the command")
    climb = next((each for each in climbs.values() if any(route.name == found.route for route in each.routes)), None)
    if climb is None:
        problem = f"route {found.route!r} has no rollout in the routes.yaml of the node that leads"
        return CommandResponse(problem, is_unknown=True)
    try:
        event = command_event(found.command)
        if event not in GOES_ANYWAY and now - request.at > WAIT_S:
            raise NoTransitionError(f"{found.command} waited more than {WAIT_S:g} s for a node that leads")
        if found.announced_at is not None and not awaits(climb.position, found.percent, found.announced_at):
            raise NoTransitionError("this approval does not wait any more")
        audit = Audit(now, found.actor, f"rollout {found.command}", found.route, found.why, "")
        after, unsaved, _ = commanded(climb, event, audit, found.percent)
    except NoTransitionError as error:
        return CommandResponse(str(error))
    climb.set_position(after)
    climb.unsaved.add(unsaved)
    return CommandResponse()
