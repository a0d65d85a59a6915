"""`strangler ledger`: the rows for people and programs, one endpoint, and what the operator knows better."""

import csv
import io
import json
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from strangler.cli import main
from strangler.cli._ledger_show import MAX_DAYS, chart_lines, has_blocks, print_endpoint
from strangler.cli._ledger_table import STYLES, csv_text, share_text
from strangler.core.documents import LedgerDay, LedgerEndpointDocument, LedgerEvidence
from strangler.core.ledger.counts import Counts
from strangler.core.ledger.states import State
from strangler.ledger.ledger_queries import Filters, endpoint_document, ledger_document
from strangler.ledger.ledger_state import LedgerState
from strangler.state.files import STORE
from tests import factories as f
from tests.cli.ledger_folder import ROUTES, read_ledger, write_ledger
from tests.ledger.ledgers import DAY, called

Run = Callable[..., Result]


def day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).date().isoformat()


def ledger(now: float) -> LedgerState:
    """Two endpoints that are called, one that is quiet, one that may be deleted, and a scanner's."""
    state = LedgerState()
    state.watch.add(now - 60 * DAY, now)
    called(state, "GET /old/report", now - 50 * DAY, calls=2, caller="curl/8")
    called(state, "GET /api/orders/7", now - 2 * DAY, calls=30, caller="okhttp/4")
    called(state, "GET /api/orders/8", now - 2 * DAY, calls=10, arm="candidate", route="orders")
    called(state, "GET /api/orders/9", now - DAY, calls=1, status=500)
    called(state, "POST /users", now - 3 * DAY, calls=5)
    called(state, "GET /wp-login.php", now - DAY, calls=4, status=404, caller="zgrab")
    return state


@pytest.fixture
def now() -> float:
    return time.time()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, now: float) -> Run:
    """Runs `ledger` in a folder with a ledger and no proxy."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)  # no row is folded then
    monkeypatch.setenv("STRANGLER_USER", "ana")
    Path("routes.yaml").write_text(ROUTES)
    write_ledger(ledger(now))

    def run_ledger(*arguments: str, **environ: str) -> Result:
        return CliRunner().invoke(main, ["ledger", *arguments], env=environ, catch_exceptions=False)

    return run_ledger


def rows(run: Run, *arguments: str) -> list[dict[str, Any]]:
    result = run("--json", *arguments)
    assert result.exit_code == 0, result.output
    found: list[dict[str, Any]] = json.loads(result.stdout)["rows"]
    return found


def endpoints(run: Run, *arguments: str) -> list[str]:
    return [row["endpoint"] for row in rows(run, *arguments)]


def test_the_table_says_first_how_far_the_migration_is(run: Run, now: float) -> None:
    result = run()
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert lines[0] == "candidates serve 21.7 % of the requests (last 7 days)"
    assert lines[1] == "3 endpoints: 1 legacy, 1 splitting, 1 deletable; 1 more was only probed (--all)"
    assert lines[2] == f"watched since {day(now - 60 * DAY)}, for 60 days of that time"
    assert lines[4].split() == [
        *("endpoint", "state", "route", "legacy", "candidate", "statuses", "callers"),
        *("last", "seen", "last", "legacy", "p95", "ms"),
    ]
    row = next(text for text in lines if text.startswith("GET /api/orders/{}"))
    assert [text.strip() for text in row.split("  ") if text] == [
        *("GET /api/orders/{}", "splitting", "orders", "31", "10", "2xx 97.6 %, 5xx 2.44 %", "okhttp/4, Firefox"),
        *(day(now - DAY), day(now - DAY), "10 / 10"),
    ]


@pytest.mark.parametrize(("columns", "titles"), [(80, 6), (120, 8), (160, 10)], ids=["narrow", "medium", "wide"])
def test_a_narrow_terminal_has_fewer_columns_and_no_line_is_too_long(run: Run, columns: int, titles: int) -> None:
    lines = run(COLUMNS=str(columns)).output.splitlines()
    header = next(line for line in lines if line.startswith("endpoint"))
    assert len([text for text in header.split("  ") if text.strip()]) == titles
    assert max(len(line.rstrip()) for line in lines[lines.index(header) :]) <= columns


def test_json_has_the_promised_keys(run: Run, now: float) -> None:
    result = run("--json")
    document = json.loads(result.stdout)
    row = next(row for row in document["rows"] if row["endpoint"] == "GET /api/orders/{}")
    assert row["calls"] == {"legacy": 31, "candidate": 10, "refused": 0}
    assert row["statuses"] == {"2xx": 40, "5xx": 1}
    assert row["callers"][0]["name"] == "okhttp/4"
    promised = {
        *("endpoint", "method", "path", "state", "route", "calls", "statuses", "probes", "first_seen", "last_seen"),
        *("last_legacy", "callers", "p95_ms", "example", "source", "owner"),
    }
    assert promised <= row.keys()
    assert document["states"]["deletable"] == 1


def test_rows_are_filtered_sorted_and_limited(run: Run) -> None:
    assert endpoints(run) == ["GET /api/orders/{}", "POST /users", "GET /old/report"]
    assert endpoints(run, "--sort", "endpoint") == ["GET /api/orders/{}", "GET /old/report", "POST /users"]
    assert endpoints(run, "--state", "deletable", "--state", "legacy") == ["POST /users", "GET /old/report"]
    assert endpoints(run, "--route", "orders") == ["GET /api/orders/{}"]
    assert endpoints(run, "--text", "CURL") == ["GET /old/report"]
    assert endpoints(run, "--all")[-1] == "GET /wp-login.php"
    assert endpoints(run, "--limit", "1") == ["GET /api/orders/{}"]


def test_calls_before_since_do_not_count(run: Run, now: float) -> None:
    counts = {row["endpoint"]: row["calls"]["legacy"] for row in rows(run, "--since", "2d")}
    assert counts == {"GET /api/orders/{}": 31, "POST /users": 0, "GET /old/report": 0}
    assert rows(run, "--since", day(now - 2 * DAY)) == rows(run, "--since", "2d")
    assert f"calls are those since {day(now - 2 * DAY)}" in run("--since", "2d").output


def test_a_limit_says_how_many_more_there_are(run: Run) -> None:
    assert run("--limit", "2").output.splitlines()[-1] == "1 more: narrow it down, or --limit 0"
    assert "more:" not in run("--limit", "3").output


def test_csv_has_a_line_for_each_row(run: Run) -> None:
    result = run("--csv", "--all")
    table = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [row["endpoint"] for row in table] == endpoints(run, "--all")
    assert table[0]["legacy"] == "31"
    assert table[0]["callers"] == "okhttp/4: 30; Firefox: 11"
    assert table[0]["5xx"] == "1"
    assert {row["is_ignored"] for row in table} == {"no"}


@pytest.mark.parametrize("sign", ["=", "+", "-", "@"])
def test_no_cell_of_the_csv_is_a_formula(sign: str, now: float) -> None:
    state = LedgerState()
    called(state, f"{sign}CMD /a", now, caller=f"{sign}cmd|' /C calc'!A0")
    found = ledger_document(state, f.settings(), now, Filters()).rows
    (cells,) = csv.DictReader(io.StringIO(csv_text(found)))
    assert cells["endpoint"] == f"'{sign}CMD /a"
    assert not [text for text in cells.values() if text.startswith(("=", "+", "-", "@"))]


def test_control_characters_of_traffic_do_not_reach_the_terminal(run: Run, now: float) -> None:
    state = LedgerState()
    called(state, "G\x1b[2JT /a", now, caller="evil\x1b]0;x\x07")
    write_ledger(state, Path(".strangler"))
    for form in ([], ["--csv"], ["show", "G\x1b[2JT /a"]):
        output = run(*form).output
        assert "␛" in output
        assert "\x1b" not in output


def test_a_damaged_row_is_left_out_and_said_on_standard_error(run: Run) -> None:
    with closing(sqlite3.connect(Path(".strangler") / STORE)) as connection, connection:
        connection.execute("UPDATE ledger_rows SET content = x'7b' WHERE endpoint = 'POST /users'")
    result = run("--json")
    assert [row["endpoint"] for row in json.loads(result.stdout)["rows"]] == ["GET /api/orders/{}", "GET /old/report"]
    assert "POST /users" in result.stderr


def test_json_and_csv_exclude_each_other(run: Run) -> None:
    assert run("--json", "--csv").exit_code == 2


def test_an_empty_ledger_says_how_it_fills(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    Path("empty/routes.yaml").write_text(ROUTES.replace("version: 1", "version: 1\nstate: empty/state"))
    result = run("-c", "empty/routes.yaml")
    assert result.exit_code == 0
    assert "no endpoints yet: `strangler serve` learns them from traffic" in result.output
    assert not Path("empty/state").exists()
    assert run("--text", "nowhere").output.splitlines()[-1] == "no such endpoints"


def test_a_ledger_that_is_switched_off_says_so(run: Run) -> None:
    Path("routes.yaml").write_text(ROUTES.replace("version: 1", "version: 1\nledger: false"))
    result = run()
    assert result.exit_code == 2
    assert "`ledger: false` keeps no ledger" in result.output


def test_each_state_has_a_style() -> None:
    assert set(STYLES) == {state.value for state in State}


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0 %"), (0.0001, "<0.1 %"), (0.5, "50 %"), (0.99991, ">99.9 %"), (1, "100 %"), (0.123456, "12.3 %")],
)
def test_a_share_is_never_rounded_to_none_or_all(share: float, text: str) -> None:
    assert share_text(share) == text


# One endpoint


def test_show_says_who_still_calls_legacy_and_what_is_next(run: Run, now: float) -> None:
    result = run("show", "GET /api/orders/{id}")
    assert result.exit_code == 0
    lines = [line.rstrip() for line in result.output.splitlines()]
    assert lines[0] == "GET /api/orders/{}: splitting"
    facts = dict(line.split(maxsplit=1) for line in lines[1:9])
    assert facts["why"].startswith("the candidate serves a part of its callers; deletable on 20")
    assert facts["calls"] == "31 by legacy, 10 by the candidate"
    assert facts["seen"] == f"{day(now - 2 * DAY)} to {day(now - DAY)}; by legacy last {day(now - DAY)}"
    assert facts["example"] == "/api/orders/7"
    legacy = lines.index(f"calls by day (UTC), {day(now - 2 * DAY)} to {day(now)}; the highest is 30") + 1
    assert lines[legacy : legacy + 2] == ["legacy     █▁.", "candidate  ▃.."]
    assert [line.split() for line in lines if line.startswith("okhttp/4")] == [
        ["okhttp/4", "30", "30", day(now - 2 * DAY)]
    ]
    assert "    strangler shift orders 50" in lines


def test_show_proposes_the_block_that_ends_a_deletable_endpoint(run: Run) -> None:
    output = run("show", "GET /old/report").output
    assert output.startswith("GET /old/report: deletable\n")
    assert (
        """
    routes:
      - name: end-get-old-report
        match: {path: "/old/report", methods: [GET]}
        retire: {sunset: 20"""
        in output
    )


def test_show_as_json_is_its_document(run: Run) -> None:
    result = run("show", "POST /users", "--json")
    found = json.loads(result.stdout)
    assert set(found) == set(LedgerEndpointDocument.__struct_fields__)
    assert found["row"]["endpoint"] == "POST /users"
    assert [each["legacy"] for each in found["days"]] == [5]


def test_show_has_the_evidence_the_folds_and_earlier_months(now: float) -> None:
    state = LedgerState()
    for number in range(40):
        word = "".join("bdfgklmnpr"[int(digit)] + "aeiou"[int(digit) // 2] for digit in f"{number:03}")
        called(state, f"GET /shops/{word}", now, route="shops")
    row = state.rows.rows["GET /shops/{}"]
    row.history.months["2020-01"] = Counts(legacy=1200, candidate=34)
    settings = f.settings([f.route("shops")])
    found = endpoint_document(state, settings, now, "GET /shops/{}", LedgerEvidence("shops", 3100, 3099, 1))
    assert found is not None
    console = Console(width=100, file=io.StringIO(), color_system=None)
    print_endpoint(console, found)
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert "evidence   3,100 pairs compared, 3,099 match; 1 open difference" in lines
    assert "earlier    2020-01 1,234" in lines
    assert "folded     its values were words; `strangler ledger unfold` separates them: /shops/{}" in lines


def test_an_unknown_endpoint_suggests_those_that_are_near(run: Run) -> None:
    result = run("show", "GET /api/order/{}")
    assert result.exit_code == 2
    assert "the ledger has no endpoint 'GET /api/order/{}'; did you mean 'GET /api/orders/{}'" in result.output
    assert "'POST /users'" in run("show", "GET /users").output
    assert "`strangler ledger --all` lists them" in run("show", "DELETE /x/y/z/nothing-like-it").output


def days(*counts: int, first: date = date(2027, 2, 1)) -> list[LedgerDay]:
    return [
        LedgerDay((first + timedelta(days=at)).isoformat(), count, 0, 0, {}) for at, count in enumerate(counts) if count
    ]


def test_a_chart_shows_days_without_calls_up_to_today() -> None:
    title, legacy = chart_lines(days(1, 0, 8), date(2027, 2, 5), 80, blocks=True)
    assert title == "calls by day (UTC), 2027-02-01 to 2027-02-05; the highest is 8"
    assert legacy == "legacy     ▂.█.."


def test_a_chart_keeps_to_the_width_and_shows_the_latest_days() -> None:
    title, legacy = chart_lines(days(*range(1, 400)), date(2027, 2, 1) + timedelta(days=398), 40, blocks=True)
    assert len(legacy) == 40
    assert legacy.endswith("█")
    assert "to 2028-03-05" in title
    (_, widest) = chart_lines(days(*range(1, 400)), date(2027, 2, 1), 1000, blocks=True)
    assert len(widest) == len("legacy     ") + MAX_DAYS


def test_a_chart_of_an_endpoint_that_is_quiet_for_long_ends_with_its_last_call() -> None:
    title, legacy = chart_lines(days(4, 8), date(2028, 2, 1), 80, blocks=True)
    assert (title.split()[6], legacy) == ("2027-02-02;", "legacy     ▅█")


def test_a_terminal_without_blocks_gets_digits() -> None:
    assert chart_lines(days(1, 9, 5), date(2027, 2, 3), 80, blocks=False)[1] == "legacy     296"
    assert [has_blocks(name) for name in ("utf-8", "UTF8", "ascii", "latin-1")] == [True, True, False, False]


def test_no_call_is_no_chart() -> None:
    assert chart_lines([], date(2027, 2, 3), 80, blocks=True) == []
    assert chart_lines([LedgerDay("2027-02-01", 0, 0, 7, {})], date(2027, 2, 3), 80, blocks=True) == []


# Changes


def test_own_names_who_answers_for_an_endpoint(run: Run) -> None:
    result = run("own", "GET /api/orders/7", "team orders", "--why", "agreed")
    assert (result.exit_code, result.output) == (0, "GET /api/orders/{} belongs to team orders\n")
    assert rows(run)[0]["owner"] == "team orders"
    assert run("own", "GET /api/orders/{}").output == "GET /api/orders/{} belongs to nobody\n"
    assert rows(run)[0]["owner"] is None


def test_ignore_hides_an_endpoint_and_shows_it_again(run: Run) -> None:
    assert "is hidden" in run("ignore", "POST /users").output
    assert endpoints(run) == ["GET /api/orders/{}", "GET /old/report"]
    assert "POST /users (ignored)" in run("--all").output
    assert "is shown" in run("ignore", "POST /users").output
    assert "POST /users" in endpoints(run)


def test_fold_and_unfold(run: Run, now: float) -> None:
    state = ledger(now)
    for name in ("acme", "globex"):
        called(state, f"GET /tenants/{name}/users", now)
    write_ledger(state)
    result = run("fold", "/tenants/{}/users", "--why", "tenants")
    assert (result.exit_code, result.output) == (0, "/tenants/{}/users is one endpoint now, which 2 were before\n")
    assert "GET /tenants/{}/users" in endpoints(run)
    result = run("unfold", "GET /tenants/{}/users")
    assert result.exit_code == 0
    assert "from now on" in result.output
    assert read_ledger().names.folded == []


def test_a_change_is_in_the_audit(run: Run) -> None:
    run("own", "POST /users", "team users", "--why", "agreed")
    entries = json.loads(CliRunner().invoke(main, ["audit", "--json"]).stdout)["entries"]
    found = [(entry["who"], entry["what"], entry["why"], entry["detail"]) for entry in entries]
    assert found == [("ana", "ledger own", "agreed", "POST /users belongs to team users")]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["fold", "/tenants"], 1, "has no {}"),
        (["fold", "orders"], 1, "is no endpoint"),
        (["unfold", "GET /api/orders/{}"], 1, "the form of its values tells"),
        (["ignore", "GET /user"], 2, "the ledger has no endpoint 'GET /user'"),
        (["own", "GET /user", "ana"], 2, "the ledger has no endpoint 'GET /user'"),
    ],
    ids=["no hole", "no path", "not folded", "ignore unknown", "own unknown"],
)
def test_what_cannot_be_changed_says_why_and_changes_nothing(
    run: Run, arguments: list[str], code: int, message: str
) -> None:
    before = rows(run, "--all")
    result = run(*arguments)
    assert result.exit_code == code
    assert message in result.output
    assert rows(run, "--all") == before
    assert json.loads(CliRunner().invoke(main, ["audit", "--json"]).stdout)["entries"] == []
