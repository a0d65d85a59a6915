"""`strangler replay`: a recording sent to real upstreams, judged, printed, and put into the inbox."""

import gc
import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import msgspec
import pytest
from click.testing import CliRunner, Result

from strangler.cli import main
from strangler.core.documents import InboxDocument, ReplayDocument
from tests.cli.replaying import Upstream, dearer, order, recorded, same, upstream, write_routes
from tests.replay.rig import pair
from tests.replay.test_junit import check

REFUSED = 1
"""A port that nothing listens at."""


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture
def candidate() -> Iterator[Upstream]:
    with upstream(same) as made:
        write_routes(REFUSED, made.port)
        yield made


def run(*words: str) -> Result:
    return CliRunner().invoke(main, ["replay", *words], catch_exceptions=False)


def replayed(*words: str) -> ReplayDocument:
    """Replay as fast as it goes, without the inbox, and return the result."""
    result = run("a.rec", "--speed", "max", "--no-inbox", "--json", *words)
    document = msgspec.json.decode(result.stdout, type=ReplayDocument)
    assert document.passed == (result.exit_code == 0)
    return document


# The verdict


def test_a_candidate_that_responds_as_recorded_passes_its_gate(candidate: Upstream) -> None:
    recorded(order(7), times=60)
    result = run("a.rec", "--speed", "max", "--no-inbox")
    assert result.exit_code == 0
    lines = [line.rstrip() for line in result.stdout.splitlines()]
    assert lines[0].startswith("a.rec against what was recorded: 60 pairs read, 60 sent in ")
    assert "orders  ready       60       60         0           0" in lines
    assert lines[-1] == "passed"
    assert len(candidate.requests) == 60
    assert all(headers["x-strangler-shadow"] == "1" for _, _, headers in candidate.requests)


def test_why_no_more_dry_runs_were_sent_is_in_the_result(candidate: Upstream) -> None:
    recorded(order(7), pair(b"/api/orders", method="POST", body=b"{}"))
    why = replayed("--writes", "dry_run").refusals["orders"]
    assert why.startswith("the candidate responded to OPTIONS /api/orders ")
    assert f"route 'orders': no more dry runs: {why}\n" in run("a.rec", "--no-inbox", "--writes", "dry_run").stdout
    assert {method for method, _, _ in candidate.requests} == {"GET", "OPTIONS"}


@pytest.mark.parametrize(
    ("options", "accept", "passed", "reasons"),
    [
        ((), "", False, ["route 'orders': not ready"]),
        (("--fail-on", "difference"), "", False, ["route 'orders': pairs differ that no rule accepts: 10"]),
        ((), "{path: $.price}", True, []),
        (("--fail-on", "difference"), "{path: $.price}", True, []),
    ],
    ids=["a gate", "a difference", "accepted", "an accepted difference"],
)
def test_differences_that_no_rule_accepts_fail(
    options: tuple[str, ...], accept: str, passed: bool, reasons: list[str]
) -> None:
    recorded(*[order(number) for number in (7, 1, 1, 1, 1, 1)], times=10)
    with upstream(dearer) as made:
        write_routes(REFUSED, made.port, accept)
        document = replayed(*options)
    assert (document.passed, document.reasons) == (passed, reasons)
    (route,) = document.routes
    assert (route.matches, route.accepted, route.mismatches) == ((50, 10, 0) if accept else (50, 0, 10))
    (row,) = document.differences
    assert (row.endpoint, row.path, row.kind, row.count) == ("GET /api/orders/{}", "$.price", "type", 10)


def test_too_few_pairs_fail_a_gate_and_are_no_difference(candidate: Upstream) -> None:
    recorded(order(7))
    assert replayed().reasons == ["route 'orders': not enough evidence"]
    assert replayed("--fail-on", "difference").passed


@pytest.mark.parametrize(
    ("pairs", "left_out"),
    [
        ([], {}),
        ([pair(b"/elsewhere")], {"no route with a candidate": 1}),
        ([pair(b"/api/orders", method="POST", body=b"{}")], {"a write": 1}),
    ],
    ids=["an empty recording", "no route", "a write"],
)
def test_a_replay_that_sends_nothing_fails(candidate: Upstream, pairs: list[Any], left_out: dict[str, int]) -> None:
    recorded(*pairs)
    document = replayed("--fail-on", "difference")
    assert (document.passed, document.reasons) == (False, ["nothing was sent"])
    assert document.left_out == left_out
    assert candidate.requests == []


def test_a_route_that_was_named_must_have_been_compared(candidate: Upstream) -> None:
    recorded(order(7), times=60)
    assert replayed("--route", "orders").passed
    assert replayed("--route", "orders", "--route", "carts").reasons == ["route 'carts': no pair could be compared"]


def test_a_replay_in_which_nothing_could_be_compared_fails(candidate: Upstream) -> None:
    recorded(order(7, status=None))
    document = replayed("--fail-on", "difference")
    assert document.reasons == ["no pair could be compared"]
    assert document.routes[0].endpoints[0].not_comparable == {"not_recorded": 1}


def test_an_upstream_that_is_not_there_stops_it_and_fails() -> None:
    write_routes(REFUSED, REFUSED)
    recorded(order(7), times=200)
    document = replayed("--fail-on", "difference")
    assert document.stopped is not None
    assert document.reasons == [f"it was stopped: {document.stopped}"]
    assert "'orders'" in document.stopped
    assert document.faults["connect"] >= 50
    assert document.sent < 200


def test_a_name_that_nobody_knows_leaves_the_result_as_it_is(
    candidate: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    write_routes(REFUSED, candidate.port)
    routes = Path("routes.yaml")
    routes.write_text(routes.read_text().replace("http://127.0.0.1:", "http://nowhere.invalid:"))
    recorded(order(7), times=60)
    document = replayed("--fail-on", "difference")
    assert document.faults["connect"] >= 50
    gc.collect()
    assert not caplog.records


# Where it goes


def test_an_upstream_that_is_named_gets_all(candidate: Upstream) -> None:
    with upstream(same) as other:
        write_routes(other.port, REFUSED)
        recorded(order(7), times=60)
        assert replayed("--to", "legacy").passed
        assert len(other.requests) == 60


def test_legacy_is_asked_beside_the_candidate() -> None:
    with upstream(lambda *_: (200, {"now": 2})) as legacy, upstream(lambda *_: (200, {"now": 2})) as orders:
        write_routes(legacy.port, orders.port)
        recorded(order(7), times=60)
        document = replayed("--against", "legacy")
        assert (len(legacy.requests), len(orders.requests)) == (60, 60)
    assert document.routes[0].verdict.latency is not None
    assert document.routes[0].matches == 60


def test_given_fields_reach_the_upstream(candidate: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN_OF_ANN", "abc")
    Path("callers.yaml").write_text('ann:\n  Authorization: "Bearer ${TOKEN_OF_ANN}"\n')
    recorded(order(1, caller="ann"), order(2, caller="bob"))
    replayed("--header", "X-Tenant: acme", "--callers", "callers.yaml")
    by_path = {path: headers for _, path, headers in candidate.requests}
    assert by_path["/api/orders/1"]["authorization"] == "Bearer abc"
    assert "authorization" not in by_path["/api/orders/2"]
    assert {headers["x-tenant"] for headers in by_path.values()} == {"acme"}


# The account


def test_lines_that_cannot_be_read_are_named(candidate: Upstream) -> None:
    recorded(order(7))
    lines = run("a.rec", "--no-inbox").stdout.splitlines()
    assert not [line for line in lines if "cannot be read" in line]
    plain = Path("a.txt")
    header = {"recording": 1, "made": "", "by": "", "source": "gor", "redacted": False}
    plain.write_text(json.dumps(header) + "\n{}\nnonsense\n")
    result = run("a.txt", "--no-inbox")
    assert result.exit_code == 1
    assert "1 line of the recording cannot be read: not JSON (3)" in result.stdout


def test_the_result_is_json_or_text_and_nothing_else_is_on_standard_output(candidate: Upstream) -> None:
    recorded(order(7))
    result = run("a.rec", "--no-inbox", "--json")
    assert len(result.stdout.splitlines()) == 1
    assert msgspec.json.decode(result.stdout, type=ReplayDocument).recording == "a.rec"


# JUnit


def test_the_junit_file_has_the_endpoints_that_differ() -> None:
    recorded(*[order(number) for number in (7, 1)], pair(b"/api/orders", status=None), times=30)
    with upstream(dearer) as made:
        write_routes(REFUSED, made.port)
        assert run("a.rec", "--speed", "max", "--no-inbox", "--junit", "r.xml").exit_code == 1
    root = ET.fromstring(Path("r.xml").read_bytes())
    check(root)
    outcomes = {case.attrib["name"]: [child.tag for child in case] for case in root.iter("testcase")}
    assert outcomes == {
        "a.rec": [],
        "GET /api/orders": ["skipped"],
        "GET /api/orders/{}": ["failure"],
        "gate": ["failure"],
    }


def test_a_junit_file_is_replaced_as_a_whole(candidate: Upstream) -> None:
    recorded(order(7))
    Path("r.xml").write_text("x" * 100_000)
    run("a.rec", "--no-inbox", "--junit", "r.xml", "--fail-on", "difference")
    check(ET.fromstring(Path("r.xml").read_bytes()))
    assert sorted(each.name for each in Path().iterdir()) == ["a.rec", "r.xml", "routes.yaml"]


def test_a_junit_file_that_cannot_be_written_is_an_error_after_the_result(candidate: Upstream) -> None:
    recorded(order(7))
    Path("r.xml").mkdir()
    assert run("a.rec", "--no-inbox", "--junit", "r.xml").exit_code == 2


# The inbox


def inbox() -> InboxDocument:
    result = CliRunner().invoke(main, ["diffs", "--json"], catch_exceptions=False)
    return msgspec.json.decode(result.stdout, type=InboxDocument)


def test_findings_are_put_into_the_state_folder_and_their_ids_are_printed() -> None:
    recorded(*[order(number) for number in (7, 1)], times=30)
    with upstream(dearer) as made:
        write_routes(REFUSED, made.port)
        result = run("a.rec", "--speed", "max")
        assert "60 findings put into the inbox; `strangler diffs show ID` shows both responses" in result.stdout
        (row,) = inbox().signatures
        assert row.count == 30
        assert row.id[:8] in result.stdout
        show = CliRunner().invoke(main, ["diffs", "show", row.id], catch_exceptions=False)
        assert show.exit_code == 0
        assert "GET /api/orders/7" in show.stdout
        assert "(replay)  request" in show.stdout
        lines = [json.loads(line) for line in Path("state/shadow-diffs.jsonl").read_text().splitlines()]
        assert [line["source"] for line in lines] == ["replay"] * 30


def test_what_the_candidate_served_when_it_was_recorded_is_not_put_there(candidate: Upstream) -> None:
    recorded(order(7, arm="candidate"), order(7), times=5)
    result = run("a.rec", "--speed", "max")
    assert "5 findings put into the inbox" in result.stdout
    assert "5 pairs had a recorded response of the candidate: not for the inbox" in result.stdout


def test_without_the_inbox_nothing_is_written(candidate: Upstream) -> None:
    recorded(order(7))
    run("a.rec", "--no-inbox")
    assert not Path("state").exists()


# Legacy and itself


def test_legacy_that_agrees_with_itself(candidate: Upstream) -> None:
    write_routes(candidate.port, REFUSED)
    recorded(order(7), times=30)
    result = run("a.rec", "--speed", "max", "--self")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "route 'orders': all of 30 pairs are what was recorded",
        "route 'orders': legacy agrees with itself in all of 30 pairs",
        "legacy agrees with itself",
    ]
    assert len(candidate.requests) == 60
    assert not Path("state").exists(), "nothing of it is for the inbox"


OF_RESTLESS = b'{"id": 7, "price": 1, "at": -1}'


@pytest.fixture
def restless() -> Iterator[Upstream]:
    """Legacy with a clock in its responses, and with data that has changed."""
    ticks = count()
    with upstream(
        lambda _, path: (200, {"id": 7, "price": 2 if path.endswith("/9") else 1, "at": next(ticks)})
    ) as made:
        write_routes(made.port, REFUSED)
        yield made


def test_rules_are_proposed_for_what_legacy_differs_in_from_itself(restless: Upstream) -> None:
    recorded(order(7, response=OF_RESTLESS), order(9, response=OF_RESTLESS), times=30)
    result = run("a.rec", "--speed", "max", "--self")
    assert result.exit_code == 1
    first, second = result.stdout.splitlines()[:2]
    assert first == (
        "route 'orders': 60 of 60 pairs are not what was recorded (30 only where legacy differs from itself):"
        " data has changed since; compare with --against legacy"
    )
    assert second == "route 'orders': legacy differs from itself in 60 of 60 pairs"
    assert "# `$.at` differed in 60 of 60 pairs of legacy against itself" in result.stdout
    write_routes(restless.port, REFUSED, "{path: $.at}")
    assert run("a.rec", "--speed", "max", "--self").exit_code == 0, "after its rules it agrees"


def test_the_json_of_a_self_comparison_has_the_rules(restless: Upstream) -> None:
    recorded(order(7, response=OF_RESTLESS), times=30)
    (found,) = replayed("--self").itself
    assert (found.recorded_pairs, found.recorded_mismatches, found.recorded_noise) == (30, 30, 30)
    assert (found.pairs, found.mismatches) == (30, 30)
    assert found.patch is not None
    assert '{path: "$.at", kind: value' in found.patch


def test_of_few_pairs_rules_are_proposed_too_with_their_numbers(restless: Upstream) -> None:
    recorded(order(7), times=3)
    (found,) = replayed("--self").itself
    assert found.patch is not None
    assert "# `$.at` differed in 3 of 3 pairs of legacy against itself" in found.patch
