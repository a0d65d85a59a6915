"""`strangler record --export`: what it writes, what it leaves out, and what it refuses."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from strangler.cli import main
from strangler.recordings.recorded import Header, RecordedPair
from tests.recordings.exports.pairs import recorded

Run = Callable[..., Result]
MARK = b"redacted:0123abcd"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(main, ["record", *words], catch_exceptions=False)


def record(*pairs: RecordedPair | bytes, redacted: bool = True) -> None:
    """Write `a.rec`, uncompressed."""
    header = Header(made="2026-11-30T08:00:00Z", by="strangler 0", source="har", redacted=redacted)
    lines = [pair if isinstance(pair, bytes) else msgspec.json.encode(pair) for pair in pairs]
    Path("a.rec").write_bytes(b"\n".join([msgspec.json.encode(header), *lines]) + b"\n")


@pytest.mark.parametrize("form", ["har", "gor", "hurl", "curl"])
def test_a_recording_is_written_into_a_file_of_its_owner(run: Run, form: str) -> None:
    record(recorded(b"/a"), recorded(b"/b"))
    result = run("--export", "a.rec", "--to", form, "-o", "out")
    assert result.exit_code == 0
    assert "2 requests written to out" in result.stderr
    assert (b"/b" in Path("out").read_bytes(), Path("out").stat().st_mode & 0o77) == (True, 0)
    assert sorted(os.listdir()) == ["a.rec", "out"]


def test_without_a_file_it_goes_to_standard_output(run: Run) -> None:
    record(recorded(b"/a"))
    result = run("--export", "a.rec", "--to", "har")
    assert json.loads(result.stdout)["log"]["entries"][0]["request"]["url"] == "http://placeholder.invalid/a"
    assert "requests go to http://placeholder.invalid, which nobody can reach" in result.stderr


def test_the_host_is_the_one_that_is_named(run: Run) -> None:
    record(recorded(b"http://prod.example/a"))
    for form in ("har", "gor", "hurl", "curl"):
        result = run("--export", "a.rec", "--to", form, "--host", "https://test:8443")
        assert "test:8443" in result.stdout
        assert "prod.example" not in result.output
        assert "nobody can reach" not in result.output


def test_what_is_left_out_is_counted(run: Run) -> None:
    secret = (b"Authorization", MARK)
    record(recorded(b"/a", secret), recorded(b"/b?t=" + MARK, secret), recorded(b"/" + MARK), b"{", b'{"at": 1}')
    errors = run("--export", "a.rec", "--to", "gor").stderr
    assert "2 requests written\n" in errors
    assert "left out: 1 requests, since their path has a redacted value" in errors
    assert "left out: 3 fields, since their values are redacted: header Authorization (2), query t (1)" in errors
    assert "2 lines cannot be read:\n  line 5: not JSON\n  line 6: not a pair of request and response" in errors


def test_names_of_fields_cannot_write_to_the_terminal(run: Run) -> None:
    record(recorded(b"/?\xc2\x9b31m=" + MARK))
    assert "\x9b" not in run("--export", "a.rec", "--to", "gor").stderr


def test_a_recording_with_its_secrets_is_called_so(run: Run) -> None:
    record(recorded(b"/a", (b"Authorization", b"Bearer x")), redacted=False)
    result = run("--export", "a.rec", "--to", "curl", "-o", "out")
    assert "warning: this recording is not redacted: its secrets are in the output" in result.stderr
    assert (b"Bearer x" in Path("out").read_bytes(), Path("out").stat().st_mode & 0o777) == (True, 0o700)


def test_a_file_is_replaced_by_force_alone(run: Run) -> None:
    record(recorded(b"/a"))
    Path("out").write_text("mine")
    refused = run("--export", "a.rec", "--to", "har", "-o", "out")
    assert (refused.exit_code, "out exists: name another file" in refused.stderr) == (2, True)
    assert Path("out").read_text() == "mine"
    assert run("--export", "a.rec", "--to", "har", "-o", "out", "--force").exit_code == 0
    assert Path("out").read_bytes().startswith(b'{"log"')


def test_a_link_is_replaced_and_never_followed(run: Run) -> None:
    record(recorded(b"/a"))
    Path("mine").write_text("mine")
    Path("out").symlink_to("mine")
    assert run("--export", "a.rec", "--to", "har", "-o", "out").exit_code == 2
    assert run("--export", "a.rec", "--to", "har", "-o", "out", "--force").exit_code == 0
    assert (Path("mine").read_text(), Path("out").is_symlink()) == ("mine", False)


@pytest.mark.usefixtures("run")
def test_an_export_that_cannot_be_written_leaves_nothing() -> None:
    """The limit on a file's size stands for a full disk."""
    record(*[recorded(b"/" + b"a" * 5000)] * 40)
    words = 'ulimit -f 8; exec "$0" -m strangler record --export a.rec --to har -o out'
    ran = subprocess.run(
        ["bash", "-c", "trap '' XFSZ; " + words, sys.executable], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, "out cannot be written: File too large; nothing was kept of it" in ran.stderr) == (2, True)
    assert sorted(os.listdir()) == ["a.rec"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--export", "a.rec"), "--export needs --to"),
        (("--to", "har"), "go with --export FILE"),
        (("--export", "a.rec", "--to", "xml"), "is not one of"),
        (("--export", "none.rec", "--to", "har"), "does not exist"),
        (("--export", "bad.rec", "--to", "har"), "is no recording"),
        (("--export", "a.rec", "--to", "har", "--host", "prod"), "--host: 'prod' names no host"),
        (("--export", "a.rec", "--to", "har", "--field", "$.a"), "are for --to hurl"),
        (("--export", "a.rec", "--to", "hurl", "--field", "a"), "is not a JSON path"),
        (("--export", "a.rec", "--to", "hurl", "-o", "none/out"), "none/out cannot be written: No such file"),
        (("--export", "a.rec", "--to", "hurl", "export", "--signatures", "new"), "takes its own options"),
        (("--from", "a.har", "export", "--signatures", "new"), "takes its own options"),
        (("--export", "a.rec", "--to", "har", "--show", "a.rec"), "and no others"),
        (("--export", "a.rec", "--to", "har", "--no-redact"), "and no others"),
        (("export",), "Missing option '--signatures'"),
    ],
)
def test_wrong_words_are_bad_input(run: Run, words: tuple[str, ...], message: str) -> None:
    record(recorded(b"/a"))
    Path("bad.rec").write_text("no\n")
    result = run(*words)
    assert (result.exit_code, message in result.stderr) == (2, True), result.stderr


@pytest.mark.usefixtures("run")
def test_memory_does_not_grow_with_the_recording() -> None:
    """The peak of memory is that of a few pairs, whatever the number of pairs."""
    pair = msgspec.json.encode(recorded(b"/a", method="POST", body=b"x" * 1_000_000))
    record()
    with Path("a.rec").open("ab") as file:
        for _ in range(60):
            file.write(pair + b"\n")
    code = (
        "import sys; from pathlib import Path; from strangler.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: print(Path('/proc/self/status').read_text(), file=sys.stderr)"
    )
    for form in ("har", "gor", "hurl", "curl"):
        words = [sys.executable, "-c", code, "record", "--export", "a.rec", "--to", form, "-o", form]
        ran = subprocess.run(words, capture_output=True, text=True, check=True)
        assert "60 requests written" in ran.stderr
        (peak,) = (int(line.split()[1]) for line in ran.stderr.splitlines() if line.startswith("VmHWM:"))
        assert peak < 120 * 1024, form
