"""Records become what a worker counts."""

import json
from dataclasses import replace
from typing import Any

import pytest

from strangler.core.ledger_settings import LedgerSettings
from strangler.core.rollout_settings import RolloutSettings
from strangler.core.routing.snapshot import Snapshot
from strangler.core.settings import Settings, StickySource
from strangler.engine.intake.attempts import KEPT_S, MAX_KEPT, WAIT_S
from strangler.engine.intake.counting import EARLY_S
from tests.engine.intake.samples import CANDIDATE, FAILED_ATTEMPT, FALLBACK, PLAIN, Counted
from tests.factories import route, settings, upstream


def made(*, has_rollout: bool = False) -> Settings:
    orders = route("orders", prefix="/api/orders", percent=50)
    if has_rollout:
        sticky = (StickySource("header", "X-User-Id"),)
        orders = replace(orders, rollout=RolloutSettings(), split=replace(orders.split, sticky=sticky))
    found = settings([orders], [upstream("legacy"), upstream("orders")])
    return replace(found, ledger=LedgerSettings(), log=replace(found.log, format="json"))


def line_of(record: dict[str, Any]) -> dict[str, Any]:
    counted = Counted(made())
    counted.request(record)
    (line,) = counted.lines()
    document: dict[str, Any] = json.loads(line)
    return document


def test_the_access_line_is_that_of_a_worker() -> None:
    assert line_of({**PLAIN, "bs": 26}) == {
        "time": "2026-12-01T03:15:01.501Z", "level": "info", "event": "request", "client": "192.0.2.7",
        "method": "GET", "path": "/a", "route": None, "arm": "legacy", "reason": "no_route", "upstream": "legacy",
        "status": 200, "fault": None, "attempts": 1, "duration_ms": 1.5, "bytes": 26, "request_id": "r-1",
        "process": "envoy", "pid": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"s": 404}, {"status": 404, "fault": None}),
        ({"s": 0, "f": "DC", "cd": "downstream_remote_disconnect", "d": None, "dm": 403},
         {"status": None, "fault": "client_gone", "duration_ms": 403.0}),
        ({"s": 413, "cd": "request_payload_too_large", "up": None, "arm": None, "n": 0},
         {"reason": "unplanned", "arm": None, "upstream": None, "fault": "too_large", "attempts": 0, "bytes": 0}),
        ({"reason": None, "up": None, "arm": None, "cl": None, "s": 400, "cd": "http1.codec_error", "f": "DPE"},
         {"reason": "unplanned", "fault": "malformed"}),
        ({"reason": "retired", "route": "orders", "up": None, "arm": None, "cl": None, "s": 410},
         {"route": "orders", "arm": None, "upstream": None, "fault": "retired", "attempts": 0, "bytes": 0}),
        ({"reason": "percent", "route": "gone", "cl": "arms/orders/1", "arm": "candidate", "up": "orders"},
         {"route": None, "arm": "candidate", "upstream": "orders"}),
    ],
)  # fmt: skip
def test_lines_of_other_ends(changes: dict[str, Any], expected: dict[str, Any]) -> None:
    line = line_of({**PLAIN, **changes})
    assert {name: line[name] for name in expected} == expected


def test_a_fallback_is_one_of_the_line_too() -> None:
    assert line_of(dict(FALLBACK))["fallback"] is True
    assert "fallback" not in line_of(dict(CANDIDATE))
    assert "fallback" not in line_of({**FALLBACK, "cl": "up/legacy"})


def test_a_candidate_without_endpoints_is_the_arm_of_its_failure() -> None:
    changes = {"up": None, "arm": None, "s": 503, "f": "UH", "cd": "no_healthy_upstream"}
    line = line_of({**CANDIDATE, **changes})
    assert (line["arm"], line["upstream"], line["fault"]) == ("candidate", "orders", "open")


@pytest.mark.parametrize("value", [None, True, 1.5, "x", [1], {"a": 1}, -1, 10**30])
@pytest.mark.parametrize("key", sorted(PLAIN))
def test_no_value_of_any_key_is_a_crash(key: str, value: object) -> None:
    counted = Counted(made(has_rollout=True))
    counted.request({**CANDIDATE, key: value})
    counted.attempt({**FAILED_ATTEMPT, key: value})
    counted.counting.finish(0.0)
    counted.ledger_batches()
    assert len(counted.lines()) == 1


def test_metrics_have_the_labels_of_a_workers() -> None:
    counted = Counted(made())
    counted.request(CANDIDATE)
    counted.request({**PLAIN, "s": 0, "f": "DC", "cd": "downstream_remote_disconnect"})
    assert counted.figures("strangler_requests_total") == {
        ("orders", "candidate", "orders", "2xx"): 1,
        ("", "legacy", "legacy", "gone"): 1,
    }
    assert counted.figures("strangler_attempts_total") == {("orders", "2xx"): 1}


@pytest.mark.parametrize("is_first", [True, False])
def test_the_cause_of_a_fallback_is_that_of_the_failed_attempt(is_first: bool) -> None:
    counted = Counted(made())
    if is_first:
        counted.attempt(FAILED_ATTEMPT)
        counted.request(FALLBACK, now=KEPT_S - 1)
    else:
        counted.request(FALLBACK)
        counted.attempt(FAILED_ATTEMPT, now=WAIT_S - 1)
    assert counted.figures("strangler_fallbacks_total") == {("orders", "connect"): 1}
    assert counted.figures("strangler_attempts_total") == {("orders", "connect"): 1, ("legacy", "2xx"): 1}


@pytest.mark.parametrize(
    ("attempt", "cause"),
    [({"s": 503, "f": "-"}, "503"), ({"s": 504, "f": "-", "r": "timeout"}, "timeout"), ({"f": "UT"}, "timeout")],
)
def test_a_gate_and_a_status_are_causes(attempt: dict[str, Any], cause: str) -> None:
    counted = Counted(made())
    counted.attempt({**FAILED_ATTEMPT, **attempt})
    counted.request(FALLBACK)
    assert counted.figures("strangler_fallbacks_total") == {("orders", cause): 1}


def test_a_cause_that_never_comes_is_unknown() -> None:
    counted = Counted(made())
    counted.request(FALLBACK)
    counted.counting.tick(WAIT_S / 2)
    assert counted.figures("strangler_fallbacks_total") == {}
    counted.counting.tick(WAIT_S)
    assert counted.figures("strangler_fallbacks_total") == {("orders", "unknown"): 1}


def test_a_candidate_that_was_passed_over_was_open() -> None:
    counted = Counted(made())
    counted.request({**FALLBACK, "n": 1})
    assert counted.figures("strangler_fallbacks_total") == {("orders", "open"): 1}
    assert counted.figures("strangler_attempts_total") == {("orders", "open"): 1, ("legacy", "2xx"): 1}


def test_causes_that_wait_are_bounded() -> None:
    counted = Counted(made())
    for number in range(MAX_KEPT + 10):
        counted.attempt({**FAILED_ATTEMPT, "id": f"r-{number}"})
    counted.request({**FALLBACK, "id": "r-0"})
    counted.request({**FALLBACK, "id": f"r-{MAX_KEPT}"})
    counted.counting.finish(0.0)
    assert counted.figures("strangler_fallbacks_total") == {("orders", "unknown"): 1, ("orders", "connect"): 1}


def test_the_attempts_of_mirrors_are_nobodys() -> None:
    counted = Counted(made())
    counted.attempt({**FAILED_ATTEMPT, "up": None, "arm": None})
    assert counted.figures("strangler_attempts_total") == {}


def test_the_ledger_has_the_calls() -> None:
    counted = Counted(made())
    for number in range(10):
        counted.request({**CANDIDATE, "p": f"/api/orders/{number}"})
    counted.request({**CANDIDATE, "sh": "1"})
    sums = [each for batch in counted.ledger_batches() for each in batch.sums]
    assert [(each.method, each.template, each.route, each.arm, each.status, each.calls) for each in sums] == [
        ("GET", "/api/orders/{}", "orders", "candidate", 200, 10)
    ]


def test_a_rollout_counts_by_planned_arm_generation_and_caller() -> None:
    counted = Counted(made(has_rollout=True))
    counted.request({**CANDIDATE, "k:X-User-Id": "ann"})
    counted.request({**FALLBACK, "k:X-User-Id": "ann"})
    counted.request({**CANDIDATE, "k:X-User-Id": "bob", "s": 500})
    counted.request({**CANDIDATE, "cl": "up/legacy", "arm": "legacy", "up": "legacy"})
    counted.request({**CANDIDATE, "reason": "override"})
    (batch,) = counted.rollout_batches()
    (counts,) = batch.counts
    assert (counts.route, counts.generation) == ("orders", 1)
    assert (counts.legacy.requests, counts.legacy.failed) == (1, 0)
    assert (counts.candidate.requests, counts.candidate.failed) == (3, 2)
    assert sorted(each.requests for each in counts.busiest) == [1, 2]


def test_requests_of_settings_that_are_to_come_wait_for_them() -> None:
    wanted = made(has_rollout=True)
    counted = Counted(wanted)
    counted.request({**CANDIDATE, "gen": 2}, now=10.0)
    assert counted.lines() == []
    counted.counting.adopt(Snapshot(wanted, 2), 11.0)
    assert len(counted.lines()) == 1
    assert [each.generation for each in counted.rollout_batches()[0].counts] == [2]


def test_no_rollout_counts_requests_of_settings_that_are_not_known() -> None:
    counted = Counted(made(has_rollout=True), generation=9)
    counted.request({**CANDIDATE, "gen": 3}, now=10.0)
    counted.request({**CANDIDATE, "gen": 10}, now=10.0)
    counted.counting.tick(10.0 + EARLY_S)
    assert len(counted.lines()) == 2
    assert counted.rollout_batches() == []
