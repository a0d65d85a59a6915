"""`strangler record`: making recordings of files, and saying what is in one."""

import json
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from strangler.cli import main
from strangler.core.compare import Redactor
from strangler.recordings.recorded import RecordedPair
from strangler.recordings.recording_reader import open_recording
from strangler.recordings.redact_in_place import key_id

FILES = Path(__file__).parents[1] / "recordings" / "files"
ROUTES = """
version: 1
listen: 127.0.0.1:0
state: state
upstreams: {legacy: {url: "http://127.0.0.1:1"}, new: {url: "http://127.0.0.1:2"}}
routes:
  - {name: orders, match: {path: /api/orders}, candidate: new, compare: {redact: ["$..name"]}}
"""


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["record", *map(str, arguments)], catch_exceptions=False)


def pairs(path: str = "a.rec") -> list[RecordedPair]:
    with open_recording(Path(path)) as recording:
        return [item for _, item in recording if isinstance(item, RecordedPair)]


@pytest.mark.parametrize(("name", "source"), [("shop.gor", "GoReplay"), ("mitmproxy.har", "a HAR")])
def test_a_file_becomes_a_recording(name: str, source: str) -> None:
    result = run("--from", FILES / name, "-o", "a.rec")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"a.rec: 7 pairs ({source}, {name})\n")
    assert "the key was made for this file and is forgotten" in result.stdout
    assert str(FILES) not in result.output
    assert stat.S_IMODE(Path("a.rec").stat().st_mode) == 0o600
    login = next(each for each in pairs() if each.request.target == "/login")
    assert login.request.body is not None
    assert login.request.body.text is not None
    assert login.request.body.text.startswith("user=ana&password=redacted:")
    account = run("--show", "a.rec")
    assert account.exit_code == 0
    assert account.stdout.splitlines()[0] == result.stdout.splitlines()[0]


def test_what_was_passed_over_is_said_with_its_places() -> None:
    result = run("--from", FILES / "shop.gor", "-o", "a.rec")
    assert "1 passed over: a response without its request (line 1)" in result.stdout
    assert "3 requests without a response" in result.stdout


def test_secrets_are_kept_only_when_asked_for() -> None:
    result = run("--from", FILES / "shop.gor", "-o", "a.rec", "--no-redact")
    assert result.exit_code == 0
    assert "passwords, tokens and personal data as they were sent" in result.stderr
    assert "not redacted" in result.stdout
    assert any("hunter2" in str(each) for each in pairs())
    assert stat.S_IMODE(Path("a.rec").stat().st_mode) == 0o600
    assert run("--from", FILES / "shop.gor", "-o", "a.rec", "--force").exit_code == 0
    assert not any("hunter2" in str(each) or "s3cr3t" in str(each) for each in pairs())


def test_the_key_and_the_rules_of_routes_yaml_count() -> None:
    Path("routes.yaml").write_text(ROUTES)
    Path("state").mkdir()
    key = bytes(range(32))
    (Path("state") / "redaction.key").write_bytes(key)
    result = run("--from", FILES / "shop.gor", "-o", "a.rec", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["header"]["key"] == key_id(key)
    posted = next(each for each in pairs() if each.request.method == "POST" and each.request.target == "/api/orders")
    redactor = Redactor.of(key, [])
    name, password = redactor.mark("grün"), redactor.mark("hunter2")
    assert posted.request.body is not None
    assert posted.request.body.text == f'{{"name": "{name}", "password": "{password}"}}'


def test_a_broken_routes_yaml_is_no_reason_to_redact_less() -> None:
    Path("routes.yaml").write_text("version: 1\nroutes: 5\n")
    result = run("--from", FILES / "shop.gor", "-o", "a.rec")
    assert result.exit_code == 2
    assert not Path("a.rec").exists()


def test_where_no_value_may_be_kept_nothing_is_recorded_unless_asked_for() -> None:
    Path("routes.yaml").write_text(f"evidence: {{values: hashed}}\n{ROUTES}")
    refused = run("--from", FILES / "shop.gor", "-o", "a.rec")
    assert (refused.exit_code, Path("a.rec").exists()) == (2, False)
    assert "evidence: {values: hashed}" in refused.output
    assert "--no-redact" in refused.output
    assert run("--from", FILES / "shop.gor", "-o", "a.rec", "--no-redact").exit_code == 0


def test_a_recording_is_not_replaced_without_force() -> None:
    Path("a.rec").write_text("mine")
    result = run("--from", FILES / "shop.gor", "-o", "a.rec")
    assert result.exit_code == 1
    assert "a.rec exists: name another file, or replace it with --force" in result.stderr
    assert Path("a.rec").read_text() == "mine"


def test_nothing_is_written_if_nothing_could_be_read() -> None:
    Path("post.log").write_text('1.2.3.4 - - [10/Oct/2026:13:55:36 +0000] "POST / HTTP/1.1" 200 1 "-" "x"\n' * 3)
    result = run("--from", "post.log", "-o", "a.rec")
    assert result.exit_code == 1
    assert "3 passed over: a request with another method than GET" in result.stderr
    assert "no request could be read; a.rec was not written" in result.stderr
    assert sorted(each.name for each in Path().iterdir()) == ["post.log"]


def test_a_log_says_what_it_lacks() -> None:
    Path("a.log").write_text('1.2.3.4 - - [10/Oct/2026:13:55:36 +0000] "GET /a HTTP/1.1" 200 1 "-" "x"\n')
    result = run("--from", "a.log", "-o", "a.rec")
    assert result.exit_code == 0
    assert "a log has no bodies" in result.stderr
    [pair] = pairs()
    assert pair.caller.startswith("redacted:")


def test_a_damaged_recording_is_shown_with_what_is_wrong() -> None:
    run("--from", FILES / "shop.gor", "-o", "a.rec")
    Path("cut.rec").write_bytes(Path("a.rec").read_bytes()[:-20])
    result = run("--show", "cut.rec")
    assert result.exit_code == 1
    assert "passed over: cut off before its end" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "a file with --from, or a recording with --show"),
        (["--from", "x"], 2, "name the recording to write with -o"),
        (["--from", "none", "-o", "a.rec"], 1, "none cannot be read: No such file or directory"),
        (["--show", "none"], 1, "none cannot be read: No such file or directory"),
        (["--show", "x", "--force"], 2, "--show says what is in a recording"),
        (["--from", "x", "-o", "y", "--no-redact", "-c", "z"], 2, "--no-redact needs no -c"),
        (["--from", FILES / "README.md", "-o", "a.rec"], 1, "has no form that is known"),
        (["--show", FILES / "README.md"], 1, "is no recording"),
        (["--from", FILES / "mitmproxy.har", "-o", "a.rec", "--host", "other"], 1, "has no request to other"),
    ],
)
def test_bad_input_has_a_clear_message(arguments: list[object], code: int, message: str) -> None:
    result = run(*arguments)
    assert result.exit_code == code
    assert message in result.stderr
    assert "Traceback" not in result.output
