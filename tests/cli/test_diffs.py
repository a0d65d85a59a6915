"""`strangler diffs`, `ready`, `report` and the gate of `shift`, without a proxy: from the state folder."""

import json
import resource
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from strangler.cli import main
from strangler.config.load import load
from strangler.core.compare import compare
from strangler.core.compare.accept_rules.rules import NO_RULES
from strangler.store.evidence.carry_over import carry_over
from strangler.store.evidence.findings import Finding
from strangler.store.evidence.index import IndexState
from strangler.store.evidence.writing import SCHEMA, store_findings
from strangler.times import utc_day as today
from tests.store.evidence.pairs import captured, finding_of, json_response, match

ROUTES = """\
version: 1
state: state
upstreams:
  legacy: {url: http://127.0.0.1:8000}
  orders: {url: http://127.0.0.1:8001}
routes:
  - name: orders # the first to move
    match: {prefix: /api/orders}
    candidate: orders
    split: {percent: 5, sticky: [client_ip]}
    gate: {min_pairs: 100, min_age: 0}
"""
LEGACY = {"id": 7, "price": 19.99, "at": "2026-11-23T12:00:00Z"}
CANDIDATE = {"id": 7, "price": "19.99", "at": "2026-11-23T12:00:01Z"}

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command in a folder with a routes.yaml."""
    (tmp_path / "routes.yaml").write_text(ROUTES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *arguments: CliRunner().invoke(main, arguments, catch_exceptions=False)


def keep(*findings: Finding) -> None:
    """Into the store of the folder."""
    Path("state").mkdir(exist_ok=True)
    with closing(sqlite3.connect("state/strangler.db")) as connection, connection:
        connection.executescript(SCHEMA)
        store_findings(connection, IndexState(), findings, time.time())


def differing(**more: Any) -> Finding:
    now = time.time()
    baseline = compare(json_response(LEGACY), json_response(LEGACY | {"at": "2026-11-23T12:00:02Z"}), NO_RULES, today())
    lines = b"Host: shop\r\nX-User-Id: it's 7\r\nAuthorization: Bearer secret\r\nVia: 1.1 strangler\r\n"
    request = captured(b"/api/orders/7?x=1", lines, at=now, **more)
    return finding_of(json_response(LEGACY), json_response(CANDIDATE), request, baseline=baseline)


def row(run: Run, path: str = "$.price") -> dict[str, Any]:
    (found,) = [
        signature for signature in json.loads(run("diffs", "--json").output)["signatures"] if signature["path"] == path
    ]
    return dict(found)


class TestInbox:
    def test_before_anything_was_compared_it_says_so(self, run: Run) -> None:
        result = run("diffs")
        assert result.exit_code == 1
        assert "nothing has been compared yet" in result.output

    def test_the_table_has_a_row_a_difference(self, run: Run) -> None:
        keep(differing(), match(at=time.time()))
        lines = run("diffs").output.splitlines()
        assert lines[0].split()[:4] == ["id", "severity", "state", "route"]
        assert "breaking" in lines[1]
        assert "$.price" in lines[1]
        assert "50.0%" in lines[1]
        assert "(noise)" in lines[2]

    def test_on_a_narrow_terminal_a_row_has_its_place_below_its_endpoint(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        keep(differing())
        monkeypatch.setenv("COLUMNS", "80")
        head, first, second, *_ = run("diffs").output.splitlines()
        assert head.split() == ["id", "severity", "state", "route", "endpoint,", "where", "count", "share"]
        assert "GET /api/orders/{}" in first
        assert second.split() == ["$.price", "type"]

    def test_in_a_pipe_nothing_is_folded(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        keep(differing())
        monkeypatch.delenv("COLUMNS")
        (price,) = [line for line in run("diffs").output.splitlines() if "$.price" in line]
        assert price.split()[1:7] == ["breaking", "new", "orders", "GET", "/api/orders/{}", "$.price"]

    def test_filters_are_kept_to(self, run: Run) -> None:
        keep(differing())
        breaking = run("diffs", "--severity", "breaking").output
        assert "$.price" in breaking
        assert "$.at" not in breaking
        assert run("diffs", "--state", "fixed").output == "no such differences\n"
        assert run("diffs", "--route", "other").exit_code == 2
        assert "$.price" in run("diffs", "--since", "1h", "--state", "new").output
        assert run("diffs", "--since", "yesterday").exit_code == 2

    def test_a_broken_routes_yaml_is_bad_input(self, run: Run) -> None:
        Path("routes.yaml").write_text("version: 2\n")
        assert run("diffs").exit_code == 2


class TestShow:
    def test_both_answers_stand_side_by_side(self, run: Run) -> None:
        keep(differing())
        output = run("diffs", "show", row(run)["id"][:6]).output
        (line,) = [line for line in output.splitlines() if line.count('"price"') == 2]
        assert "19.99" in line
        assert "≠" in line
        assert 'breaking $.price type: 19.99 → "19.99"' in output

    def test_the_request_is_a_curl_command_for_both_arms(self, run: Run) -> None:
        keep(differing())
        output = run("diffs", "show", row(run)["id"], "--as", "curl").output
        assert output.count("curl -sS -i --compressed") == 2
        assert "http://127.0.0.1:8000/api/orders/7?x=1" in output
        assert "http://127.0.0.1:8001/api/orders/7?x=1" in output
        assert r"""-H 'X-User-Id: it'\''s 7'""" in output
        assert "Via" not in output
        assert "redacted:" in output
        assert "Bearer secret" not in output

    def test_the_request_is_a_hurl_file(self, run: Run) -> None:
        keep(differing())
        output = run("diffs", "show", row(run)["id"], "--as", "hurl").output
        assert output.splitlines()[:3] == [
            "GET http://127.0.0.1:8000/api/orders/7?x=1",
            "Host: shop",
            "X-User-Id: it's 7",
        ]

    def test_the_request_is_a_test_that_compiles(self, run: Run) -> None:
        keep(differing())
        output = run("diffs", "show", row(run)["id"], "--as", "pytest").output
        compile(output, "test_it.py", "exec")
        assert "('price',)" in output

    @pytest.mark.parametrize("name", ["f" * 16, ""], ids=["unknown", "of all"])
    def test_an_id_must_name_one(self, run: Run, name: str) -> None:
        keep(differing())
        result = run("diffs", "show", name)
        assert result.exit_code == 2
        assert "no difference has the id" in result.output

    def test_a_number_beyond_the_samples_is_refused(self, run: Run) -> None:
        keep(differing())
        assert run("diffs", "show", row(run)["id"], "--sample", "2").exit_code == 2


class TestReview:
    def test_accept_writes_a_rule_and_the_difference_is_accepted(self, run: Run) -> None:
        keep(differing())
        result = run(
            *("diffs", "accept", row(run)["id"], "--why", "as agreed", "--until", "2099-01-31", "--owner", "ana")
        )
        assert result.exit_code == 0
        text = Path("routes.yaml").read_text()
        assert "  - name: orders # the first to move\n" in text
        rule = '{path: "$.price", endpoint: "GET /api/orders/{}", kind: type, owner: "ana", until: 2099-01-31'
        assert f'- {rule}, why: "as agreed"}}' in text
        settings = load(Path("routes.yaml"), {}).settings
        assert settings is not None
        assert settings.routes[0].compare.accept[0].path == "$.price"
        assert (row(run)["state"], row(run)["owner"]) == ("accepted", "ana")

    def test_a_former_id_names_the_difference_that_it_is_now(self, run: Run) -> None:
        keep(differing(), differing())
        former = row(run)["id"]
        wide = {("orders", "GET /api/orders/{}"): "GET /api/{}/{}"}
        with closing(sqlite3.connect("state/strangler.db")) as connection, connection:
            carry_over(connection, wide, {}, today(), time.time())
        now = row(run)["id"]
        assert now != former
        assert now in run("diffs", "show", former[:8]).output
        result = run("diffs", "known", former, "--why", "rounding")
        assert (result.exit_code, row(run)["state"]) == (0, "known"), result.output
        result = run("diffs", "accept", former, "--why", "agreed")
        assert result.exit_code == 0
        assert 'endpoint: "GET /api/{}/{}"' in Path("routes.yaml").read_text()
        assert row(run)["state"] == "accepted"

    def test_a_rule_for_a_part_of_an_endpoint_is_a_hint(self, run: Run) -> None:
        keep(differing())
        wide = {("orders", "GET /api/orders/{}"): "GET /api/{}/{}"}
        with closing(sqlite3.connect("state/strangler.db")) as connection, connection:
            carry_over(connection, wide, {}, today(), time.time())
        assert run("diffs", "accept", row(run)["id"], "--why", "agreed").exit_code == 0
        file = Path("routes.yaml")
        file.write_text(file.read_text().replace("GET /api/{}/{}", "GET /api/orders/7"))
        hint = "the accept rule of route 'orders' for GET /api/orders/7 is for that part of it alone"
        assert hint in run("diffs").output
        assert hint in run("diffs", "--endpoint", "GET /api/{}/{}").output
        assert hint not in run("diffs", "--endpoint", "GET /api/orders/{}").output

    def test_accept_needs_a_reason(self, run: Run) -> None:
        assert run("diffs", "accept", "a").exit_code == 2

    def test_a_dry_run_changes_nothing(self, run: Run) -> None:
        keep(differing())
        result = run("diffs", "accept", row(run)["id"], "--why", "maybe", "--dry-run")
        assert '+        - {path: "$.price"' in result.output
        assert Path("routes.yaml").read_text() == ROUTES
        assert row(run)["state"] == "new"

    def test_of_a_status_the_pair_is_accepted(self, run: Run) -> None:
        keep(finding_of(json_response(LEGACY), json_response(LEGACY, 404), captured(at=time.time())))
        (found,) = [
            signature
            for signature in json.loads(run("diffs", "--json").output)["signatures"]
            if signature["in"] == "status"
        ]
        assert run("diffs", "accept", found["id"], "--why", "agreed").exit_code == 0
        assert (
            '- {status: [200, 404], endpoint: "GET /api/orders/{}", why: "agreed"}' in Path("routes.yaml").read_text()
        )

    def test_a_5xx_cannot_be_accepted(self, run: Run) -> None:
        keep(finding_of(json_response(LEGACY), json_response(LEGACY, 503), captured(at=time.time())))
        (found,) = [
            signature
            for signature in json.loads(run("diffs", "--json").output)["signatures"]
            if signature["in"] == "status"
        ]
        result = run("diffs", "accept", found["id"], "--why", "no")
        assert result.exit_code == 2
        assert "a 5xx is a failure" in result.output
        assert Path("routes.yaml").read_text() == ROUTES

    def test_known_and_fixed_are_said_of_one(self, run: Run) -> None:
        keep(differing())
        name = row(run)["id"]
        assert "known (route 'orders', $.price type)" in run("diffs", "known", name, "--owner", "ana").output
        assert (row(run)["state"], row(run)["owner"]) == ("known", "ana")
        run("diffs", "fixed", name)
        assert row(run)["state"] == "fixed"
        keep(differing())
        assert row(run)["state"] == "regressed"

    def test_propose_writes_to_the_screen_only(self, run: Run) -> None:
        keep(*(differing() for _ in range(25)))
        result = run("diffs", "propose", "orders")
        assert result.exit_code == 0
        assert "25 of 25 pairs of legacy against itself" in result.output
        assert '{path: "$.at", kind: value' in result.output
        assert Path("routes.yaml").read_text() == ROUTES

    def test_without_enough_baselines_nothing_is_proposed(self, run: Run) -> None:
        keep(differing())
        assert run("diffs", "propose", "orders").exit_code == 1
        assert run("diffs", "propose", "ordres").exit_code == 2


def agreeing(count: int) -> list[Finding]:
    return [match(at=time.time(), latency=(0.01, 0.0101)) for _ in range(count)]


class TestReady:
    def test_ready_is_exit_code_0(self, run: Run) -> None:
        keep(*agreeing(3100))
        result = run("ready", "orders")
        assert (result.exit_code, result.output.splitlines()[0]) == (0, "orders: ready")
        assert "100.000%, at least 99.902% (95 %, however often one looks)  (gate: 99.900%)" in result.output

    def test_not_enough_evidence_is_1_and_says_how_much_more(self, run: Run) -> None:
        keep(*agreeing(50))
        result = run("ready", "orders")
        assert (result.exit_code, result.output.splitlines()[0]) == (1, "orders: not enough evidence")
        assert "more pairs are needed, 50 were compared" in result.output

    def test_not_ready_is_1_and_says_why(self, run: Run) -> None:
        keep(*agreeing(3100), differing())
        result = run("ready", "orders", "--json")
        assert result.exit_code == 1
        assert json.loads(result.output)["reasons"] == ["1 breaking differences are open, 0 are allowed"]

    def test_an_unknown_route_is_bad_input(self, run: Run) -> None:
        keep(*agreeing(1))
        assert run("ready", "ordres").exit_code == 2


class TestGate:
    def test_a_shift_beyond_it_is_refused_and_nothing_changes(self, run: Run) -> None:
        keep(*agreeing(50))
        result = run("shift", "orders", "50")
        assert result.exit_code == 1
        assert "not enough evidence" in result.output
        assert Path("routes.yaml").read_text() == ROUTES

    def test_a_route_that_is_ready_is_shifted(self, run: Run) -> None:
        keep(*agreeing(3100))
        assert run("shift", "orders", "50").exit_code == 0

    def test_down_is_always_possible(self, run: Run) -> None:
        assert run("shift", "orders", "1").exit_code == 0

    def test_by_force_it_is_written_down_who_and_why(self, run: Run) -> None:
        keep(*agreeing(50))
        assert run("shift", "orders", "50", "--force").exit_code == 2
        assert run("shift", "orders", "50", "--force", "--why", "the old one burns").exit_code == 0
        with closing(sqlite3.connect("state/strangler.db")) as connection:
            ((what, route, why, detail),) = connection.execute("SELECT what, route, why, detail FROM audit").fetchall()
        assert (what, route, why) == ("shift --force", "orders", "the old one burns")
        assert detail == "5 to 50 %; the gate said: not enough evidence"

    def test_force_works_before_anything_was_compared(self, run: Run) -> None:
        assert run("shift", "orders", "50").exit_code == 1
        assert run("shift", "orders", "50", "--force", "--why", "first day").exit_code == 0

    def test_a_route_without_a_gate_is_not_held(self, run: Run) -> None:
        Path("routes.yaml").write_text(ROUTES.replace("    gate: {min_pairs: 100, min_age: 0}\n", ""))
        assert run("shift", "orders", "50").exit_code == 0


class TestReport:
    def test_it_is_one_page_that_needs_nothing_else(self, run: Run) -> None:
        keep(*agreeing(100), differing(), *(differing() for _ in range(30)))
        result = run("report", "-o", "page.html")
        assert result.exit_code == 0
        page = Path("page.html").read_text()
        assert page.startswith("<!doctype html>")
        assert "orders: <span class='verdict not-ready'>not ready</span>" in page
        assert page.count("<svg") == 2
        assert "$.price" in page
        assert not any(text in page for text in ("<script", "<link", "src=", "@import", "url(http"))

    def test_without_room_the_page_of_before_stays(self, run: Run) -> None:
        """A limit on the size of files fails a write half-way, as a full disk does."""
        keep(*agreeing(100))
        Path("report.html").write_text("of yesterday")
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
        try:
            result = run("report")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert (result.exit_code, result.output) == (1, "Error: report.html: File too large\n")
        assert Path("report.html").read_text() == "of yesterday"
        assert not list(Path().glob(".report*"))

    def test_it_may_go_to_a_pipe(self, run: Run) -> None:
        keep(*agreeing(10))
        assert run("report", "-o", "/dev/null").exit_code == 0

    def test_what_came_from_outside_is_escaped(self, run: Run) -> None:
        markup = {"<script>alert(1)</script>": "<img src=x onerror=alert(1)>"}
        keep(finding_of(json_response({}), json_response(markup), captured(b"/api/<b>/", at=time.time())))
        run("report")
        page = Path("report.html").read_text()
        assert "<script>" not in page
        assert "<img" not in page
        assert "&lt;script&gt;" in page

    def test_forced_shifts_are_in_it(self, run: Run) -> None:
        keep(*agreeing(50))
        run("shift", "orders", "50", "--force", "--why", "no time")
        run("report")
        assert "no time" in Path("report.html").read_text()


def audited() -> list[tuple[str, str, str]]:
    """Return who, what and detail of the audit, oldest first."""
    with closing(sqlite3.connect("state/strangler.db")) as connection:
        return connection.execute("SELECT who, what, detail FROM audit ORDER BY id").fetchall()


def several() -> None:
    """Two endpoints, each with a price that has another type and a clock; one has a 5xx, too."""
    now = time.time()
    for target in (b"/api/orders/7", b"/api/orders/7/lines"):
        keep(finding_of(json_response(LEGACY), json_response(CANDIDATE), captured(target, at=now)))
    keep(finding_of(json_response(LEGACY), json_response(LEGACY, 500), captured(b"/api/orders/7/lines", at=now)))


def states(run: Run) -> list[tuple[str, str, str]]:
    rows = json.loads(run("diffs", "--json").output)["signatures"]
    return sorted((each_row["endpoint"], each_row["path"] or "status", each_row["state"]) for each_row in rows)


class TestBulk:
    def test_several_ids_are_marked_at_once(self, run: Run) -> None:
        several()
        names = [signature["id"] for signature in json.loads(run("diffs", "--json").output)["signatures"]]
        result = run("diffs", "known", *(name[:8] for name in names[:3]), "--owner", "ana")
        assert result.exit_code == 0
        assert result.output.count(": known (route 'orders'") == 3
        assert len(audited()) == 3
        assert {what for _, what, _ in audited()} == {"known"}

    @pytest.mark.parametrize("wrong", ["ffff0000", ""], ids=["unknown", "ambiguous"])
    @pytest.mark.parametrize("word", ["known", "fixed", "accept"])
    def test_one_id_that_is_not_clear_does_nothing_at_all(self, run: Run, word: str, wrong: str) -> None:
        several()
        before = states(run)
        why = ("--why", "x")
        result = run("diffs", word, _first(run), wrong, *why)
        assert result.exit_code == 2
        assert "nothing was changed" in result.output
        assert states(run) == before
        assert audited() == []
        assert Path("routes.yaml").read_text() == ROUTES

    @pytest.mark.parametrize(
        ("filters", "count"),
        [
            (("--all",), 5),
            (("--route", "orders"), 5),
            (("--endpoint", "GET /api/orders/{}"), 2),
            (("--severity", "breaking"), 3),
            (("--severity", "breaking", "--endpoint", "GET /api/orders/{}"), 1),
            (("--state", "new"), 5),
            (("--state", "fixed"), 0),
            (("--source", "live"), 5),
            (("--source", "replay"), 0),
        ],
        ids=lambda item: " ".join(item) if isinstance(item, tuple) else "",
    )
    def test_filters_choose(self, run: Run, filters: tuple[str, ...], count: int) -> None:
        several()
        result = run("diffs", "known", *filters, "--yes")
        assert result.exit_code == 0
        assert len(audited()) == count

    def test_noise_alone_is_chosen(self, run: Run) -> None:
        keep(*(differing() for _ in range(25)))
        assert run("diffs", "accept", "--noise", "--why", "a clock", "--yes").exit_code == 0
        text = Path("routes.yaml").read_text()
        assert '{path: "$.at", endpoint: "GET /api/orders/{}", kind: value, why: "a clock"}' in text
        assert "$.price" not in text

    def test_without_a_terminal_filters_need_yes(self, run: Run) -> None:
        several()
        result = run("diffs", "fixed", "--all")
        assert result.exit_code == 2
        assert "--yes" in result.output
        assert audited() == []

    def test_ids_and_filters_together_are_not_clear_nor_is_nothing(self, run: Run) -> None:
        several()
        assert run("diffs", "known", "abcd", "--all").exit_code == 2
        assert run("diffs", "known").exit_code == 2

    def test_all_rules_are_written_in_one_edit_and_what_cannot_be_is_said(self, run: Run) -> None:
        several()
        result = run("diffs", "accept", "--all", "--why", "agreed", "--yes")
        assert result.exit_code == 0
        text = Path("routes.yaml").read_text()
        assert text.count("endpoint:") == 4
        assert "skipped" in result.output
        assert "a 5xx is a failure" in result.output
        assert [what for _, what, _ in audited()] == ["accepted"] * 4
        assert [state for _, _, state in states(run)].count("accepted") == 4

    def test_rules_that_are_there_are_not_written_again(self, run: Run) -> None:
        several()
        run("diffs", "accept", "--endpoint", "GET /api/orders/{}", "--why", "agreed", "--yes")
        before, entries = Path("routes.yaml").read_text(), audited()
        names = [each_row["id"] for each_row in _rows(run) if each_row["endpoint"] == "GET /api/orders/{}"]
        result = run("diffs", "accept", *names, "--why", "again")
        assert result.exit_code == 0
        assert result.output.count("a rule accepts it already") == 2
        assert Path("routes.yaml").read_text() == before
        assert audited() == entries

    def test_a_mark_that_is_there_is_no_entry_of_the_audit(self, run: Run) -> None:
        keep(differing())
        name = row(run)["id"]
        run("diffs", "known", name, "--why", "seen")
        result = run("diffs", "known", name)
        assert "it is known already" in result.output
        assert len(audited()) == 1
        run("diffs", "known", name, "--why", "seen again")
        assert len(audited()) == 2

    def test_a_dry_run_asks_nothing_and_changes_nothing(self, run: Run) -> None:
        several()
        before = states(run)
        output = run("diffs", "accept", "--all", "--why", "agreed", "--dry-run").output
        assert output.count('+        - {path: "$.') == 4
        assert run("diffs", "known", "--all", "--dry-run").exit_code == 0
        assert states(run) == before
        assert Path("routes.yaml").read_text() == ROUTES
        assert audited() == []

    def test_a_file_with_problems_is_not_written_and_leaves_no_entry(self, run: Run) -> None:
        several()
        name = _first(run)
        broken = ROUTES.replace("min_pairs: 100", "min_pairs: many")
        Path("routes.yaml").write_text(broken)
        assert run("diffs", "accept", name, "--why", "agreed").exit_code == 2
        assert Path("routes.yaml").read_text() == broken
        assert audited() == []

    def test_a_pair_of_values_is_all_that_is_accepted(self, run: Run) -> None:
        keep(differing())
        assert run("diffs", "accept", row(run)["id"], "--values", "--why", "agreed").exit_code == 0
        pair = r'kind: type, from: "19.99", to: "\"19.99\"", why: "agreed"}'
        assert f'{{path: "$.price", endpoint: "GET /api/orders/{{}}", {pair}' in Path("routes.yaml").read_text()

    def test_another_order_is_a_hint(self, run: Run) -> None:
        left, right = {"items": [1, 2, 3]}, {"items": [3, 2, 1]}
        keep(finding_of(json_response(left), json_response(right), captured(at=time.time())))
        (hint,) = [line for line in run("diffs").output.splitlines() if line.startswith("hint")]
        assert "the same elements in another order" in hint
        assert 'unordered: [{path: "$.items"}]' in hint


def _rows(run: Run) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run("diffs", "--json").output)["signatures"]
    return found


def _first(run: Run) -> str:
    name: str = _rows(run)[0]["id"]
    return name


class TestVerdict:
    def test_a_shift_prints_it_though_there_is_no_gate(self, run: Run) -> None:
        Path("routes.yaml").write_text(ROUTES.replace("    gate: {min_pairs: 100, min_age: 0}\n", ""))
        keep(*(differing() for _ in range(40)))
        result = run("shift", "orders", "50")
        assert result.exit_code == 0
        assert "verdict: not ready; 0 % of 40 pairs match" in result.output
        assert "1 breaking differences are open" in result.output or "breaking" in result.output

    def test_it_is_data_too(self, run: Run) -> None:
        keep(*agreeing(50))
        verdict = json.loads(run("shift", "orders", "1", "--json").output)["verdict"]
        assert (verdict["verdict"], verdict["pairs"], verdict["match_share"]) == ("not enough evidence", 50, 1.0)

    def test_a_file_with_problems_does_not_pass_the_gate(self, run: Run) -> None:
        """The gate of the file holds where the one that was in force is not known."""
        broken = ROUTES.replace("percent: 5", "percent: 500")
        Path("routes.yaml").write_text(broken)
        keep(*agreeing(50))
        assert run("shift", "orders", "50").exit_code == 1
        assert Path("routes.yaml").read_text() == broken


class TestCheckGate:
    @pytest.fixture
    def check(self, run: Run) -> Callable[..., Result]:
        """Holds the file, with a percent and a gate, against that of the folder at 5 %."""
        Path("old.yaml").write_text(ROUTES)

        def hold(old: str, new: str, *more: str) -> Result:
            Path("routes.yaml").write_text(ROUTES.replace(old, new))
            return run("check", "--gate", "--against", "old.yaml", *more)

        return hold

    def test_no_raise_is_fine(self, check: Callable[..., Result]) -> None:
        result = check("percent: 5", "percent: 4")
        assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "against old.yaml: no percent rises")

    def test_a_raise_past_the_gate_fails(self, check: Callable[..., Result]) -> None:
        keep(*agreeing(50))
        result = check("percent: 5", "percent: 25")
        assert result.exit_code == 1
        assert "route 'orders': 5 % to 25 %: NOT allowed" in result.output
        assert "more pairs are needed, 50 were compared" in result.output

    def test_a_raise_that_the_gate_allows_passes(self, check: Callable[..., Result]) -> None:
        keep(*agreeing(3100))
        result = check("percent: 5", "percent: 25")
        assert result.exit_code == 0, result.output
        assert "allowed" in result.output
        assert "verdict: ready" in result.output

    @pytest.mark.parametrize(
        "gate", ["", "    gate: {min_pairs: 1, min_match: 1%, max_breaking: 99, min_age: 0}\n"], ids=["gone", "loose"]
    )
    def test_a_gate_that_the_same_edit_weakens_still_holds(self, check: Callable[..., Result], gate: str) -> None:
        keep(*agreeing(50))
        Path("old.yaml").write_text(ROUTES)
        text = ROUTES.replace("    gate: {min_pairs: 100, min_age: 0}\n", gate)
        Path("routes.yaml").write_text(text)
        assert check(ROUTES, text.replace("percent: 5", "percent: 25")).exit_code == 1

    def test_an_accept_rule_of_the_same_edit_counts_from_the_next_one(self, check: Callable[..., Result]) -> None:
        keep(*agreeing(3100), differing())
        new = "gate: {min_pairs: 100, min_age: 0, min_match: 90%}\n    compare: {accept: [{path: $}]}"
        text = ROUTES.replace("gate: {min_pairs: 100, min_age: 0}", new)
        assert check(ROUTES, text.replace("percent: 5", "percent: 25")).exit_code == 1

    def test_a_route_without_a_gate_never_fails_and_its_verdict_is_told(self, check: Callable[..., Result]) -> None:
        keep(*(differing() for _ in range(40)))
        plain = ROUTES.replace("    gate: {min_pairs: 100, min_age: 0}\n", "")
        Path("old.yaml").write_text(plain)
        result = check(ROUTES, plain.replace("percent: 5", "percent: 25"))
        assert result.exit_code == 0
        assert "it has no gate" in result.output
        assert "verdict: not ready" in result.output

    def test_a_file_that_cannot_be_read_is_bad_input(self, check: Callable[..., Result]) -> None:
        Path("old.yaml").write_text("version: 2\n")
        result = check("percent: 5", "percent: 25")
        assert result.exit_code == 2
        assert "old.yaml:1:10" in result.output
        Path("old.yaml").unlink()
        result = check("percent: 5", "percent: 25")
        assert result.exit_code == 2
        assert (
            "old.yaml: the file cannot be read: No such file or directory; name another one with --against"
            in result.output
        )

    def test_problems_of_the_new_file_come_first(self, check: Callable[..., Result]) -> None:
        assert check("percent: 5", "percent: 500").exit_code == 2

    def test_against_belongs_to_gate(self, run: Run) -> None:
        assert run("check", "--against", "old.yaml").exit_code == 2

    def test_it_is_data_too(self, check: Callable[..., Result]) -> None:
        found = json.loads(check("percent: 5", "percent: 25", "--json").stdout)["gate"]
        assert (found["against"], found["ok"]) == ("old.yaml", False)
        (rise,) = found["raises"]
        assert (rise["from"], rise["to"], rise["gated"], rise["allowed"], rise["verdict"]) == (5, 25, True, False, None)


class TestAudit:
    def test_every_action_is_told_newest_first(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("STRANGLER_USER", "ana")
        keep(differing())
        run("diffs", "known", row(run)["id"], "--why", "rounding")
        monkeypatch.setenv("STRANGLER_USER", "pipeline 7")
        run("shift", "orders", "1", "--why", "night")
        entries = json.loads(run("audit", "--json").output)["entries"]
        assert [(entry["who"], entry["what"], entry["route"], entry["why"]) for entry in entries] == [
            ("pipeline 7", "shift", "orders", "night"),
            ("ana", "known", "orders", "rounding"),
        ]
        assert entries[0]["detail"] == "5 to 1 %"
        lines = run("audit").output.splitlines()
        assert lines[0].split() == ["when,", "UTC", "who", "what", "route", "why", "detail"]
        assert "pipeline 7" in lines[1]

    def test_filters_are_kept_to(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        for actor, percent in (("ana", "4"), ("ben", "3"), ("ana", "2")):
            monkeypatch.setenv("STRANGLER_USER", actor)
            run("shift", "orders", percent)

        def details(*words: str) -> list[str]:
            return [entry["detail"] for entry in json.loads(run("audit", "--json", *words).output)["entries"]]

        assert details("--who", "ana") == ["3 to 2 %", "5 to 4 %"]
        assert details("--limit", "1") == ["3 to 2 %"]
        assert details("--route", "other") == []
        assert len(details("--since", "1h")) == 3
        assert run("audit", "--who", "eve").output == "no such entries\n"

    def test_before_anything_was_done_there_is_nothing(self, run: Run) -> None:
        result = run("audit")
        assert (result.exit_code, result.output) == (0, "nothing was changed\n")
        assert not Path("state").exists()

    def test_what_was_not_done_is_not_in_it(self, run: Run) -> None:
        keep(*agreeing(10))
        run("shift", "orders", "50")
        run("shift", "orders", "5")
        run("shift", "orders", "4", "--dry-run")
        run("shift", "ordres", "4")
        assert audited() == []

    def test_who_and_why_do_not_steer_a_terminal(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("STRANGLER_USER", "eve\x1b[2J\u202e")
        run("shift", "orders", "4", "--why", "a\x1b]0;x\x07\nb" + "x" * 5000)
        output = run("audit").output
        assert not any(sign in output for sign in ("\x1b", "\x07", "\u202e"))
        (entry,) = json.loads(run("audit", "--json").output)["entries"]
        assert len(entry["why"]) == 1000

    def test_a_shift_whose_entry_cannot_be_written_says_so(self, run: Run) -> None:
        Path("state").write_text("no folder")
        result = run("shift", "orders", "4")
        assert result.exit_code == 0
        assert "the audit cannot be written" in result.output
        assert "percent: 4" in Path("routes.yaml").read_text()
        result = run("shift", "orders", "50", "--force", "--why", "now")
        assert result.exit_code == 1
