"""The keeper of rollouts at a node that shares its store with others: what it is asked for goes to the leader.

Every second, and as soon as something has happened, a node hands its requests to the store; if it leads, it follows
those of all nodes; and then it puts in force what is stored. It does at once what needs no store: an open breaker takes
all callers from the candidate, at this node.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Final

import msgspec
import structlog

from strangler.control.fleet.leadership import Leadership
from strangler.control.own_metrics import OwnMetrics
from strangler.control.reload import InForce
from strangler.control.rollout.asking import RolloutRequests
from strangler.control.rollout.climb import GateFinding
from strangler.control.rollout.climbs import ClimbsState, UnknownRolloutError
from strangler.control.rollout.commands import GOES_ANYWAY, command_event, log_audit
from strangler.control.rollout.group_gates import find_gates
from strangler.control.rollout.groups import led_by
from strangler.control.rollout.leading import LeaderView, lead
from strangler.control.rollout.percents_in_force import PercentsInForce
from strangler.control.rollout.positions_in_force import RolloutFollowing, read_view
from strangler.control.rollout.requested import (
    BREAKER,
    COMMAND,
    WAIT_S,
    BreakerRequest,
    CommandRequest,
    CommandResponse,
)
from strangler.control.rollout.saving import Publisher
from strangler.control.rollout.views import RolloutViews
from strangler.core.documents import RolloutStatus
from strangler.core.rollout.advance import needs_gate
from strangler.core.rollout.machine import NoTransitionError, RolloutEvent
from strangler.core.rollout.position import step_below
from strangler.ipc.messages import RolloutBatch
from strangler.state.kill_switch import KillSwitchState
from strangler.store.connection import Connection
from strangler.store.errors import DatabaseError
from strangler.store.evidence.findings import Finding
from strangler.store.evidence.ulid import ulid
from strangler.store.requests import ask_leader, response_to, withdraw
from strangler.store.store import InDoubtError, Store, StoreError

TICK_EVERY_S: Final = 1.0
READ_EVERY_S: Final = 5.0
"""How often positions are read although none has moved: their counts have grown."""
PRUNE_EVERY_S: Final = 600.0
POLL_EVERY_S: Final = 0.1
"""How often a command looks for its response."""
RESPONSE_S: Final = 1.0
"""How long the response to a command that was taken is looked for: it is there, if the store is."""
NO_LEADER: Final = "no node leads at the moment; one does within 10 s"

log = structlog.get_logger()


class NotFollowedError(StoreError):
    """No leader has followed a command; the text says whether it will be."""


class FleetRolloutKeeper(RolloutViews):
    """Drives the rollouts in `climbs` at the node of this name. `run` is another one in each process.

    `put_in_force` makes the percents of `ClimbsState.effective` those of all workers, and returns the generation that
    has them. `now` returns the store's time. `hold` returns why nothing may climb now, as a leader finds it.
    `has_successor`: whether a new program is being started at this node. `wait_s`: how long a command waits.
    """

    def __init__(
        self,
        store: Store,
        leadership: Leadership,
        publisher: Publisher,
        own: OwnMetrics,
        climbs: ClimbsState,
        put_in_force: Callable[[], int],
        *,
        node: str,
        run: str,
        now: Callable[[], float],
        hold: Callable[[Connection], str | None] = lambda _: None,
        has_successor: Callable[[], bool] = lambda: False,
        wait_s: float = WAIT_S,
    ) -> None:
        super().__init__(climbs, self._why_nothing_is_stored)
        self._store = store
        self._leadership = leadership
        self._publisher = publisher
        self._own = own
        self._node = node
        self._wait_s = wait_s
        self._now = now
        self._hold = hold
        self._requests = RolloutRequests(store, node, run, now)
        self._percents = PercentsInForce(store.folder, climbs, put_in_force)
        self._following = RolloutFollowing(climbs, self._percents, has_successor)
        self._acting = asyncio.Lock()
        self._hint = asyncio.Event()
        self._seen: int | None = None
        """The number of the positions that are in force; None: they have to be read."""
        self._read_at = float("-inf")
        self._pruned_at = float("-inf")
        self._gates: dict[str, GateFinding] = {}

    # 1. From start to end

    async def restore(self) -> None:
        """Begin with the percents in force, until the store was read."""
        self._climbs.adopt(self._climbs.settings, self._now())
        self._note_unknown()

    async def run(self) -> None:
        """Follow the rollouts until cancelled."""
        while True:
            await self.tick()
            with suppress(TimeoutError):
                async with asyncio.timeout(TICK_EVERY_S):
                    await self._hint.wait()
            self._hint.clear()

    def hint(self) -> None:
        """Look at once: something was stored, or asked of the leader."""
        self._hint.set()

    def hint_leader(self) -> None:
        """Look at once if this node leads: the leader was asked for something."""
        if self._leadership.holds:
            self._hint.set()

    async def tick(self) -> None:
        """Hand over what was asked, lead if this node does, and follow what is stored."""
        async with self._acting:
            counted = self._climbs.all() if self._leadership.leader is not None else []  # nobody takes them else
            await _unless_away(self._requests.send(counted))
            await _unless_away(self._lead())
            await _unless_away(self._follow())
            self._note_unknown()

    async def close(self) -> None:
        """Hand over what is left."""
        async with self._acting:
            await _unless_away(self._requests.send(self._climbs.all()))

    def _note_unknown(self) -> None:
        for climb in self._climbs.all():
            if climb.is_provisional:
                climb.notes = (f"its position is not known yet: it is at the {climb.percent:g} % that are in force",)

    async def _lead(self) -> None:
        if not self._leadership.holds:
            self._gates.clear()
            return
        now = self._now()
        prunes = not 0 <= now - self._pruned_at < PRUNE_EVERY_S
        gates = await self._found_gates(now)
        view = LeaderView(self._climbs.settings, self._climbs.kill_switch, gates, now, prunes)
        led = await self._leadership.call(partial(lead, self._publisher, self._hold, view))
        self._pruned_at = now if prunes else self._pruned_at
        self._publisher.on_stored(led.events)
        for audit in led.audits:
            log_audit(audit)
        for route, verdict in led.looks:
            self._own.counter("strangler_rollout_looks_total", route, verdict).inc()
        self._seen = None if led.has_moved else self._seen

    async def _found_gates(self, now: float) -> dict[str, GateFinding]:
        """Return the gates that are needed now. At 0 % they are needed every second, and found at each look."""
        found = {}
        for climb in self._climbs.all():
            if climb.is_provisional or not needs_gate(climb.position, climb.plan, now):
                continue
            gate = self._gates.get(climb.group)
            if gate is None or not 0 <= now - gate.at < climb.plan.look_s:
                verdict, reasons = await find_gates(self._store, self._climbs.settings, climb.routes)
                gate = self._gates[climb.group] = GateFinding(now, verdict, reasons)
            found[climb.group] = gate
        return found

    async def _follow(self) -> None:
        """Put in force what is stored, if it has changed."""
        now = asyncio.get_running_loop().time()
        is_due = self._following.caps.by_name or now - self._read_at >= READ_EVERY_S
        seen = None if is_due else self._seen
        view = await self._store.read(lambda connection: read_view(connection, self._node, seen))
        if view is not None:
            is_whole = self._following.follow(view, lambda name: name in view.waiting or self._requests.has(name))
            self._seen, self._read_at = (view.number if is_whole else None), now

    def _why_nothing_is_stored(self) -> str | None:
        return self._store.problem or (NO_LEADER if self._leadership.leader is None else None)

    # 2. What comes from outside

    def adopt(self, in_force: InForce) -> None:
        """Follow new settings. Their percents are those of `ClimbsState.effective`."""
        self._climbs.generation = in_force.generation
        self._climbs.adopt(in_force.settings, self._now())
        self._climbs.gone.clear()  # the leader forgets them
        if not in_force.is_move:
            self._seen = None
            self._hint.set()

    def turned(self, kill_switch: KillSwitchState) -> None:
        """Follow the kill switch, as the leader."""
        self._climbs.kill_switch = kill_switch
        self._hint.set()

    def breaker_opened(self, upstream: str) -> None:
        """Send nobody to an upstream whose breaker has opened: at this node at once, and at all by the leader."""
        groups = [each.group for each in self._climbs.all() if each.percent and upstream in led_by(each.routes)]
        if not groups:
            return
        name = ulid(self._now())
        self._requests.add(BREAKER, name, BreakerRequest(upstream, tuple(groups)))
        why = "the candidate's breaker has opened at this node, which sends it nobody until the leader has followed"
        self._following.hold_down(name, dict.fromkeys(groups, 0.0), why)
        log.warning("rollout.fallen_alone", node=self._node, upstream=upstream, groups=groups)
        self._hint.set()

    def take(self, batch: RolloutBatch) -> None:
        """Count requests that a worker has served."""
        self._climbs.take(batch)

    def observe(self, finding: Finding) -> None:
        """Count a request that a shadow has sent to both arms."""
        pair = self._climbs.timed_pair(finding)
        if pair is not None:
            self._requests.observe(pair.climb.group, pair.climb.position.since, *pair.latency)

    async def command(
        self,
        route: str,
        command: str,
        actor: str,
        why: str = "",
        percent: float | None = None,
        announced_at: float | None = None,
    ) -> RolloutStatus:
        """Have a person's command followed by the leader. Raises UnknownRolloutError, NoTransitionError and StoreError,
        of which NotFollowedError means that no node leads.

        While the store is away, a command that stops a rollout or sends it back is followed by this node alone, and
        asked of the leader once the store is back.
        """
        event, name, now = command_event(command), ulid(self._now()), self._now()
        self._climbs.find(route)
        content = CommandRequest(route, command, actor, why, percent, announced_at)
        encoded = msgspec.json.encode(content)
        try:
            await self._store.call(lambda connection: ask_leader(connection, self._node, COMMAND, name, encoded, now))
        except StoreError as error:
            if event in GOES_ANYWAY:
                return self._follow_alone(content, name, event)
            if not isinstance(error, InDoubtError):
                raise
        self._hint.set()
        response = await self._response(name, self._wait_s)
        if response is None and event in GOES_ANYWAY:
            self._hold_down(content, name, event, NO_LEADER)
            return self.find(route)
        if response is None:
            response = await self._withdrawn(content, name)
        if response.is_unknown:
            raise UnknownRolloutError(response.problem)
        if response.problem:
            raise NoTransitionError(response.problem)
        async with self._acting:
            self._seen = None
            await _unless_away(self._follow())
        return self.find(route)

    async def _response(self, name: str, wait_s: float) -> CommandResponse | None:
        """Return the leader's response to a command; None if there is none in time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                while True:
                    with suppress(DatabaseError, StoreError):
                        found = await self._store.read(lambda connection: response_to(connection, name))
                        if found is not None:
                            return msgspec.json.decode(found, type=CommandResponse)
                    await asyncio.sleep(POLL_EVERY_S)
        return None

    async def _withdrawn(self, content: CommandRequest, name: str) -> CommandResponse:
        """Withdraw a command that no leader has followed in time, and say so by NotFollowedError; return the response
        if one has followed it just now."""
        is_withdrawn: bool | None = None
        with suppress(StoreError):
            is_withdrawn = await self._store.call(lambda connection: withdraw(connection, COMMAND, name))
        if is_withdrawn:
            raise NotFollowedError(f"{NO_LEADER}; {content.command} was withdrawn, so it will not be followed")
        found = None if is_withdrawn is None else await self._response(name, RESPONSE_S)
        if found is None:
            raise NotFollowedError(
                f"the store went away meanwhile: {content.command} is followed within {WAIT_S:g} s, or not at all;"
                f" strangler rollout status {content.route} says which"
            )
        return found

    def _follow_alone(self, content: CommandRequest, name: str, event: RolloutEvent) -> RolloutStatus:
        """Follow a command at this node, and ask the leader once the store is back."""
        self._requests.add(COMMAND, name, content)
        self._hold_down(content, name, event, "the store is away")
        return self.find(content.route)

    def _hold_down(self, content: CommandRequest, name: str, event: RolloutEvent, reason: str) -> None:
        climb = self._climbs.find(content.route)
        down = step_below(climb.plan, climb.percent) if event is RolloutEvent.BACK else climb.percent
        why = (
            f"{content.command} by {content.actor} holds for this node alone, at {down:g} %, since {reason}; all nodes"
            " follow it once a leader has it from the store"
        )
        self._following.hold_down(name, {climb.group: down}, why)
        log.warning("rollout.followed_alone", node=self._node, route=content.route, command=content.command, why=reason)


async def _unless_away(work: Awaitable[None]) -> None:
    """Await a part of a tick; while the store is away, which it logs itself, the next tick tries again."""
    with suppress(StoreError, DatabaseError):
        await work
