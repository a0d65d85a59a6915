"""`strangler ledger import`: each family of files end to end, what is refused, and bounds whatever the log."""

import gzip
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from strangler.cli import main
from strangler.cli._ledger_reading import FileReader, ReadFile
from strangler.core.documents import ImportedSum
from strangler.core.ledger_settings import LedgerSettings
from strangler.imports.values import ImportOptions
from strangler.ledger.actions import apply_import
from strangler.ledger.ledger_state import LedgerState
from strangler.state.files import STORE
from tests import factories as f
from tests.cli.ledger_folder import ROUTES, read_ledger, write_ledger
from tests.ledger.ledgers import DAY, called

Run = Callable[..., Result]

OPENAPI = """\
openapi: 3.1.0
info: {title: shop, version: "1"}
servers: [{url: https://shop.example/api}]
paths:
  /orders/{id}:
    get: {responses: {}}
    delete: {responses: {}}
  /users/me:
    get: {responses: {}}
"""
ROUTES_TABLE = """\
 Prefix Verb   URI Pattern                Controller#Action
 orders GET    /api/orders/:id(.:format)  orders#show
        POST   /api/orders(.:format)      orders#create
"""
DJANGO = "/api/orders/<int:pk>/\tshop.views.order\tshop:order\n/api/about/\tshop.views.about\tshop:about\n"


def line(path: str, at: float, *, method: str = "GET", status: int = 200, agent: str = "okhttp/4.12.0") -> str:
    stamp = datetime.fromtimestamp(at, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000")
    return f'192.0.2.9 - - [{stamp}] "{method} {path} HTTP/1.1" {status} 12 "-" "{agent}"\n'


@pytest.fixture
def now() -> float:
    return time.time()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `ledger import` in a folder without a ledger and without a proxy."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setenv("STRANGLER_USER", "ana")
    Path("routes.yaml").write_text(ROUTES)

    def run_import(*arguments: str, stdin: bytes | None = None) -> Result:
        return CliRunner().invoke(main, ["ledger", "import", *arguments], input=stdin, catch_exceptions=False)

    return run_import


def rows() -> dict[str, dict[str, Any]]:
    result = CliRunner().invoke(main, ["ledger", "--json", "--all"], catch_exceptions=False)
    return {row["endpoint"]: row for row in json.loads(result.stdout)["rows"]}


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("openapi.yaml", OPENAPI, {"GET /api/orders/{}", "DELETE /api/orders/{}", "GET /api/users/me"}),
        ("rails.txt", ROUTES_TABLE, {"GET /api/orders/{}", "POST /api/orders"}),
        ("django.txt", DJANGO, {"* /api/orders/{}/", "* /api/about/"}),
        ("list.txt", "GET /api/orders/{id}\nPUT /files/{...}\n", {"GET /api/orders/{}", "PUT /files/{...}"}),
    ],
    ids=["OpenAPI", "Rails", "Django", "METHOD /path"],
)
def test_a_list_makes_rows_before_anything_is_called(run: Run, name: str, content: str, expected: set[str]) -> None:
    Path(name).write_text(content)
    result = run(name)
    assert result.exit_code == 0, result.output
    many = len(expected)
    assert result.output.startswith(f"{name} (")
    assert result.output.endswith(f": {many} endpoints; {many} new endpoints, {many} in all\n")
    found = rows()
    assert set(found) == expected
    assert {row["source"] for row in found.values()} == {"import"}
    assert {row["calls"]["legacy"] for row in found.values()} == {0}


def har(at: float) -> str:
    stamp = datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")
    request = {"method": "GET", "url": "https://shop.example/api/orders/7?a=b", "httpVersion": "HTTP/1.1"}
    headers = [{"name": "User-Agent", "value": "okhttp/4.12.0"}]
    entry = {
        "startedDateTime": stamp,
        "time": 40.0,
        "request": request | {"headers": headers},
        "response": {"status": 200},
    }
    return json.dumps({"log": {"version": "1.2", "entries": [entry, entry]}})


def json_lines(at: float) -> str:
    return 2 * (
        json.dumps({"when": at, "verb": "GET", "uri": "/api/orders/7", "code": 200, "ua": "okhttp/4.12.0"}) + "\n"
    )


FIELDS = "time=when,method=verb,path=uri,status=code,caller=ua"
LOGS: list[tuple[Callable[[float], bytes], list[str]]] = [
    (lambda at: 2 * line("/api/orders/7?token=x", at).encode(), []),
    (lambda at: gzip.compress(2 * line("/api/orders/7", at).encode()), []),
    (lambda at: har(at).encode(), []),
    (lambda at: json_lines(at).encode(), ["--fields", FIELDS]),
]


@pytest.mark.parametrize(("content", "options"), LOGS, ids=["combined", "gzip", "HAR", "JSON lines"])
def test_the_calls_of_a_log_are_legacys_and_count_on_their_day(
    run: Run, now: float, content: Callable[[float], bytes], options: list[str]
) -> None:
    at = now - 3 * DAY
    Path("file").write_bytes(content(at))
    result = run("file", *options)
    assert result.exit_code == 0, result.output
    day = datetime.fromtimestamp(at, UTC).date().isoformat()
    assert result.output.endswith(f"2 calls from {day} to {day}; 1 new endpoint, 1 in all\n")
    row = rows()["GET /api/orders/{}"]
    assert row["calls"] == {"legacy": 2, "candidate": 0, "refused": 0}
    assert (row["last_legacy"][:10], row["callers"][0]["name"], row["example"]) == (day, "okhttp/4", "/api/orders/7")
    assert list(read_ledger().rows.rows["GET /api/orders/{}"].history.days) == [day]


def test_standard_input_is_a_file_without_a_name(run: Run, now: float) -> None:
    result = run("-", stdin=line("/a", now - DAY).encode())
    assert (result.exit_code, result.output.partition(" (")[0]) == (0, "standard input")
    assert list(rows()) == ["GET /a"]


def test_nobody_else_may_read_a_store_that_it_makes(run: Run, now: float) -> None:
    before = os.umask(0)
    try:
        run("-", stdin=line("/a", now - DAY).encode())
    finally:
        os.umask(before)
    assert [store.stat().st_mode & 0o777 for store in Path().rglob(STORE)] == [0o600]


def test_times_of_a_log_are_the_p95(run: Run, now: float) -> None:
    Path("a.har").write_text(har(now - DAY))
    run("a.har")
    assert 25 < rows()["GET /api/orders/{}"]["p95_ms"]["legacy"] <= 50


def test_a_file_is_refused_the_second_time_also_where_it_was_compressed(run: Run, now: float) -> None:
    Path("a.log").write_text(line("/a", now - DAY))
    Path("b.log.gz").write_bytes(gzip.compress(Path("a.log").read_bytes()))
    assert run("a.log").exit_code == 0
    result = run("b.log.gz")
    assert result.exit_code == 1
    assert result.output == "b.log.gz: this file was imported already, as a.log; nothing was changed\n"
    assert rows()["GET /a"]["calls"]["legacy"] == 1


def test_files_beside_one_that_is_refused_are_imported(run: Run, now: float) -> None:
    Path("a.log").write_text(line("/a", now - DAY))
    Path("b.log").write_text(line("/b", now - DAY))
    Path("c.bin").write_bytes(b"\0\0\0")
    result = run("a.log", "a.log", "c.bin", "missing.log", "b.log")
    assert result.exit_code == 2
    assert "imported already" in result.output
    assert "missing.log cannot be read" in result.output
    assert {name: row["calls"]["legacy"] for name, row in rows().items()} == {"GET /a": 1, "GET /b": 1}


def test_what_is_passed_over_is_said_with_its_number(run: Run, now: float) -> None:
    later = now + 3 * DAY
    text = line("/a", now - DAY) + "damaged\n" + line("/b", later) + "damaged, too\n" + line("/c", now)
    Path("a.log").write_text(text)
    result = run("a.log")
    assert result.exit_code == 0
    assert "a.log: 1 call passed over: later than now" in result.stderr
    assert "a.log: 2 passed over: not in the form of the others (at 2, 4)" in result.stderr
    assert set(rows()) == {"GET /a", "GET /c"}


def test_a_line_with_a_path_of_any_length_refuses_no_file(run: Run, now: float) -> None:
    path = "/" + "/".join(16 * ["%25" * 60])
    Path("a.log").write_text(line(path, now - DAY) + line("/b", now - DAY))
    Path("list.txt").write_text(f"GET /{'c' * 2030}\nGET /d\n")
    result = run("a.log", "list.txt")
    assert result.exit_code == 0, result.output
    assert "list.txt: 1 endpoint passed over: longer than 2000 characters" in result.stderr
    assert {"GET /b", "GET /d"} < set(rows())


def test_a_log_without_times_says_that_it_cannot_count(run: Run) -> None:
    Path("a.log").write_text('{"method": "GET", "path": "/a", "status": 200}\n')
    result = run("a.log")
    assert result.exit_code == 2
    assert "no call that counts" in result.output
    assert "1 call passed over: without a time" in result.output


def test_only_calls_of_the_host_that_is_named_count(run: Run, now: float) -> None:
    calls = [{"time": now - 60, "method": "GET", "path": f"/{name}", "host": f"{name}.example"} for name in ("a", "b")]
    Path("a.log").write_text("".join(json.dumps(call) + "\n" for call in calls))
    assert run("a.log", "--host", "a.example").exit_code == 0
    assert list(rows()) == ["GET /a"]


def test_probes_of_a_log_are_probes(run: Run, now: float) -> None:
    Path("a.log").write_text(line("/wp-login.php", now - DAY, status=404) + line("/a", now - DAY))
    run("a.log")
    states = {name: (row["state"], row["probes"]) for name, row in rows().items()}
    assert states == {"GET /a": ("legacy", 0), "GET /wp-login.php": ("probed", 1)}


def test_the_time_of_a_log_counts_as_watched(run: Run, now: float) -> None:
    Path("a.log").write_text(
        line("/old", now - 90 * DAY) + "".join(line("/a", now - at * DAY) for at in range(89, -1, -1))
    )
    run("a.log")
    assert rows()["GET /old"]["state"] == "deletable"


def test_a_dry_run_says_what_is_new_and_changes_nothing(run: Run, now: float) -> None:
    state = LedgerState()
    called(state, "GET /a", now)
    write_ledger(state)
    before = rows()
    Path("a.log").write_text(line("/a", now - DAY) + line("/b", now - DAY))
    Path("list.txt").write_text("GET /b\nGET /c/{id}\n")
    result = run("--dry-run", "a.log", "list.txt")
    assert result.exit_code == 0
    first, second = result.output.splitlines()
    assert first.endswith("; about 1 new endpoint (nothing was changed: --dry-run)")
    assert second.endswith(": 2 endpoints; about 1 new endpoint (nothing was changed: --dry-run)")
    assert rows() == before
    assert run("a.log").exit_code == 0


def test_an_import_is_in_the_audit(run: Run, now: float) -> None:
    Path("a.log").write_text(line("/a", now - DAY))
    run("a.log")
    (entry,) = json.loads(CliRunner().invoke(main, ["audit", "--json"]).stdout)["entries"]
    assert (entry["who"], entry["what"], entry["detail"]) == ("ana", "ledger import", "a.log: 1 new endpoints, 1 calls")


def test_a_list_names_templates_for_logs_that_come_later(run: Run, now: float) -> None:
    Path("list.txt").write_text("GET /reports/2024\nGET /shops/{shop}/about\n")
    run("list.txt")
    paths = ("/reports/2024", "/reports/2025", "/shops/acme/about", "/shops/globex/about")
    Path("a.log").write_text("".join(line(path, now - DAY) for path in paths))
    run("a.log")
    found = {name: row["calls"]["legacy"] for name, row in rows().items()}
    assert found == {"GET /reports/2024": 1, "GET /reports/{}": 1, "GET /shops/{}/about": 2}


def test_values_that_split_a_path_split_that_of_a_log(run: Run, now: float) -> None:
    Path("routes.yaml").write_text(ROUTES.replace("version: 1", 'version: 1\nledger: {by: ["query:action"]}'))
    Path("a.log").write_text(line("/index.php?action=list&x=1", now - DAY) + line("/index.php?action=edit", now - DAY))
    run("a.log")
    assert set(rows()) == {"GET /index.php?action=list", "GET /index.php?action=edit"}


def test_nothing_secret_of_a_log_is_stored_or_printed(run: Run, now: float) -> None:
    secrets = ("hunter2", "s3cr3t", "ana@example.com", "192.0.2.9", "eyJhbGciOiJIUzI1NiJ9")
    paths = ("/a?token=hunter2&q=s3cr3t", "/users/ana@example.com", "/reset/eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOjF9.c2ln")
    Path("a.log").write_text("".join(line(path, now - DAY) for path in paths))
    output = run("a.log").output + json.dumps(rows())
    with closing(sqlite3.connect(Path(".strangler") / STORE)) as connection:
        output += "\n".join(connection.iterdump())
    assert "/users/*@*" in output
    assert [secret for secret in secrets if secret in output or secret.encode().hex().upper() in output] == []


def test_callers_that_a_field_names_are_not_in_a_log(now: float, tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(line("/a", now - DAY))
    settings = f.settings(ledger=LedgerSettings(callers="x-client-id"))
    found = FileReader(ImportOptions(), settings, (), "ana", now).read(str(tmp_path / "a.log"), lambda file: file)
    assert found.notes == [
        "callers are the families of the User-Agents: a log does not have x-client-id (ledger.callers)"
    ]


# Bounds


def large_log(file: Path, now: float, lines: int) -> None:
    """Write a log of many paths, callers and days: scanners' paths, values that look like words, real endpoints."""
    consonants, vowels = "bdfgklmnprst", "aeiou"

    def word(number: int) -> str:
        text = ""
        for letters in (consonants, vowels, consonants, vowels, consonants):
            number, at = divmod(number, len(letters))
            text += letters[at]
        return text

    with file.open("w") as written:
        for number in range(lines):
            at = now - 300 * DAY * (lines - number) / lines
            agent = f"{word(number * 7 % 500)}-app/1.0"
            written.write(line(f"/wp-{word(number)}.php", at, status=404, agent="zgrab/0.x"))
            written.write(line(f"/shops/{word(number * 11)}", at, agent=agent))
            written.write(line(f"/api/{word(number % 40)}/{number}", at, agent=agent))


def read(file: Path, now: float, **options: Any) -> ReadFile:
    return FileReader(ImportOptions(), None, (), "ana", now, **options).read(str(file), lambda opened: opened)


def test_a_log_of_any_kind_gives_a_request_of_bounded_size(now: float, tmp_path: Path) -> None:
    large_log(tmp_path / "a.log", now, 4000)
    found = read(tmp_path / "a.log", now, max_bytes=200_000)
    assert len(msgspec.json.encode(found.request)) <= 200_000
    assert found.calls == 12_000
    endpoints = {(each.method, each.template) for each in found.request.sums}
    assert ("GET", "/shops/{}") in endpoints
    assert len([template for _, template in endpoints if template.startswith("/shops")]) <= 101
    state = LedgerState()
    apply_import(state, found.request, 30 * DAY, now)
    assert [name for name in state.rows.rows if "/shops" in name] == ["GET /shops/{}"]
    assert len([template for _, template in endpoints if template.startswith("/api")]) == 40
    assert any("of the rarest callers count under …: too many names" in note for note in found.notes)
    assert any("of paths that were only ever refused count under …: too many paths" in note for note in found.notes)


def test_a_request_is_in_the_order_in_which_calls_count(now: float, tmp_path: Path) -> None:
    large_log(tmp_path / "a.log", now, 300)
    sums: list[ImportedSum] = read(tmp_path / "a.log", now).request.sums
    days = [int(each.at // DAY) for each in sums]
    assert days == sorted(days)
    examples = [(each.method, each.template) for each in sums if each.example]
    assert len(examples) == len(set(examples))


_MEASURED = """
import pathlib, re, sys
from strangler.cli import main
try:
    main(sys.argv[1:])
finally:
    status = pathlib.Path("/proc/self/status").read_text()  # ru_maxrss is that of the parent, if it is larger
    print(int(re.search(r"VmHWM:\\s+(\\d+)", status)[1]) // 1024, file=sys.stderr)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from /proc")
def test_the_memory_that_a_log_takes_is_bounded(run: Run, now: float) -> None:
    """Without a bound the sums of this log alone would take 100 MB more."""
    large_log(Path("a.log"), now, 70_000)
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, "ledger", "import", "--dry-run", "a.log"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert ": 210,000 calls from " in done.stdout
    assert int(done.stderr.splitlines()[-1]) < 160
