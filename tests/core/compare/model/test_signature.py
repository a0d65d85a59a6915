"""Signatures: the ids of differences."""

from typing import Any

import pytest

from strangler.core.compare import (
    Kind,
    Response,
    Severity,
    Where,
    comparison_signature,
    signature,
    status_key,
)
from tests.core.compare.responses import compared, response, trees


def test_signature_is_stable() -> None:
    made = signature("orders", "GET", "/api/orders/{}", Where.BODY, "$.a", Kind.VALUE, Severity.VALUE)
    assert made == "73b373b9b0bb9c05"


def test_signature_hangs_on_every_part() -> None:
    parts: list[Any] = ["orders", "GET", "/api/orders/{}", Where.BODY, "$.a", Kind.VALUE, Severity.VALUE]
    others = ("carts", "HEAD", "/api/carts/{}", Where.HEADER, "$.b", Kind.TYPE, Severity.RISKY)
    changed = [[*parts[:at], other, *parts[at + 1 :]] for at, other in enumerate(others)]
    made = {signature(*each) for each in (parts, *changed)}
    assert len(made) == len(parts) + 1


@pytest.mark.parametrize(
    ("legacy", "candidate", "key"),
    [(302, 303, "302->303"), (303, 302, "303->302"), (200, 499, "200->499"), (200, 500, "5xx"), (404, 503, "5xx")],
)
def test_a_status_is_known_by_its_pair_and_a_failure_by_being_one(legacy: int, candidate: int, key: str) -> None:
    assert status_key(legacy, candidate) == key


def signature_of(legacy: Response, candidate: Response) -> str | None:
    return comparison_signature("r", "GET", "/x", compared(legacy, candidate))


def test_each_pair_of_statuses_is_a_signature_and_all_failures_are_one() -> None:
    pairs = [(200, 302), (200, 404), (302, 303), (302, 307), (404, 200)]
    assert len({signature_of(Response(number), Response(other)) for number, other in pairs}) == len(pairs)
    failures = {
        signature_of(Response(legacy), failure)
        for legacy in (200, 204, 302, 404)
        for failure in (Response(500), response({"e": 1}, status=503), Response(504, is_too_large=True))
    }
    assert len(failures) == 1
    assert signature_of(Response(200), Response(404)) not in failures


def test_comparison_has_the_signature_of_its_gravest_difference() -> None:
    comparison = trees({"a": 1, "z": 1}, {"a": 2})
    expected = signature("r", "GET", "/x", Where.BODY, "$.z", Kind.MISSING, Severity.BREAKING)
    assert comparison_signature("r", "GET", "/x", comparison) == expected
    assert comparison_signature("r", "GET", "/x", trees(1, 1)) is None
