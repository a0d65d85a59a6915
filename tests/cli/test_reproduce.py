"""A sampled request as commands, for upstreams that are not at a port."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from shutil import which

import pytest
from msgspec.structs import replace as changed

from strangler.cli import _reproduce
from strangler.config.urls import base_url
from strangler.control.api_reference import examples
from strangler.core.documents import KeptPair, KeptRequest, KeptResponse
from tests.factories import route, settings, upstream
from tests.needs import require
from tests.upstreams.servers import Server

PAIR = KeptPair(
    KeptRequest("GET", "/api/7?x=1", [("Host", "shop"), ("Accept", "*/*")]),
    KeptResponse(200, None, 1.0, 0, [], None),
    KeptResponse(503, None, 1.0, 0, [], None),
)
ROW = changed(examples.SIGNATURE_ROW, in_="status", path=None, endpoint="GET /api/{}")


@pytest.fixture
def request_(tmp_path: Path) -> _reproduce.Request:
    """A request to two upstreams on sockets."""
    made = settings(
        routes=[route("orders", prefix="/api")],
        upstreams=[
            replace(upstream("legacy"), urls=(base_url(f"unix:{tmp_path}/one"),)),
            replace(upstream("orders"), urls=(replace(base_url(f"unix:{tmp_path}/two"), path="/base"),)),
        ],
    )
    return _reproduce.request_of(PAIR, made.routes[0], made)


def test_curl_and_hurl_are_told_the_socket(request_: _reproduce.Request, tmp_path: Path) -> None:
    assert request_.candidate == _reproduce.Destination("http://localhost/base/api/7?x=1", f"{tmp_path}/two")
    assert f"--unix-socket {tmp_path}/one \\\n" in _reproduce.curl(request_, request_.legacy)
    assert f"Accept: */*\n[Options]\nunix-socket: {tmp_path}/two\n" in _reproduce.hurl(request_)


def test_the_commands_reach_a_socket(request_: _reproduce.Request, tmp_path: Path) -> None:
    require("" if which("curl") else "curl")
    failing = b"HTTP/1.1 503 -\r\nContent-Length: 0\r\n\r\n"
    with Server(unix_path=tmp_path / "one") as old, Server(unix_path=tmp_path / "two", response=failing) as new:
        command = ["sh", "-c", _reproduce.curl(request_, request_.candidate)]
        assert b"503" in subprocess.run(command, check=True, capture_output=True).stdout
        file = tmp_path / "test_it.py"
        file.write_text(_reproduce.pytest_file(request_, ROW, ()))
        words = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null", str(file))
        ran = subprocess.run(words, capture_output=True, check=False)
        assert b"assert 200 == 503" in ran.stdout, ran.stdout
        assert [request.split(b"\r\n")[0] for request in old.requests] == [b"GET /api/7?x=1 HTTP/1.1"]
        assert new.requests[0].startswith(b"GET /base/api/7?x=1 HTTP/1.1\r\nHost: shop\r\n")
