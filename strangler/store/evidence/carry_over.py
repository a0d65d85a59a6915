"""The history of endpoints that have another name now: it is carried over to that name, in one transaction.

A name changes when the ledger's tree or a `fold` of the route has folded words, and once after an upgrade from a
version that named endpoints otherwise. Counts add up. Differences get the ids of their new names; where two become one,
the more cautious review holds. What one name has counted is never split: it stays under that name until it ages out.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Final, NamedTuple

import msgspec

from strangler.core.claims import pairs_to_prove
from strangler.core.compare import (
    Acceptance,
    CompareRules,
    Kind,
    Severity,
    Where,
    acceptance,
    signature,
    signature_path,
)
from strangler.store.connection import Connection
from strangler.store.evidence.audits import write_audit
from strangler.store.evidence.findings import Finding, StoredDifference
from strangler.store.evidence.former_ids import note_former_ids
from strangler.store.evidence.index import SAMPLES, set_id
from strangler.store.evidence.reviews import OPEN_STATES
from strangler.store.evidence.states import Rules
from strangler.store.evidence.stored_claims import FOLDED
from strangler.store.evidence.turn import take_turn
from strangler.store.evidence.writing import note_change
from strangler.store.topics import Topic, announce
from strangler.store.upsert import added, greatest, least

CAUTION: Final = ("regressed", "new", "known", "fixed", "accepted", "")
"""The states of reviews, the most cautious first: those that still count in the verdict; a claim that new pairs have to
prove; what is accepted; last, what was set aside."""

Endpoint = tuple[str, str]
"""Route and name."""


class StoredEndpoint(NamedTuple):
    """An endpoint that has evidence. `is_earlier`: a version without a ledger may have named it."""

    route: str
    name: str
    is_earlier: bool


@dataclass(frozen=True, slots=True)
class Carried:
    """The sums of a carry-over. `merged`: the differences that are a part of another one now."""

    endpoints: int = 0
    signatures: int = 0
    merged: int = 0


# Names


def stored_endpoints(connection: Connection) -> list[StoredEndpoint]:
    """Return all endpoints that have evidence, by route."""
    earlier = {row[0] for row in connection.execute("SELECT route FROM earlier_names")}
    found: dict[Endpoint, None] = {(route, endpoint): None for route, _, endpoint in _places(connection)}
    for table in ("signatures", "claims"):
        rows = connection.execute(f"SELECT DISTINCT route, endpoint FROM {table}")  # noqa: S608 - our own words
        found.update(dict.fromkeys(map(tuple, rows)))
    return [StoredEndpoint(*key, is_earlier=key[0] in earlier) for key in sorted(found)]


def _places(connection: Connection, route: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield the routes, releases and endpoints of all pairs, or of those of a route, skipping through the index."""
    last = (route, "", "")
    while True:
        row = connection.execute(
            """SELECT route, release, endpoint FROM pairs WHERE (route, release, endpoint) > (?, ?, ?)
            ORDER BY route, release, endpoint LIMIT 1""",
            last,
        ).fetchone()
        if row is None or route not in ("", row[0]):
            return
        yield row
        last = row


def renamed(finding: Finding, endpoint: str) -> Finding:
    """Return a finding that is not stored yet under its endpoint's present name."""
    if endpoint == finding.endpoint:
        return finding
    ids: dict[str, str] = {}

    def moved(difference: StoredDifference) -> StoredDifference:
        ids[difference.id] = id_at(finding.route, endpoint, difference)
        return replace(difference, id=ids[difference.id])

    differences, accepted = tuple(map(moved, finding.differences)), tuple(map(moved, finding.accepted))

    def text(content: bytes | None) -> bytes | None:
        for old, new in ids.items():
            content = content and content.replace(old.encode(), new.encode())
        return content

    return replace(
        finding,
        endpoint=endpoint,
        differences=differences,
        accepted=accepted,
        line=text(finding.line),
        sample=text(finding.sample),
    )


class _Difference(NamedTuple):
    """A row of the table `signatures`."""

    id: str
    route: str
    endpoint: str
    place: str
    path: str | None
    kind: str
    severity: str
    seen: int
    first_seen: float
    last_seen: float
    state: str
    state_since: float
    owner: str | None
    why: str | None
    until: str | None
    legacy: str
    candidate: str

    @property
    def review(self) -> tuple[str, str | None, str | None, str | None]:
        return self.state, self.owner, self.why, self.until


_COLUMNS: Final = """id, route, endpoint, place, path, kind, severity, count, first_seen, last_seen, state, state_since,
    owner, why, until, legacy, candidate"""


def id_at(route: str, endpoint: str, row: _Difference | StoredDifference) -> str:
    """Return the id that a difference has at an endpoint."""
    method, _, shape = endpoint.partition(" ")
    in_, legacy, candidate = Where(row.place), row.legacy, row.candidate
    values = (msgspec.json.decode(legacy), msgspec.json.decode(candidate)) if in_ is Where.STATUS else (None, None)
    path = signature_path(in_, row.path, *values)
    return signature(route, method, shape, in_, path, Kind(row.kind), Severity(row.severity))


# The transaction


def carry_over(
    connection: Connection,
    names: Mapping[Endpoint, str],
    rules: Rules,
    today: date,
    now: float,
) -> Carried:
    """Carry the evidence of endpoints over to their new names. An `IndexState` must be loaded again afterwards.

    `names` has the present names of all endpoints of some routes, whose names are not of an earlier version any more
    then. `rules`: the rules in force, which decide what was accepted so far.
    """
    take_turn(connection)
    routes = {route for route, _ in names}
    names = {key: name for key, name in names.items() if name != key[1]}
    total = Carried()
    for route in sorted({route for route, _ in names}):
        moves = {old: new for (of, old), new in names.items() if of == route}
        found = _Move(connection, route, moves, rules, today, now).run()
        total = Carried(
            total.endpoints + found.endpoints, total.signatures + found.signatures, total.merged + found.merged
        )
    connection.executemany("DELETE FROM earlier_names WHERE route = ?", [(route,) for route in routes])
    announce(connection, Topic.EVIDENCE)
    return total


@dataclass(slots=True)
class _Move:
    """The carry-over of one route."""

    connection: Connection
    route: str
    names: Mapping[str, str]
    """The new names by the former ones."""
    rules: Rules
    today: date
    now: float
    ids: dict[str, str] = field(default_factory=dict)
    """The new ids of differences by the former ones."""
    frozen: set[str] = field(default_factory=set)
    """Former ids of differences that a rule accepts as a whole, but not any more at the wider endpoint: what was seen
    of them stays accepted."""
    joined: set[tuple[str, str]] = field(default_factory=set)
    """The releases and endpoints that have pairs of several former names."""
    merged: int = 0

    def run(self) -> Carried:
        self._move_differences()
        self._move_pairs(self._move_sets())
        self._move_sightings()
        self._move_samples()
        self._move_claims()
        note_former_ids(self.connection, self.ids, self.now)
        note_change(self.connection, self.route)
        return Carried(len(self.names), len(self.ids), self.merged)

    # 1. Differences

    def _move_differences(self) -> None:
        """Give differences their new ids."""
        groups: defaultdict[str, list[_Difference]] = defaultdict(list)
        rows = self.connection.execute(f"SELECT {_COLUMNS} FROM signatures WHERE route = ?", (self.route,))  # noqa: S608
        for row in map(_Difference._make, rows.fetchall()):
            groups[self._new_id(row)].append(row)
        changed = {name: group for name, group in groups.items() if any(map(self._is_moved, group))}
        former = [(row.id,) for group in changed.values() for row in group]
        self.connection.executemany("DELETE FROM signatures WHERE id = ?", former)
        marks = ", ".join("?" * len(_Difference._fields))
        self.connection.executemany(
            f"INSERT INTO signatures ({_COLUMNS}) VALUES ({marks})",  # noqa: S608 - only our own words
            [self._merged(name, group) for name, group in changed.items()],
        )

    def _is_moved(self, row: _Difference) -> bool:
        return row.endpoint in self.names

    def _new_id(self, row: _Difference) -> str:
        """Return the id of a row at its endpoint's new name, and note it.

        A difference that stands for many (`…`) keeps its id, which is not that of an endpoint.
        """
        if not self._is_moved(row) or id_at(self.route, row.endpoint, row) != row.id:
            return row.id
        new = id_at(self.route, self.names[row.endpoint], row)
        self.ids[row.id] = new
        self._note_acceptance(row, new)
        return new

    def _note_acceptance(self, row: _Difference, new: str) -> None:
        """Note a difference that a rule accepts at one of its two names only.

        What was accepted stays so. A rule for the new name is for all that has it, as it says; the audit tells that.
        """
        rules, name = self.rules.get(self.route), self.names[row.endpoint]
        if rules is None or {row.endpoint, name}.isdisjoint(rule.endpoint for rule in rules.accept):
            return
        was_accepted, is_accepted = (self._is_accepted(rules, row, endpoint) for endpoint in (row.endpoint, name))
        if was_accepted and not is_accepted:
            self.frozen.add(row.id)
        elif is_accepted and not was_accepted and row.state in OPEN_STATES:
            detail = f"{new} {name}: the rule for it accepts what was {row.state} as {row.id} {row.endpoint}, too"
            write_audit(self.connection, self.now, "strangler", "accepted", self.route, "", detail)

    def _is_accepted(self, rules: CompareRules, row: _Difference, endpoint: str) -> bool:
        found = acceptance(
            rules,
            endpoint,
            Where(row.place),
            row.path,
            Kind(row.kind),
            legacy=msgspec.json.decode(row.legacy),
            candidate=msgspec.json.decode(row.candidate),
            today=self.today,
        )
        return found is Acceptance.ALL

    def _merged(self, name: str, group: Sequence[_Difference]) -> _Difference:
        """Return the row of differences that have become one. The most cautious review holds, the latest of its kind.

        The owner stays, whichever review has named one. Reviews that end are in the audit.
        """
        by_caution = sorted(group, key=lambda row: (CAUTION.index(row.state), -row.state_since, row.id))
        held, latest = by_caution[0], max(group, key=lambda row: (row.last_seen, row.id))
        alive = [row for row in group if row.state] or group
        self.merged += len(group) - 1
        for row in by_caution[1:]:
            self._audit(row, name, held)
        return held._replace(
            id=name,
            endpoint=next(self.names[row.endpoint] for row in group if self._is_moved(row)),
            seen=sum(row.seen for row in group),
            first_seen=min(row.first_seen for row in alive),
            last_seen=max(row.last_seen for row in group),
            owner=next((row.owner for row in by_caution if row.owner is not None), None),
            legacy=latest.legacy,
            candidate=latest.candidate,
        )

    def _audit(self, row: _Difference, name: str, held: _Difference) -> None:
        """Keep a review that ends because a more cautious one holds."""
        if row.state in ("", "new", "regressed") or row.review == held.review:
            return
        until, owner = f" until {row.until}" if row.until else "", row.owner or "nobody"
        detail = f"{row.id} {row.endpoint} is a part of {name} now; it was {row.state}{until}, of {owner}"
        write_audit(self.connection, self.now, "strangler", "merged", self.route, row.why or "", detail)

    # 2. Pairs

    def _move_sets(self) -> dict[str, str]:
        """Store the sets of differences with their new ids. Return the new names of sets by the former ones."""
        decode = msgspec.json.Decoder(tuple[str, ...]).decode
        found: dict[str, str] = {}
        rows: list[tuple[str, str, str, str]] = []
        for name, *both in self.connection.execute(
            "SELECT id, ids, accepted FROM member_sets WHERE route = ?", (self.route,)
        ):
            ids, accepted = map(decode, both)
            if self.ids.keys().isdisjoint((*ids, *accepted)):
                continue
            still = {self._present(each) for each in ids if each not in self.frozen}
            closed = {self._present(each) for each in (*accepted, *self.frozen.intersection(ids))} - still
            found[name] = set_id(still, closed)
            rows.append((found[name], self.route, _json(still), _json(closed)))
        self.connection.executemany("INSERT INTO member_sets VALUES (?, ?, ?, ?) ON CONFLICT (id) DO NOTHING", rows)
        return found

    def _present(self, name: str) -> str:
        return self.ids.get(name, name)

    def _move_pairs(self, sets: Mapping[str, str]) -> None:
        """Rename the endpoints and sets of pairs; those that are alike then add up. `prune` deletes unused sets."""
        places = list(_places(self.connection, self.route))
        there = {place[1:] for place in places}
        found: Counter[tuple[object, ...]] = Counter()
        for route, release, endpoint in places:
            new = self.names.get(endpoint, endpoint)
            if new != endpoint and (release, new) in there:
                self.joined.add((release, new))
            there.add((release, new))
            if new != endpoint or endpoint.endswith(f" {FOLDED}"):
                for *key, members, source, count in self.connection.execute(
                    """DELETE FROM pairs WHERE route = ? AND release = ? AND endpoint = ?
                    RETURNING hour, outcome, reason, members, source, count""",
                    (route, release, endpoint),
                ):
                    found[route, release, new, *key, sets.get(members, members), source] += count
        self.connection.executemany(
            """INSERT INTO pairs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT (route, release, endpoint, hour, outcome, reason, members, source)
            DO UPDATE SET count = pairs.count + excluded.count""",
            [(*key, count) for key, count in found.items()],
        )

    # 3. What hangs on differences

    def _move_sightings(self) -> None:
        """Rename the sightings of differences; of one release and source they add up."""
        found = self.connection.execute(
            """SELECT release, signature, source, count, accepted, first_seen, last_seen, legacy, candidate, state
            FROM sightings WHERE route = ?""",
            (self.route,),
        ).fetchall()
        former = [row for row in found if row[1] in self.ids]
        self.connection.executemany(
            "DELETE FROM sightings WHERE route = ? AND release = ? AND signature = ?",
            {(self.route, *row[:2]) for row in former},
        )
        rows = [
            (self.route, release, self.ids[name], source, count, count if name in self.frozen else accepted, *others)
            for release, name, source, count, accepted, *others in former
        ]
        self.connection.executemany(
            f"""INSERT INTO sightings VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT (route, release, signature, source) DO UPDATE SET {added("sightings", "count", "accepted")},
            first_seen = {least("sightings", "first_seen")}, last_seen = {greatest("sightings", "last_seen")},
            legacy = {_of_the_latest("legacy")}, candidate = {_of_the_latest("candidate")},
            state = CASE WHEN {_caution("excluded.state")} < {_caution("sightings.state")} THEN excluded.state
                ELSE sightings.state END""",  # noqa: S608 - only our own words
            rows,
        )

    def _move_samples(self) -> None:
        """Rename the links to samples; the newest stay. `prune` deletes samples without links."""
        moves = [(new, old) for old, new in self.ids.items()]
        self.connection.executemany(
            """INSERT INTO sample_links SELECT ?, sample, at, release, source FROM sample_links WHERE signature = ?
            ON CONFLICT (signature, sample) DO NOTHING""",
            moves,
        )
        self.connection.executemany("DELETE FROM sample_links WHERE signature = ?", [(old,) for _, old in moves])
        for name in sorted(set(self.ids.values())):
            self.connection.execute(
                """DELETE FROM sample_links WHERE signature = ? AND sample IN (SELECT sample FROM (
                    SELECT sample, row_number() OVER (
                        PARTITION BY release, source ORDER BY at DESC, sample DESC) AS place
                    FROM sample_links WHERE signature = ?) AS placed WHERE place > ?)""",
                (name, name, SAMPLES),
            )

    def _move_claims(self) -> None:
        """Rename claims. Of two that become one, the one that lacks more pairs goes on; a claim whose difference counts
        again ends."""
        found: dict[tuple[str, str, str, str], tuple[float, int, int]] = {}
        for release, name, endpoint, source, since, needed, pairs in self.connection.execute(
            "DELETE FROM claims WHERE route = ? RETURNING release, signature, endpoint, source, since, needed, pairs",
            (self.route,),
        ).fetchall():
            key = release, self._present(name), self.names.get(endpoint, endpoint), source
            claim = since, needed, pairs
            other = found.get(key, claim)
            found[key] = max(since, other[0]), max(needed, other[1]), min(pairs, other[2])
        self.connection.executemany(
            "INSERT INTO claims VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (self.route, *key, since, max(needed, self._needed(*key[:3])), pairs)
                for key, (since, needed, pairs) in found.items()
            ],
        )
        self.connection.executemany(
            """DELETE FROM claims WHERE signature = ? AND NOT EXISTS (
                SELECT 1 FROM sightings g JOIN signatures s ON s.id = g.signature
                WHERE g.signature = claims.signature AND g.route = claims.route AND g.release = claims.release
                AND CASE WHEN g.state != '' THEN g.state ELSE s.state END = 'fixed')""",
            [(name,) for name in set(self.ids.values())],
        )

    def _needed(self, release: str, name: str, endpoint: str) -> int:
        """Return how many pairs prove a claim at an endpoint that has pairs of others now, which prove less."""
        if (release, endpoint) not in self.joined:
            return 0
        seen = self.connection.execute(
            "SELECT source, count FROM sightings WHERE route = ? AND release = ? AND signature = ?",
            (self.route, release, name),
        ).fetchall()
        compared = dict(
            self.connection.execute(
                """SELECT source, CAST(sum(count) AS bigint) FROM pairs
                WHERE route = ? AND release = ? AND endpoint = ? AND outcome != 'not_comparable' GROUP BY 1""",
                (self.route, release, endpoint),
            ).fetchall()
        )
        return max((pairs_to_prove(count, compared.get(source, 0)) for source, count in seen), default=0)


def _of_the_latest(column: str) -> str:
    """Return the value of the sighting that was the last, as SQL."""
    return f"CASE WHEN excluded.last_seen > sightings.last_seen THEN excluded.{column} ELSE sightings.{column} END"


def _caution(column: str) -> str:
    """Return the place of a state in `CAUTION`, as SQL. An empty one is that of evidence that was not set aside."""
    states = " ".join(f"WHEN '{state}' THEN {place}" for place, state in enumerate(("", *CAUTION[:-1])))
    return f"(CASE {column} {states} END)"


def _json(ids: Iterable[str]) -> str:
    return msgspec.json.encode(sorted(ids)).decode()
