"""The findings of one replay, judged by themselves: in a store in memory, by the rules and gates of routes.yaml.

The reviews of the inbox are not in it. What a person has marked as known or fixed depends on the state folder at hand;
the accept rules are in the repository, so that a replay judges the same wherever it runs. Its memory is bounded as the
store is: pairs are counted by endpoint and set of differences, and samples go to the inbox alone.
"""

import time
from collections import Counter
from dataclasses import replace
from datetime import date
from typing import Final, Self

import msgspec

from strangler.core.compare import Outcome
from strangler.core.documents import ReplayedEndpoint, ReplayedRoute, SignatureRow
from strangler.core.settings import GateSettings, RouteSettings, Settings
from strangler.core.source import REPLAY
from strangler.store.evidence.counted import Sources, counted
from strangler.store.evidence.findings import Finding
from strangler.store.evidence.index import IndexState
from strangler.store.evidence.queries import rules_of
from strangler.store.evidence.reading import Filters, proposal, readiness, signatures
from strangler.store.evidence.retention import drop_latencies
from strangler.store.evidence.run_counts import Place, mismatches_within, outcomes_by_endpoint
from strangler.store.evidence.states import noise_keys
from strangler.store.evidence.tables import prepare
from strangler.store.evidence.writing import store_findings
from strangler.store.sqlite import in_memory, transaction

BATCH: Final = 500
"""The findings that are stored together."""
MAX_LATENCIES: Final = 20_000
"""The times that are stored before those of each route are cut to half of this; the last 5,000 are judged."""
NOT_TIMED: Final = (
    "times are not judged: those of the recording were taken elsewhere, under another load; --against legacy takes both"
)


_SOURCES: Final[Sources] = (REPLAY,)


class JudgedRun:
    """A store of its own, and what its findings amount to. It must be closed."""

    def __init__(self, settings: Settings, today: date, *, is_timed: bool) -> None:
        """`is_timed`: legacy was asked beside the candidate, so that the times of both can be judged."""
        self._routes = settings.routes
        self._rules = rules_of(settings)
        self._today = today
        self._is_timed = is_timed
        self._index = IndexState()
        self._waiting: list[Finding] = []
        self._latencies = 0
        """The times that were stored since some were dropped."""
        self._connection = in_memory()
        prepare(self._connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def add(self, finding: Finding) -> None:
        """Count a finding. All belong to one release here, whatever the candidate calls itself."""
        latency = finding.latency if self._is_timed else None
        self._waiting.append(replace(finding, source=REPLAY, release="", sample=None, line=None, latency=latency))
        if len(self._waiting) >= BATCH:
            self._store()

    def _store(self) -> None:
        if not self._waiting:
            return
        self._latencies += sum(finding.latency is not None for finding in self._waiting)
        with transaction(self._connection):
            store_findings(self._connection, self._index, self._waiting, time.time())
            self._index.commit()
            if self._latencies > MAX_LATENCIES:
                drop_latencies(self._connection, MAX_LATENCIES // 2)
                self._latencies = 0
        self._waiting.clear()

    def routes(self) -> list[ReplayedRoute]:
        """Return the routes that something was compared of, in the order of routes.yaml."""
        self._store()
        outcomes = self._outcomes()
        return [self._route(route, outcomes[route.name]) for route in self._routes if route.name in outcomes]

    def _outcomes(self) -> dict[str, dict[str, Counter[tuple[str, str]]]]:
        """Return the pairs by route, endpoint, and outcome and reason, as found: no rule has changed since."""
        found: dict[str, dict[str, Counter[tuple[str, str]]]] = {}
        for route, endpoint, outcome, reason, count in outcomes_by_endpoint(self._connection):
            found.setdefault(route, {}).setdefault(endpoint, Counter())[outcome, reason] += count
        return found

    def _route(self, route: RouteSettings, outcomes: dict[str, Counter[tuple[str, str]]]) -> ReplayedRoute:
        verdict = readiness(
            self._connection, route.name, self._rules, _gate(route.gate), self._today, is_timed=self._is_timed
        )
        notes = verdict.notes if self._is_timed else [NOT_TIMED]
        endpoints = [_endpoint(name, counts) for name, counts in outcomes.items()]
        return ReplayedRoute(
            verdict=msgspec.structs.replace(verdict, notes=notes),
            matches=sum(endpoint.matches for endpoint in endpoints),
            accepted=sum(endpoint.accepted for endpoint in endpoints),
            mismatches=sum(endpoint.mismatches for endpoint in endpoints),
            endpoints=endpoints,
        )

    def differences(self) -> list[SignatureRow]:
        """Return all differences, most frequent first."""
        self._store()
        rows = signatures(self._connection, self._rules, Filters(), self._today)
        return sorted(rows, key=lambda row: (row.state == "accepted", -row.count))

    def noise(self, route: str) -> set[Place]:
        """Return what legacy differs in from itself, of the findings that have a baseline."""
        self._store()
        return noise_keys(self._connection, counted(self._connection, route, _SOURCES))

    def mismatches_within(self, route: str, places: set[Place]) -> int:
        """Return how many pairs of a route differ in these places alone."""
        self._store()
        return mismatches_within(self._connection, route, places)

    def proposal(self, route: str) -> str | None:
        """Return accept rules for what legacy differs in from itself; None if there is nothing to propose.

        They are proposed of however few pairs: a recording of one visit has no more, and each rule has its numbers.
        """
        self._store()
        return proposal(self._connection, route, min_baselines=1)


def _gate(gate: GateSettings) -> GateSettings:
    """Return a gate for a run: it lasts as long as it takes, and all that it found counts."""
    return replace(gate, min_age_s=0.0, sources=_SOURCES)


def _endpoint(name: str, counts: Counter[tuple[str, str]]) -> ReplayedEndpoint:
    return ReplayedEndpoint(
        endpoint=name,
        matches=_sum(counts, Outcome.MATCH),
        accepted=_sum(counts, Outcome.ACCEPTED),
        mismatches=_sum(counts, Outcome.MISMATCH),
        not_comparable={reason: count for (_, reason), count in counts.most_common() if reason},
    )


def _sum(counts: Counter[tuple[str, str]], outcome: Outcome) -> int:
    return sum(count for (name, _), count in counts.items() if name == outcome)
