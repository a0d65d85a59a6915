"""A request gets what `explain` says: random settings and requests, on a real plane."""

import random
from dataclasses import replace
from typing import Any

import pytest

from strangler.core import settings as s
from strangler.core.documents import Explanation
from strangler.core.routing.explain import explain
from strangler.core.routing.snapshot import Snapshot
from strangler.http1.request_text import DescriptionError, described_head
from tests.factories import route, settings, shadow, upstream
from tests.http1.scripted import ScriptedUpstream
from tests.worker.plane import RunningPlane, at, timeouts

PEER = "127.0.0.1"
REQUESTS = 60
SEGMENTS = ("a", "b", "users", "7", "x%20y", "..", ".", "", "%2e%2e", ";v", "%2f", "%zz", "\\", "é", "a%00")
STICKY = ("client_ip", "header:x-user-id", "cookie:sid")
VALUES = ("1", "2", "legacy", "candidate", "9", " 9", "\u00a09", "é")
ADDRESSES = ("203.0.113.7", "10.0.0.7", "::ffff:203.0.113.8", "2001:db8::1", "2001:db8::2", "unknown", "127.0.0.1")

Header = tuple[str, str]


def some_route(rng: random.Random, name: str) -> s.RouteSettings:
    """A route that requests of `some_request` meet often."""
    words = rng.choices(("a", "b", "users"), k=rng.randrange(1, 3))
    path = "/" + "/".join(words)
    is_exact = rng.random() < 0.3
    made = route(
        name,
        prefix=None if is_exact else path,
        path=f"{path}/{{id}}" if is_exact else None,
        percent=rng.choice((0, 0.5, 30, 50, 70, 100)),
        methods=rng.choice(((), (), ("GET",), ("GET", "POST"))),
        host=rng.choice((None, None, None, "shop.example")),
        headers=rng.choice((None, None, None, {"X-Tenant": "1"})),
        query=rng.choice((None, None, None, {"v": "2"})),
        split_headers=rng.choice((None, None, {"X-Beta": "1"})),
        override=rng.choice((None, None, "X-Arm")),
        sticky=rng.choice((STICKY[:1], rng.sample(STICKY, rng.randrange(4)))),
        group=rng.choice((None, "together")),
        rewrite=None if is_exact else rng.choice((None, None, "/v2", "/")),
        shadow=rng.choice((None, shadow(50))),
        fallback=None,
    )
    return replace(made, enabled=rng.random() < 0.9)


def some_settings(rng: random.Random, legacy: ScriptedUpstream, orders: ScriptedUpstream) -> s.Settings:
    base = rng.choice(("", "/base"))
    return settings(
        [some_route(rng, f"r{number}") for number in range(rng.randrange(1, 6))],
        upstreams=[
            upstream("legacy", at(legacy), timeouts=timeouts()),
            upstream("orders", at(orders, path=base), timeouts=timeouts()),
        ],
        trusted_proxies=rng.choice(((), ("127.0.0.0/8",), ("127.0.0.1", "10.0.0.0/8"), ("10.0.0.0/8",))),
        ambiguous_paths=rng.choice(("legacy", "reject")),
    )


def some_request(rng: random.Random) -> tuple[str, str, list[Header]]:
    """Method, target and headers, Host among them."""
    segments = rng.choices(SEGMENTS[:5] if rng.random() < 0.6 else SEGMENTS, k=rng.randrange(1, 4))
    target = "/" + "/".join(segments) + rng.choice(("", "", "?v=2", "?w=1&v=2", "?"))
    headers = [("Host", rng.choice(("shop.example", "Shop.Example:8080", "other.example")))]
    headers += [(name, rng.choice(VALUES)) for name in ("X-User-Id", "X-Arm", "x-user-id") if rng.random() < 0.4]
    headers += [(name, rng.choice(VALUES[:2])) for name in ("X-Beta", "X-Tenant") if rng.random() < 0.4]
    if rng.random() < 0.4:
        headers.append(("Cookie", rng.choice(("sid=1", "a=b; sid=2", 'sid="3"', "sid=", "x"))))
    chains = [", ".join(rng.choices(ADDRESSES, k=rng.randrange(1, 4))) for _ in range(rng.choice((0, 0, 1, 2)))]
    headers += [("X-Forwarded-For", chain) for chain in chains]
    return rng.choice(("GET", "GET", "HEAD", "POST", "DELETE", "OPTIONS", "get")), target, headers


async def got(running: RunningPlane, method: str, target: str, headers: list[Header]) -> dict[str, Any]:
    """The access line of the request as a client sends it."""
    before = len(await running.lines(0))
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers), "Connection: close"]
    lines += ["Content-Length: 0"] if method == "POST" else []
    client = await running.client()
    await client.send("\r\n".join([*lines, "", ""]).encode())
    await client.ended()
    return (await running.lines(before + 1))[before]


def explained(
    snapshot: Snapshot,
    method: str,
    target: str,
    headers: list[Header],
    *,
    killed: bool = False,
    killed_routes: frozenset[str] = frozenset(),
) -> tuple[Explanation, str] | None:
    """Return what `strangler explain`, `/api/explain` and the dashboard say, and the client; None: it is refused."""
    try:
        head = described_head(snapshot.settings, method, target, headers, PEER)
    except DescriptionError:
        return None
    explanation = explain(snapshot, head, killed, killed_routes=killed_routes)
    return None if explanation.arm is None else (explanation, head.client_ip.decode())


@pytest.mark.parametrize("seed", range(12))
async def test_what_explain_says_is_what_a_request_gets(seed: int) -> None:
    rng, killed = random.Random(seed), seed % 4 == 3
    arms = set[str]()
    async with ScriptedUpstream() as legacy, ScriptedUpstream() as orders:
        upstreams = {"legacy": legacy, "orders": orders}
        async with RunningPlane(some_settings(rng, legacy, orders)) as running:
            running.policies.is_killed = killed
            routes = [name for name in running.policies.snapshot.routes if seed % 4 == 2 and rng.random() < 0.5]
            running.policies.killed_routes = killed_routes = frozenset(routes)
            for _ in range(REQUESTS):
                request = some_request(rng)
                snapshot = running.policies.snapshot
                found = explained(snapshot, *request, killed=killed, killed_routes=killed_routes)
                line = await got(running, *request)
                if found is None:
                    assert line["status"] in (400, 405, 501), (request, line)
                    continue
                explanation, client = found
                assert (explanation.route, explanation.reason, client) == (
                    line["route"],
                    line["reason"],
                    line["client"],
                ), request
                if explanation.reason == "chance":
                    continue
                assert (explanation.arm, explanation.upstream) == (line["arm"], line["upstream"]), (
                    request,
                    explanation,
                    line,
                )
                target = upstreams[line["upstream"]].requests[-1].target.decode()
                assert explanation.path == target.partition("?")[0], (request, explanation, line)
                arms.add(line["arm"])
    assert arms
    assert not killed or arms == {"legacy"}


async def test_both_arms_and_every_reason_are_met() -> None:
    """The requests of the test above are worth their while."""
    met = set[str]()
    async with ScriptedUpstream() as legacy, ScriptedUpstream() as orders:
        for seed in range(12):
            rng = random.Random(seed)
            snapshot = Snapshot(some_settings(rng, legacy, orders), 1)
            for _ in range(REQUESTS):
                found = explained(snapshot, *some_request(rng))
                met |= {"refused"} if found is None else {found[0].reason, str(found[0].arm)}
    assert met >= {
        "refused", "legacy", "candidate", "no_route", "ambiguous_path", "disabled", "override", "split_header",
        "percent", "chance",
    }, met  # fmt: skip
