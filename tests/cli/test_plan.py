"""`strangler plan`: the calls of an access log that a new routes.yaml sends elsewhere, for people and for programs."""

import gzip
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from strangler.cli import main
from strangler.cli._moves_document import FAILURES
from strangler.core.moves.difference import Kind

TODAY = """\
version: 1
upstreams:
  legacy: {url: http://127.0.0.1:8000}
  orders: {url: http://127.0.0.1:8001}
routes:
  - {name: orders, match: {prefix: /api/orders}, candidate: orders}
"""
NEW = TODAY.replace("candidate: orders}", 'candidate: orders, split: {percent: 25, sticky: ["cookie:sid"]}}') + (
    "  - {name: reports, match: {prefix: /reports}, candidate: orders}\n"
    "  - name: beta\n"
    "    match: {prefix: /account, headers: {X-Beta: hunter2}}\n"
    "    candidate: orders\n"
    "    split: {percent: 100}\n"
)
AGENTS = ("Mozilla/5.0 (X11; Linux) Firefox/130.0", "okhttp/4.12.0", "curl/8.5.0", "python-requests/2.31")

WRITE = "POST /api/orders: legacy to orders 25 %"

Run = Callable[..., Result]


def line(request: str, at: str = "20/Nov/2026:08:00:00 +0000", status: int = 200, agent: str = AGENTS[0]) -> str:
    return f'192.0.2.9 - - [{at}] "{request} HTTP/1.1" {status} 12 "-" "{agent}"\n'


LOG = "".join(
    [
        *(line(f"GET /api/orders/{n}?token=s3cr3t", agent=AGENTS[n % 4]) for n in range(40)),
        *(line("POST /api/orders", at="22/Nov/2026:08:00:00 +0000", status=201) for _ in range(8)),
        line("GET /account"),
        line("GET /api/orders/.env", status=404),
        line("GET /about"),
    ]
)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `plan` in a folder with two files and a log."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)  # no row is folded then
    Path("routes.yaml").write_text(TODAY)
    Path("new.yaml").write_text(NEW)
    Path("access.log").write_text(LOG)

    def run_plan(*arguments: str, stdin: bytes | None = None) -> Result:
        return CliRunner().invoke(main, ["plan", *arguments], input=stdin, catch_exceptions=False)

    return run_plan


def document(run: Run, *arguments: str) -> dict[str, Any]:
    result = run("new.yaml", "--against", "access.log", "--json", *arguments)
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_the_text_says_first_how_many_endpoints_and_calls_move(run: Run) -> None:
    result = run("new.yaml", "--against", "access.log")
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert lines[0] == "2 of 4 endpoints change arm or upstream: 6 calls a day; 1 of them writes"
    row = next(text for text in lines if text.startswith("GET /api/orders/{}"))
    assert re.split(r" {2,}", row.rstrip())[:6] == [
        "GET /api/orders/{}", "orders", "legacy", "orders 25 %", "5", "Firefox, curl/8, okhttp/4 and 1 more",
    ]  # fmt: skip
    assert "- the log has 51 calls of 2.0 days" in lines
    assert "- route 'orders': split by cookie:sid, which the log does not have: calls are shares" in lines
    assert "- route 'reports': no call of the log comes to it" in lines


def test_json_has_the_promised_keys(run: Run) -> None:
    found = document(run)
    assert found["days"] == 2.0
    first = found["changes"][0]
    keys = ("endpoint", "route", "from", "to", "calls_per_day")
    assert [first[key] for key in keys] == ["GET /api/orders/{}", "orders", "legacy", "orders 25 %", 5.0]
    assert first["callers"] == [
        {"name": "Firefox", "calls": 10}, {"name": "curl/8", "calls": 10},
        {"name": "okhttp/4", "calls": 10}, {"name": "python-requests/2", "calls": 10},
    ]  # fmt: skip
    assert first["unknown"] == ["cookie:sid"]
    assert (found["calls"], found["endpoints"], found["moved_writes"], found["missed_calls"]) == (51, 4, 1, 1)
    assert (found["unmatched_routes"], found["possible_routes"]) == (["reports"], ["beta"])
    assert found["changes"][-1]["needs"] == ["header x-beta"]
    assert found["failed"] == {}


@pytest.mark.parametrize("form", [[], ["--format", "markdown"], ["--json"]], ids=["text", "markdown", "json"])
def test_nothing_secret_of_the_log_or_the_file_is_printed(run: Run, form: list[str]) -> None:
    output = run("new.yaml", "--against", "access.log", *form).output
    assert "orders" in output
    for secret in ("s3cr3t", "token", "192.0.2.9", "hunter2", ".env", "130.0"):
        assert secret not in output


def test_the_same_file_changes_nothing(run: Run) -> None:
    result = run("routes.yaml", "--against", "access.log", "--fail-on", "moved", "--fail-on", "moved-writes")
    assert result.exit_code == 0
    assert result.output.startswith("none of 4 endpoints is served by another arm or upstream\n")


def test_a_compressed_log_and_standard_input_give_the_same(run: Run) -> None:
    expected = document(run)["changes"]
    Path("access.log.gz").write_bytes(gzip.compress(LOG.encode()))
    compressed = run("new.yaml", "--against", "access.log.gz", "--json")
    piped = run("new.yaml", "--against", "-", "--json", stdin=LOG.encode())
    assert json.loads(compressed.stdout)["changes"] == json.loads(piped.stdout)["changes"] == expected


def test_the_new_file_may_be_standard_input(run: Run) -> None:
    result = run("-", "--against", "access.log", "--json", stdin=NEW.encode())
    assert json.loads(result.stdout)["changes"] == document(run)["changes"]


def test_several_logs_are_summed(run: Run) -> None:
    Path("more.log").write_text(line("GET /api/orders/7", at="24/Nov/2026:08:00:00 +0000"))
    found = document(run, "--against", "more.log")
    assert (found["days"], found["calls"], len(found["logs"])) == (4.0, 52, 2)


@pytest.mark.parametrize("arguments", [(), ("--from-nothing",)], ids=["no routes.yaml", "asked for"])
def test_without_a_file_in_force_legacy_serves_everything(run: Run, arguments: Sequence[str]) -> None:
    if not arguments:
        Path("routes.yaml").unlink()
    else:
        Path("routes.yaml").write_text(NEW)
    assert document(run, *arguments)["moved_endpoints"] == 2


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["moved-writes"], [f"moved-writes: {WRITE}"]),
        (["unmatched-routes"], ["unmatched-routes: route 'reports'"]),
        (["unmatched-routes", "moved-writes"], [f"moved-writes: {WRITE}", "unmatched-routes: route 'reports'"]),
        (
            ["moved"],
            [
                "moved: GET /api/orders/{}: legacy to orders 25 %",
                f"moved: {WRITE}",
                "moved: GET /account: legacy to orders, only with header x-beta",
            ],
        ),
    ],
)
def test_fail_on_exits_with_1_and_says_why(run: Run, names: list[str], expected: list[str]) -> None:
    result = run("new.yaml", "--against", "access.log", *(word for name in names for word in ("--fail-on", name)))
    assert result.exit_code == 1
    assert result.stderr.splitlines() == expected


def test_markdown_is_one_table_in_which_nothing_of_a_log_has_a_meaning(run: Run) -> None:
    hostile = "GET /api/orders/a|b`c*[x](http:y)<i>@root"
    Path("access.log").write_text(LOG + line(hostile, agent="@root|x") * 3)
    output = run("new.yaml", "--against", "access.log", "--format", "markdown").output
    rows = [text for text in output.splitlines() if text.startswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 1
    assert rows[0] == "| endpoint | route | from | to | calls a day | callers | also |"
    assert output.startswith("**")
    outside = re.sub(r"`[^`]*`", "", output)
    assert "<i>" not in outside
    assert "@" not in outside


def test_the_table_has_no_more_rows_than_asked_for(run: Run) -> None:
    output = run("new.yaml", "--against", "access.log", "--limit", "1").output
    assert "POST /api/orders" not in output
    assert "- 2 more rows are left out; --limit 0 shows all" in output


@pytest.mark.parametrize(
    ("log", "sentence"),
    [
        (line("GET /about"), "1 call of less than an hour: figures are calls of the log, not of a day"),
        (
            line("GET /about") + line("GET /about", at="20/Nov/2026:11:00:00 +0000"),
            "2 calls of 3.0 hours, from which those of a day are estimated",
        ),
        (
            '{"method": "GET", "path": "/about", "status": 200}\n',
            "1 call and no times: figures are calls of the log, not of a day",
        ),
    ],
    ids=["a moment", "hours", "no times"],
)
def test_what_a_log_covers_is_said(run: Run, log: str, sentence: str) -> None:
    Path("access.log").write_text(log)
    assert f"- the log has {sentence}" in run("new.yaml", "--against", "access.log").output


def test_fields_and_host_are_those_of_the_operator(run: Run) -> None:
    rows = [{"m": "GET", "u": "/api/orders", "h": host} for host in ("a.example", "b.example", "b.example")]
    Path("access.log").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = document(run, "--fields", "method=m,path=u,host=h", "--host", "b.example")
    assert found["calls"] == 2
    assert found["days"] is None
    assert found["changes"][0]["calls_per_day"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["new.yaml"], "--against is missing; it takes an access log"),
        (["new.yaml", "--against", "none.log"], "none.log cannot be read"),
        (["new.yaml", "--against", "new.yaml"], "has no form that is known"),
        (["new.yaml", "--against", "routes.txt"], "routes.txt is no access log (list of routes); --against takes one"),
        (["new.yaml", "--against", "access.log", "--against", "access.log"], "has the same content as another"),
        (["new.yaml", "--against", "access.log", "--fields", "path"], "is not WHAT=NAME"),
        (["new.yaml", "--against", "vhosts.log", "--host", "b.example"], "vhosts.log has no call that counts"),
        (["-", "--against", "-"], "standard input (-) can be read once"),
        (["none.yaml", "--against", "access.log"], "none.yaml"),
        (["bad.yaml", "--against", "access.log"], "bad.yaml:1"),
        (["new.yaml", "-c", "none.yaml", "--against", "access.log"], "none.yaml"),
        (["new.yaml", "-c", "new.yaml", "--from-nothing", "--against", "access.log"], "keep one of them"),
        (["new.yaml", "--against", "access.log", "--fail-on", "anything"], "is not one of"),
    ],
)
def test_bad_input_is_2_and_says_why(run: Run, arguments: list[str], message: str) -> None:
    Path("bad.yaml").write_text("version: 2\n")
    Path("routes.txt").write_text("GET /orders/{id}\nPOST /orders\n")
    Path("vhosts.log").write_text('{"method": "GET", "path": "/", "host": "a.example", "status": 200}\n')
    result = run(*arguments)
    assert result.exit_code == 2
    assert message in result.output


def test_the_example_of_the_page_prints_what_it_shows(run: Run) -> None:
    page = (Path(__file__).parents[2] / "docs" / "plan.md").read_text()
    blocks = dict(re.findall(r"^```(log|yaml|console)\n(.*?)^```$", page, re.M | re.S))
    Path("routes.yaml").unlink()
    Path("access.log").write_text(blocks["log"])
    Path("new.yaml").write_text(blocks["yaml"])
    command, _, expected = blocks["console"].partition("\n")
    assert command == "$ strangler plan new.yaml --against access.log"
    output = run("new.yaml", "--against", "access.log").output
    assert "\n".join(text.rstrip() for text in output.splitlines()) == expected.rstrip("\n")


def test_the_page_names_each_kind_and_each_failure() -> None:
    page = (Path(__file__).parents[2] / "docs" / "plan.md").read_text()
    kinds = page.partition("| `kinds` in `--json`")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `(\w+)`", kinds, re.M) == [kind.value for kind in Kind]
    failures = page.partition("| `--fail-on` | if |")[2].partition("\n\n")[0]
    assert tuple(re.findall(r"^\| `([\w-]+)`", failures, re.M)) == FAILURES
