"""The endpoints of OpenAPI descriptions: methods, base paths, references, places."""

import json
import time
from typing import Any

import pytest
import yaml

from strangler.imports.documents import MAX_YAML_BYTES, parsed_json, parsed_yaml
from strangler.imports.openapi_paths import endpoints
from strangler.imports.values import ImportRefusedError, SummaryState, Unread

GET: dict[str, Any] = {"get": {"responses": {}}}


def described(paths: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"openapi": "3.1.0", "info": {"title": "shop", "version": "1"}, "paths": paths, **more}


def servers(*urls: str) -> list[dict[str, str]]:
    return [{"url": url} for url in urls]


ENV = {
    "url": "https://{env}.shop.example/{base}/v1",
    "variables": {"base": {"default": "shop", "enum": ["shop", "store"]}},
}

CASES = {
    "methods": (
        described({"/orders/{id}": {"get": {}, "post": {}, "parameters": [], "summary": "x", "x-y": {}}}),
        ["GET /orders/{}", "POST /orders/{}"],
    ),
    "no server": (described({"/a": GET}), ["GET /a"]),
    "a base path": (described({"/a": GET}, servers=servers("https://shop.example/api/v1/")), ["GET /api/v1/a"]),
    "a relative server": (described({"/a": GET}, servers=servers("/api")), ["GET /api/a"]),
    "a server relative to the description": (described({"/a": GET}, servers=servers("../v2")), ["GET /v2/a"]),
    "several servers": (
        described({"/a": GET}, servers=servers("https://a.example/v1", "https://b.example/v1", "https://b.example")),
        ["GET /v1/a", "GET /a"],
    ),
    "variables": (described({"/a": GET}, servers=[ENV]), ["GET /shop/v1/a", "GET /store/v1/a"]),
    "a variable without values": (described({"/a": GET}, servers=servers("/{tenant}")), ["GET /{}/a"]),
    "a server of a path": (
        described({"/a": {**GET, "servers": servers("/files")}, "/b": GET}, servers=servers("/v1")),
        ["GET /files/a", "GET /v1/b"],
    ),
    "a server of an operation": (
        described({"/a": {"get": {"servers": servers("/files")}, "put": {}}}, servers=servers("/v1")),
        ["GET /files/a", "PUT /v1/a"],
    ),
    "references within the file": (
        described(
            {
                "/a": {"$ref": "#/components/pathItems/x"},
                "/b~c/{d}": {"$ref": "#/paths/~1a"},
                "/e": {"$ref": "#/paths/~1b~0c~1{d}"},
            },
            components={"pathItems": {"x": GET}},
        ),
        ["GET /a", "GET /b~c/{}", "GET /e"],
    ),
    "a colon is literal": (
        described({"/orders/{id}:cancel": {"post": {}}, "/a:b": GET}),
        ["POST /orders/{}:cancel", "GET /a:b"],
    ),
    "holes within a segment": (described({"/a-{x}.{y}": GET}), ["GET /a-{}.{}"]),
    "Swagger 2.0": (
        {"swagger": "2.0", "basePath": "/v1/", "host": "shop.example", "paths": {"/a": GET}},
        ["GET /v1/a"],
    ),
    "OpenAPI 3.2": (
        described({"/a": {"query": {}, "additionalOperations": {"COPY": {}}}}),
        ["QUERY /a", "COPY /a"],
    ),
    "extensions and nonsense": (described({"x-paths": GET, "/a": GET, "/b": None, "b": GET}), ["GET /a"]),
    "no paths": (described({}), []),
}


@pytest.mark.parametrize(("document", "expected"), CASES.values(), ids=CASES)
@pytest.mark.parametrize("form", ["json", "yaml"])
def test_a_description(document: dict[str, Any], expected: list[str], form: str) -> None:
    text = json.dumps(document) if form == "json" else yaml.safe_dump(document)
    data = text.encode()
    parsed = parsed_json(data, "x") if form == "json" else parsed_yaml(data, "x")
    found = endpoints(parsed, data, SummaryState())
    assert sorted(f"{endpoint.method} {endpoint.template}" for endpoint in found) == sorted(expected)


@pytest.mark.parametrize(
    "reference",
    [
        "other.yaml#/paths/x",
        "https://shop.example/x.yaml",
        "#/nowhere",
        "#/paths/~1a",
        "#/info/title",
        7,
        "#/paths/~1b",
    ],
)
def test_a_reference_to_elsewhere_is_counted_and_not_followed(reference: object) -> None:
    document = described({"/a": {"$ref": reference}, "/b": {"$ref": "#/paths/~1a"}})
    state = SummaryState()
    assert list(endpoints(document, b"", state)) == []
    assert state.counts == {Unread.ELSEWHERE: 2}


YAML = """\
openapi: 3.0.3
paths:
  /orders/{id}:
    get: {}
    <<: &common {put: {}}
  '/orders/{id}:cancel':
    post: {}
    <<: *common
"""


def test_endpoints_have_the_lines_of_their_paths() -> None:
    found = list(endpoints(parsed_yaml(YAML.encode(), "x"), YAML.encode(), SummaryState()))
    assert [(endpoint.method, endpoint.template, endpoint.line) for endpoint in found] == [
        ("GET", "/orders/{}", 3),
        ("PUT", "/orders/{}", 3),
        ("PUT", "/orders/{}:cancel", 6),
        ("POST", "/orders/{}:cancel", 6),
    ]
    data = json.dumps(described({"/a": GET, "/b": GET}), indent=2).encode()
    assert [endpoint.line for endpoint in endpoints(parsed_json(data, "x"), data, SummaryState())] == [8, 13]


@pytest.mark.parametrize(
    ("parse", "data"),
    [
        (parsed_json, b'{"openapi":"3.0.0","a":"\xff","paths":{"/a":{"get":{}}}}'),
        (parsed_yaml, b"openapi: 3.0.0\na: \xff\npaths: {/a: {get: {}}}\n"),
    ],
    ids=["json", "yaml"],
)
def test_a_byte_that_is_no_utf_8_does_no_harm(parse: Any, data: bytes) -> None:
    assert [endpoint.template for endpoint in endpoints(parse(data, "x"), data, SummaryState())] == ["/a"]


BROKEN = {
    "too much YAML": (parsed_yaml, b"a" * (MAX_YAML_BYTES + 1), "more than 16 MiB of YAML: make JSON of it"),
    "not closed": (parsed_yaml, b"openapi: 3.0.0\npaths: {", r"x is no valid YAML: .*, line \d"),
    "nested too deep": (parsed_yaml, b"a: " + b"[" * 100_000, "x is no valid YAML"),
    "a tag of Python": (parsed_yaml, b"openapi: !!python/object/apply:os.system ['true']\n: :", "x is no valid YAML"),
    "JSON, not closed": (parsed_json, b'{"openapi":\n\n"3', "x is no valid JSON"),
    "JSON, a wrong sign": (parsed_json, b'{"openapi":\n\n 3,,}', "x is no valid JSON: .*line 3"),
    "JSON, nested too deep": (parsed_json, b"[" * 100_000, "x is no valid JSON"),
}


@pytest.mark.parametrize(("parse", "data", "message"), BROKEN.values(), ids=BROKEN)
def test_a_broken_description_is_refused_with_its_line(parse: Any, data: bytes, message: str) -> None:
    with pytest.raises(ImportRefusedError, match=message):
        parse(data, "x")


def test_aliases_cost_no_more_than_their_text() -> None:
    lines = ["a0: &a0 {get: {}}", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30))]
    data = "\n".join(["openapi: 3.0.0", *lines, "paths: {/a: *a0}"]).encode()
    start = time.process_time()
    found = endpoints(parsed_yaml(data, "x"), data, SummaryState())
    assert [endpoint.template for endpoint in found] == ["/a"]
    assert time.process_time() - start < 5
