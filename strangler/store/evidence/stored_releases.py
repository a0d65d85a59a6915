"""The releases of candidates: which one a response belongs to, which one is current, and how they are stored.

A response names its release by a header. Else an operator or the deploy pipeline does, by `strangler release`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from strangler.core.compare import Response
from strangler.core.documents import ReleaseRow
from strangler.core.releases import UNNAMED, ReleaseState
from strangler.core.settings import RouteSettings
from strangler.store.connection import Connection
from strangler.store.evidence.turn import take_turn
from strangler.store.topics import Topic, announce
from strangler.store.upsert import greatest, least, replaced

MAX_RELEASES: Final = 100
"""The most names of one route; further ones are counted under `FOLDED` until an old name makes room."""
MAX_NAME: Final = 100
"""The most characters of a name."""
FOLDED: Final = "…"
STALE_S: Final = 30 * 86400.0
"""A name that was not seen for this long makes room for a new one, and its evidence is deleted."""

Changed = Callable[[str, str, str, float], None]
"""A callback with route, former release, current release, and the Unix time of the change."""


@dataclass(frozen=True, slots=True)
class Release:
    """One release of a route's candidate in the store. Times are Unix times."""

    route: str
    name: str
    first_seen: float
    last_seen: float
    is_current: bool = False
    since: float = 0.0
    """When it became the current release, if it is."""
    era: str = ""
    """The mark of releases that `evidence reset` set aside; empty for all others."""
    is_named: bool = False
    """It was named by a person or a pipeline, not by a response; known before it is stored only."""


def name_problem(name: str) -> str | None:
    """Return why this name is not valid for a release, with the way out; None if it is valid."""
    if not name or name != name.strip():
        return "a release's name must have no spaces at its ends, such as 2026-11-29 or v1.4.2"
    if len(name) > MAX_NAME:
        return f"the name has {len(name)} characters; it may have {MAX_NAME}"
    if not name.isprintable():
        return "a release's name must have printable characters only"
    if name == FOLDED:
        return f"{FOLDED} stands for names beyond {MAX_RELEASES}; use another name"
    return None


def name_in_header(raw: bytes) -> str:
    """Return the release that a header value names, printable and cut to `MAX_NAME`; empty if it names none."""
    text = raw.decode("utf-8", "backslashreplace")
    return "".join(char if char.isprintable() else "?" for char in text)[:MAX_NAME].strip()


def named_in(settings: RouteSettings, response: Response) -> str:
    """Return the release that a response of a route's candidate names by its header; empty if it names none."""
    if settings.release_header is None:
        return UNNAMED
    values = response.field_values(settings.release_header.encode())
    return name_in_header(values[0]) if values else UNNAMED


@dataclass(slots=True)
class _RouteReleases:
    """The releases of one route."""

    state: ReleaseState = field(default_factory=ReleaseState)
    first_seen: dict[str, float] = field(default_factory=dict)
    former: str = UNNAMED
    """The release before the current one."""
    begun: float = 0.0
    """The Unix time at which its evidence was last set aside."""
    replayed: dict[str, float] = field(default_factory=dict)
    """When a replay last named each release, which says nothing about the current one."""
    touched: set[str] = field(default_factory=set)
    """The names whose rows are not stored yet."""

    def last_seen(self, name: str) -> float:
        """Return when a response last named a release, of a shadow or of a replay; 0 if none did."""
        return max(self.state.last_seen.get(name, 0.0), self.replayed.get(name, 0.0))


class ReleasesState:
    """Owns the releases of all routes. Only used in the event loop; rows go to and from the store by value."""

    def __init__(self, on_change: Changed | None = None) -> None:
        self._routes: dict[str, _RouteReleases] = {}
        self._dirty: set[str] = set()
        self._evicted: set[tuple[str, str]] = set()
        self._aside: dict[str, set[str]] = {}
        """By route: the names of evidence that was set aside, to which nothing is added."""
        self.on_change = on_change

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
        """Return the release that was current at a Unix time. Only the last change is known."""
        known = self._routes.get(route)
        if known is None:
            return UNNAMED
        return known.state.current if when >= known.state.since else known.former

    def see(self, settings: RouteSettings, response: Response, requested_at: float, now: float) -> str:
        """Return the release that a response of the candidate belongs to, and take note of a release that it names.

        `requested_at` is the Unix time at which the candidate was asked; `now` that of the response.
        """
        if settings.release_header is None:
            return self._named(settings.name, requested_at, now)
        name = named_in(settings, response)
        if not name:
            return self.at(settings.name, requested_at)
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
        name = self.at(route, requested_at)
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


# In the store


def load_releases(connection: Connection, route: str | None = None) -> list[Release]:
    """Return the stored releases of one route or of all."""
    rows = connection.execute(
        """SELECT route, name, first_seen, last_seen, is_current, since, era FROM releases
        WHERE CAST(? AS text) IS NULL OR route = ? ORDER BY route, last_seen DESC, name""",
        (route, route),
    )
    return [Release(*row) for row in rows.fetchall()]


def save_releases(connection: Connection, rows: Iterable[Release]) -> None:
    """Store rows of `ReleasesState.unsaved`. If the current release has changed, the route is judged again."""
    for row in rows:
        if row.is_current:
            if current_release(connection, row.route) != row.name:
                _note_other(connection, row.route)
            connection.execute(
                "UPDATE releases SET is_current = 0 WHERE route = ? AND name != ?", (row.route, row.name)
            )
        connection.execute(
            f"""INSERT INTO releases VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (route, name) DO UPDATE SET
            first_seen = {least("releases", "first_seen")}, last_seen = {greatest("releases", "last_seen")},
            {replaced("is_current", "since")}""",  # noqa: S608 - only our own words
            (row.route, row.name, row.first_seen, row.last_seen, int(row.is_current), row.since, row.era),
        )


def _note_other(connection: Connection, route: str) -> None:
    """Note that a route has another current release; without evidence there is nothing to judge."""
    connection.execute("UPDATE changes SET number = (SELECT max(number) + 1 FROM changes) WHERE route = ?", (route,))


def names_with_pairs(connection: Connection, route: str) -> list[str]:
    """Return the releases of a route that have pairs, without those that were set aside."""
    rows = connection.execute(
        """SELECT DISTINCT release FROM pairs WHERE route = ? AND release NOT IN
            (SELECT name FROM releases WHERE route = ? AND era != '') ORDER BY 1""",
        (route, route),
    )
    return [row[0] for row in rows]


def seen_between(connection: Connection, route: str, release: str) -> tuple[float, float]:
    """Return the Unix times of the first and the last pair of a release that has pairs, comparable or not."""
    row = connection.execute(
        "SELECT min(first), max(last) FROM observed WHERE route = ? AND release = ?", (route, release)
    ).fetchone()
    if row[0] is not None:
        return row[0], row[1]
    first, last = connection.execute(
        "SELECT min(hour), max(hour) FROM pairs WHERE route = ? AND release = ?", (route, release)
    ).fetchone()
    return first * 3600.0, last * 3600.0


def current_release(connection: Connection, route: str) -> str:
    """Return the current release of a route in the store; empty if there is none."""
    row = connection.execute("SELECT name FROM releases WHERE route = ? AND is_current = 1", (route,)).fetchone()
    return row[0] if row is not None else UNNAMED


def release_or_current(connection: Connection, route: str, release: str | None) -> str:
    """Return the given release, by default the current one."""
    return current_release(connection, route) if release is None else release


def set_aside_names(connection: Connection, route: str) -> set[str]:
    """Return the names of a route's evidence that was set aside."""
    rows = connection.execute("SELECT name FROM releases WHERE route = ? AND era != ''", (route,))
    return {row[0] for row in rows}


def set_aside_problem(name: str) -> str:
    """Return why a release cannot get the name of evidence that was set aside."""
    return f"{name} is the name of evidence that was set aside; use another name"


def name_release(connection: Connection, route: str, name: str, now: float) -> str:
    """Make a release the current one while no proxy runs. Return the former one."""
    take_turn(connection)
    former = current_release(connection, route)
    row = connection.execute("SELECT since FROM releases WHERE route = ? AND name = ?", (route, name)).fetchone()
    since = row[0] if row is not None and name == former else now
    save_releases(connection, [Release(route, name, now, now, True, since)])
    announce(connection, Topic.RELEASES)
    return former


def release_rows(releases: Iterable[Release], pairs: Mapping[tuple[str, str], int]) -> list[ReleaseRow]:
    """Return releases as the API shows them. `pairs`: the comparable pairs by route and name."""
    return [
        ReleaseRow(
            route=release.route,
            name=release.name,
            first_seen=release.first_seen,
            last_seen=release.last_seen,
            is_current=bool(release.is_current),
            is_set_aside=bool(release.era),
            pairs=pairs.get((release.route, release.name), 0),
        )
        for release in releases
    ]
