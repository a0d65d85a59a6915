"""The placement of endpoints: which route of the settings in force covers each, and what becomes of its calls."""

from dataclasses import dataclass, field

from strangler.core.http.head import RequestHead
from strangler.core.ledger.rows import EndpointRow
from strangler.core.ledger.segments import split_segments
from strangler.core.ledger.states import Placement
from strangler.core.ledger.word_classes import OVERFLOW
from strangler.core.routing.arm import LEGACY, LEGACY_ARM
from strangler.core.routing.plan import shadow_percent
from strangler.core.routing.route import Route
from strangler.core.routing.snapshot import Snapshot
from strangler.core.settings import MatchSettings, RouteSettings, Settings

MAX_HOSTS = 16
"""The most hosts of routes that are tried for an endpoint that was never called."""
MAX_PLACED = 20_000
"""The placements that are remembered: some for each row, since rows come and go."""
_NO_CONDITIONS = MatchSettings(None, None, (), None, (), ())


@dataclass(frozen=True, slots=True)
class Placed:
    """An endpoint's route, and the placement that decides its state."""

    route: RouteSettings | None
    placement: Placement


@dataclass(slots=True)
class PlacementsState:
    """The placements in one version of the settings; each is computed once."""

    settings: Settings
    _snapshot: Snapshot = field(init=False)
    _hosts: tuple[str, ...] = field(init=False)
    _placed: dict[tuple[str, str, str, bool], Placed] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._snapshot = Snapshot(self.settings, 0)
        self._hosts = tuple(dict.fromkeys(route.match.host for route in self.settings.routes if route.match.host))

    def of(self, row: EndpointRow) -> Placed:
        """Return the placement of an endpoint. The kill switch does not count: it is not how things are meant to be."""
        key = row.method, row.template, row.route, row.first_seen is None
        found = self._placed.get(key)
        if found is None:
            if len(self._placed) >= MAX_PLACED:
                self._placed.clear()
            route = self._route_of(row)
            found = self._placed[key] = Placed(None if route is None else route.settings, _placement(route, row.method))
        return found

    def _route_of(self, row: EndpointRow) -> Route | None:
        """Return the route that covers an endpoint.

        Where conditions on host, headers or query decide, it is the one that last served it.
        """
        if row.template == OVERFLOW:
            return None
        plain = self._lookup(row, _NO_CONDITIONS)
        last = self._snapshot.routes.get(row.route)
        if last is not None and last is not plain and self._lookup(row, last.settings.match) is last:
            return last
        if plain is not None or row.first_seen is not None or len(self._hosts) > MAX_HOSTS:
            return plain
        by_host = {self._lookup(row, MatchSettings(None, None, (), host, (), ())) for host in self._hosts} - {None}
        return by_host.pop() if len(by_host) == 1 else None

    def _lookup(self, row: EndpointRow, conditions: MatchSettings) -> Route | None:
        found = self._snapshot.table.lookup(_head(row.method, row.template, conditions))
        return found if isinstance(found, Route) else None


def _head(method: str, template: str, conditions: MatchSettings) -> RequestHead:
    """Return the head of a call of an endpoint for which conditions hold; a hole is a value that no route spells."""
    segments = split_segments(template)
    path = "/" + "/".join(text for text in segments if text[:1] not in ("?", "&", "#"))
    parameters = [text[1:] for text in segments if text[:1] in ("?", "&")]
    parameters = [*(f"{name}={value}" for name, value in conditions.query), *parameters]
    host = (conditions.host or "").lower().replace("*", "any", 1)
    fields = {name.encode(): value.encode() for name, value in conditions.headers}
    raw, query = path.encode("utf-8", "surrogateescape"), "&".join(parameters).encode("utf-8", "surrogateescape")
    target = raw + b"?" + query if query else raw
    return RequestHead(method.encode(), target, raw, query or None, host.encode(), fields, b"")


def _placement(route: Route | None, method: str) -> Placement:
    if route is None or not route.settings.enabled:
        return Placement()
    settings = route.settings
    sunset = None if settings.retire is None else float(settings.retire.sunset)
    if settings.is_passthrough:
        return Placement(has_candidate=True, percent=100.0, sunset=sunset, is_passthrough=True)
    if settings.aggregate is None and settings.candidate in (None, LEGACY):
        return Placement(sunset=sunset)
    is_shadowed = shadow_percent(route, method.encode(), LEGACY_ARM) > 0
    return Placement(True, settings.split.percent, is_shadowed, sunset)
