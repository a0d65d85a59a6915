"""Every JSON document of the admin listener and of `--json`: its keys, their order, and its values.

`documents.json` beside this file has them all. Where a document is meant to change, delete that file: the next run
writes it anew.
"""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp.test_utils import TestClient, TestServer
from click.testing import CliRunner

from strangler.cli import main
from strangler.control.admin import application
from strangler.control.api_reference.operations import OPERATIONS
from strangler.control.app import ControlApp
from strangler.core.compare import NO_RULES, compare
from strangler.core.documents import PassedGate, ProblemDocument, RuleReport, RuleUse
from strangler.core.percents import rollouts_of
from strangler.core.slowness import Slowness
from strangler.ipc.messages import LedgerBatch, LedgerSum, ProcessInfo
from strangler.ipc.metrics import BOUNDS_S
from strangler.store.events.event import Kind
from strangler.store.events.stored_gates import load_rollouts, store_rollouts
from strangler.store.evidence.audits import write_audit
from strangler.store.evidence.index import IndexState
from strangler.store.evidence.writing import set_state, store_findings, store_rules
from strangler.times import utc_day
from tests.control.control import control_of, take
from tests.store.evidence.pairs import NOON, captured, finding_of, json_response, match, mismatch, seen

GOLDEN = Path(__file__).with_name("documents.json")
BUCKETS = [0, 0, 1, *(0 for _ in BOUNDS_S[2:])]
ROUTES = """\
version: 1
node: a
admin: {listen: 127.0.0.1:0}
state: state
upstreams:
  legacy: {url: http://127.0.0.1:1}
  orders: {urls: [http://127.0.0.1:8001, http://127.0.0.1:8002]}
events: {webhook: http://127.0.0.1:8003/events}
routes:
  - name: orders
    match: {methods: [GET, HEAD], prefix: /api/orders}
    candidate: orders
    split: {percent: 25}
    shadow: {percent: 10}
    gate: {min_pairs: 5}
    compare: {accept: [{path: $.at, why: a clock, until: 2026-11-01}]}
  - name: page
    match: {path: /api/page}
    aggregate: {orders: {upstream: orders, path: /orders}, old: {upstream: legacy, path: /old, timeout: 2s}}
    enabled: false
  - name: carts
    match: {prefix: /api/carts}
    candidate: orders
    split: {sticky: ["header:x-user-id"]}
    rollout: {steps: [1, 50], approve: [50]}
  - {name: users, match: {host: shop.example.com, prefix: /users}, passthrough: orders}
"""
VOLATILE = frozenset({"version", "silent_s", "time", "at", "since", "file", "diff", "against", "watched_s"})
"""Keys whose values are others in each run; of these the type alone is kept."""
TIMES = frozenset({"first_seen", "last_seen", "last_legacy", "watched_since", "day", "hour", "deletable_at"})
"""Keys of the ledger whose texts are times. Elsewhere they have numbers, which are always the same."""
ULID = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")
LEGACY = {"id": 7, "price": 19.99, "at": "2026-11-23T12:00:00Z"}
CANDIDATE = {"id": 7, "price": "19.99", "at": "2026-11-23T12:00:01Z", "more": [1, {"a": None}]}

GETS = [
    "/healthz",
    "/readyz",
    "/api/status",
    "/api/explain?url=/api/orders/7",
    "/api/explain?url=/api/page",
    "/api/kill-switch",
    "/api/events",
    "/api/diffs",
    "/api/diffs?route=orders&state=known",
    "/api/diffs/PRICE",
    "/api/rollout",
    "/api/rollouts",
    "/api/rollouts/carts",
    "/api/rollouts/orders",
    "/api/routes/orders/readiness",
    "/api/routes/users/readiness",
    "/api/routes/orders/proposal",
    "/api/report",
    "/api/audit",
    "/api/releases",
    "/api/ledger?hidden=1",
    "/api/ledger/endpoint?endpoint=GET%20/api/orders/7",
    "/api/ledger/history",
    "/api/diffs/none",
    "/api/diffs?severity=x",
]
IMPORT = {
    "digest": "9f86d081",
    "name": "routes.txt",
    "format": "list",
    "endpoints": [["GET", "/api/carts/{id}"]],
    "sums": [],
    "began": None,
    "ended": None,
    "who": "ana",
}
POSTS: list[tuple[str, dict[str, Any]]] = [
    ("/api/explain", {"method": "GET", "url": "/users/7", "headers": [["Host", "shop.example.com"]]}),
    ("/api/diffs/PRICE", {"state": "known", "who": "ana"}),
    ("/api/diffs", {"ids": ["PRICE", "b" * 16], "state": "known", "owner": "ana", "who": "ana"}),
    ("/api/audit", {"what": "shift", "route": "orders", "why": "x", "who": "ana", "detail": "5 to 25 %"}),
    ("/api/shadows/orders/resume", {"who": "ana"}),
    ("/api/releases", {"route": "orders", "name": "v2", "who": "ci"}),
    ("/api/routes/orders/reset", {"why": "another database", "who": "ana"}),
    ("/api/rollouts/carts/start", {"who": "ana", "why": "agreed"}),
    ("/api/rollouts/carts/start", {"who": "ana"}),
    ("/api/rollouts/users/start", {"who": "ana"}),
    ("/api/ledger/fold", {"endpoint": "/shops/{}/menu", "who": "ana"}),
    ("/api/ledger/own", {"endpoint": "GET /api/orders/7", "name": "ana", "who": "ana"}),
    ("/api/ledger/ignore", {"endpoint": "GET /nobody", "who": "ana"}),
    ("/api/ledger/import", IMPORT),
    ("/api/ledger/import", IMPORT),
    ("/api/kill-switch", {"on": True, "reason": "nonsense", "who": "ana"}),
    ("/api/kill-switch", {"on": True, "reason": "slow", "who": "ana", "route": "orders"}),
    ("/api/kill-switch", {"on": True, "route": "users"}),
    ("/api/kill-switch", {"off": True}),
]
COMMANDS = [
    "status --json",
    "events --json",
    "diffs --json",
    "diffs show PRICE --json",
    "ready orders --json",
    "release --json",
    "audit --json",
    "check --gate --json",
    "check --gate --against old.yaml --json",
    "shift orders 30 --dry-run --json",
    "explain GET /api/orders/7 --json",
    "release orders v3 --json",
    "evidence reset orders --why x --json",
]
STORED = [command for command in COMMANDS if not command.startswith(("status", "events", "check --gate --json"))]
"""Those that need no proxy."""


def masked(value: Any, key: str = "") -> Any:
    """A document without what is another in each run; the type of such a value stays."""
    if isinstance(value, dict):
        return {name: masked(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [masked(item, key) for item in value]
    if value is not None and (key in VOLATILE or (isinstance(value, str) and ULID.fullmatch(value))):
        return f"<{type(value).__name__}>"
    if isinstance(value, str):
        if key in TIMES:
            return "<time>"
        return "<host>" if value.startswith("//") else re.sub(r"@20\d\d-[\dT:Z.\-]+", "@<moment>", value)
    return f"<{type(value).__name__}>" if isinstance(value, float) and value > NOON + 86400 else value


def document(text: str) -> Any:
    """The JSON of a text, or of each of its lines; a text that is none as it is."""
    try:
        return masked(json.loads(text))
    except ValueError:
        pass
    try:
        return [masked(json.loads(line)) for line in text.splitlines()]
    except ValueError:
        return text


@dataclass(frozen=True, slots=True)
class Admin:
    """The admin listener with a bit of everything, and its folder."""

    client: TestClient[Any, Any]
    state: ControlApp
    folder: Path
    price: str

    async def get(self, path: str) -> str:
        response = await self.client.get(path.replace("PRICE", self.price))
        return await response.text()

    async def post(self, path: str, body: Any) -> str:
        written = json.dumps(body).replace("PRICE", self.price)
        response = await self.client.post(path.replace("PRICE", self.price), json=json.loads(written))
        return await response.text()

    async def run(self, command: str, *more: str) -> str:
        words = [word.replace("PRICE", self.price) for word in command.split()]
        words += ["-c", str(self.folder / "routes.yaml"), *more]
        result = await asyncio.to_thread(CliRunner().invoke, main, words)
        assert result.exit_code in (0, 1), result.output
        return "\n".join(line for line in result.stdout.splitlines() if not line.startswith("20"))  # without the log


@pytest.fixture
async def admin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Admin]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STRANGLER_USER", "ana")
    (tmp_path / "routes.yaml").write_text(ROUTES)
    (tmp_path / "old.yaml").write_text(ROUTES.replace("percent: 25", "percent: 5"))
    async with control_of(tmp_path, {}) as state:
        price = await _fill(state)
        server = TestServer(application(state), host="127.0.0.1")
        async with TestClient(server) as client:
            yield Admin(client, state, tmp_path, price)


async def _fill(state: ControlApp) -> str:
    """Give the state a bit of everything. Return the id of the difference that has a sample."""
    baseline = compare(
        json_response(LEGACY), json_response(LEGACY | {"at": "2026-11-23T12:00:02Z"}), NO_RULES, utc_day()
    )
    lines = b"Host: shop\r\nX-User-Id: 7\r\nAuthorization: Bearer secret\r\n"
    sampled = finding_of(
        json_response(LEGACY), json_response(CANDIDATE), captured(b"/api/orders/7?x=1", lines), baseline=baseline
    )
    times = [match(at=NOON + at, latency=(0.010 + at / 1e5, 0.012)) for at in range(12)]
    later = mismatch(seen("b" * 16, kind="missing", severity="risky"), at=NOON + 3600, endpoint="POST /api/orders")
    slow = Slowness("orders", "GET /api/orders/{}", 3.456, 0.01, 0.03456, 40)

    def work(connection: Any) -> None:
        store_findings(connection, IndexState(), [sampled, *times, later], NOON)
        other = mismatch(seen("c" * 16, path="$.x"), at=NOON + 60)
        store_findings(connection, IndexState(), [other], NOON)
        set_state(connection, "c" * 16, "fixed", NOON + 70, owner="ben", why="rounding", until=None)
        store_rules(connection, {"orders": RuleReport(14, [RuleUse("$.at", uses=0, is_dead=True, is_expired=True)])})
        write_audit(connection, NOON, "ana", "shift", "orders", "agreed", "5 to 25 %")
        passed = {"orders": PassedGate("orders", 5.0, 25.0, "not ready", ["few"], NOON)}
        before = load_rollouts(connection)
        store_rollouts(connection, before, rollouts_of(state.settings), passed, NOON)

    await state.store.call(work)
    state.events.gates.passed_by = (await state.store.call(load_rollouts)).passed
    state.slow._state.slow[slow.route, slow.endpoint] = slow
    await state.events.sinks.close()  # nobody listens there
    state.events.publisher.publish(Kind.CANDIDATE_SLOW, "orders", {"route": "orders", "ratio": 3.46, "legacy_ms": None})
    await state.events.publisher.write()
    await state.figures.look()
    state.processes.processes = [
        ProcessInfo("supervisor", 0, "s", 1, 0.0, 0),
        ProcessInfo("control", 0, "c", 2, 0.0, 0),
        ProcessInfo("worker", 0, "w0", 3, 0.0, 0),
        ProcessInfo("leaving", 0, "w1", 4, 0.0, 2),
    ]
    take(state, {("strangler_requests_total", ("orders", "candidate", "GET", "2xx")): (7.0,)})
    sums = [
        LedgerSum("GET", "/api/orders/{}", "orders", arm, 200, "okhttp/4", calls, time.time(), BUCKETS, "/api/orders/7")
        for arm, calls in (("legacy", 3), ("candidate", 1))
    ]
    state.ledger.take("w0", LedgerBatch(1, sums, 0))
    state.history.observe(time.monotonic() - 1, state.links.totals.values())
    return sampled.differences[0].id


@pytest.mark.parametrize("path", [path for path in GETS if path.startswith("/api/")])
async def test_what_the_api_sends_is_all_in_the_documents(admin: Admin, path: str) -> None:
    """Each key of a response is a field of its struct, in the same order."""
    text = await admin.get(path)
    template = re.sub(r"/(routes|rollouts)/\w+", r"/\1/{route}", path.partition("?")[0])
    template = re.sub(r"/diffs/\w+", "/diffs/{id}", template)
    (kind,) = (
        operation.response for operation in OPERATIONS if (operation.method, operation.path) == ("GET", template)
    )
    assert not isinstance(kind, str)
    is_refused = path in ("/api/diffs/none", "/api/diffs?severity=x", "/api/rollouts/orders")
    found = msgspec.json.decode(text, type=ProblemDocument if is_refused else kind)
    assert msgspec.json.encode(found).decode() + "\n" == text


async def test_every_document_is_what_it_was(admin: Admin) -> None:
    url = str(admin.client.make_url("/")).rstrip("/")
    found: dict[str, Any] = {}

    async def run(commands: list[str], *, is_live: bool) -> None:
        for command in commands:
            where = ["--admin", url] if is_live and not command.startswith("explain") else []
            name = "proxy" if is_live else "stored"
            found[f"{name}: {command}"] = document(await admin.run(command, *where))

    for path in GETS:
        found[f"GET {path}"] = document(await admin.get(path))
    await run(STORED[:-2], is_live=False)
    await run(COMMANDS[:-2], is_live=True)
    for number, (path, body) in enumerate(POSTS):
        found[f"POST {number} {path}"] = document(await admin.post(path, body))
    await run(COMMANDS[-2:], is_live=True)
    await run(STORED[-2:], is_live=False)
    text = json.dumps(found, indent=1, ensure_ascii=False) + "\n"
    if not GOLDEN.exists():
        GOLDEN.write_text(text)
        pytest.fail(f"{GOLDEN} was missing and is written; look at it, and keep it if it is right")
    assert text == GOLDEN.read_text()
