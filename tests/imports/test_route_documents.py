"""Lists of routes as JSON: Spring, Laravel, Express, Django."""

import json

import pytest

from strangler.imports.documents import parsed_json
from strangler.imports.route_documents import express, is_express, is_route_list, is_spring, route_list, spring
from strangler.imports.values import SummaryState, Unread


def entry(methods: list[str], *patterns: str) -> dict[str, object]:
    return {
        "predicate": "{…}",
        "details": {"requestMappingConditions": {"methods": methods, "patterns": list(patterns), "params": []}},
    }


MAPPINGS = {
    "contexts": {
        "shop": {
            "mappings": {
                "dispatcherServlets": {
                    "dispatcherServlet": [
                        entry(["GET"], "/orders/{id}"),
                        entry([], "/error", "/errors/*"),
                        {"predicate": "{GET [/actuator/{*path}], produces [a || b]}", "details": None},
                        {"predicate": "/webjars/**", "handler": "ResourceHttpRequestHandler"},
                        {"predicate": "/**", "handler": "ResourceHttpRequestHandler"},
                        {"predicate": "{GET /fn}", "details": {}},
                    ]
                },
                "dispatcherHandlers": {"webHandler": [entry(["POST", "PUT"], "/flux")]},
                "servlets": [{"mappings": ["/"], "name": "dispatcherServlet"}],
            }
        },
        "broken": {"mappings": {"dispatcherServlets": {"a": ["x", None], "b": 7}}},
    }
}


def texts(found: "object") -> list[str]:
    return [f"{endpoint.method} {endpoint.template}" for endpoint in found]  # type: ignore[attr-defined]


def test_springs_mappings() -> None:
    state = SummaryState()
    assert is_spring(MAPPINGS)
    assert texts(spring(MAPPINGS, json.dumps(MAPPINGS, indent=1).encode(), state)) == [
        "GET /orders/{}", "* /error", "* /errors/{}", "GET /actuator/{...}", "* /webjars/{...}", "POST /flux",
        "PUT /flux",
    ]  # fmt: skip
    assert state.counts == {Unread.ANY_PATH: 1, Unread.NO_REQUEST: 1}


LISTS = {
    "Laravel": (
        [
            {"domain": None, "method": "GET|HEAD", "uri": "api/orders/{order}", "name": "x", "middleware": ["api"]},
            {"domain": None, "method": "POST", "uri": "/", "name": None, "middleware": []},
        ],
        ["GET /api/orders/{}", "POST /"],
    ),
    "Express": (
        [
            {"path": "/orders/:id", "methods": ["GET", "PUT"], "middlewares": ["a"]},
            {"path": "/all", "methods": []},
        ],
        ["GET /orders/{}", "PUT /orders/{}", "* /all"],
    ),
    "Django": ([{"url": "/orders/<int:pk>/", "module": "m", "name": "n", "decorators": ""}], ["* /orders/{}/"]),
}


@pytest.mark.parametrize(("document", "expected"), LISTS.values(), ids=LISTS)
def test_a_list_of_objects(document: list[object], expected: list[str]) -> None:
    data = json.dumps(document, indent=1).encode()
    assert is_route_list(parsed_json(data, "x"))
    found = list(route_list(document, data, SummaryState()))
    assert texts(found) == expected
    assert all(endpoint.line for endpoint in found)


def test_an_entry_without_a_path_is_counted() -> None:
    state = SummaryState()
    document = [{"path": "/a"}, {"path": None}, 7]
    assert texts(route_list(document, json.dumps(document).encode(), state)) == ["* /a"]
    assert state.counts == {Unread.BAD_FORM: 2}


def test_express_routes_as_node_prints_them() -> None:
    text = b"""[
  { path: '/', methods: [ 'GET' ], middlewares: [ 'anonymous' ] },
  {
    path: '/orders/:id',
    methods: [ 'GET', 'PUT' ],
    middlewares: []
  }
]
"""
    assert is_express(text)
    found = list(express(text, SummaryState()))
    assert texts(found) == ["GET /", "GET /orders/{}", "PUT /orders/{}"]
    assert [endpoint.line for endpoint in found] == [2, 4, 4]
