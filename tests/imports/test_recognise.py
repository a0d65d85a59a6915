"""The door: the kind of a file by its content alone, whatever its name, compressed or not."""

import gzip
import hashlib
import io
import json
import sys
from pathlib import Path

import pytest

from strangler.imports.log_reading import CallsState
from strangler.imports.recognise import Listing, digest, opened
from strangler.imports.values import ImportOptions, ImportRefusedError

CLF = b'203.0.113.7 - - [10/Oct/2000:13:55:36 -0700] "GET /a HTTP/1.0" 200 5\n'
OPENAPI = {"info": {}, "paths": {"/a": {"get": {}}}, "openapi": "3.0.0"}
ENVOY = (
    b'[2000-10-10T20:55:36.250Z] "GET /a HTTP/1.1" 200 - 0 135 14 9 "-" "curl/8" "3f8e" "shop.example" "10.0.0.1:80"\n'
)
HAR = {
    "log": {
        "entries": [
            {
                "startedDateTime": "2000-10-10T20:55:36.250Z",
                "request": {"method": "GET", "url": "http://x/a"},
                "response": {},
            }
        ]
    }
}

KINDS = {
    "a log": (CLF, "common or combined"),
    "a log of brackets": (ENVOY, "Envoy"),
    "JSON lines": (b'{"method":"GET","path":"/a","time":971211336}\n' * 2, "JSON lines"),
    "one JSON line": (b'{"method":"GET","path":"/a","time":971211336}', "JSON lines"),
    "JSON lines, the first one damaged": (
        b'{"method":"GET","pa\n' + b'{"method":"GET","path":"/a","time":971211336}\n' * 2, "JSON lines",
    ),
    "OpenAPI": (json.dumps(OPENAPI, indent=2).encode(), "OpenAPI"),
    "OpenAPI on one line": (json.dumps(OPENAPI).encode(), "OpenAPI"),
    "OpenAPI in YAML": (b"# ours\n\ninfo: {}\nopenapi: 3.0.0\npaths: {/a: {get: {}}}\n", "OpenAPI"),
    "OpenAPI with a byte order mark": (b"\xef\xbb\xbf" + json.dumps(OPENAPI).encode(), "OpenAPI"),
    "HAR": (json.dumps(HAR, indent=1).encode(), "HAR"),
    "a list": (b"# ours\nGET /a\nPOST /a\n", "list of routes"),
    "a list of one": (b"GET /a", "list of routes"),
    "Laravel": (b'[{"method":"GET|HEAD","uri":"a"}]', "list of routes"),
    "Spring": (
        b'{"contexts":{"x":{"mappings":{"dispatcherServlets":{"d":[{"predicate":"{GET [/a]}"}]}}}}}', "Spring mappings",
    ),
    "Express": (b"[ { path: '/a', methods: [ 'GET' ], middlewares: [] } ]\n", "Express routes"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "name"), KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("is_packed", [False, True], ids=["plain", "gzip"])
def test_a_kind_is_known_by_its_content(data: bytes, name: str, is_packed: bool, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(gzip.compress(data) if is_packed else data)
    with opened(str(file)) as found:
        if isinstance(found, CallsState):
            assert {call.path for call in found} == {b"/a"}
        else:
            assert {endpoint.template for endpoint in found.endpoints} == {"/a"}
    assert found.summary.format == name
    assert found.summary.read >= 1
    assert found.summary.digest == hashlib.sha256(data).hexdigest() == digest(str(file))


def test_a_dash_is_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(gzip.compress(CLF * 3))))
    with opened("-") as found:
        assert isinstance(found, CallsState)
        assert len(list(found)) == 3


def test_with_fields_a_file_is_a_log(tmp_path: Path) -> None:
    file = tmp_path / "x.log"
    file.write_bytes(b'{"openapi":"/a","m":"GET"}\n')
    with opened(str(file), ImportOptions({"path": "openapi", "method": "m"})) as found:
        assert isinstance(found, CallsState)
        assert [call.path for call in found] == [b"/a"]


def test_an_endpoint_that_is_listed_twice_comes_once(tmp_path: Path) -> None:
    file = tmp_path / "routes.txt"
    file.write_text("GET /a/{x}\nGET /b\nGET /a/{y}\n")
    with opened(str(file)) as found:
        assert isinstance(found, Listing)
        assert [(endpoint.template, endpoint.line) for endpoint in found.endpoints] == [("/a/{}", 1), ("/b", 2)]
        assert found.summary.read == 2


REFUSED = {
    "a document of another kind": (b'{"a": {\n"b": 1}}', "is a document without routes; known are OpenAPI"),
    "broken JSON": (b'{"openapi": "3.0.0",\n "paths": {', "is no valid JSON"),
    "a description in an archive that is cut": (
        gzip.compress(json.dumps(OPENAPI).encode())[:-9],
        "the compressed file ends too early",
    ),
    "a description without paths": (b"openapi: 3.0.0\npaths: {}\n", r"\(OpenAPI\) names no endpoint"),
    "mostly no routes": (
        b"GET /a\n" * 1100 + b"odd\n" * 2000,
        r"file:1101: most lines name no endpoint, such as `odd`",
    ),
}


@pytest.mark.parametrize(("data", "message"), REFUSED.values(), ids=REFUSED)
def test_other_content_is_refused_with_the_way_out(data: bytes, message: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(data)
    with pytest.raises(ImportRefusedError, match=message), opened(str(file)):
        pass


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(ImportRefusedError, match="nowhere cannot be read: No such file"),
        opened(str(tmp_path / "nowhere")),
    ):
        pass
