"""`strangler ledger compare`: called and not described, described and not called."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from strangler.cli import main
from strangler.cli._ledger_compare import comparison
from strangler.core.documents import LedgerComparisonDocument
from strangler.imports.recognise import Listing
from strangler.imports.values import ListedEndpoint, Summary
from strangler.ledger.ledger_queries import Filters, ledger_document
from strangler.ledger.ledger_state import LedgerState
from tests import factories as f
from tests.cli.ledger_folder import ROUTES, write_ledger
from tests.ledger.ledgers import DAY, NOW, called

Run = Callable[..., Result]

OPENAPI = """\
openapi: 3.1.0
info: {title: shop, version: "1"}
paths:
  /api/orders/{id}:
    get: {responses: {}}
  /api/invoices/{id}:
    get: {responses: {}}
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `ledger compare` in a folder with a ledger and no proxy."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)
    Path("routes.yaml").write_text(ROUTES)
    Path("openapi.yaml").write_text(OPENAPI)
    now = time.time()
    state = LedgerState()
    called(state, "GET /api/orders/7", now, calls=3)
    called(state, "POST /api/orders", now - 40 * DAY, calls=2, caller="okhttp/4")
    called(state, "GET /wp-login.php", now, status=404)
    write_ledger(state)

    def run_compare(*arguments: str, stdin: bytes | None = None) -> Result:
        return CliRunner().invoke(main, ["ledger", "compare", *arguments], input=stdin, catch_exceptions=False)

    return run_compare


def test_it_says_what_is_in_one_of_the_two_alone(run: Run) -> None:
    result = run("openapi.yaml")
    assert result.exit_code == 0
    lines = [" ".join(line.split()) for line in result.output.splitlines()]
    assert lines[0] == "1 endpoint called and not described, 1 described and not called, 1 both"
    assert lines[2] == "called, not described calls last seen callers"
    assert lines[3].startswith("POST /api/orders 2 20")
    assert lines[3].endswith(" okhttp/4")
    assert lines[5:7] == ["described, not called line", "GET /api/invoices/{} 6"]


def test_json_is_its_document(run: Run) -> None:
    found = json.loads(run("openapi.yaml", "--json").stdout)
    assert set(found) == set(LedgerComparisonDocument.__struct_fields__)
    assert [each["endpoint"] for each in found["called"]] == ["POST /api/orders"]
    assert found["described"] == [{"endpoint": "GET /api/invoices/{}", "line": 6}]


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ([], 0),
        (["--fail-on", "called"], 1),
        (["--fail-on", "described"], 1),
        (["--fail-on", "called", "--since", "7d"], 0),
    ],
    ids=["nothing", "called", "described", "called lately"],
)
def test_it_fails_on_what_it_is_told_to(run: Run, options: list[str], code: int) -> None:
    assert run("openapi.yaml", *options).exit_code == code


def test_a_description_of_all_and_no_more_passes(run: Run) -> None:
    text = b"GET /api/orders/{id}\nPOST /api/orders\n"
    result = run("-", "--fail-on", "called", "--fail-on", "described", stdin=text)
    assert (result.exit_code, result.output) == (
        0,
        "0 endpoints called and not described, 0 described and not called, 2 both\n",
    )


def test_a_description_without_its_base_path_gets_a_hint(run: Run) -> None:
    assert "nothing is both: do the paths lack the base path" in run("-", stdin=b"GET /orders/{id}\n").output


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.yaml", None, "missing.yaml cannot be read"),
        ("a.log", '192.0.2.9 - - [20/Nov/2026:08:00:00 +0000] "GET /a HTTP/1.1" 200 1\n', "is a log"),
        ("a.txt", "", "is empty"),
    ],
)
def test_what_is_no_description_is_bad_input(run: Run, name: str, content: str | None, message: str) -> None:
    if content is not None:
        Path(name).write_text(content)
    result = run(name)
    assert result.exit_code == 2
    assert message in result.output


CASES = [
    # called, described, called alone, described alone
    ("GET /users/7", "GET /users/{}", False, False),
    ("HEAD /users/7", "GET /users/{}", False, True),
    ("OPTIONS /users/7", "POST /users/{}", False, True),
    ("POST /users/7", "GET /users/{}", True, True),
    ("GET /users/7", "* /users/{}", False, False),
    ("GET /users/me", "GET /users/{}", False, False),
    ("GET /users/7", "GET /users/me", True, False),
    ("GET /files/a/b/c", "GET /files/{...}", False, False),
    ("GET /users/7/", "GET /users/{}", True, True),
    ("GET /users", "GET /users/{}", True, True),
    ("GET /report/7.pdf", "GET /report/{}", False, False),
]


@pytest.mark.parametrize(("call", "described", "is_called_alone", "is_described_alone"), CASES)
def test_an_endpoint_is_described_by_what_covers_it(
    call: str, described: str, is_called_alone: bool, is_described_alone: bool
) -> None:
    state = LedgerState()
    called(state, call)
    method, _, template = described.partition(" ")
    rows = ledger_document(state, f.settings(), NOW, Filters()).rows
    listing = Listing((ListedEndpoint(method, template, 1),), Summary("list of routes", "0" * 64, 1))
    found = comparison(listing, rows)
    assert (bool(found.called), bool(found.described)) == (is_called_alone, is_described_alone)
    assert found.both == int(not is_called_alone)
