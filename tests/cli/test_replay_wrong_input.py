"""`strangler replay` with wrong input: all of it is said at once, each with the way out, and nothing is sent."""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from strangler.cli import main
from tests.recordings.made import pair, written

ROUTES = """\
version: 1
state: state
upstreams:
  legacy: {url: http://127.0.0.1:1}
  orders: {url: http://127.0.0.1:2}
routes:
  - {name: orders, match: {prefix: /api/orders}, candidate: orders}
  - {name: carts, match: {prefix: /api/carts}, candidate: orders}
"""
CALLERS = """\
ana:
  Authorization: Bearer abc
  Content-Length: "7"
"x-7": {X-User: ""}
bob: [1]
"""


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("routes.yaml").write_text(ROUTES)
    written(Path("a.rec"), [pair(b"/api/orders/1")])


def run(*words: str) -> Result:
    return CliRunner().invoke(main, ["replay", *words], catch_exceptions=False)


def problems(*words: str) -> list[str]:
    """Return the lines that say what is wrong."""
    result = run(*words)
    assert result.exit_code == 2
    assert result.stdout == ""
    return result.stderr.splitlines()


LEAVE_OUT = "--self compares legacy with itself, and judges no candidate; leave one of the two out"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--to ordrs", "--to: unknown upstream 'ordrs'; did you mean 'orders'?"),
        ("--to proxi", "--to: unknown upstream 'proxi'; did you mean 'proxy'?"),
        ("--to zzz", "--to: unknown upstream 'zzz'; it may be legacy, orders, proxy"),
        ("--route order", "--route: unknown route 'order'; did you mean 'orders'?"),
        ("--route zzz", "--route: unknown route 'zzz'; the file has orders, carts"),
        ("--speed 2x", "--speed '2x': write recorded, x2, 50/s or max"),
        ("--speed 0/s", "--speed '0/s': write recorded, x2, 50/s or max"),
        (
            "--writes sandbox --to proxy",
            "--writes: what the proxy gets is real, so that no writes are sent to it; leave it out",
        ),
        (
            "--writes dry_run --to legacy",
            "--writes: legacy has run these writes already; leave it out: with --to legacy, no writes are sent",
        ),
        (
            "--writes sandbox --self",
            "--writes: legacy has run these writes already; leave it out: with --self, no writes are sent",
        ),
        (
            "--to legacy --against legacy",
            "--to legacy --against legacy: that compares legacy with itself; write --self",
        ),
        ("--self --to orders", f"--to: {LEAVE_OUT}"),
        ("--self --against recorded", f"--against: {LEAVE_OUT}"),
        ("--self --fail-on gate", f"--fail-on: {LEAVE_OUT}"),
        ("--self --junit a.xml", f"--junit: {LEAVE_OUT}"),
        ("--header X-A", "--header 'X-A': write it as 'Name: value'"),
        ("--header Host:", "--header 'Host': the value is empty"),
        ("--junit none/a.xml", "--junit: there is no folder none; make it, or name another file"),
        ("--callers none.yaml", "--callers: none.yaml cannot be read: No such file or directory; name another file"),
    ],
)
def test_an_option_that_cannot_be_meant(options: str, message: str) -> None:
    assert problems("a.rec", "--no-inbox", *options.split()) == [message]


def test_all_problems_come_at_once() -> None:
    words = "--to ordrs --route order --speed 2x --header X --callers none.yaml --self --writes sandbox"
    assert len(problems("a.rec", *words.split())) == 7


@pytest.mark.parametrize("options", ["--callers-at-once 0", "--against live", "--writes skip", "--fail-on never"])
def test_a_value_out_of_range(options: str) -> None:
    assert run("a.rec", *options.split()).exit_code == 2


def test_the_file_of_callers_is_checked_with_its_places() -> None:
    Path("c.yaml").write_text(CALLERS)
    assert problems("a.rec", "--callers", "c.yaml") == [
        "--callers: c.yaml:3:3: 'ana': 'Content-Length': this field belongs to the connection and cannot be set",
        "--callers: c.yaml:4:9: 'x-7': 'X-User': the value is empty",
        "--callers: c.yaml:5:1: 'bob': must be a mapping, {Header: value}",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "--callers: c.yaml:1:1: the file is empty; write `CALLER: {Header: value}`"),
        ("- a\n", "--callers: c.yaml:1:1: the file is not a mapping; write `CALLER: {Header: value}` at the left edge"),
        ("ana: {A: b}\nana: {A: c}\n", "--callers: c.yaml:2:1: the key 'ana' is already on line 1"),
        ("ana: {A: \"${NO_SUCH_TOKEN}\"}\n", "--callers: c.yaml:1:10: "),
        ("ana: {A: 'b\n", "--callers: c.yaml:1:10: a quoted text starts here and is not closed; add the closing quote"),
    ],
    ids=["empty", "a list", "twice", "a variable", "a quote"],
)  # fmt: skip
def test_yaml_that_cannot_be_read(text: str, message: str) -> None:
    Path("c.yaml").write_text(text)
    (line,) = problems("a.rec", "--callers", "c.yaml")
    assert line.startswith(message)


def test_a_secret_is_never_in_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "hunter2\n")
    Path("c.yaml").write_text('ana: {Authorization: "Bearer ${TOKEN} x", Host: "${TOKEN}", A B: "${TOKEN}"}\n')
    assert "hunter2" not in "\n".join(problems("a.rec", "--callers", "c.yaml", "--header", "A B: hunter2"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "b.rec is empty, or cut off within its first line: it is no recording"),
        (b"1 a 2\n", "b.rec is no recording: its first line is not a recording's header"),
        (b'{"recording": 9}\n', "b.rec is a recording of version 9; this Strangler reads version 1"),
        (b'{"recording": 1}\n', "b.rec:1: the recording's header cannot be read"),
        (None, "b.rec cannot be read: No such file or directory"),
    ],
    ids=["empty", "another file", "a later version", "a broken header", "missing"],
)
def test_a_recording_that_cannot_be_opened(content: bytes | None, message: str) -> None:
    if content is not None:
        Path("b.rec").write_bytes(content)
    (line,) = problems("b.rec", "--no-inbox")
    assert line.startswith(message)


def test_standard_input_is_no_recording() -> None:
    (line,) = problems("-", "--no-inbox")
    assert line.endswith("write it into one, and name that")


def test_a_folder_is_no_recording() -> None:
    Path("folder").mkdir()
    assert run("folder").exit_code == 2


@pytest.mark.parametrize("file", ["missing.yaml", "bad.yaml"])
def test_a_routes_yaml_that_cannot_be_used(file: str) -> None:
    Path("bad.yaml").write_text("version: 2\n")
    assert file in problems("a.rec", "-c", file)[0]


def test_a_routes_yaml_without_routes() -> None:
    Path("routes.yaml").write_text(ROUTES.partition("routes:")[0])
    (line,) = problems("a.rec", "--no-inbox", "--to", "legacy")
    assert line == "routes.yaml: there are no routes, and a request is sent by the route that it matches; write one"


def test_a_certificate_of_an_upstream_that_cannot_be_read() -> None:
    Path("routes.yaml").write_text(
        ROUTES.replace("{url: http://127.0.0.1:2}", "{url: https://127.0.0.1:2, tls: {ca: no.pem}}")
    )
    (line,) = problems("a.rec", "--no-inbox")
    assert "no.pem cannot be read: No such file or directory" in line


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_state_folder_that_cannot_be_written_is_said_before_the_start() -> None:
    Path("state").mkdir(mode=0o500)
    lines = problems("a.rec")
    assert lines[-1] == "nothing was sent: the findings could not be put into the inbox; --no-inbox replays without it"


def test_a_state_folder_that_is_a_file_is_said_before_the_start() -> None:
    Path("state").write_text("")
    lines = problems("a.rec")
    assert lines[-1] == "nothing was sent: the findings could not be put into the inbox; --no-inbox replays without it"


def test_a_proxy_that_is_not_there_is_said_before_the_start() -> None:
    lines = problems("a.rec", "--admin", "http://127.0.0.1:1")
    assert lines[-1] == "nothing was sent: the findings could not be put into the inbox; --no-inbox replays without it"
