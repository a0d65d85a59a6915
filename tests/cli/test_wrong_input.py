"""Whatever a user gets wrong, each command says it in a few plain lines, with the way out and the right exit code."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from click.testing import CliRunner, Result

from strangler.cli import main

ROOT = Path(__file__).parents[2]
ROUTES = """\
version: 1
admin: {listen: "127.0.0.1:1"}
state: state
upstreams:
  legacy: {url: http://127.0.0.1:8000}
  orders: {url: http://127.0.0.1:8001}
routes:
  - {name: orders, match: {prefix: /api/orders}, candidate: orders}
"""
ASKING = ("status", "events", "kill-switch on")
"""Commands that need a proxy, and no sound routes.yaml to find it."""
READING = ("check", "explain GET /", "shift orders 5", "diffs", "diffs show a", "diffs accept a --why b",
           "diffs propose orders", "ready orders", "report", "plan routes.yaml --against access.log")  # fmt: skip
"""Commands that need a sound routes.yaml."""

Run = Callable[[str], Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command in a folder with a routes.yaml. What is raised but not meant for click comes through."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("STRANGLER_TOKEN", raising=False)
    Path("routes.yaml").write_text(ROUTES)
    Path("folder").mkdir()
    Path("bad.yaml").write_text("version: 2\n")
    return lambda line: CliRunner().invoke(main, line.split(), catch_exceptions=False)


@pytest.mark.parametrize("command", [*READING, *ASKING])
@pytest.mark.parametrize("file", ["missing.yaml", "folder", "bad.yaml"])
def test_a_file_that_cannot_be_used_is_bad_input(run: Run, command: str, file: str) -> None:
    result = run(f"{command} -c {file}")
    assert result.exit_code == 2
    assert file in result.stderr
    assert len(result.stderr.splitlines()) <= 3


@pytest.mark.parametrize("handler", [signal.SIG_DFL, signal.SIG_IGN], ids=["as usual", "the caller ignores SIGCHLD"])
def test_serve_ends_with_all_problems(run: Run, handler: signal.Handlers) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "strangler", "serve", "-c", "bad.yaml"],
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=30,
        check=False,
        preexec_fn=lambda: signal.signal(signal.SIGCHLD, handler),
    )
    assert ran.returncode == 2
    assert len(ran.stderr.decode().splitlines()) == 2


def test_serve_says_bad_input_where_standard_error_is_closed(run: Run) -> None:
    ran = subprocess.run(
        ["sh", "-c", 'exec "$0" -m strangler serve -c bad.yaml 2>&-', sys.executable],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=30,
        check=False,
    )
    assert ran.returncode == 2


@pytest.mark.parametrize("command", ASKING)
def test_without_a_proxy_it_says_where_it_looked(run: Run, command: str) -> None:
    result = run(command)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: no proxy answers at 127.0.0.1:1 (Connection refused); is `strangler serve`")


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8081", "foo", "http://", "http://127.0.0.1:port", "http://127.0.0.1:0", "http://[::1", "ftp://a",
            "http://127.0.0.1:8081/api/status"],
)  # fmt: skip
def test_an_address_that_is_none_is_bad_input(run: Run, url: str) -> None:
    result = run(f"status --admin {url}")
    assert result.exit_code == 2
    assert "write it as http://127.0.0.1:8081" in result.stderr


@contextmanager
def listener(status: int, body: bytes) -> Iterator[str]:
    """An admin listener that always sends the same; its address."""

    class Listener(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *expected: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Listener) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("token", ["xyzzy plugh", "xyzzy\nplugh", "xyzzyü", "xyzzy\x01"])
def test_a_token_that_cannot_be_sent_is_refused_without_being_shown(
    run: Run, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv("STRANGLER_TOKEN", token)
    result = run("status --admin http://127.0.0.1:1")
    assert result.exit_code == 2
    assert "STRANGLER_TOKEN is not valid: a token goes into a header" in result.stderr
    assert "xyzzy" not in result.output


@pytest.mark.parametrize(
    ("token", "expected"),
    [("", "the token is missing"), ("x", "the token is wrong"), ("x\n", "the token is wrong")],
)
def test_a_refused_token_is_told_with_where_to_write_it(
    run: Run, monkeypatch: pytest.MonkeyPatch, token: str, expected: str
) -> None:
    monkeypatch.setenv("STRANGLER_TOKEN", token)
    with listener(401, b'{"detail":"this needs a header"}') as url:
        result = run(f"status --admin {url}")
    assert result.exit_code == 1
    assert expected in result.stderr
    assert "admin.token" in result.stderr
    assert "STRANGLER_TOKEN" in result.stderr


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        pytest.param(200, b'{"version":"9"}', "sends what this version cannot read", id="another document"),
        pytest.param(200, b"<html>", "no proxy answers", id="no JSON"),
        pytest.param(404, b"<html>", "no proxy answers", id="a refusal that is no JSON"),
        pytest.param(503, b'{"status":503,"detail":"the store is away"}', "refuses: the store is away", id="a refusal"),
    ],
)
def test_what_is_no_document_of_ours_is_told_in_one_line(run: Run, status: int, body: bytes, expected: str) -> None:
    with listener(status, body) as url:
        result = run(f"status --admin {url}")
    assert result.exit_code == 1
    assert expected in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("command", ["ready ordrs", "diffs propose ordrs", "shift ordrs 5"])
def test_an_unknown_route_has_its_nearest_name(run: Run, command: str) -> None:
    result = run(command)
    assert (result.exit_code, result.stderr) == (
        2,
        "routes.yaml: unknown route 'ordrs'; did you mean 'orders'?\n",
    )


def test_a_client_that_is_no_address_is_bad_input(run: Run) -> None:
    result = run("explain GET / --client localhost")
    assert result.exit_code == 2
    assert "write it as 203.0.113.9" in result.stderr


@pytest.mark.parametrize("command", [["schema"], ["check"], ["--help"]], ids=lambda command: command[0])
def test_output_that_cannot_be_written_is_one_line(run: Run, command: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run(
            [sys.executable, "-m", "strangler", *command],
            stdout=full,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            timeout=30,
            check=False,
        )
    assert (ran.returncode, ran.stderr.decode()) == (
        1,
        "Error: the output cannot be written: No space left on device\n",
    )


@pytest.mark.parametrize(
    "group", ["--help", "diffs --help", "ledger --help", "state --help", "evidence --help", "shadow --help"]
)
def test_the_list_of_commands_is_not_cut_short(run: Run, group: str) -> None:
    assert "..." not in run(group).output.partition("Commands:")[2]


@pytest.mark.parametrize("options", ["on --all", "off --all --route orders", "on --all --route orders"])
def test_all_routes_are_turned_off_and_nothing_else(run: Run, options: str) -> None:
    result = run(f"kill-switch {options}")
    assert (result.exit_code, "--all goes with `off`, and not with --route" in result.stderr) == (2, True)
