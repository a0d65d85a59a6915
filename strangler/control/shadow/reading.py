"""Reading what comparisons have shown: for the admin listener, and for commands when no proxy runs.

All answers are plain data. The store is opened read-only, beside the one thread that writes it.
"""

import asyncio
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from random import Random
from typing import Any, Final, TypeVar

import msgspec

from strangler.control.store import Store, corruption_text, is_corrupt, look_over
from strangler.core.compare import CompareRules, Kind, NoiseCount, PatternError, Severity, Where, parse_pattern, propose
from strangler.core.compare.noise import NoiseKey
from strangler.core.compare.places import accept_covers_place
from strangler.core.compare.values import Steps
from strangler.core.readiness import Evidence, judge, latency_of
from strangler.core.settings import GateSettings

NAME: Final = "strangler.db"
_CLOSED = frozenset({"accepted", "fixed"})
_LATENCIES = 5000
_SEED = 1

_T = TypeVar("_T")


class NoEvidenceError(Exception):
    """There is no store, or it cannot be read. The message says which."""


class CorruptEvidenceError(NoEvidenceError):
    """There is one, and it cannot be judged by: a part may be missing."""


@contextmanager
def reader(folder: Path, *, looks_over: bool = False) -> Iterator[sqlite3.Connection]:
    """A read-only connection to the store of a state folder. `looks_over`: all of it first, for one that no running
    proxy has looked over. Raises NoEvidenceError."""
    path = folder / NAME
    try:
        path.stat()  # `exists` has no word for a folder that is closed to this user
    except (FileNotFoundError, NotADirectoryError):
        raise NoEvidenceError(
            f"nothing has been compared yet: there is no {path}; a route with `shadow` fills it"
        ) from None
    except OSError as error:
        raise NoEvidenceError(f"{path} cannot be read: {error.strerror}") from None
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5.0)) as connection:
            connection.execute("PRAGMA cell_size_check = ON")
            if looks_over:
                look_over(connection)
            yield connection
    except sqlite3.Error as error:
        if is_corrupt(error):
            raise CorruptEvidenceError(corruption_text(path, error)) from error
        raise NoEvidenceError(f"{path} cannot be read: {error}") from error
    except msgspec.DecodeError as error:  # pages that are whole may hold what is not
        raise NoEvidenceError(f"{path} cannot be read: a value in it is damaged ({error})") from error


async def ask(store: Store, work: Callable[[sqlite3.Connection], _T]) -> _T:
    """Read beside the store's own thread, in another. What is found corrupt here is told to the store.

    Raises NoEvidenceError: of a store that is corrupt nothing is told, for it would be a verdict on a part.
    """
    if store.corruption is not None:
        raise CorruptEvidenceError(store.corruption)
    try:
        return await asyncio.to_thread(_read, store.folder, work)
    except CorruptEvidenceError:
        await store.doubt()
        raise


def _read(folder: Path, work: Callable[[sqlite3.Connection], _T]) -> _T:
    with reader(folder) as connection:
        return work(connection)


@dataclass(frozen=True, slots=True)
class Filters:
    """What of the inbox is wanted; None: all. `since`: Unix time of the last sighting."""

    route: str | None = None
    severity: str | None = None
    state: str | None = None
    since: float | None = None

    def take(self, row: Mapping[str, Any]) -> bool:
        return (
            self.route in (None, row["route"])
            and self.severity in (None, row["severity"])
            and self.state in (None, row["state"])
            and (self.since is None or row["last_seen"] >= self.since)
        )


Rules = Mapping[str, CompareRules]
"""The rules in force by route: they say which differences are accepted now."""


def signatures(connection: sqlite3.Connection, rules: Rules, filters: Filters, today: date) -> list[dict[str, Any]]:
    """The inbox: gravest first, then most frequent."""
    pairs = _pairs_by_endpoint(connection)
    noisy = {route: _noise_keys(connection, route) for route in _routes(connection)}
    rows = [row for row in _rows(connection, rules, today) if filters.take(row)]
    for row in rows:
        compared = pairs[row["route"], row["endpoint"]]
        row["share"] = row["count"] / compared if compared else None
        row["is_noise"] = (row["in"], row["path"], row["kind"]) in noisy.get(row["route"], ())
    return sorted(rows, key=lambda row: (_closedness(row), Severity(row["severity"]).rank, -row["count"], row["id"]))


def _closedness(row: Mapping[str, Any]) -> bool:
    return row["state"] in _CLOSED or row["is_noise"]


_COLUMNS = (
    "id, route, endpoint, place, path, kind, severity, count, first_seen, last_seen, state, state_since, owner, why,"
    " until, legacy, candidate"
)


def _rows(connection: sqlite3.Connection, rules: Rules, today: date, route: str | None = None) -> list[dict[str, Any]]:
    """All signatures, with the state that they have under the rules in force."""
    query = f"SELECT {_COLUMNS} FROM signatures WHERE ?1 IS NULL OR route = ?1"  # noqa: S608 - our own columns
    names = [name.strip() for name in _COLUMNS.replace("place", "in").split(",")]
    rows = [dict(zip(names, row, strict=True)) for row in connection.execute(query, (route,))]
    for row in rows:
        row["legacy"] = msgspec.json.decode(row["legacy"])
        row["candidate"] = msgspec.json.decode(row["candidate"])
        if is_covered(rules.get(row["route"]), row["in"], row["path"], row["kind"], today):
            row["state"] = "accepted"
        elif row["state"] == "accepted" and row["route"] in rules:
            row["state"] = "new"  # its rule is gone, or over
    return rows


def is_covered(rules: CompareRules | None, place: str, path: str | None, kind: str, today: date) -> bool:
    """True if a rule in force accepts every difference of this kind at this place."""
    if rules is None or path is None or place == Where.STATUS:
        return False
    of_kind = [
        rule
        for rule in rules.accept
        if not rule.has_tolerance and rule.is_about(Kind(kind)) and not rule.is_expired(today)
    ]
    if place == Where.HEADER:
        return any(rule.header == path for rule in of_kind)
    steps = path_steps(path)
    if steps is None:
        return any(accept_covers_place(rule, path, kind) for rule in of_kind)
    if kind == Kind.ORDER and any(rule.pattern.reach(steps) == len(steps) for rule in rules.unordered):
        return True
    return any(rule.pattern is not None and rule.pattern.reach(steps) is not None for rule in of_kind)


def path_steps(path: str | None) -> Steps | None:
    """`$.items[*].price` -> `("items", None, "price")`; None for what is no such path, or was cut."""
    if path is None:
        return None
    try:
        return tuple(None if segment.is_wild else segment.name for segment in parse_pattern(path).segments)
    except PatternError:
        return None


def signature(connection: sqlite3.Connection, rules: Rules, name: str, today: date) -> dict[str, Any] | None:
    """One signature, found by the start of its id, with its samples, newest first; None if none or several match."""
    found = [row for row in signatures(connection, rules, Filters(), today) if row["id"].startswith(name)]
    if len(found) != 1:
        return None
    samples = connection.execute(
        """SELECT content FROM samples JOIN sample_links ON sample = samples.id
        WHERE signature = ? ORDER BY samples.at DESC""",
        (found[0]["id"],),
    )
    return found[0] | {"samples": [msgspec.json.decode(row[0]) for row in samples]}


# Noise


def noise_counts(connection: sqlite3.Connection, route: str) -> list[NoiseCount]:
    """How often each difference was seen between the arms, and between legacy and itself; most noisy first."""
    raw_pairs = _pairs_by_endpoint(connection, route).total()
    row = connection.execute("SELECT pairs FROM baselines WHERE route = ?", (route,)).fetchone()
    noise_pairs = row[0] if row else 0
    raw: Counter[tuple[str, str, str]] = Counter()
    for place, path, kind, count in connection.execute(
        "SELECT place, coalesce(path, ''), kind, count FROM signatures WHERE route = ?", (route,)
    ):
        raw[place, path, kind] += count
    noise: defaultdict[tuple[str, str, str], Counter[str]] = defaultdict(Counter)
    for place, path, kind, shape, count in connection.execute(
        "SELECT place, path, kind, shape, count FROM noise WHERE route = ?", (route,)
    ):
        noise[place, path, kind][shape] += count
    counts = [
        NoiseCount(
            key=NoiseKey(route, Where(place), path or None, Kind(kind)),
            raw=raw[place, path, kind],
            raw_pairs=raw_pairs,
            noise=noise[place, path, kind].total(),
            noise_pairs=noise_pairs,
            shape=_commonest(noise[place, path, kind]),
        )
        for place, path, kind in {*raw, *noise}
    ]
    return sorted(counts, key=lambda count: (-count.noise, -count.raw, count.key.path or ""))


def _commonest(shapes: Counter[str]) -> str | None:
    return (shapes.most_common(1)[0][0] or None) if shapes else None


def _noise_keys(connection: sqlite3.Connection, route: str) -> set[tuple[str, str | None, str]]:
    return {
        (count.key.in_.value, count.key.path, count.key.kind.value)
        for count in noise_counts(connection, route)
        if count.is_noise
    }


def proposal(connection: sqlite3.Connection, route: str) -> str | None:
    """Accept rules that the baseline of a route suggests, as a fragment of routes.yaml."""
    return propose(route, noise_counts(connection, route))


# Readiness


@dataclass(frozen=True, slots=True)
class _Judged:
    """Comparable pairs of one route under the states in force."""

    pairs: Counter[str]  # by endpoint
    matches: int
    noise_only: int
    set_aside: int


def readiness(
    connection: sqlite3.Connection, route: str, rules: Rules, gate: GateSettings, today: date
) -> dict[str, Any]:
    """The verdict for a route with all that it rests on."""
    evidence, judged = _evidence(connection, route, rules, today)
    verdict = judge(evidence, gate)
    return {
        "route": route,
        "verdict": verdict.verdict.value,
        "reasons": list(verdict.reasons),
        "pairs": evidence.pairs,
        "matches": evidence.matches,
        "match_share": verdict.match_share,
        "match_low": verdict.match_low,
        "pairs_needed": verdict.pairs_needed,
        "breaking_open": evidence.breaking_open,
        "noise_only": judged.noise_only,
        "set_aside": judged.set_aside,
        "not_comparable": _not_comparable(connection, route),
        "latency": None if evidence.latency is None else asdict(evidence.latency),
        "age_s": evidence.age_s,
        "endpoints": dict(evidence.endpoints),
        "thin_endpoints": list(verdict.thin_endpoints),
        "gate": asdict(gate),
    }


def _evidence(connection: sqlite3.Connection, route: str, rules: Rules, today: date) -> tuple[Evidence, _Judged]:
    rows = _rows(connection, rules, today, route)
    noisy = _noise_keys(connection, route)
    states = {row["id"]: row["state"] for row in rows}
    noise = {row["id"] for row in rows if (row["in"], row["path"], row["kind"]) in noisy}
    judged = _judged(connection, route, states, noise)
    breaking = [
        row
        for row in rows
        if row["severity"] == Severity.BREAKING and row["state"] not in _CLOSED and row["id"] not in noise
    ]
    seen = connection.execute("SELECT first, last FROM observed WHERE route = ?", (route,)).fetchone()
    times = connection.execute(
        "SELECT legacy_s, candidate_s FROM latencies WHERE route = ? ORDER BY at DESC LIMIT ?", (route, _LATENCIES)
    )
    evidence = Evidence(
        pairs=judged.pairs.total(),
        matches=judged.matches,
        breaking_open=len(breaking),
        age_s=seen[1] - seen[0] if seen else 0.0,
        latency=latency_of(times, Random(_SEED)),  # noqa: S311 - no secret
        endpoints=judged.pairs,
    )
    return evidence, judged


def _judged(connection: sqlite3.Connection, route: str, states: Mapping[str, str], noise: set[str]) -> _Judged:
    """Judge all pairs anew: one whose differences are all accepted by now is a match, one that differed in what is
    fixed by now says nothing about the candidate of today."""
    members = {
        name: msgspec.json.decode(ids, type=list[str])
        for name, ids in connection.execute("SELECT id, ids FROM member_sets WHERE route = ?", (route,))
    }
    pairs: Counter[str] = Counter()
    matches = noise_only = set_aside = 0
    for endpoint, outcome, name, count in connection.execute(
        """SELECT endpoint, outcome, members, sum(count) FROM pairs
        WHERE route = ? AND outcome != 'not_comparable' GROUP BY 1, 2, 3""",
        (route,),
    ):
        ids = members.get(name, [])
        still_open = [one for one in ids if states.get(one) not in _CLOSED]
        if outcome == "mismatch" and not still_open and any(states.get(one) == "fixed" for one in ids):
            set_aside += count
            continue
        pairs[endpoint] += count
        if outcome != "mismatch" or (ids and not still_open):
            matches += count
        elif still_open and noise.issuperset(still_open):
            noise_only += count
    return _Judged(pairs, matches, noise_only, set_aside)


def _not_comparable(connection: sqlite3.Connection, route: str) -> dict[str, int]:
    rows = connection.execute(
        """SELECT reason, sum(count) FROM pairs WHERE route = ? AND outcome = 'not_comparable'
        GROUP BY reason ORDER BY 2 DESC""",
        (route,),
    )
    return dict(rows.fetchall())


# What the report shows beside that


def timeline(connection: sqlite3.Connection, route: str) -> list[dict[str, Any]]:
    """By hour: how many pairs had which outcome."""
    rows = connection.execute(
        "SELECT hour, outcome, sum(count) FROM pairs WHERE route = ? GROUP BY 1, 2 ORDER BY 1", (route,)
    )
    hours: dict[int, dict[str, Any]] = {}
    for hour, outcome, count in rows:
        hours.setdefault(hour, {"at": hour * 3600})[outcome] = count
    return list(hours.values())


def latencies(connection: sqlite3.Connection, route: str) -> list[tuple[float, float, float]]:
    """Unix time, seconds of legacy, seconds of the candidate; oldest first."""
    rows = connection.execute(
        "SELECT at, legacy_s, candidate_s FROM latencies WHERE route = ? ORDER BY at DESC LIMIT ?", (route, _LATENCIES)
    )
    return rows.fetchall()[::-1]


def rule_reports(connection: sqlite3.Connection) -> dict[str, Any]:
    """By route, what its accept rules have done."""
    return {
        route: msgspec.json.decode(content)
        for route, content in connection.execute("SELECT route, content FROM rule_uses")
    }


def audit(connection: sqlite3.Connection) -> list[dict[str, Any]]:
    """What people did on their own responsibility, newest first."""
    rows = connection.execute("SELECT at, who, what, route, why, detail FROM audit ORDER BY id DESC LIMIT 1000")
    return [dict(zip(("at", "who", "what", "route", "why", "detail"), row, strict=True)) for row in rows]


def stops(connection: sqlite3.Connection) -> dict[str, str]:
    """By route: why its shadowing has stopped by itself."""
    return dict(connection.execute("SELECT route, why FROM stops").fetchall())


def _pairs_by_endpoint(connection: sqlite3.Connection, route: str | None = None) -> Counter[tuple[str, str]]:
    """Comparable pairs, of all routes or of one."""
    of = "" if route is None else "route = ?1 AND"
    rows = connection.execute(
        f"SELECT route, endpoint, sum(count) FROM pairs WHERE {of} outcome != 'not_comparable' GROUP BY 1, 2",  # noqa: S608 - our own words
        () if route is None else (route,),
    )
    return Counter({(route, endpoint): count for route, endpoint, count in rows})


def _routes(connection: sqlite3.Connection) -> list[str]:
    return [row[0] for row in connection.execute("SELECT DISTINCT route FROM signatures")]


def utc_day() -> date:
    """Until which accept rules count."""
    return datetime.now(UTC).date()
