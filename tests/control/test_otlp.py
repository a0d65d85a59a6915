"""Spans of attempts: the server that an upstream's URL stands for."""

import pytest

from strangler.control.otlp import request_spans
from strangler.ipc.messages import AttemptSpan, Spans


@pytest.mark.parametrize(
    ("url", "full", "address", "port"),
    [
        ("http://orders:8001", "http://orders:8001/api", "orders", 8001),
        ("https://orders/base", "https://orders/base/api", "orders", 443),
        ("unix:/run/a b.sock", "http+unix://%2Frun%2Fa%20b.sock/api", "/run/a b.sock", None),
        ("http+unix://%2Frun%2Fa.sock/base", "http+unix://%2Frun%2Fa.sock/base/api", "/run/a.sock", None),
        ("", None, None, None),
    ],
)
def test_an_attempt_names_the_server(url: str, full: str | None, address: str | None, port: int | None) -> None:
    attempt = AttemptSpan(b"1" * 16, "orders", url, "candidate", 1.0, 0.1, 200, None)
    spans = Spans(
        b"1" * 32, b"1" * 16, b"", b"", 1.0, 0.1, b"GET", b"/api", b"shop", b"192.0.2.1", b"1.1", b"id", "orders",
        "candidate", "orders", "percent", 200, None, False, [attempt],
    )  # fmt: skip
    attributes = request_spans(spans, None)[1].attributes or {}
    found = tuple(attributes.get(name) for name in ("url.full", "server.address", "server.port"))
    assert found == (full, address, port)
