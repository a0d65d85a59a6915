"""The watch for brownouts that begin and end, and for sunsets."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import msgspec
import structlog

from strangler.control.events.publisher import EventPublisher
from strangler.control.fleet.leadership import Leadership, SoleLeadership
from strangler.control.links import LinksState
from strangler.control.reload import InForce
from strangler.control.totals import TotalsState
from strangler.core.retire_settings import BrownoutSettings, RetireSettings, utc_stamp
from strangler.core.settings import RouteSettings, Settings
from strangler.store.connection import Connection
from strangler.store.events.event import Event, Kind, event
from strangler.store.meta import read_meta, write_meta
from strangler.store.store import Store, StoreError

LOOK_EVERY_S: Final = 1.0

_META: Final = "retire_events"
_REFUSALS: Final = ("4xx", "5xx")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Reported:
    """The part of a route's end that has been reported."""

    brownout: BrownoutSettings | None = None  # has begun, and is not over
    refused: int = 0  # requests that had been refused when it began
    sunset: int | None = None  # has passed
    node: str = ""  # whose requests `refused` counts


_NOTHING: Final = Reported()


@dataclass(slots=True)
class _Step:
    """One look: the state after it, and the events that lead there."""

    now: float
    reported: dict[str, Reported] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)

    def publish(self, kind: Kind, route: str, data: Mapping[str, Any]) -> None:
        self.events.append(event(kind, route, {"route": route, **data}, self.now))


class RetireWatch:
    """Owns what has been reported. It is stored together with the events, so that each is sent once, even across
    restarts. A route that is disabled, or that the kill switch is on for, is served: that ends a brownout.

    Of several nodes, the one that leads reports. It counts the requests that it has refused itself since it leads.
    """

    def __init__(
        self,
        store: Store,
        publisher: EventPublisher,
        settings: Settings,
        links: LinksState,
        leadership: Leadership | None = None,
        node: str = "",
    ) -> None:
        """`leadership`: None if no other node has the store. `node`: the name of this node among several, or empty."""
        self._store = store
        self._leadership: Leadership = leadership or SoleLeadership(store)
        self._node = node
        self._publisher = publisher
        self._links = links
        self._routes = _ending(settings)
        self._reported: dict[str, Reported] | None = None
        """None: the store could not be read yet."""

    def adopt(self, in_force: InForce) -> None:
        """Watch the routes of these settings from now on."""
        self._routes = _ending(in_force.settings)

    async def restore(self) -> None:
        """Restore what was reported before this process."""
        try:
            found = await self._store.call(_load)
        except StoreError as error:  # logged by the store itself; tried again
            log.debug("retire.unknown", reason=str(error))
            return
        self._reported = {name: self._own(name, each) for name, each in found.items()}

    def _own(self, route: str, reported: Reported) -> Reported:
        """Return what was reported of a route, with counts of this node from now on if they are those of another."""
        if reported.node == self._node:
            return reported
        return replace(reported, refused=refused(self._links.totals, route), node=self._node)

    async def run(self) -> None:
        """Look every second, until cancelled."""
        while True:
            await self.look(time.time())
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self, now: float) -> None:
        """Report what has changed, while this node leads. `now`: Unix time."""
        if not self._leadership.holds:
            self._reported = None
            return
        if self._reported is None:
            await self.restore()
        if self._reported is None:
            return
        step = self._step(self._reported, now)
        if step.reported == self._reported:
            return

        def keep(connection: Connection) -> None:
            _save(connection, step.reported)
            self._publisher.insert(connection, step.events)

        try:
            await self._leadership.call(keep)
        except StoreError as error:  # logged by the store itself; reported by the next look that can
            log.debug("retire.not_reported", reason=str(error))
            return
        self._reported = step.reported
        self._publisher.on_stored(step.events)

    def _step(self, before: Mapping[str, Reported], now: float) -> _Step:
        step = _Step(now)
        for name in before.keys() - {route.name for route, _ in self._routes}:
            self._report_end(step, name, before[name])
        for route, retire in self._routes:
            is_in_force = route.enabled and not self._links.kill_switch.is_on_for(route.name)
            after = self._judged(step, route.name, retire, before.get(route.name, _NOTHING), is_in_force=is_in_force)
            if (after.brownout, after.sunset) != (None, None):
                step.reported[route.name] = after
        return step

    def _judged(
        self, step: _Step, name: str, retire: RetireSettings, before: Reported, *, is_in_force: bool
    ) -> Reported:
        window = retire.brownout_at(step.now) if is_in_force else None
        is_same = window is not None and before.brownout is not None and window.begins == before.brownout.begins
        if not is_same:
            self._report_end(step, name, before)
        if window is not None and not is_same:
            data = {**_times(window), "sunset": utc_stamp(retire.sunset)}
            step.publish(Kind.RETIRE_BROWNOUT_BEGAN, name, data)
        sunset = before.sunset if before.sunset == retire.sunset else None
        if is_in_force and step.now >= retire.sunset and sunset is None:
            sunset = retire.sunset
            count = refused(self._links.totals, name)
            end = {"sunset": utc_stamp(sunset), "status": retire.status, "refused": count}
            step.publish(Kind.RETIRE_SUNSET, name, end)
        if window is None:
            return Reported(None, 0, sunset, self._node)
        count = before.refused if is_same else refused(self._links.totals, name)
        return Reported(window, count, sunset, self._node)

    def _report_end(self, step: _Step, name: str, before: Reported) -> None:
        if before.brownout is None:
            return
        total = refused(self._links.totals, name)
        count = total - before.refused if total >= before.refused else total  # counted anew since a start of the proxy
        step.publish(Kind.RETIRE_BROWNOUT_ENDED, name, {**_times(before.brownout), "refused": count})


def refused(totals: TotalsState, route: str) -> int:
    """Return how many requests of a route were refused since the proxy started: they have no arm and no upstream."""
    return int(sum(totals.counter("strangler_requests_total", route, "", "", code) for code in _REFUSALS))


def _ending(settings: Settings) -> list[tuple[RouteSettings, RetireSettings]]:
    return [(route, route.retire) for route in settings.routes if route.retire is not None]


def _times(window: BrownoutSettings) -> dict[str, str]:
    return {"from": utc_stamp(window.begins), "to": utc_stamp(window.ends)}


def _load(connection: Connection) -> dict[str, Reported]:
    kept = read_meta(connection, _META)
    return {} if kept is None else msgspec.json.decode(kept, type=dict[str, Reported])


def _save(connection: Connection, reported: Mapping[str, Reported]) -> None:
    write_meta(connection, _META, msgspec.json.encode(reported).decode())
