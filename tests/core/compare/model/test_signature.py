"""Shapes of endpoints, and signatures."""

from typing import Any

import pytest

from strangler.core.compare import (
    Kind,
    Response,
    Severity,
    Where,
    comparison_signature,
    endpoint_shape,
    signature,
    status_key,
)
from tests.core.compare.responses import compared, response, trees

SHAPES = {
    "/": "/",
    "/api/orders": "/api/orders",
    "/api/orders/7": "/api/orders/{}",
    "/api/orders/7/lines/12": "/api/orders/{}/lines/{}",
    "/api/orders/7?x=1": "/api/orders/{}",
    "/api/orders/": "/api/orders/",
    "/v2/users": "/v2/users",
    "/users/6f1c2e3a-1b2c-4d5e-8f90-123456789abc": "/users/{}",
    "/users/6F1C2E3A1B2C4D5E8F90123456789ABC": "/users/{}",
    "/blobs/da39a3ee5e6b4b0d3255bfef95601890afd80709": "/blobs/{}",
    "/commits/9f2c1ab": "/commits/9f2c1ab",
    "/commits/9f2c1ab0": "/commits/{}",
    "/e/01J9ZQ4Y0M3T6V8W2X5R7K1N4P": "/e/{}",
    "/orders/ord-1234": "/orders/{}",
    "/orders/ord_77": "/orders/{}",
    "/days/2026-11-23": "/days/{}",
    "/users/ana%40example.com/cart": "/users/{}/cart",
    "/files/123.json": "/files/{}.json",
    "/files/report.json": "/files/report.json",
    "/reset/Zx81kQp0aL2mN9vB3cD4": "/reset/{}",
    "/defaced/cafe/deadbeef": "/defaced/cafe/deadbeef",
    "/products/blue-shoes-for-summer-days": "/products/blue-shoes-for-summer-days",
    "/a;v=1/b": "/a/b",
    "/caf%C3%A9": "/café",
    "/a%2Fb": "/{}",
    "/%00": "/{}",
    "/" + "a/" * 20: "/" + "a/" * 14 + "a/…",
}


@pytest.mark.parametrize(("path", "shape"), SHAPES.items())
def test_shape_folds_what_names_one_thing(path: str, shape: str) -> None:
    assert endpoint_shape(path.encode()) == shape


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
