"""All rollouts in memory, by group and by the routes that climb together. Nothing here reads, writes or sends."""

from dataclasses import dataclass

from strangler.control.rollout.climb import ClimbState
from strangler.control.rollout.groups import is_overridden, led_by, waiting_at
from strangler.core.rollout.machine import RolloutEvent
from strangler.core.rollout_percents import percent_before, rollout_groups, with_percents
from strangler.core.settings import Settings
from strangler.ipc.messages import RolloutBatch
from strangler.state.kill_switch import KillSwitchState
from strangler.store.evidence.findings import Finding

SWITCH_EVENTS = (RolloutEvent.KILL_SWITCH_ON, RolloutEvent.KILL_SWITCH_OFF)


class UnknownRolloutError(Exception):
    """There is no such route, or it has no rollout; the text says which."""


@dataclass(frozen=True, slots=True)
class TimedPair:
    """The latencies of a request that was sent to both arms, in seconds, for the rollout that compares them."""

    climb: ClimbState
    latency: tuple[float, float]
    ratio: float
    """The most that the candidate's may be of legacy's."""


class ClimbsState:
    """Owns the rollouts of the settings in force. `generation` is that of the settings."""

    def __init__(self, settings: Settings, kill_switch: KillSwitchState, generation: int) -> None:
        self.settings = settings
        self.kill_switch = kill_switch
        self.generation = generation
        self.is_restored = False
        """Whether the store was read: before that, rollouts are provisional."""
        self.gone: set[str] = set()
        """Groups that have no rollout any more, and that the store still has."""
        self._by_group: dict[str, ClimbState] = {}
        self._groups: dict[str, str] = {}
        """By route: its group."""

    def all(self) -> list[ClimbState]:
        """Return all rollouts, as a list that a change of them leaves alone."""
        return list(self._by_group.values())

    def in_group(self, group: str) -> ClimbState | None:
        """Return a group's rollout; None if it has none."""
        return self._by_group.get(group)

    def of(self, route: str) -> ClimbState | None:
        """Return a route's rollout; None if it has none."""
        return self._by_group.get(self._groups.get(route, ""))

    def find(self, route: str) -> ClimbState:
        """Return a route's rollout. Raises UnknownRolloutError."""
        climb = self.of(route)
        if climb is not None:
            return climb
        if any(each.name == route for each in self.settings.routes):
            raise UnknownRolloutError(f"route {route!r} has no rollout: write `rollout` in routes.yaml")
        raise UnknownRolloutError(f"there is no route {route!r}")

    def by_route(self) -> dict[str, ClimbState]:
        """Return the rollouts by route, in the order of routes.yaml."""
        names = (route.name for route in self.settings.routes)
        return {name: climb for name in names if (climb := self.of(name)) is not None}

    def take(self, batch: RolloutBatch) -> None:
        """Count requests that a worker has served."""
        for counts in batch.counts:
            climb = self.of(counts.route)
            if climb is not None:
                climb.take(counts)

    def timed_pair(self, finding: Finding) -> TimedPair | None:
        """Return the pair of latencies that a rollout counts; None if none counts it, as when it came before the
        position."""
        climb = self.of(finding.route)
        if climb is None or finding.latency is None or climb.plan.latency is None or finding.at < climb.position.since:
            return None
        return TimedPair(climb, finding.latency, climb.plan.latency.ratio)

    def has(self, climb: ClimbState) -> bool:
        """Return whether a rollout is still the one of its group: a plan may be taken out, and come back."""
        return self._by_group.get(climb.group) is climb

    def put(self, climb: ClimbState) -> None:
        """Make it the rollout of its group."""
        self._by_group[climb.group] = climb

    def effective(self, settings: Settings) -> Settings:
        """Return settings with the percents of rollouts. One that is new begins with what was in force before."""
        percents = {
            group: climb.percent
            if (climb := self._by_group.get(group)) is not None
            else percent_before(self.settings, routes)
            for group, routes in rollout_groups(settings).items()
        }
        return with_percents(settings, percents)

    def adopt(self, settings: Settings, now: float) -> list[ClimbState]:
        """Follow the rollouts of new settings: they begin and end. Return those whose plan has changed."""
        self.settings = settings
        groups = rollout_groups(settings)
        self._groups = {route.name: group for group, routes in groups.items() for route in routes}
        for group in self._by_group.keys() - groups.keys():
            del self._by_group[group]
            self.gone.add(group)
        changed = []
        for group, routes in groups.items():
            climb = self._by_group.get(group)
            if climb is None:
                climb = ClimbState(group, routes, waiting_at(routes[0].split.percent, now), self.generation)
                climb.is_provisional, climb.is_changed = not self.is_restored, True
                self.put(climb)
                self.gone.discard(group)
            before, climb.routes = climb.routes, routes
            if before[0].rollout != routes[0].rollout:
                changed.append(climb)
            elif led_by(before) != led_by(routes):  # what other candidates did says nothing of these
                climb.set_position(climb.position.afresh(now))
                climb.is_changed = True
        return changed

    def switch_events(self) -> list[tuple[ClimbState, RolloutEvent]]:
        """Return the rollouts that the kill switch, or a route that is disabled, overrides since now, or no more."""
        found = []
        for climb in self._by_group.values():
            is_on = is_overridden(climb.routes, self.kill_switch)
            queued = [each for each in climb.queue or () if each in SWITCH_EVENTS]
            was_on = climb.position.is_overridden if not queued else queued[-1] is RolloutEvent.KILL_SWITCH_ON
            if is_on != was_on:
                found.append((climb, RolloutEvent.KILL_SWITCH_ON if is_on else RolloutEvent.KILL_SWITCH_OFF))
        return found
