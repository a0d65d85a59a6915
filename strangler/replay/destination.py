"""The place where a request goes: by routes.yaml as it is now, never by what the recording has."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from strangler.comparing.dry_runs import DryRuns
from strangler.comparing.route import ComparedRoute
from strangler.config.edit import unknown_route
from strangler.config.scalars import did_you_mean
from strangler.core.http.methods import SAFE, is_safe
from strangler.core.routing.arm import AGGREGATE, LEGACY
from strangler.core.routing.path import Oddity
from strangler.core.routing.snapshot import Snapshot
from strangler.core.settings import RouteSettings, Settings, TimeoutSettings
from strangler.http1.request import Request
from strangler.replay.replay_settings import PROXY, ReplaySettings
from strangler.replay.same_server import is_same_server

MAX_BODY_BYTES: Final = 1024 * 1024
"""The most of a response's body that is read for a route without shadows."""

NO_ROUTE: Final = "no route with a candidate"
AMBIGUOUS: Final = "an ambiguous path, which legacy serves"
OTHER_ROUTE: Final = "another route than those chosen"
A_WRITE: Final = "a write"
NEVER_LEGACY: Final = "a write, which legacy never gets"
NO_DRY_RUNS: Final = "a write, since the candidate does not confirm dry runs"


class ReplayError(Exception):
    """A replay that cannot begin. The text names what stands in its way, and the way out."""


@dataclass(slots=True, kw_only=True)
class ReplayedRoute(ComparedRoute):
    """One route as a replay uses it."""

    dry_runs: DryRuns = field(default_factory=DryRuns)

    @property
    def max_body_bytes(self) -> int:
        shadow = self.settings.shadow
        return MAX_BODY_BYTES if shadow is None else shadow.max_body_bytes

    def timeouts_of(self, upstream: str, own: TimeoutSettings) -> TimeoutSettings:
        """Return the timeouts of a request to an upstream; `own`: the upstream's."""
        return self.settings.timeouts or own if upstream == self.settings.candidate else own


@dataclass(frozen=True, slots=True)
class Destination:
    """A route, and the upstream that a request of it goes to: its name, `PROXY`, or `AGGREGATE`."""

    route: ReplayedRoute
    upstream: str
    is_dry_run: bool = False

    @property
    def is_rewritten(self) -> bool:
        """Whether the path is the candidate's: legacy and the proxy get the client's."""
        return self.upstream not in (LEGACY, PROXY)


class Destinations:
    """Where requests go. Raises ReplayError for what cannot be meant."""

    def __init__(self, settings: Settings, how: ReplaySettings, key: bytes) -> None:
        self._settings = settings
        self._how = how
        self._table = Snapshot(settings, 0).table
        self._are_legacy: dict[str, bool] = {}
        values = settings.evidence.values
        self.routes = {route.name: ReplayedRoute.of(route, key, values) for route in settings.routes}
        self._check()

    def of(self, head: Request) -> Destination | str:
        """Return where a request goes; or why it is not sent."""
        route = self.route_of(head)
        if isinstance(route, str):
            return route
        if is_safe(head):
            return Destination(route, self.upstream_of(route))
        return self.of_write(route)

    def route_of(self, head: Request) -> ReplayedRoute | str:
        """Return the route of a request; or why there is none to send it by."""
        found = self._table.lookup(head)
        if found is None:
            return NO_ROUTE
        if isinstance(found, Oddity):
            return AMBIGUOUS
        if self._how.routes and found.name not in self._how.routes:
            return OTHER_ROUTE
        return self.routes[found.name]

    def upstream_of(self, route: ReplayedRoute) -> str:
        """Return the upstream of safe requests of a route."""
        return LEGACY if self._how.is_self else self._how.to or route.candidate

    def of_write(self, route: ReplayedRoute) -> Destination | str:
        """Return where a write of a route goes; or why it is not sent."""
        how, shadow = self._how, route.settings.shadow
        writes = how.writes or ("skip" if shadow is None else shadow.writes)
        upstream = self.upstream_of(route)
        if writes == "skip" or how.is_self or upstream in (PROXY, AGGREGATE):
            return A_WRITE
        if writes == "sandbox":
            sandbox = None if shadow is None else shadow.to
            if how.to is not None and how.writes is None and how.to != sandbox:
                return A_WRITE  # only that sandbox may have them
            upstream = how.to or sandbox or ""
        if self._is_legacy(upstream):
            return NEVER_LEGACY
        if writes == "dry_run" and route.dry_runs.state.is_refused:
            return NO_DRY_RUNS
        return Destination(route, upstream, is_dry_run=writes == "dry_run")

    def _is_legacy(self, name: str) -> bool:
        """Return whether an upstream is legacy, by its name or by where its URLs lead."""
        known = self._are_legacy.get(name)
        if known is None:
            upstreams = self._settings.upstreams
            known = name == LEGACY or is_same_server(upstreams[name], upstreams[LEGACY])
            self._are_legacy[name] = known
        return known

    # Before the start

    def _check(self) -> None:
        how = self._how
        for name in sorted(how.routes - self.routes.keys()):
            raise ReplayError(unknown_route(name, [*self.routes]))
        if how.to not in (None, PROXY) and how.to not in self._settings.upstreams:
            raise ReplayError(unknown_upstream(str(how.to), self._settings.upstreams))
        if how.writes is not None and (how.is_self or how.to == PROXY):
            raise ReplayError("--writes: the proxy and --self get safe requests alone: leave it out")
        if how.writes is not None and how.to is not None and self._is_legacy(how.to):
            raise ReplayError(f"--writes: '{how.to}' is legacy, which never gets a write: leave it out")
        if how.writes == "sandbox" and how.to is None:
            self._check_sandboxes()

    def _check_sandboxes(self) -> None:
        without = [
            name
            for name, route in self.routes.items()
            if (not self._how.routes or name in self._how.routes)
            and route.settings.candidate is not None
            and _has_writes(route.settings)
            and (route.settings.shadow is None or route.settings.shadow.to is None)
        ]
        if without:
            raise ReplayError(
                f"--writes sandbox: route '{without[0]}' has no `shadow.to`, so nothing says which upstream is its "
                "sandbox: name it with --to, or choose routes that have one with --route"
            )


def _has_writes(route: RouteSettings) -> bool:
    methods = route.match.methods
    return not methods or any(method.encode() not in SAFE for method in methods)


def unknown_upstream(name: str, upstreams: Iterable[str]) -> str:
    """Return the message about a name that no upstream of routes.yaml has, and that is not the proxy."""
    known = [*upstreams, PROXY]
    way_out = did_you_mean(name, known) or f"it may be {', '.join(known)}"
    return f"unknown upstream '{name}'; {way_out}"
