"""Responses of real monoliths, through a real proxy: validators, ranges, names, codings, parts and failures."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web

from tests.core.compare.multiparts import field as form_field
from tests.core.compare.multiparts import multipart
from tests.e2e.shadowing import stage

JSON, HTML = "application/json", "text/html; charset=utf-8"
STATUS, BREAKING = ("status", None, "value", "risky"), ("status", None, "value", "breaking")
COMPARE = """\
    compare:
      headers: [content-type]
      accept:
        - {status: [302, 303], endpoint: "GET /api/orders/{}"}
        - {path: $.currency, from: EUR, to: eur}
"""


@dataclass(frozen=True)
class Reply:
    status: int = 200
    body: bytes = b""
    media: str | None = JSON
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self) -> web.Response:
        headers = dict(self.headers) | ({} if self.media is None else {"Content-Type": self.media})
        return web.Response(status=self.status, body=self.body, headers=headers)


@dataclass(frozen=True)
class Case:
    """`outcome` may be a reason; the differences are in, path, kind, severity."""

    legacy: Reply
    candidate: Reply
    outcome: str
    differences: frozenset[tuple[str, str | None, str, str]] = frozenset()
    request_headers: Mapping[str, str] = field(default_factory=dict)


def expected(*differences: tuple[str, str | None, str, str]) -> frozenset[tuple[str, str | None, str, str]]:
    return frozenset(differences)


def form(value: str, boundary: str) -> Reply:
    made = multipart(form_field("user", "ana"), form_field("meta", value, JSON), boundary=boundary)
    return Reply(body=made.body, media=f"multipart/form-data; boundary={boundary}")


TAG = {"If-None-Match": '"a1"'}
PAGE = Reply(body=b'{"a":1}', headers={"ETag": '"other"'})
CASES: dict[str, Case] = {
    "304 and another maker's tag": Case(Reply(304), PAGE, "conditional", request_headers=TAG),
    "another maker's tag and 304": Case(PAGE, Reply(304), "conditional", request_headers=TAG),
    "304 and its own tag": Case(
        Reply(304), Reply(body=b"{}", headers={"ETag": '"a1"'}), "mismatch", expected(BREAKING), TAG
    ),
    "304 twice": Case(Reply(304), Reply(304), "match", request_headers=TAG),
    "304 and a failure": Case(Reply(304), Reply(500, b"oops", "text/plain"), "mismatch", expected(BREAKING), TAG),
    "a part of another whole": Case(
        Reply(206, b"abc", "text/css", {"Content-Range": "bytes 0-2/9"}),
        Reply(206, b"abc", "text/css", {"Content-Range": "bytes 0-2/8"}),
        "mismatch",
        expected(("header", "content-range", "value", "risky")),
        {"Range": "bytes=0-2"},
    ),
    "a part and the whole": Case(
        Reply(206, b"abc", "text/css", {"Content-Range": "bytes 0-2/4"}),
        Reply(200, b"abcd", "text/css"),
        "mismatch",
        expected(STATUS),
        {"Range": "bytes=0-2"},
    ),
    "a part and the whole, resumed": Case(
        Reply(206, b"abc", "text/css", {"Content-Range": "bytes 0-2/4"}),
        Reply(200, b"abcd", "text/css"),
        "conditional",
        request_headers={"Range": "bytes=0-2", "If-Range": '"a1"'},
    ),
    "JSON called HTML": Case(
        Reply(body=b'{"a": 1}', media=HTML),
        Reply(body=b'{"a":1}'),
        "mismatch",
        expected(("header", "content-type", "value", "risky")),
    ),
    "a charset more": Case(
        Reply(body=b"[]"),
        Reply(body=b"[]", media="application/json; charset=utf-8"),
        "mismatch",
        expected(("header", "content-type", "value", "additive")),
    ),
    "NaN": Case(
        Reply(body=b'{"mean": NaN}'),
        Reply(body=b'{"mean": 1}'),
        "mismatch",
        expected(("body", "$.mean", "type", "breaking")),
    ),
    "a coding that is none": Case(
        Reply(body=b'{"a": 1}', headers={"Content-Encoding": "utf-8"}), Reply(body=b'{"a":1}'), "match"
    ),
    "another boundary": Case(form('{"v": 1}', "b1"), form('{"v":1.0}', "b2"), "match"),
    "a part changed": Case(
        form('{"v": 1}', "b1"), form('{"v": 2}', "b2"), "mismatch", expected(("body", "$.meta.v", "value", "value"))
    ),
    "a failure in a broken coding": Case(
        Reply(body=b"{}"),
        Reply(503, b"<h1>", HTML, {"Content-Encoding": "gzip", "Set-Cookie": "a=b"}),
        "mismatch",
        expected(BREAKING),
    ),
    "an agreed status": Case(Reply(302, media=None), Reply(303, media=None), "accepted"),
    "another status": Case(Reply(302, media=None), Reply(307, media=None), "mismatch", expected(STATUS)),
    "an agreed pair of values": Case(Reply(body=b'{"currency":"EUR"}'), Reply(body=b'{"currency":"eur"}'), "accepted"),
    "another pair of values": Case(
        Reply(body=b'{"currency":"EUR"}'),
        Reply(body=b'{"currency":"usd"}'),
        "mismatch",
        expected(("body", "$.currency", "value", "value")),
    ),
}


def arm_of(side: str) -> Any:
    """An arm that answers the case whose number is in the path."""
    cases = list(CASES.values())

    async def response(request: web.Request) -> web.StreamResponse:
        reply: Reply = getattr(cases[int(request.path.rpartition("/")[2])], side)
        return reply.response()

    return response


async def test_what_real_monoliths_send_is_judged_as_a_person_would(tmp_path: Path) -> None:
    async with stage(tmp_path, arm_of("legacy"), arm_of("candidate"), route=COMPARE) as on:
        async with ClientSession(skip_auto_headers=["Accept-Encoding"], auto_decompress=False) as client:
            for number, case in enumerate(CASES.values()):
                url = f"http://127.0.0.1:{on.proxy.port}/api/orders/{number}"
                async with client.get(url, headers=case.request_headers, allow_redirects=False) as response:
                    assert response.status == case.legacy.status
                await on.compared(number + 1)
        lines_wanted = [name for name, case in CASES.items() if case.outcome != "match"]
        await on.line(len(lines_wanted) - 1)
        lines = {line["path"]: line for line in on.lines}
    for number, (name, case) in enumerate(CASES.items()):
        line = lines.get(f"/api/orders/{number}")
        if line is None:
            assert case.outcome == "match", name
            continue
        found = frozenset(
            (difference["in"], difference["path"], difference["kind"], difference["severity"])
            for difference in line["differences"]
        )
        assert (line["reason"] or line["outcome"], found) == (case.outcome, case.differences), name


async def test_all_failures_of_an_endpoint_are_one_signature_and_pairs_of_statuses_are_several(tmp_path: Path) -> None:
    reply = [
        Reply(500, b"oops", "text/plain"),
        Reply(503, b"{}"),
        Reply(502, b"<p>", HTML),
        Reply(404),
        Reply(302),
        Reply(301),
    ]

    async def candidate(request: web.Request) -> web.StreamResponse:
        return reply[int(request.path.rpartition("/")[2])].response()

    async def legacy(_: web.Request) -> web.StreamResponse:
        return Reply(body=b"{}").response()

    async with stage(tmp_path, legacy, candidate) as on:
        for number in range(len(reply)):
            await on.proxy.get(f"/api/orders/{number}")
            await on.compared(number + 1)
        await on.line(len(reply) - 1)
        names = [line["signature"] for line in sorted(on.lines, key=lambda line: str(line["path"]))]
    assert len(set(names[:3])) == 1
    assert len(set(names)) == 4


@pytest.mark.parametrize(("served_by", "split"), [("legacy", 0), ("candidate", 100)])
async def test_a_failure_is_evidence_however_large_its_body_is(tmp_path: Path, served_by: str, split: int) -> None:
    async def legacy(_: web.Request) -> web.StreamResponse:
        return Reply(body=b"{}").response()

    async def candidate(_: web.Request) -> web.StreamResponse:
        return Reply(503, b"x" * 5000, HTML).response()

    route = f"    split: {{percent: {split}}}\n    fallback: false\n"
    shadow = ", of: any, max_body: 1KiB, recheck: 0, baseline: 0"
    async with stage(tmp_path, legacy, candidate, route=route, shadow=shadow) as on:
        await on.proxy.get("/api/orders/7")
        line = await on.line()
    assert (line["served_by"], line["outcome"], line["reason"]) == (served_by, "mismatch", None)
    assert [
        (difference["in"], difference["legacy"], difference["candidate"]) for difference in line["differences"]
    ] == [("status", 200, 503)]
