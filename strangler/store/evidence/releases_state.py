"""The releases of candidates as control knows them: which one a response belongs to, and which one is current."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from strangler.core.compare import Response
from strangler.core.releases import UNNAMED, ReleaseState
from strangler.core.settings import RouteSettings
from strangler.store.evidence.stored_releases import FOLDED, MAX_RELEASES, STALE_S, Release, named_in

Changed = Callable[[str, str, str, float], None]
"""A callback with route, former release, current release, and the Unix time of the change."""


@dataclass(frozen=True, slots=True)
class Followed:
    """A change of a route's releases that another node has made."""

    route: str
    begun: float | None = None
    """When its evidence was set aside; None if it has another current release."""


@dataclass(slots=True)
class _RouteReleases:
    """The releases of one route."""

    state: ReleaseState = field(default_factory=ReleaseState)
    first_seen: dict[str, float] = field(default_factory=dict)
    former: str = UNNAMED
    """The release before the current one."""
    begun: float = 0.0
    """The Unix time at which its evidence was last set aside."""
    named: str = UNNAMED
    """The release that a person or a pipeline named last, on this node."""
    replayed: dict[str, float] = field(default_factory=dict)
    """When a replay last named each release, which says nothing about the current one."""
    touched: set[str] = field(default_factory=set)
    """The names whose rows are not stored yet."""

    def last_seen(self, name: str) -> float:
        """Return when a response last named a release, of a shadow or of a replay; 0 if none did."""
        return max(self.state.last_seen.get(name, 0.0), self.replayed.get(name, 0.0))


class ReleasesState:
    """Owns the releases of all routes. Only used in the event loop; rows go to and from the store by value.

    `ahead_s` returns how far the store's clock is ahead of this host's, whose times `see` and `at` get.
    """

    def __init__(self, on_change: Changed | None = None, ahead_s: Callable[[], float] = lambda: 0.0) -> None:
        self._routes: dict[str, _RouteReleases] = {}
        self._dirty: set[str] = set()
        self._evicted: set[tuple[str, str]] = set()
        self._aside: dict[str, set[str]] = {}
        """By route: the names of evidence that was set aside, to which nothing is added."""
        self.on_change = on_change
        self._ahead_s = ahead_s

    def restore(self, rows: Iterable[Release]) -> None:
        """Take over the rows of the store; what was seen here in the meantime is newer and stays."""
        for row in rows:
            if row.era:
                self._aside.setdefault(row.route, set()).add(row.name)
                continue
            known = self._of(row.route)
            known.first_seen[row.name] = min(row.first_seen, known.first_seen.get(row.name, row.first_seen))
            state = known.state
            state.last_seen[row.name] = max(row.last_seen, state.last_seen.get(row.name, row.last_seen))
            if row.is_current and row.since >= state.since:
                state.current, state.since = row.name, row.since

    def restore_resets(self, resets: Mapping[str, float]) -> None:
        """Take over when the evidence of routes was last set aside."""
        for route, at in resets.items():
            self._of(route).begun = at

    def follow(self, rows: Sequence[Release], resets: Mapping[str, float]) -> list[Followed]:
        """Take over what other nodes have stored, with the last resets. What is not stored yet here stays.

        Return the routes that have another current release, or whose evidence was set aside.
        """
        found = [self._follow_reset(route, at) for route, at in sorted(resets.items()) if at > self.begun(route)]
        self.restore(row if row.era else replace(row, is_current=False) for row in rows)
        there = {(row.route, row.name) for row in rows}
        for route, known in self._routes.items():
            for name in [each for each in known.first_seen if (route, each) not in there]:
                if name not in known.touched and name != known.state.current:
                    del known.first_seen[name]
                    known.state.last_seen.pop(name, None)
        others = [row for row in rows if row.is_current and row.since > self._of(row.route).state.since]
        return found + [Followed(row.route) for row in others if self.yield_to(row)]

    def _follow_reset(self, route: str, at: float) -> Followed:
        current = self._of(route).state.current
        self._routes[route] = _RouteReleases(ReleaseState(current, at), former=current, begun=at)
        return Followed(route, begun=at)

    def yield_to(self, row: Release) -> bool:
        """Make the release that other nodes know as the current one the current one here. Return whether that is a
        change."""
        known = self._of(row.route)
        former = known.state.current
        known.state.last_seen.setdefault(row.name, row.last_seen)
        if not known.state.name(row.name, row.since):
            return False
        known.former = former
        return True

    def current(self, route: str) -> str:
        """Return the current release of a route's candidate; empty if nothing has named one."""
        known = self._routes.get(route)
        return known.state.current if known is not None else UNNAMED

    def is_set_aside(self, route: str, name: str) -> bool:
        """Return whether this is the name of evidence that was set aside."""
        return name in self._aside.get(route, ())

    def begun(self, route: str) -> float:
        """Return the Unix time since which evidence of a route counts; 0 if none was set aside."""
        known = self._routes.get(route)
        return known.begun if known is not None else 0.0

    def at(self, route: str, when: float) -> str:
        """Return the release that was current at a Unix time of this host. Only the last change is known."""
        return self._at(route, when + self._ahead_s())

    def _at(self, route: str, when: float) -> str:
        known = self._routes.get(route)
        if known is None:
            return UNNAMED
        return known.state.current if when >= known.state.since else known.former

    def see(self, settings: RouteSettings, response: Response, requested_at: float, now: float) -> str:
        """Return the release that a response of the candidate belongs to, and take note of a release that it names.

        `requested_at` is the Unix time at which the candidate was asked; `now` that of the response; both of this host.
        """
        ahead_s = self._ahead_s()
        requested_at, now = requested_at + ahead_s, now + ahead_s
        if settings.release_header is None:
            return self._named(settings.name, requested_at, now)
        name = named_in(settings, response)
        if not name:
            return self._at(settings.name, requested_at)
        known = self._of(settings.name)
        name = self._admitted(settings.name, known, name, now)
        known.first_seen.setdefault(name, now)
        former = known.state.current
        if known.state.see(name, now):
            self._has_changed(settings.name, known, former, now)
        self._touch(settings.name, known, name)
        return name

    def see_replayed(self, route: str, name: str, now: float) -> str:
        """Return the release that a response of a replay belongs to, and take note of a release that it names.

        A replay may go to any deployment, so that the current release stays. Only a route without any gets it.
        """
        if not name:
            return self.current(route)
        known = self._of(route)
        name = self._admitted(route, known, name, now)
        known.first_seen.setdefault(name, now)
        known.replayed[name] = now
        if known.state.current == UNNAMED and known.state.name(name, now):
            self._has_changed(route, known, UNNAMED, now)
        self._touch(route, known, name)
        return name

    def _named(self, route: str, requested_at: float, now: float) -> str:
        """Return the release that an operator has named, and note that it was seen again."""
        name = self._at(route, requested_at)
        if name != UNNAMED:
            known = self._of(route)
            known.state.last_seen[name] = now
            self._touch(route, known, name)
        return name

    def name(self, route: str, name: str, now: float) -> bool:
        """Make a named release the current one. Return whether that is a change. See `name_problem`."""
        known = self._of(route)
        if name not in known.first_seen:
            self._make_room(route, known, now, by_force=True)
        known.first_seen.setdefault(name, now)
        known.state.last_seen[name] = now
        known.named = name
        self._touch(route, known, name)
        former = known.state.current
        if not known.state.name(name, now):
            return False
        self._has_changed(route, known, former, now)
        return True

    def begin_anew(self, route: str, now: float, aside: Iterable[str]) -> None:
        """Forget all releases of a route except the current name: its evidence was set aside, as `aside`."""
        self._aside.setdefault(route, set()).update(aside)
        known = self._of(route)
        current = known.state.current
        fresh = _RouteReleases(ReleaseState(current, now), former=current, begun=now)
        if current != UNNAMED:
            fresh.first_seen[current] = fresh.state.last_seen[current] = now
        self._routes[route] = fresh
        self._touch(route, fresh, current)

    def unsaved(self) -> tuple[list[Release], list[tuple[str, str]]]:
        """Return the rows to store, and the route and name of each release that had to make room.

        Give both back to `not_saved` if they could not be stored.
        """
        rows = [row for route in sorted(self._dirty) for row in self._rows(route)]
        evicted = sorted(self._evicted)
        for route in self._dirty:
            self._routes[route].touched.clear()
        self._dirty.clear()
        self._evicted.clear()
        return rows, evicted

    def not_saved(self, rows: Iterable[Release], evicted: Iterable[tuple[str, str]]) -> None:
        """Store these rows the next time."""
        for row in rows:
            known = self._routes.get(row.route)
            if known is not None and row.name in known.first_seen:
                self._touch(row.route, known, row.name)
        self._evicted.update(evicted)

    def _rows(self, route: str) -> list[Release]:
        known = self._routes[route]
        state = known.state
        return [
            Release(
                route=route,
                name=name,
                first_seen=known.first_seen.get(name, state.since),
                last_seen=max(state.last_seen.get(name, state.since), known.replayed.get(name, 0.0)),
                is_current=name == state.current,
                since=state.since if name == state.current else 0.0,
                is_named=name == known.named,
            )
            for name in sorted(known.touched)
        ]

    def _of(self, route: str) -> _RouteReleases:
        return self._routes.setdefault(route, _RouteReleases())

    def _touch(self, route: str, known: _RouteReleases, name: str) -> None:
        """Note that a row must be stored. The unnamed release has none: its evidence shows it."""
        if name != UNNAMED:
            known.touched.add(name)
            self._dirty.add(route)

    def _has_changed(self, route: str, known: _RouteReleases, former: str, now: float) -> None:
        known.former = former
        self._touch(route, known, former)
        self._touch(route, known, known.state.current)
        if self.on_change is not None:
            self.on_change(route, former, known.state.current, now)

    def _admitted(self, route: str, known: _RouteReleases, name: str, now: float) -> str:
        """Return the name itself, or the folded name if there are too many."""
        if name in known.first_seen:
            return name
        if not self.is_set_aside(route, name) and self._make_room(route, known, now):
            return name
        return FOLDED

    def _make_room(self, route: str, known: _RouteReleases, now: float, *, by_force: bool = False) -> bool:
        """Drop the name that was not seen for longest, if there is no room and that is long enough ago, or `by_force`.
        Return whether there is room."""
        names = [name for name in known.first_seen if name != FOLDED]
        if len(names) < MAX_RELEASES:
            return True
        oldest = min((name for name in names if name != known.state.current), key=known.last_seen)
        if not by_force and now - known.last_seen(oldest) < STALE_S:
            return False
        del known.first_seen[oldest]
        known.state.last_seen.pop(oldest, None)
        known.replayed.pop(oldest, None)
        known.touched.discard(oldest)
        self._evicted.add((route, oldest))
        return True
