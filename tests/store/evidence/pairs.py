"""Captures, answers and findings for tests."""

from typing import Any

import msgspec

from strangler.comparing.digest import Pair, digest, endpoint_of
from strangler.core.compare import NO_RULES, CompareRules, Comparison, EndpointNames, Redactor, Response, compare
from strangler.core.documents import SignatureRow
from strangler.core.source import Source
from strangler.ipc.messages import Captured, CapturedResponse
from strangler.store.evidence.findings import Finding, Noisy, StoredDifference
from strangler.store.evidence.index import IndexState
from strangler.times import utc_day

KEY = b"k" * 32
NOON = 1_795_435_200.0  # 2026-11-23 12:00 UTC


def json_response(value: Any, status: int = 200, headers: tuple[tuple[bytes, bytes], ...] = ()) -> Response:
    return Response(
        status, [(b"Content-Type", b"application/json"), *headers], msgspec.json.encode(value), duration_s=0.01
    )


def captured(
    target: bytes = b"/api/orders/7",
    lines: bytes = b"Host: shop\r\n",
    body: bytes = b"",
    arm: str = "legacy",
    at: float = NOON,
    **more: Any,
) -> Captured:
    given: dict[str, Any] = {
        "route": "orders",
        "at": at,
        "method": b"GET",
        "target": target,
        "host": b"shop",
        "lines": lines,
        "body": body,
        "is_body_complete": True,
        "request_id": b"r-1",
        "traceparent": b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "arm": arm,
        "upstream": arm if arm == "legacy" else "orders",
        "url": "http://127.0.0.1:8000",
        "response": CapturedResponse(200, b"", b"", None, 0.01, 0, False, False),
        "failed": None,
    }
    return Captured(**(given | more))


def finding_of(
    legacy: Response,
    candidate: Response,
    request: Captured | None = None,
    index: IndexState | None = None,
    redactor: Redactor | None = None,
    rules: CompareRules = NO_RULES,
    baseline: Comparison | None = None,
    source: Source = "live",
) -> Finding:
    """As control makes it of two answers."""
    request = request or captured()
    comparison = compare(legacy, candidate, rules, utc_day())
    pair, redactor = Pair(request, legacy, candidate, "orders"), redactor or Redactor.of(KEY, [])
    endpoint = endpoint_of(request, EndpointNames(hide=redactor.shape))
    return digest(pair, endpoint, comparison, baseline, None, redactor, index or IndexState(), source=source)


def seen(
    name: str = "a" * 16, path: str | None = "$.price", kind: str = "type", severity: str = "breaking"
) -> StoredDifference:
    return StoredDifference(name, "body", path, kind, severity, "1", "2")


def mismatch(
    *differences: StoredDifference, at: float = NOON, endpoint: str = "GET /api/orders/{}", **more: Any
) -> Finding:
    return Finding("01", at, "orders", endpoint, "mismatch", "", differences or (seen(),), **more)


def match(at: float = NOON, endpoint: str = "GET /api/orders/{}", **more: Any) -> Finding:
    return Finding("01", at, "orders", endpoint, "match", "", **more)


def accepted(
    *differences: StoredDifference, at: float = NOON, endpoint: str = "GET /api/orders/{}", **more: Any
) -> Finding:
    return Finding("01", at, "orders", endpoint, "accepted", "", accepted=differences, **more)


def noisy(path: str = "$.at", kind: str = "value", shape: str = "timestamp") -> Noisy:
    return Noisy("body", path, kind, shape)


def sample(request_id: str = "r-1") -> bytes:
    """A sample as the store keeps it, of a pair that differs."""
    lines = captured(request_id=request_id.encode())
    made = finding_of(json_response({"price": 1}), json_response({"price": "1"}), lines).sample
    assert made is not None
    return made


def signature_row(**more: Any) -> SignatureRow:
    """A row of the inbox."""
    given: dict[str, Any] = {
        "id": "a" * 16,
        "route": "orders",
        "release": None,
        "endpoint": "GET /api/orders/{}",
        "in_": "body",
        "path": "$.price",
        "kind": "value",
        "severity": "breaking",
        "count": 1,
        "accepted": 0,
        "first_seen": NOON,
        "last_seen": NOON,
        "state": "new",
        "state_since": NOON,
        "owner": None,
        "why": None,
        "until": None,
        "legacy": 1,
        "candidate": 2,
        "share": None,
        "is_noise": False,
    }
    return SignatureRow(**(given | more))
