"""`strangler plan --against ledger`: the calls that the proxy has counted, under two files."""

import json
import re
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from strangler.cli import main
from strangler.ledger.ledger_state import LedgerState
from tests.cli.ledger_folder import ROUTES, write_ledger
from tests.ledger.ledgers import DAY, called, sum_of

Run = Callable[..., Result]

NEW = ROUTES.replace("percent: 25", "percent: 75") + (
    "  - {name: drafts, match: {prefix: /users, query: {draft: '1'}}, candidate: orders, split: {percent: 100}}\n"
    "  - {name: reports, match: {prefix: /reports}, candidate: orders}\n"
)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `plan` in a folder whose ledger has watched for ten days."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)
    Path("routes.yaml").write_text(ROUTES)
    Path("new.yaml").write_text(NEW)
    now = time.time()
    state = LedgerState()
    state.watch.add(now - 10 * DAY, now)
    called(state, "GET /api/orders/7", now - 2 * DAY, calls=300, caller="okhttp/4")
    called(state, "GET /api/orders/8", now - DAY, calls=100, arm="candidate", route="orders")
    called(state, "POST /users", now - DAY, calls=20)
    called(state, "GET /wp-login.php", now - DAY, calls=50, status=404)
    write_ledger(state)

    def run_plan(*arguments: str) -> Result:
        return CliRunner().invoke(main, ["plan", *arguments], catch_exceptions=False)

    return run_plan


def test_it_counts_calls_a_day_of_the_time_that_was_watched(run: Run) -> None:
    result = run("new.yaml", "--against", "ledger")
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[0] == "1 of 2 endpoints changes arm or upstream: 20 calls a day"
    row = next(text for text in lines if text.startswith("GET /api/orders/{}"))
    assert re.split(r" {2,}", row.rstrip()) == [
        *("GET /api/orders/{}", "orders", "orders 25 %", "orders 75 %", "20", "okhttp/4, Firefox")
    ]
    assert "- the ledger has 420 calls of 10.0 days" in lines
    assert "- route 'reports': no call of the ledger comes to it" in lines
    assert any("with query draft, which the ledger does not have" in text for text in lines)


def test_json_names_the_ledger_as_its_source(run: Run) -> None:
    found = json.loads(run("new.yaml", "--against", "ledger", "--json").stdout)
    assert found["days"] == pytest.approx(10.0, abs=0.01)
    assert found["logs"] == [{"name": "ledger", "format": "ledger", "calls": 420, "skipped": []}]
    assert [(each["endpoint"], each["needs"]) for each in found["changes"]] == [
        ("GET /api/orders/{}", []),
        ("POST /users", ["query draft"]),
    ]


def test_calls_without_a_row_are_not_planned_and_said(run: Run) -> None:
    state = LedgerState()
    state.watch.add(time.time() - DAY, time.time())
    called(state, "GET /api/orders/7", time.time(), calls=3)
    calls = sum_of("GET /", time.time(), calls=7)
    state.count([replace(calls, template="…")], 30 * DAY)
    write_ledger(state, Path("other"))
    Path("other.yaml").write_text(ROUTES.replace("version: 1", "version: 1\nstate: other"))
    result = run("new.yaml", "--against", "ledger", "-c", "other.yaml")
    assert "the ledger has 3 calls" in result.stdout
    assert "ledger: 7 calls of endpoints that the ledger has no room for are not planned" in result.stderr


def test_a_file_of_that_name_is_given_with_its_folder(run: Run) -> None:
    Path("ledger").write_text('192.0.2.9 - - [20/Nov/2026:08:00:00 +0000] "GET /api/orders/7 HTTP/1.1" 200 1 "-" "x"\n')
    assert "the log has 1 call" in run("new.yaml", "--against", "./ledger").output
    assert "the ledger has 420 calls" in run("new.yaml", "--against", "ledger").output


def test_without_a_file_in_force_the_ledger_is_still_that_of_routes_yaml(run: Run) -> None:
    found = json.loads(run("new.yaml", "--against", "ledger", "--from-nothing", "--json").stdout)
    assert (found["changes"][0]["from"], found["calls"]) == ("legacy", 420)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--against", "ledger", "--against", "access.log"], "calls of a log would count twice"),
        (["--against", "ledger", "--fields", "path=uri"], "--fields is for a log"),
        (["--against", "access.log", "--admin", "http://127.0.0.1:1"], "--admin goes with --against ledger"),
        (["--against", "ledger", "-c", "empty.yaml"], "the ledger has no calls yet"),
        (["--against", "ledger", "-c", "off.yaml"], "`ledger: false` keeps no ledger"),
    ],
    ids=["two sources", "fields", "admin", "empty", "switched off"],
)
def test_what_does_not_go_together_is_bad_input(run: Run, arguments: list[str], message: str) -> None:
    Path("empty.yaml").write_text(ROUTES.replace("version: 1", "version: 1\nstate: empty"))
    Path("off.yaml").write_text(ROUTES.replace("version: 1", "version: 1\nledger: false"))
    result = run("new.yaml", *arguments)
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())
