"""Whatever is asked of the admin listener, it answers, with no error of its own, and goes on."""

import asyncio
import json
import string
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, ClientTimeout
from hypothesis import given
from hypothesis import strategies as st

from tests.e2e.serving import LegacyState, Proxy, legacy
from tests.fuzz.effort import examples

_TEXT = st.text(string.printable + "é\x00\x1b\u2028😀", max_size=30) | st.sampled_from(
    ["nan", "inf", "-1", "1e400", "9" * 30, "../../etc/passwd", "' OR 1=1 --", "%", "_", "*", "http://",
    "/api/orders/7", "GET", "new",
     "breaking", "orders", "true", "null", "", "X: y", ":", "http://[", "127.0.0.1", "::1%0"]
)  # fmt: skip
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=8,
)
_QUERY = st.dictionaries(
    st.sampled_from(
        [
            "url",
            "method",
            "header",
            "client",
            "route",
            "severity",
            "state",
            "since",
            "after",
            "limit",
            "id",
            "gate",
            "who",
            "endpoint",
            "noise",
            "page",
            "said",
            "changed",
            "why_not",
        ]
    ),
    _TEXT,
    max_size=5,
)
_READ = [
    "/api/explain",
    "/api/diffs",
    "/api/events",
    "/api/status",
    "/api/report",
    "/api/audit",
    "/api/rollout",
    "/api/routes/orders/readiness",
    "/signatures",
    "/audit",
    "/api/kill-switch",
    "/readyz",
    "/metrics",
]
_BODIES = {
    "/api/explain": ["method", "url", "headers", "client"],
    "/api/kill-switch": ["on", "reason", "who", "route"],
    "/api/diffs/x": ["state", "owner", "why", "until", "who"],
    "/api/diffs": ["ids", "state", "owner", "why", "until", "who"],
    "/api/audit": ["what", "route", "why", "who", "detail"],
}
_IS_JSON = {"Content-Type": "application/json"}
_STATUSES = {200, 400, 403, 404, 405, 413, 503}
"""503: of the readings of evidence, while there is none."""


@dataclass(frozen=True, slots=True)
class Admin:
    runner: asyncio.Runner
    proxy: Proxy
    session: ClientSession

    def ask(self, method: str, path: str, **body: Any) -> int:
        return self.runner.run(self._ask(method, path, body))

    async def _ask(self, method: str, path: str, body: dict[str, Any]) -> int:
        async with self.session.request(method, self.proxy.admin + path, **body) as response:
            await response.read()
            return response.status


@pytest.fixture(scope="module")
def admin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Admin]:
    with asyncio.Runner() as runner:
        context = legacy()
        proxy = runner.run(_start(context, tmp_path_factory.mktemp("admin")))
        session = runner.run(_session())
        try:
            yield Admin(runner, proxy, session)
            assert not [line for line in proxy.log if line["level"] in ("error", "critical")]
        finally:
            runner.run(session.close())
            runner.run(proxy.stop())
            runner.run(context.__aexit__(None, None, None))


async def _start(context: Any, folder: Path) -> Proxy:
    upstream: LegacyState = await context.__aenter__()
    proxy = Proxy(folder, upstream.port)
    await proxy.start()
    return proxy


async def _session() -> ClientSession:
    return ClientSession(timeout=ClientTimeout(10))


@examples(200)
@given(st.sampled_from(_READ), _QUERY)
def test_any_query_is_answered(admin: Admin, path: str, query: dict[str, str]) -> None:
    assert admin.ask("GET", path, params=query) in _STATUSES


@examples(150)
@given(st.sampled_from(["/api/diffs/", "/api/routes/", "/routes/", "/signatures/", "/static/", "/"]), _TEXT)
def test_any_path_is_answered(admin: Admin, start: str, rest: str) -> None:
    assert admin.ask("GET", start + rest.replace("#", "").replace("?", "")) in _STATUSES


@examples(200)
@given(st.sampled_from(sorted(_BODIES)), st.data())
def test_any_json_is_answered(admin: Admin, path: str, data: st.DataObject) -> None:
    keys = _BODIES[path]
    document = data.draw(st.fixed_dictionaries({}, optional=dict.fromkeys(keys, _JSON)) | _JSON)
    assert admin.ask("POST", path, data=json.dumps(document).encode(), headers=_IS_JSON) in _STATUSES


@examples(50)
@given(st.sampled_from(sorted(_BODIES)), st.binary(max_size=80))
def test_any_bytes_are_answered(admin: Admin, path: str, body: bytes) -> None:
    assert admin.ask("POST", path, data=body, headers=_IS_JSON) in _STATUSES


def test_a_body_beyond_the_limit_is_refused(admin: Admin) -> None:
    assert admin.ask("POST", "/api/explain", data=b"x" * 200_000, headers=_IS_JSON) == 413
