"""Pairs as judged now, by the rules in force and what is fixed: the number of matches, and the verdict."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from random import Random
from typing import Final

import msgspec

from strangler.core.claims import Claim
from strangler.core.compare import Acceptance, Reason, Severity
from strangler.core.documents import ClaimRow, VerdictDocument
from strangler.core.gate import Evidence, judge, latency_of
from strangler.core.settings import GateSettings
from strangler.core.source import LIVE_ONLY
from strangler.store.connection import Connection
from strangler.store.evidence.counted import COUNTED, Counted, Sources, counted, notes_on_sources
from strangler.store.evidence.states import CLOSED, JudgedSignature, Rules, noise_keys, rows_of

_LATENCIES: Final = 5000
_SEED: Final = 1
_NO_MEMBERS: Final = ((), ())

Members = tuple[tuple[str, ...], tuple[str, ...]]
"""The signatures of a pair: those that differed, and those that a rule accepted then."""


@dataclass(frozen=True, slots=True)
class Matches:
    """The pairs of one release that count, as judged now."""

    release: str
    pairs: int
    matches: int

    @property
    def share(self) -> float | None:
        """The share of pairs that match, or differ as accepted; None without pairs."""
        return self.matches / self.pairs if self.pairs else None


@dataclass(slots=True)
class _Judge:
    """Judges one pair by the rules in force now."""

    rows: Mapping[str, JudgedSignature]
    noise: set[str]
    members: Mapping[str, Members]

    def outcome(self, outcome: str, members: str) -> str:
        """Return `match`, `accepted`, `mismatch`, `noise`, `set_aside` or `not_comparable`.

        A pair whose differences are all accepted now is a match; a pair that differed only in what has been fixed says
        nothing about today's candidate; a pair whose accept rule was removed is a mismatch.
        """
        if outcome == "not_comparable":
            return outcome
        differed, accepted = self.members.get(members, _NO_MEMBERS)
        if not differed and not accepted:
            return outcome
        still_open = [difference for difference in differed if not self._is_accepted(difference, was_accepted=False)]
        still_open += [difference for difference in accepted if not self._is_accepted(difference, was_accepted=True)]
        unfixed = [difference for difference in still_open if not self._is_fixed(difference)]
        if unfixed:
            return "noise" if self.noise.issuperset(unfixed) else "mismatch"
        return "set_aside" if still_open else "accepted"

    def _is_accepted(self, signature: str, *, was_accepted: bool) -> bool:
        known = self.rows.get(signature)
        if known is None:
            return False
        return known.acceptance is Acceptance.ALL or (known.acceptance is Acceptance.SOME and was_accepted)

    def _is_fixed(self, signature: str) -> bool:
        known = self.rows.get(signature)
        return known is not None and known.reviewed == "fixed"


@dataclass(slots=True)
class _Judged:
    """All pairs of one release."""

    pairs: Counter[str] = field(default_factory=Counter)
    """The pairs that count, by endpoint; 0 for an endpoint that has only others."""
    matches: int = 0
    noise_only: int = 0
    set_aside: int = 0

    def add(self, endpoint: str, outcome: str, count: int) -> None:
        self.pairs[endpoint] += 0
        if outcome == "set_aside":
            self.set_aside += count
        if outcome in {"set_aside", "not_comparable"}:
            return
        self.pairs[endpoint] += count
        self.matches += count if outcome in {"match", "accepted"} else 0
        self.noise_only += count if outcome == "noise" else 0


def _judge_of(connection: Connection, counts: Counted, rules: Rules, today: date) -> _Judge:
    known = {difference.row.id: difference for difference in rows_of(connection, rules, today, counts)}
    noisy = noise_keys(connection, counts)
    noise = {
        name
        for name, difference in known.items()
        if (difference.row.in_, difference.row.path, difference.row.kind) in noisy
    }
    return _Judge(known, noise, _members(connection, counts.route))


def _members(connection: Connection, route: str) -> dict[str, Members]:
    decode = msgspec.json.Decoder(tuple[str, ...]).decode
    return {
        name: (decode(ids), decode(accepted))
        for name, ids, accepted in connection.execute(
            "SELECT id, ids, accepted FROM member_sets WHERE route = ?", (route,)
        )
    }


def _judged(connection: Connection, counts: Counted, judge: _Judge) -> _Judged:
    judged = _Judged()
    for endpoint, outcome, members, count in connection.execute(
        f"""SELECT endpoint, outcome, members, CAST(sum(count) AS bigint) FROM pairs WHERE {COUNTED}
        GROUP BY 1, 2, 3""",  # noqa: S608 - our own words
        counts.key,
    ):
        judged.add(endpoint, judge.outcome(outcome, members), count)
    return judged


def endpoint_pairs(
    connection: Connection, route: str, endpoint: str, rules: Rules, today: date, sources: Sources = LIVE_ONLY
) -> tuple[int, int, int] | None:
    """Return the pairs of an endpoint in the current release of its route, those that match, and the differences that
    are open; None if nothing was compared."""
    counts = counted(connection, route, sources)
    judge = _judge_of(connection, counts, rules, today)
    judged = _Judged()
    for outcome, members, count in connection.execute(
        f"""SELECT outcome, members, CAST(sum(count) AS bigint) FROM pairs WHERE {COUNTED} AND endpoint = ?
        GROUP BY 1, 2""",  # noqa: S608 - our own words
        (*counts.key, endpoint),
    ):
        judged.add(endpoint, judge.outcome(outcome, members), count)
    if not judged.pairs.total():
        return None
    open_ones = [
        difference
        for name, difference in judge.rows.items()
        if difference.row.endpoint == endpoint and difference.row.state not in CLOSED and name not in judge.noise
    ]
    return judged.pairs.total(), judged.matches, len(open_ones)


def matches(connection: Connection, route: str, rules: Rules, today: date, sources: Sources = LIVE_ONLY) -> Matches:
    """Return the match of the current release of a route, the same wherever a match is shown."""
    counts = counted(connection, route, sources)
    judged = _judged(connection, counts, _judge_of(connection, counts, rules, today))
    return Matches(counts.release, judged.pairs.total(), judged.matches)


def readiness(
    connection: Connection,
    route: str,
    rules: Rules,
    gate: GateSettings,
    today: date,
    *,
    release: str | None = None,
    is_timed: bool = True,
) -> VerdictDocument:
    """Return the verdict for a release of a route, by default the current one, with its evidence.

    Only the sources of the gate count. `is_timed`: the settings have requests timed at both arms.
    """
    counts = counted(connection, route, gate.sources, release)
    judging = _judge_of(connection, counts, rules, today)
    judged = _judged(connection, counts, judging)
    not_comparable = _not_comparable(connection, counts)
    lags = not_comparable.get(Reason.LAG, 0)
    evidence = _evidence(connection, counts, judging, judged, lags=lags, is_timed=is_timed)
    verdict = judge(evidence, gate)
    return VerdictDocument(
        route=route,
        release=counts.release or None,
        verdict=verdict.verdict.value,
        reasons=list(verdict.reasons),
        notes=[*verdict.notes, *notes_on_sources(connection, counts)],
        pairs=evidence.pairs,
        matches=evidence.matches,
        match_share=verdict.match_share,
        match_low=verdict.match_low,
        pairs_needed=verdict.pairs_needed,
        breaking_open=evidence.breaking_open,
        noise_only=judged.noise_only,
        set_aside=judged.set_aside,
        claims=[_claim_row(claim) for claim in evidence.claims],
        not_comparable=not_comparable,
        latency=evidence.latency,
        age_s=evidence.age_s,
        endpoints=dict(evidence.endpoints),
        thin_endpoints=list(verdict.thin_endpoints),
        gate=gate,
        sources=counts.sources,
    )


def _claim_row(claim: Claim) -> ClaimRow:
    return ClaimRow(claim.signature, claim.endpoint, claim.needed, claim.pairs, claim.lacking)


def _evidence(
    connection: Connection, counts: Counted, judging: _Judge, judged: _Judged, *, lags: int, is_timed: bool
) -> Evidence:
    breaking = [
        difference.row
        for difference in judging.rows.values()
        if difference.row.severity == Severity.BREAKING
        and difference.row.state not in CLOSED
        and difference.row.id not in judging.noise
    ]
    first, last, timeable = _observed(connection, counts)
    times = connection.execute(
        f"SELECT legacy_s, candidate_s FROM latencies WHERE {COUNTED} ORDER BY at DESC LIMIT ?",  # noqa: S608 - ours
        (*counts.key, _LATENCIES),
    )
    claims, marked_at = _claims(connection, counts, judging.rows)
    return Evidence(
        pairs=judged.pairs.total(),
        matches=judged.matches,
        breaking_open=len(breaking),
        age_s=max(0.0, last - max(first, marked_at)),
        latency=latency_of(times, Random(_SEED)),  # noqa: S311 - not a secret
        endpoints=judged.pairs,
        claims=claims,
        timeable=timeable,
        is_timed=is_timed,
        lags=lags,
        is_age_since_fix=marked_at > first,
    )


def _observed(connection: Connection, counts: Counted) -> tuple[float, float, int]:
    """Return the Unix times of the first and the last comparable pair, and how many pairs could be timed."""
    first, last, timeable = connection.execute(
        f"SELECT min(first), max(last), CAST(sum(timeable) AS bigint) FROM observed WHERE {COUNTED}",  # noqa: S608 - ours
        counts.key,
    ).fetchone()
    return first or 0.0, last or 0.0, timeable or 0


def _claims(
    connection: Connection, counts: Counted, known: Mapping[str, JudgedSignature]
) -> tuple[tuple[Claim, ...], float]:
    """Return the claims of differences marked as fixed, and the Unix time of the last mark; 0 if there is none.

    The pairs of all sources that count prove a claim together.
    """
    found = connection.execute(
        f"""SELECT signature, endpoint, max(needed), CAST(sum(pairs) AS bigint), max(since) FROM claims WHERE {COUNTED}
        GROUP BY 1, 2 ORDER BY endpoint, signature""",  # noqa: S608 - our own words
        counts.key,
    ).fetchall()
    still = [row for row in found if row[0] in known and known[row[0]].row.state == "fixed"]
    return tuple(Claim(*row[:4]) for row in still), max((row[4] for row in still), default=0.0)


def _not_comparable(connection: Connection, counts: Counted) -> dict[str, int]:
    rows = connection.execute(
        f"""SELECT reason, CAST(sum(count) AS bigint) FROM pairs WHERE {COUNTED} AND outcome = 'not_comparable'
        GROUP BY reason ORDER BY 2 DESC""",  # noqa: S608 - our own words
        counts.key,
    )
    return dict(rows.fetchall())


def timeline(
    connection: Connection,
    route: str,
    rules: Rules,
    today: date,
    *,
    release: str | None = None,
    sources: Sources = LIVE_ONLY,
) -> list[dict[str, int]]:
    """Return the numbers of pairs by hour and outcome, as judged now. An hour without comparisons has no row.

    Noise counts as a mismatch here too.
    """
    counts = counted(connection, route, sources, release)
    judging = _judge_of(connection, counts, rules, today)
    hours: dict[int, dict[str, int]] = {}
    for hour, outcome, members, count in connection.execute(
        f"""SELECT hour, outcome, members, CAST(sum(count) AS bigint) FROM pairs WHERE {COUNTED}
        GROUP BY 1, 2, 3 ORDER BY 1""",  # noqa: S608 - our own words
        counts.key,
    ):
        now = judging.outcome(outcome, members)
        row = hours.setdefault(hour, {"at": hour * 3600})
        key = "mismatch" if now == "noise" else now
        row[key] = row.get(key, 0) + count
    return list(hours.values())


def latencies(
    connection: Connection, route: str, release: str | None = None, sources: Sources = LIVE_ONLY
) -> list[tuple[float, float, float]]:
    """Return Unix time, seconds of legacy and seconds of the candidate; oldest first."""
    rows = connection.execute(
        f"SELECT at, legacy_s, candidate_s FROM latencies WHERE {COUNTED} ORDER BY at DESC LIMIT ?",  # noqa: S608 - ours
        (*counted(connection, route, sources, release).key, _LATENCIES),
    )
    return rows.fetchall()[::-1]
