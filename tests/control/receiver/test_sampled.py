"""Requests that our own Envoy mirrors, over a real unix socket: it names route and arm, and has sampled already."""

import socket
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from strangler.control.own_metrics import OwnMetrics
from strangler.control.receiver.receiving import Receiving
from strangler.control.receiver.server import ReceiverServer
from strangler.control.reload import InForce
from strangler.control.totals import TotalsState
from strangler.core.retire_settings import RetireSettings
from strangler.core.routing.snapshot import Snapshot
from strangler.core.settings import RouteSettings, Settings
from strangler.ipc.messages import Captured, encode_settings
from strangler.state.kill_switch import OFF, KilledRoute, KillSwitchState
from tests.control.receiver.running_receiver import KeptComparisons, RunningReceiver, listener_at
from tests.factories import route, settings, shadow, upstream
from tests.worker.plane import Visitor

LINE = b"GET /api/orders/7?a=b HTTP/1.1"
LEGACY = (b"x-strangler-route: orders", b"x-strangler-arm: legacy")
HOPS = b"x-forwarded-for: 192.0.2.7,172.17.0.2"


def request(
    line: bytes = LINE, *fields: bytes, names: tuple[bytes, ...] = LEGACY, host: bytes = b"shop", body: bytes = b""
) -> bytes:
    """A request as Envoy mirrors it."""
    lines = (line, b"host: " + host, HOPS, b"x-envoy-internal: true", b"x-envoy-attempt-count: 1", *names, *fields)
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def of(*routes: RouteSettings, **changes: Any) -> Settings:
    """Settings without `receiver`, by default with one shadowed route."""
    shadowed = route("orders", prefix="/api/orders", shadow=shadow(100))
    made = settings(list(routes) or [shadowed], [upstream("legacy"), upstream("orders")])
    return replace(made, **changes)


def lines_of(captured: Captured) -> list[bytes]:
    return captured.lines.split(b"\r\n")[:-1]


@pytest.mark.parametrize("arm", ["legacy", "candidate"])
async def test_it_is_compared_by_the_route_and_the_arm_that_envoy_names(arm: str) -> None:
    async with RunningReceiver(of()) as on:
        names = (b"x-strangler-route: orders", b"x-strangler-arm: " + arm.encode())
        message = await (await on.connect_as_envoy()).ask(request(names=names))
        assert (message.status, message.body) == (204, b"")
        (captured,) = on.comparisons.taken
        assert (captured.route, captured.arm, captured.target) == ("orders", arm, b"/api/orders/7?a=b")
        assert on.counts() == {"compared": 1}


async def test_the_arms_get_what_envoy_forwards_and_nothing_that_it_adds_for_the_mirror() -> None:
    async with RunningReceiver(of()) as on:
        sent = request(LINE, b"x-a: 1", b"via: 1.1 strangler", b"x-request-id: id", b"x-forwarded-proto: https")
        await (await on.connect_as_envoy()).ask(sent)
        (captured,) = on.comparisons.taken
        assert lines_of(captured)[:-2] == [
            b"host: shop",
            b"x-a: 1",
            b"via: 1.1 strangler",
            b"x-request-id: id",
            b"x-forwarded-proto: https",
        ]
        assert lines_of(captured)[-2] == b"X-Forwarded-For: 192.0.2.7"
        assert lines_of(captured)[-1].startswith(b"traceparent: 00-"), "made here, since none came"
        assert (captured.host, captured.request_id, captured.is_from_trusted) == (b"shop", b"id", False)


async def test_a_host_that_really_ends_so_is_kept() -> None:
    async with RunningReceiver(of()) as on:
        await (await on.connect_as_envoy()).ask(request(host=b"blue-shadow"))
        (captured,) = on.comparisons.taken
        assert (captured.host, lines_of(captured)[0]) == (b"blue-shadow", b"host: blue-shadow")


@pytest.mark.parametrize(
    ("hops", "passed", "is_trusted"),
    [
        (b"203.0.113.9, 10.0.0.7,172.17.0.2", b"203.0.113.9, 10.0.0.7", True),
        (b"10.0.0.7, 203.0.113.9,172.17.0.2", b"10.0.0.7, 203.0.113.9", False),
        (b"10.0.0.7,10.0.0.8", b"10.0.0.7", True),
        (b"172.17.0.2", None, False),
    ],
)
async def test_the_hop_of_the_mirror_is_taken_off(hops: bytes, passed: bytes | None, is_trusted: bool) -> None:
    async with RunningReceiver(of(trusted_proxies=("10.0.0.0/8", "127.0.0.1"))) as on:
        await (await on.connect_as_envoy()).ask(request().replace(HOPS, b"x-forwarded-for: " + hops))
        (captured,) = on.comparisons.taken
        found = [line for line in lines_of(captured) if line.lower().startswith(b"x-forwarded-for")]
        assert found == ([] if passed is None else [b"X-Forwarded-For: " + passed])
        assert captured.is_from_trusted is is_trusted


async def test_no_chance_is_applied_again_and_no_route_is_looked_up() -> None:
    elsewhere = route("orders", prefix="/elsewhere", percent=0, shadow=shadow(0.01, of="candidate"))
    async with RunningReceiver(of(elsewhere, route("any", prefix="/api", shadow=shadow(100)))) as on:
        visitor = await on.connect_as_envoy()
        for _ in range(50):
            assert (await visitor.ask(request())).status == 204
        assert on.counts() == {"compared": 50}
        assert {captured.route for captured in on.comparisons.taken} == {"orders"}


def orders(**changes: Any) -> tuple[RouteSettings, ...]:
    return (route("orders", prefix="/api/orders", **{"shadow": shadow(100), **changes}),)


RETIRED = RetireSettings(sunset=1_000_000_000, since=900_000_000, link=None, status=410, brownouts=())
DROPPED = [
    ("no route named", request(names=LEGACY[1:]), "unmatched", ()),
    ("no arm named", request(names=LEGACY[:1]), "unmatched", ()),
    ("an unknown route", request(names=(b"x-strangler-route: other", LEGACY[1])), "unmatched", ()),
    ("an unknown arm", request(names=(LEGACY[0], b"x-strangler-arm: both")), "unmatched", ()),
    ("a route named twice", request(LINE, LEGACY[0]), "unmatched", ()),
    ("a disabled route", request(), "unmatched", orders(enabled=False)),
    ("a retired route", request(), "unmatched", orders(retire=RETIRED)),
    ("a passthrough route", request(), "unmatched", orders(is_passthrough=True)),
    ("a route without shadow", request(), "unmatched", orders(shadow=None)),
    ("a route for other proxies' mirrors", request(), "unmatched", orders(shadow=shadow(100, is_only_received=True))),
    ("shadow.percent 0", request(), "unsampled", orders(shadow=shadow(0))),
    ("a method that shadow.methods lacks", request(), "unsafe", orders(shadow=shadow(100, methods=("HEAD",)))),
    ("POST", request(b"POST /api/orders HTTP/1.1", b"content-length: 3", body=b"abc"), "unsafe", ()),
    ("POST, though shadow.writes lets it", request(b"POST /api/orders HTTP/1.1", b"content-length: 0"), "unsafe",
     orders(shadow=shadow(100, methods=("POST",), writes="dry_run"))),
    ("a read that overrides its method", request(LINE, b"x-http-method-override: DELETE"), "unsafe", ()),
    ("a shadow", request(LINE, b"x-strangler-shadow: 1"), "shadow", ()),
]  # fmt: skip


@pytest.mark.parametrize(
    ("sent", "result", "routes"), [case[1:] for case in DROPPED], ids=[case[0] for case in DROPPED]
)
async def test_what_is_not_compared_gets_204_too(sent: bytes, result: str, routes: tuple[RouteSettings, ...]) -> None:
    async with RunningReceiver(of(*routes)) as on:
        visitor = await on.connect_as_envoy()
        assert (await visitor.ask(sent)).status == 204
        await on.counted(**{result: 1})
        assert on.comparisons.taken == []
        assert (await visitor.ask(request())).status == 204, "the connection goes on"


async def test_nothing_that_follows_an_upgrade_is_read() -> None:
    """Bytes of a tunnel are the client's own: they must not pass for a request that Envoy has made."""
    async with RunningReceiver(of()) as on:
        visitor = await on.connect_as_envoy()
        await visitor.send(request(LINE, b"connection: Upgrade", b"upgrade: websocket") + request())
        message = await visitor.response()
        assert (message.status, message.values(b"connection")) == (204, [b"close"])
        assert await visitor.ended() in ("eof", "reset")
        assert visitor.received.count(b"HTTP/1.1 ") == 1
        assert (on.counts(), on.comparisons.taken) == ({"unsafe": 1}, [])


@pytest.mark.parametrize("body", [b"", b"hello"], ids=["awaiting 100", "sent at once"])
async def test_what_expects_100_is_dropped(body: bytes) -> None:
    async with RunningReceiver(of()) as on:
        visitor = await on.connect_as_envoy()
        assert (
            await visitor.ask(request(LINE, b"expect: 100-continue", b"content-length: 5", body=body))
        ).status == 204
        await on.counted(dropped=1)
        assert on.comparisons.taken == []


async def test_the_kill_switch_is_respected() -> None:
    async with RunningReceiver(of()) as on:
        visitor = await on.connect_as_envoy()
        on.kill_switch = KillSwitchState(True, "", None)
        await visitor.ask(request())
        on.kill_switch = KillSwitchState(False, "", None, {"orders": KilledRoute("", "")})
        await visitor.ask(request())
        on.kill_switch = OFF
        await visitor.ask(request())
        assert on.counts() == {"unmatched": 2, "compared": 1}


async def test_bodies_are_compared_and_those_too_large_dropped() -> None:
    async with RunningReceiver(of()) as on:
        visitor = await on.connect_as_envoy()
        await visitor.ask(request(LINE, b"transfer-encoding: chunked", body=b"5\r\nhello\r\n0\r\n\r\n"))
        await visitor.ask(request(LINE, b"content-length: 262145", body=b"x" * 262145))
        await on.counted(compared=1, dropped=1)
        assert on.comparisons.taken[0].body == b"hello"
        assert on.comparisons.dropped == [("orders", "too_large")]


async def test_a_head_may_be_longer_than_a_client_s_by_what_envoy_adds() -> None:
    wanted = of()
    long = b"x: " + b"a" * (wanted.limits.header_bytes - 60)
    async with RunningReceiver(wanted) as on:
        assert (await (await on.connect_as_envoy()).ask(request(LINE, long))).status == 204
        assert on.counts() == {"compared": 1}


async def test_at_the_other_socket_the_names_mean_nothing_and_pass() -> None:
    async with RunningReceiver(of(route("any", prefix="/api", shadow=shadow(100)))) as on:
        visitor = await on.connect()
        await visitor.ask(request())
        (captured,) = on.comparisons.taken
        assert (captured.route, captured.arm) == ("any", "")
        assert {*LEGACY, b"x-envoy-internal: true"} <= set(lines_of(captured))


async def test_new_settings_are_followed_at_both_sockets() -> None:
    async with RunningReceiver(of()) as on:
        visitor = await on.connect_as_envoy()
        other = of(*orders(shadow=shadow(0)), trusted_proxies=("192.0.2.7",))
        on.server.adopt(InForce(other, encode_settings(other), 2, "2026-11-23T08:00:00.000Z"))
        while "unsampled" not in on.counts():
            assert (await visitor.ask(request())).status == 204
        again = of(trusted_proxies=("192.0.2.7",))
        on.server.adopt(InForce(again, encode_settings(again), 3, "2026-11-23T08:00:00.000Z"))
        on.comparisons.taken.clear()
        while not on.comparisons.taken:
            assert (await visitor.ask(request())).status == 204
        assert on.comparisons.taken[0].is_from_trusted


async def test_without_a_receiver_for_others_the_socket_of_envoy_works() -> None:
    comparisons, own = KeptComparisons(), OwnMetrics(TotalsState(), "own")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "receiver.sock"
        server = ReceiverServer(of(), Receiving(Snapshot(of(), 1), comparisons, lambda: OFF, own), own)
        server.start([], listener_at(path))
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(str(path))
        sock.setblocking(False)
        visitor = Visitor(sock)
        assert (await visitor.ask(request())).status == 204
        assert len(comparisons.taken) == 1
        await server.close(is_last=True)
        assert await visitor.ended() in ("eof", "reset")
        await visitor.close()
