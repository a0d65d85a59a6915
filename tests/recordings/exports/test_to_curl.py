"""Scripts of curl commands, run by shells against a real server: what arrives is what was recorded."""

import subprocess
from pathlib import Path
from shutil import which

import pytest

from strangler.recordings.exports.destination import destination
from strangler.recordings.exports.to_curl import CurlFormat
from strangler.recordings.recorded import RecordedPair
from tests.needs import require
from tests.recordings.exports.pairs import exported, recorded, responded, split_request
from tests.upstreams.servers import Server

SHELLS = ["dash", "bash"]
MARK = b"redacted:0123abcd"


def run(pair: RecordedPair, folder: Path, shell: str = "dash", **variables: str) -> bytes:
    """Return the raw request that one pair's script sends."""
    require("" if which("curl") and which(shell) else f"curl and {shell}")
    with Server(end="cut") as server:
        text, counts = exported(CurlFormat(destination(f"http://127.0.0.1:{server.port}"), "a.rec"), pair)
        assert counts.written == 1
        script = folder / "script.sh"
        script.write_bytes(text)
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), **variables}
        ran = subprocess.run([shell, script], capture_output=True, env=environment, cwd=folder, check=False)
        assert ran.returncode == 0, (ran.stderr, text)
    (request,) = server.requests
    return request.replace(f"127.0.0.1:{server.port}".encode(), b"HOST")


BODIES = {
    "empty": b"",
    "quotes": b"""it's "quoted" `run` $HOME $(id) \\ \\n ${x}""",
    "a file's name": b"@/etc/passwd",
    "a dash": b"-d\n",
    "line breaks at the end": b"a\n\n\n",
    "CR LF": b"a\r\nb\r\n",
    "percent": b"%d%%\\101",
    "NUL and all else": bytes(range(256)),
    "longer than an argument may be": b"it's %s\n" * 30_000,
    "long and of any bytes": bytes(range(256)) * 40,
    "UTF-8": "Grüße, 🐵".encode(),
}


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_body_arrives_as_it_was_recorded(body: bytes, shell: str, tmp_path: Path) -> None:
    length = (b"Content-Length", b"%d" % len(body))
    line, fields, arrived = split_request(run(recorded(b"/b", length, method="POST", body=body), tmp_path, shell))
    assert (line, arrived) == (b"POST /b HTTP/1.1", body)
    assert fields == [(b"Host", b"HOST"), (b"Content-Length", b"%d" % len(body))]


FIELDS = {
    "none": (),
    "empty": ((b"X-Empty", b""),),
    "duplicates": ((b"X-A", b"1"), (b"x-a", b"2"), (b"X-A", b"1")),
    "quotes": ((b"X-A", b'it\'s "q" $HOME `id` \\'),),
    "an at": ((b"X-A", b"@/etc/passwd"),),
    "a semicolon": ((b"X-A", b";"), (b"X-B", b"a;")),
    "bytes": ((b"X-A", b"\xff\x80 \xc3\xbc"),),
    "its own": (
        (b"User-Agent", b"mine"),
        (b"Accept", b"text/html"),
        (b"Content-Type", b"a/b"),
        (b"Accept-Encoding", b"br"),
    ),
    "its own, empty": ((b"User-Agent", b""), (b"Accept", b"")),
    "names": ((b"!#$%&'*+-.^_`|~0", b"x"), (b"-H", b"y")),
    "cookies": ((b"Cookie", b"a=1; b=it's"), (b"Cookie", b"c=2")),
    "expect": ((b"Expect", b"100-continue"),),
}


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("fields", FIELDS.values(), ids=FIELDS)
def test_fields_arrive_as_they_were_recorded(
    fields: tuple[tuple[bytes, bytes], ...], shell: str, tmp_path: Path
) -> None:
    _, arrived, _ = split_request(run(recorded(b"/", *fields), tmp_path, shell))
    assert arrived == [(b"Host", b"HOST"), *fields]


TARGETS = [
    b"/a?x=1&y=it's", b"/a/../b/./c", b"//a", b"/a[1-3]{b,c}", b"/%00%2f?", b"/?a#b", b"/a\\b|c\"d<e>", "/ü".encode(),
    b"/\xff", b"*", b"/$HOME/`id`", b"/-o",
]  # fmt: skip


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_arrives_as_it_was_recorded(target: bytes, tmp_path: Path) -> None:
    line, _, _ = split_request(run(recorded(target), tmp_path))
    assert line == b"GET " + target + b" HTTP/1.1"


@pytest.mark.parametrize("method", ["DELETE", "PATCH", "get", "-X", "M'S", "OPTIONS"])
def test_any_method_arrives(method: str, tmp_path: Path) -> None:
    line, _, _ = split_request(run(recorded(method=method), tmp_path))
    assert line == f"{method} / HTTP/1.1".encode()


def test_a_head_needs_no_body_and_may_have_one(tmp_path: Path) -> None:
    length = (b"Content-Length", b"3")
    assert split_request(run(recorded(method="HEAD"), tmp_path))[0] == b"HEAD / HTTP/1.1"
    line, _, body = split_request(run(recorded(b"/", length, method="HEAD", body=b"abc"), tmp_path))
    assert (line, body) == (b"HEAD / HTTP/1.1", b"abc")


def test_a_get_may_have_a_body_and_a_post_none(tmp_path: Path) -> None:
    assert split_request(run(recorded(body=b"abc"), tmp_path))[::2] == (b"GET / HTTP/1.1", b"abc")
    line, fields, _ = split_request(run(recorded(b"/", (b"Content-Length", b"0"), method="POST"), tmp_path))
    assert (line, fields[1:]) == (b"POST / HTTP/1.1", [(b"Content-Length", b"0")])


def test_settings_of_the_user_change_nothing(tmp_path: Path) -> None:
    (tmp_path / ".curlrc").write_text('header = "X-Evil: 1"\n')
    assert b"X-Evil" not in run(recorded(), tmp_path)


@pytest.mark.parametrize("shell", SHELLS)
class TestRedacted:
    def test_a_field_comes_back_by_its_variable(self, shell: str, tmp_path: Path) -> None:
        pair = recorded(b"/", (b"Authorization", b"Bearer " + MARK), (b"X-B", b"2"))
        assert b"Authorization" not in run(pair, tmp_path, shell)
        secret = 'Bearer it\'s "mine" $HOME'
        _, fields, _ = split_request(run(pair, tmp_path, shell, SECRET_AUTHORIZATION=secret))
        assert (b"Authorization", secret.encode()) in fields

    def test_a_cookie_is_sent_without_what_is_redacted(self, shell: str, tmp_path: Path) -> None:
        pair = recorded(b"/", (b"Cookie", b"a=" + MARK + b"; b=it's }; c=" + MARK))
        assert (b"Cookie", b"b=it's }") in split_request(run(pair, tmp_path, shell))[1]
        _, fields, _ = split_request(run(pair, tmp_path, shell, SECRET_COOKIE="a=1; b=2"))
        assert [value for name, value in fields if name == b"Cookie"] == [b"a=1; b=2"]

    def test_a_parameter_comes_back_by_its_variable(self, shell: str, tmp_path: Path) -> None:
        pair = recorded(b"/a?token=" + MARK + b"&x=it's")
        assert split_request(run(pair, tmp_path, shell))[0] == b"GET /a?x=it's HTTP/1.1"
        line, _, _ = split_request(run(pair, tmp_path, shell, SECRET_QUERY_TOKEN="t1"))
        assert line == b"GET /a?x=it's&token=t1 HTTP/1.1"

    def test_no_variable_of_the_system_is_sent(self, shell: str, tmp_path: Path) -> None:
        pair = recorded(b"/", (b"Path", MARK), (b"Home", MARK))
        assert split_request(run(pair, tmp_path, shell))[1] == [(b"Host", b"HOST")]


def test_the_script_goes_to_the_host_that_it_is_given(tmp_path: Path) -> None:
    require("" if which("curl") else "curl")
    text, _ = exported(CurlFormat(destination("http://placeholder.invalid"), "a"), recorded(b"/x"))
    (tmp_path / "script").write_bytes(text)
    with Server() as server:
        subprocess.run(
            ["sh", "script", f"http://127.0.0.1:{server.port}"], cwd=tmp_path, check=True, capture_output=True
        )
    assert server.requests[0].startswith(b"GET /x HTTP/1.1\r\n")


def test_nothing_of_a_recording_gets_out_of_a_comment() -> None:
    text, _ = exported(CurlFormat(destination("http://h"), "a\nrm -rf"), recorded("/a\u2028\u0085x".encode()))
    assert b"# Made by strangler" in text
    assert b"\nrm" not in text
    assert all(line.isascii() for line in text.split(b"\n") if line.startswith(b"#"))


def test_an_upgrade_is_left_out() -> None:
    _, counts = exported(CurlFormat(destination("http://h"), "a"), recorded(response=responded(None, status=101)))
    assert (counts.written, counts.unsendable.total()) == (0, 1)
