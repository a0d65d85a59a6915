"""The store of one replay: its findings alone, by the rules and gates of routes.yaml, in bounded memory."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date

import pytest

from strangler.config.load import parse
from strangler.core.settings import Settings
from strangler.replay import judged_run
from strangler.replay.judged_run import MAX_LATENCIES, NOT_TIMED, JudgedRun
from strangler.store.connection import Connection
from strangler.store.evidence.findings import Finding
from tests.store.evidence.pairs import NOON, accepted, finding_of, json_response, match, mismatch, seen

TODAY = date(2026, 11, 23)
ROUTES = """\
version: 1
upstreams: {legacy: {url: http://127.0.0.1:1}, orders: {url: http://127.0.0.1:2}}
routes:
  - name: orders
    match: {prefix: /api/orders}
    candidate: orders
    gate: {min_pairs: 20, min_match: 80%, min_age: 7d, max_latency_ratio: 1.5}
    compare: {accept: [{path: $.at}]}
  - {name: carts, match: {prefix: /api/carts}, candidate: orders}
"""


@pytest.fixture(scope="module")
def settings() -> Settings:
    loaded = parse(ROUTES.encode(), "routes.yaml", {})
    assert loaded.settings is not None, loaded.problems
    return loaded.settings


@pytest.fixture
def run(settings: Settings) -> Iterator[JudgedRun]:
    with JudgedRun(settings, TODAY, is_timed=False) as made:
        yield made


def fill(run: JudgedRun, *findings: Finding, times: int = 1) -> None:
    for _ in range(times):
        for finding in findings:
            run.add(finding)


def test_only_routes_that_were_compared_have_a_verdict(run: JudgedRun) -> None:
    fill(run, match(), times=60)
    (route,) = run.routes()
    assert (route.verdict.route, route.verdict.verdict) == ("orders", "ready")
    assert (route.matches, route.accepted, route.mismatches) == (60, 0, 0)


def test_the_age_of_a_run_does_not_count(run: JudgedRun) -> None:
    fill(run, match(), times=60)
    (route,) = run.routes()
    assert route.verdict.gate.min_age_s == 0.0
    assert not [reason for reason in route.verdict.reasons if "observed" in reason]


@pytest.mark.parametrize(
    ("findings", "word"),
    [([], "not enough evidence"), ([mismatch()] * 60, "not ready")],
    ids=["too few", "all differ"],
)
def test_the_gate_decides(run: JudgedRun, findings: list[Finding], word: str) -> None:
    fill(run, match(), *findings)
    assert [route.verdict.verdict for route in run.routes()] == [word]


def test_endpoints_have_their_outcomes_and_reasons(run: JudgedRun) -> None:
    away = replace(match(endpoint="POST /api/orders"), outcome="not_comparable", reason="timeout")
    fill(run, match(), match(), mismatch(), accepted(seen("b" * 16, "$.at", "value", "value")), away, away)
    (route,) = run.routes()
    assert [(each.endpoint, each.matches, each.accepted, each.mismatches) for each in route.endpoints] == [
        ("GET /api/orders/{}", 2, 1, 1),
        ("POST /api/orders", 0, 0, 0),
    ]
    assert route.endpoints[1].not_comparable == {"timeout": 2}
    assert route.verdict.not_comparable == {"timeout": 2}
    assert (route.verdict.pairs, route.verdict.matches) == (4, 3)


def test_differences_are_the_most_frequent_first_and_have_the_ids_of_the_inbox(run: JudgedRun) -> None:
    rare, common = seen("a" * 16, "$.rare"), seen("b" * 16, "$.common", severity="value")
    fill(run, mismatch(rare, common), mismatch(common), match(), match())
    rows = run.differences()
    assert [(row.id, row.count, row.share, row.state) for row in rows] == [
        ("b" * 16, 2, 0.5, "new"),
        ("a" * 16, 1, 0.25, "new"),
    ]


def test_all_releases_of_a_candidate_count_together(run: JudgedRun) -> None:
    fill(run, match(release="1"), match(release="2"), match())
    assert [route.verdict.pairs for route in run.routes()] == [3]


def test_times_of_a_recording_are_not_judged(run: JudgedRun) -> None:
    fill(run, replace(match(), latency=(0.1, 9.0), is_timeable=True), times=60)
    (route,) = run.routes()
    assert (route.verdict.verdict, route.verdict.latency, route.verdict.notes) == ("ready", None, [NOT_TIMED])


def test_times_beside_legacy_are(settings: Settings) -> None:
    with JudgedRun(settings, TODAY, is_timed=True) as run:
        fill(run, replace(match(), latency=(0.1, 0.9), is_timeable=True), times=60)
        (route,) = run.routes()
    assert route.verdict.verdict == "not ready"
    assert route.verdict.latency is not None


def test_times_are_bounded_by_route_and_the_last_ones_stay(settings: Settings) -> None:
    with JudgedRun(settings, TODAY, is_timed=True) as run:
        for at in range(MAX_LATENCIES + 2 * judged_run.BATCH):
            run.add(replace(match(at=NOON + at), latency=(1.0, 2.0 if at < MAX_LATENCIES // 2 else 1.0)))
        run.add(replace(match(), route="carts", latency=(1.0, 3.0)))
        orders, carts = run.routes()
        counts = dict(_connection(run).execute("SELECT route, count(*) FROM latencies GROUP BY 1").fetchall())
    assert counts["carts"] == 1
    assert MAX_LATENCIES // 2 <= counts["orders"] <= MAX_LATENCIES
    assert orders.verdict.latency is not None
    assert orders.verdict.latency.median.value == 1.0
    assert carts.verdict.latency is not None
    assert carts.verdict.latency.median.value == 3.0


def test_a_million_pairs_are_a_few_rows(run: JudgedRun) -> None:
    found = finding_of(json_response({"price": 1}), json_response({"price": "1"}))
    assert found.sample is not None
    fill(run, found, match(), times=5 * judged_run.BATCH)
    run.routes()
    connection = _connection(run)
    assert connection.execute("SELECT count(*), sum(count) FROM pairs").fetchone() == (2, 10 * judged_run.BATCH)
    assert connection.execute("SELECT count(*) FROM samples").fetchone() == (0,)


def _connection(run: JudgedRun) -> Connection:
    return run._connection
