"""Other shapes of JSON: a profile, GraphQL, JSON:API, HAL, problems, statistics, geometry, event logs, keyed maps."""

import json
from typing import Any

from strangler.core.compare import Response
from tests.core.compare.labelled import GONE, Label, Pair, family
from tests.core.compare.responses import accept, response, settings

PROFILE: dict[str, Any] = {
    "user": {
        "id": "6f1c2e3a-1b2c-4d5e-8f90-123456789abc",
        "login": "ana",
        "roles": ["admin", "editor", "viewer"],
        "settings": {"theme": "dark", "e-mail": {"weekly": True, "offers": False}, "2fa": None},
        "last login": 1795421000,
        "session": {"token": "a3f1", "expires_at": 1795424600},
    }
}
PROFILES: dict[str, tuple[dict[str, Any], set[str]]] = {
    "roles sorted differently": ({"user.roles": ["viewer", "editor", "admin"]}, {"order $.user.roles"}),
    "role lost": ({"user.roles": ["admin", "viewer"]}, {"length $.user.roles"}),
    "role renamed": ({"user.roles": ["admin", "writer", "viewer"]}, {"value $.user.roles[*]"}),
    "roles as objects": (
        {"user.roles": [{"name": "admin"}, {"name": "editor"}, {"name": "viewer"}]},
        {"type $.user.roles[*]"},
    ),
    "roles as one text": ({"user.roles": "admin,editor,viewer"}, {"type $.user.roles"}),
    "key with a dash": ({"user.settings.e-mail.offers": True}, {"value $.user.settings['e-mail'].offers"}),
    "key with a digit in front": ({"user.settings.2fa": "totp"}, {"type $.user.settings['2fa']"}),
    "key with a blank": ({"user.last login": 1795421002}, {"value $.user['last login']"}),
    "key with a blank is lost": ({"user.last login": GONE}, {"missing $.user['last login']"}),
    "session token": ({"user.session.token": "b7c2"}, {"value $.user.session.token"}),
    "session is lost": ({"user.session": GONE}, {"missing $.user.session"}),
    "id in upper case": ({"user.id": lambda text: text.upper()}, {"value $.user.id"}),
    "wrapped once more": (
        {"user": lambda user: {"profile": user}},
        {"extra $.user.profile"}
        | {f"missing $.user{key}" for key in (".id", ".login", ".roles", ".settings", "['last login']", ".session")},
    ),
}

GRAPHQL: dict[str, Any] = {
    "data": {
        "viewer": {
            "repos": {
                "edges": [
                    {
                        "cursor": "Y3Vyc29yOjE=",
                        "node": {"id": "R1", "name": "alpha", "stars": 12, "owner": {"login": "ana"}},
                    },
                    {
                        "cursor": "Y3Vyc29yOjI=",
                        "node": {"id": "R2", "name": "beta", "stars": 0, "owner": {"login": "bo"}},
                    },
                ],
                "pageInfo": {"hasNextPage": False, "endCursor": "Y3Vyc29yOjI="},
            }
        }
    },
    "extensions": {"cost": 14, "trace": "9f2c"},
}
GRAPHQLS: dict[str, tuple[dict[str, Any], set[str]]] = {
    "cost and trace": (
        {"extensions.cost": 15, "extensions.trace": "a01b"},
        {"value $.extensions.cost", "value $.extensions.trace"},
    ),
    "star count": ({"data.viewer.repos.edges.0.node.stars": 13}, {"value $.data.viewer.repos.edges[*].node.stars"}),
    "owner is null": ({"data.viewer.repos.edges.1.node.owner": None}, {"type $.data.viewer.repos.edges[*].node.owner"}),
    "errors beside data": ({"errors": [{"message": "x"}]}, {"extra $.errors"}),
    "errors instead of data": ({"data": None, "errors": [{"message": "x"}]}, {"type $.data", "extra $.errors"}),
    "extensions are gone": ({"extensions": GONE}, {"missing $.extensions"}),
    "cursors are opaque": (
        {"data.viewer.repos.edges": lambda edges: [{**edge, "cursor": edge["cursor"][::-1]} for edge in edges]},
        {"value $.data.viewer.repos.edges[*].cursor"},
    ),
    "edges reversed": ({"data.viewer.repos.edges": lambda edges: edges[::-1]}, {"order $.data.viewer.repos.edges"}),
    "has a next page": (
        {"data.viewer.repos.pageInfo.hasNextPage": True},
        {"value $.data.viewer.repos.pageInfo.hasNextPage"},
    ),
}

STATS: dict[str, Any] = {
    "series": [[1795420800, 12.5], [1795420860, 13.0], [1795420920, None], [1795420980, 12.75]],
    "histogram": [0, 3, 5, 5, 7, 1, 0, 0],
    "by_host": {"web-1": {"cpu": 0.31, "up": True}, "web-2": {"cpu": 0.29, "up": True}},
    "matrix": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "big": 9007199254740993,
    "ratio": 0.1,
    "avogadro": 6.02214076e23,
}
STATISTICS: dict[str, tuple[dict[str, Any], set[str]]] = {
    "big integer lost its last bit": ({"big": 9007199254740992}, {"value $.big"}),
    "big integer as text": ({"big": "9007199254740993"}, {"type $.big"}),
    "float noise": ({"ratio": 0.1 + 1e-17 + 2e-17}, {"value $.ratio"}),
    "written out": ({"avogadro": 602214076000000000000000}, set()),
    "one bucket": ({"histogram.4": 8}, {"value $.histogram[*]"}),
    "one bucket among equals": ({"histogram.2": 6}, {"value $.histogram[*]"}),
    "bucket more": ({"histogram": lambda buckets: [*buckets, 0]}, {"length $.histogram"}),
    "gap filled": ({"series.2.1": 12.9}, {"type $.series[*][*]"}),
    "value gone": ({"series.1.1": None}, {"type $.series[*][*]"}),
    "window moved": (
        {"series": lambda series: [*series[1:], [1795421040, 12.0]]},
        {"length $.series"},
    ),
    "host new": ({"by_host.web-3": {"cpu": 0.1, "up": True}}, {"extra $.by_host['web-3']"}),
    "host gone": ({"by_host.web-1": GONE}, {"missing $.by_host['web-1']"}),
    "host load": (
        {"by_host.web-1.cpu": 0.4, "by_host.web-2.cpu": 0.2},
        {"value $.by_host['web-1'].cpu", "value $.by_host['web-2'].cpu"},
    ),
    "matrix transposed rows": ({"matrix": [[0, 0, 1], [0, 1, 0], [1, 0, 0]]}, {"order $.matrix"}),
    "flag as text": ({"by_host.web-1.up": "true"}, {"type $.by_host['web-1'].up"}),
}
TOLERANT = settings(accept("$.by_host", rel="0.1"), accept("$.series[*][*]", abs="0.05"), unordered={"$.matrix": None})
TOLERATED: dict[str, tuple[dict[str, Any], set[str]]] = {
    "load within 10 %": ({"by_host.web-1.cpu": 0.341}, set()),
    "sample within tolerance": ({"series.0.1": 12.55}, set()),
}
NOT_TOLERATED: dict[str, tuple[dict[str, Any], set[str]]] = {
    "load beyond 10 %": ({"by_host.web-1.cpu": 0.342}, {"value $.by_host['web-1'].cpu"}),
    "sample beyond tolerance": ({"series.0.1": 12.551}, {"value $.series[*][*]"}),
    "rows as a multiset": ({"matrix": [[0, 0, 1], [0, 1, 0], [1, 0, 0]]}, set()),
    "row changed in a multiset": ({"matrix": [[0, 0, 1], [0, 1, 0], [1, 0, 2]]}, {"value $.matrix[*][*]"}),
}

RESOURCE: dict[str, Any] = {
    "data": {
        "type": "articles",
        "id": "1",
        "attributes": {"title": "Hello", "body": "line one\nline two", "published": True},
        "relationships": {"author": {"data": {"type": "people", "id": "9"}}},
    },
    "included": [
        {"type": "people", "id": "9", "attributes": {"name": "Dan"}},
        {"type": "comments", "id": "5", "attributes": {"body": "First!"}},
        {"type": "comments", "id": "12", "attributes": {"body": "Nice"}},
    ],
    "links": {"self": "http://example.com/articles/1"},
}
RESOURCES: dict[str, tuple[dict[str, Any], set[str]]] = {
    "id is a number": ({"data.id": 1}, {"type $.data.id"}),
    "line ends in a string count": ({"data.attributes.body": "line one\r\nline two"}, {"value $.data.attributes.body"}),
    "included in another order": ({"included": lambda all_: all_[::-1]}, {"order $.included"}),
    "included without people": ({"included.0": GONE}, {"length $.included"}),
    "no included": ({"included": GONE}, {"missing $.included"}),
    "link to the new host": ({"links.self": "http://orders:8001/articles/1"}, {"value $.links.self"}),
    "relationship emptied": ({"data.relationships.author.data": None}, {"type $.data.relationships.author.data"}),
    "author changed": ({"data.relationships.author.data.id": "10"}, {"value $.data.relationships.author.data.id"}),
    "comment text": ({"included.1.attributes.body": "first"}, {"value $.included[*].attributes.body"}),
    "comment removed and another edited": (
        {"included.2.attributes.body": "Nicer", "included.1": GONE},
        {"length $.included", "value $.included[*].attributes.body"},
    ),
}

LINES = [{"level": "info", "msg": f"step {n}", "ts": f"2026-11-23T08:00:0{n}Z"} for n in range(5)]


def ndjson(*documents: Any) -> bytes:
    return b"\n".join(json.dumps(document).encode() for document in documents) + b"\n"


def lines(name: str, candidate: bytes, *labels: tuple[str, str]) -> Pair:
    media = "application/x-ndjson"
    found: set[Label] = {("body", path, kind) for kind, path in labels}
    return Pair(f"log: {name}", response(ndjson(*LINES), media), response(candidate, media), found)


LOGS = [
    lines("blank lines and line ends", b"\r\n\r\n".join(json.dumps(line).encode() for line in LINES)),
    lines("one level", ndjson(*LINES[:4], {**LINES[4], "level": "warn"}), ("value", "$[*].level")),
    lines("one more line", ndjson({"level": "debug"}, *LINES), ("length", "$")),
    lines("times moved", ndjson(*({**line, "ts": "x"} for line in LINES)), ("value", "$[*].ts")),
    lines("field renamed", ndjson(*({"level": "info", "message": line["msg"], "ts": line["ts"]} for line in LINES)),
          ("missing", "$[*].msg"), ("extra", "$[*].message")),
    lines("cut within a line", ndjson(*LINES)[:-5], ("type", "$")),
    lines("lines reversed", ndjson(*LINES[::-1]), ("order", "$")),
]  # fmt: skip

PROBLEM: dict[str, Any] = {
    "type": "about:blank",
    "title": "Not Found",
    "status": 404,
    "detail": "no order 9",
    "instance": "/e/71f3",
}


def problem(name: str, candidate: Response, *labels: Label) -> Pair:
    return Pair(f"problem: {name}", response(PROBLEM, "application/problem+json", 404), candidate, set(labels))


TYPE: Label = ("body", "$", "type")
STATUS: Label = ("status", None, "value")
PROBLEMS = [
    problem("same under application/json", response(PROBLEM, status=404)),
    problem(
        "other instance", response({**PROBLEM, "instance": "/e/9a11"}, status=404), ("body", "$.instance", "value")
    ),
    problem("plain text", response(b"not found", "text/plain", 404), TYPE),
    problem("HTML page", response(b"<h1>404</h1>", "text/html", 404), TYPE),
    problem("no body", response(b"", None, 404), TYPE),
    problem("410 instead", response({**PROBLEM, "status": 410}, status=410), STATUS, ("body", "$.status", "value")),
    problem(
        "found after all",
        response({"id": 9}, status=200),
        STATUS,
        ("body", "$.id", "extra"),
        *(("body", f"$.{key}", "missing") for key in PROBLEM),
    ),
]

PAIRS = [
    *family("profile", PROFILE, PROFILES),
    *family("graphql", GRAPHQL, GRAPHQLS),
    *family("statistics", STATS, STATISTICS),
    *family("statistics, tolerated", STATS, TOLERATED, TOLERANT, "accepted"),
    *family("statistics, not tolerated", STATS, NOT_TOLERATED, TOLERANT),
    *family("resource", RESOURCE, RESOURCES),
    *LOGS,
    *PROBLEMS,
]
