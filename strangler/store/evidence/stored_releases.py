"""The releases of candidates: which one a response belongs to, which one is current, and how they are stored.

A response names its release by a header. Else an operator or the deploy pipeline does, by `strangler release`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from strangler.core.compare import Response
from strangler.core.documents import ReleaseRow
from strangler.core.releases import UNNAMED
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
