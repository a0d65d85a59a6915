"""The evidence that a judgement counts: that of one release of a route, of the sources that its gate names."""

from dataclasses import dataclass
from typing import Final

from strangler.core.source import LIVE_ONLY, SOURCES, Source
from strangler.store.connection import Connection
from strangler.store.evidence.stored_releases import release_or_current

COUNTED: Final = "route = ? AND release = ? AND source IN (?, ?)"
"""The condition for rows that count; its parameters are `Counted.key`."""

Sources = tuple[Source, ...]


@dataclass(frozen=True, slots=True)
class Counted:
    """A release of a route with the sources that count, at least one."""

    route: str
    release: str
    sources: Sources

    @property
    def key(self) -> tuple[str, str, str, str]:
        """The parameters of `COUNTED`."""
        return self.route, self.release, self.sources[0], self.sources[-1]

    @property
    def left_out(self) -> Sources:
        """The sources that do not count."""
        return tuple(source for source in SOURCES if source not in self.sources)


def counted(connection: Connection, route: str, sources: Sources = LIVE_ONLY, release: str | None = None) -> Counted:
    """Return what counts for a route, by default for its current release."""
    return Counted(route, release_or_current(connection, route, release), sources)


def notes_on_sources(connection: Connection, counts: Counted) -> list[str]:
    """Return a note for each source that has comparable pairs, but does not count."""
    return [
        f"{pairs:,} {_NAMES[source][pairs == 1]} not counted: gate.from is [{', '.join(counts.sources)}]"
        for source in counts.left_out
        if (pairs := _comparable(connection, counts, source))
    ]


_NAMES: Final = {
    "live": ("pairs of shadows are", "pair of a shadow is"),
    "replay": ("pairs of replays are", "pair of a replay is"),
}


def _comparable(connection: Connection, counts: Counted, source: Source) -> int:
    """Return the comparable pairs of a source. `observed` says at once that there are none."""
    (pairs,) = connection.execute(
        """SELECT CAST(coalesce(sum(count), 0) AS bigint) FROM pairs WHERE route = ? AND release = ? AND source = ?
        AND outcome != 'not_comparable'
        AND EXISTS (SELECT 1 FROM observed WHERE route = ? AND release = ? AND source = ?)""",
        (counts.route, counts.release, source) * 2,
    ).fetchone()
    return int(pairs)
