"""The lines of `strangler replay` before the first request: what is sent where, and what becomes of writes."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from strangler.cli import main
from tests.cli.replaying import order, recorded, same, upstream, write_routes

NOT_SENT = "writes are not sent (a login, a new order); {to}--writes sandbox or --writes dry_run sends them"


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(*words: str) -> Result:
    return CliRunner().invoke(main, ["replay", *words], catch_exceptions=False)


def test_before_the_start_it_says_what_goes_where() -> None:
    recorded(order(7))
    with upstream(same) as candidate:
        write_routes(1, candidate.port)
        lines = run("a.rec", "--speed", "x2", "--no-inbox").stderr.splitlines()
    assert lines == [
        "a.rec: GoReplay, a.gor, not redacted: it is sent with secrets as they were",
        f"route 'orders': to orders (http://127.0.0.1:{candidate.port})",
        f"route 'carts': to orders (http://127.0.0.1:{candidate.port})",
        "2 times as fast as recorded",
        NOT_SENT.format(to="--to UPSTREAM "),
    ]


WRITES = """\
version: 1
state: state
upstreams:
  legacy: {{url: "http://127.0.0.1:1"}}
  orders: {{url: "http://127.0.0.1:{port}"}}
  twin: {{url: "http://127.0.0.1:{port}"}}
  old: {{url: "http://127.0.0.1:1"}}
routes:
  - name: orders
    match: {{prefix: /api/orders}}
    candidate: orders
    shadow: {{percent: 5{shadow}}}
  - name: page
    match: {{path: /api/page}}
    aggregate: {{one: {{upstream: orders, path: /1}}, two: {{upstream: twin, path: /2}}}}
"""


@pytest.mark.parametrize(
    ("shadow", "options", "lines"),
    [
        (
            "",
            "",
            [
                "route 'orders': to orders (http://127.0.0.1:P)",
                "route 'page': to aggregate of orders (http://127.0.0.1:P), twin (http://127.0.0.1:P)",
                "as fast as recorded",
                NOT_SENT.format(to="--to UPSTREAM "),
            ],
        ),
        (
            ", writes: sandbox, to: twin",
            "--route orders",
            [
                "route 'orders': to orders (http://127.0.0.1:P)",
                "as fast as recorded",
                "writes of route 'orders': to the sandbox twin (http://127.0.0.1:P)",
            ],
        ),
        (
            "",
            "--to twin --writes sandbox --speed 50/s",
            [
                "to twin (http://127.0.0.1:P)",
                "50 requests a second",
                "writes of route 'orders': to the sandbox twin (http://127.0.0.1:P)",
                "writes of route 'page': to the sandbox twin (http://127.0.0.1:P)",
            ],
        ),
        (
            "",
            "--writes dry_run --speed max",
            [
                "route 'orders': to orders (http://127.0.0.1:P)",
                "route 'page': to aggregate of orders (http://127.0.0.1:P), twin (http://127.0.0.1:P)",
                "as fast as responses come",
                "writes of route 'orders': as dry runs to orders (http://127.0.0.1:P)",
                "writes of other routes are not sent (a login, a new order)",
            ],
        ),
        (
            "",
            "--against legacy --to twin",
            [
                "to twin (http://127.0.0.1:P), and to legacy (http://127.0.0.1:1)",
                "as fast as recorded",
                NOT_SENT.format(to=""),
            ],
        ),
    ],
    ids=["none", "by the route", "a named sandbox", "dry runs", "beside legacy"],
)
def test_the_plan_says_what_becomes_of_writes(shadow: str, options: str, lines: list[str]) -> None:
    recorded()
    with upstream(same) as made:
        Path("routes.yaml").write_text(WRITES.format(port=made.port, shadow=shadow))
        output = run("a.rec", "--no-inbox", *options.split()).stderr.replace(str(made.port), "P")
    assert output.splitlines()[1:] == lines


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--writes sandbox", "--writes sandbox: route 'orders' has no `shadow.to`"),
        ("--writes sandbox --to old", "--writes: 'old' is legacy, which never gets a write"),
    ],
    ids=["no sandbox", "legacy by another name"],
)
def test_writes_without_a_way_are_bad_input(options: str, message: str) -> None:
    recorded(order(7))
    Path("routes.yaml").write_text(WRITES.format(port=2, shadow=""))
    result = run("a.rec", "--no-inbox", *options.split())
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(message)
