"""Every end of a request of a route with a rollout, by real sockets: whether it counts, at which arm, and as what."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from strangler.core.retire_settings import RetireSettings
from strangler.core.rollout_settings import RolloutSettings
from strangler.core.settings import AggregatePart, BulkheadSettings, Settings
from tests.factories import breaker, upstream
from tests.http1.scripted import (
    Connection,
    Script,
    ScriptedUpstream,
    close,
    half_close,
    hang,
    in_turn,
    read_head,
    read_request,
    reset,
    responding,
    send,
)
from tests.worker.conftest import Serve
from tests.worker.plane import RunningPlane, at, fallback, request, response, retry, timeouts, two_arms
from tests.worker.rollout_counted import by_arm

NOTHING: dict[str, tuple[int, int]] = {}
SERVED = {"candidate": (1, 0)}
FAILED = {"candidate": (1, 1)}
LEGACY_SERVED = {"legacy": (1, 0)}
LEGACY_FAILED = {"legacy": (1, 1)}

POST = request("/api", method="POST", body=b"x")
UPLOAD = request("/api", "Transfer-Encoding: chunked", method="POST")
UPGRADE = request("/api", "Connection: Upgrade", "Upgrade: raw")
SWITCH = b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\nhello"
EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
PART = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
JSON = response(200, b"{}", "Content-Type: application/json")
DEAD = in_turn(read_request(), reset())
SILENT = in_turn(read_request(), hang())


@dataclass
class Scene:
    """A running worker with its two arms."""

    running: RunningPlane
    legacy: ScriptedUpstream
    candidate: ScriptedUpstream

    async def is_read_by(self, arm: ScriptedUpstream) -> None:
        """Wait until an arm has the head of its first request."""
        connection = await arm.wait_for_connection()
        await self.running.until(lambda: b"\r\n\r\n" in connection.received)

    async def settles(self) -> None:
        """Wait until no request is under way, but for endless ones."""
        running = self.running
        endless = [each.admission.bulkhead for each in running.upstreams]
        await running.until(lambda: len(running.port.active) <= sum(each.streams for each in endless))


Deed = Callable[[Scene], Awaitable[None]]


@dataclass
class Case:
    """The deeds of the arms and the client, the settings, and the requests and failures that are counted, by arm."""

    expected: dict[str, tuple[int, int]]
    does: Deed
    candidate: Script | None = None
    legacy: Script | None = None
    percent: float = 100
    changes: Mapping[str, Any] = field(default_factory=dict)


def asks(*requests: bytes, status: int | None = None) -> Deed:
    """One request after the other; the last gets that status."""

    async def deed(scene: Scene) -> None:
        for each in requests:
            reply = await scene.running.ask(each)
        assert status in (None, reply.status)

    return deed


def leaves(sent: bytes = b"", received: bytes = b"", arm: str = "candidate") -> Deed:
    """A client that leaves once the arm has read its request, and it has received so much."""

    async def deed(scene: Scene) -> None:
        client = await scene.running.client()
        await client.send(sent or request())
        await scene.is_read_by(getattr(scene, arm))
        await client.wait_for(lambda: client.received.endswith(received))
        client.reset()

    return deed


def sends(*pieces: bytes, status: int) -> Deed:
    """A client that sends its request in pieces, each once the arm has what came before, and reads the response."""

    async def deed(scene: Scene) -> None:
        client = await scene.running.client()
        await client.send(pieces[0])
        for piece in pieces[1:]:
            await scene.is_read_by(scene.candidate)
            await client.send(piece)
        assert (await client.response(b"POST")).status == status

    return deed


def begins(opening: bytes) -> Deed:
    """A client that has the beginning of an endless response, and stays."""

    async def deed(scene: Scene) -> None:
        client = await scene.running.client()
        await client.send(opening)
        await client.wait_for(lambda: b"hello" in client.received)

    return deed


async def reads_to_the_end(scene: Scene) -> None:
    client = await scene.running.client()
    await client.send(request())
    await client.ended()


async def spoils_its_upload_after_the_head(scene: Scene) -> None:
    client = await scene.running.client()
    await client.send(UPLOAD)
    await client.wait_for(lambda: b"hello" in client.received)
    await client.send(b"no size\r\n")
    await client.ended()


async def is_refused_by_a_full_bulkhead(scene: Scene) -> None:
    waiting = await scene.running.client()
    await waiting.send(request())
    await scene.running.until(lambda: scene.legacy.requests or scene.candidate.requests)
    assert (await scene.running.ask(request())).status == 503
    waiting.reset()


async def is_one_stream_too_many(scene: Scene) -> None:
    await begins(request())(scene)
    assert (await scene.running.ask(request())).status == 503


async def is_under_way_when_the_switch_is_turned(scene: Scene) -> None:
    client = await scene.running.client()
    await client.send(request())
    connection = await scene.candidate.wait_for_connection()
    await scene.running.until(lambda: scene.candidate.requests)
    scene.running.policies.is_killed = True
    await connection.send(response())
    assert (await client.response()).status == 200
    assert (await scene.running.ask(request())).body == b"legacy"


def replies(*responses: bytes) -> Script:
    """An arm that reads one request on each connection, and sends these one after the other, whole."""
    left = list(responses)

    async def script(connection: Connection) -> None:
        await connection.read_request()
        await connection.send(left.pop(0))
        connection.close()

    return script


def status(code: int) -> Script:
    return responding(send(response(code, b"")))


ONE_PLACE = {"bulkhead": BulkheadSettings(1, 0, 0.0, streams=1)}
SHORT = {"timeouts": timeouts(response_s=0.1, idle_s=0.1)}
FALLBACK = {"fallback": fallback()}
NONE_AT_ALL = {"fallback": None}


def parts(*, is_required: bool) -> dict[str, Any]:
    second = AggregatePart("second", "legacy", "/second", is_required, None)
    return {"aggregate": (AggregatePart("first", "orders", "/first", True, None), second)}


CASES = {
    # the candidate responds
    "a response": Case(SERVED, asks(request(), status=200)),
    "a redirect": Case(SERVED, asks(request(), status=302), status(302)),
    "a 404 is a response": Case(SERVED, asks(request(), status=404), status(404)),
    "HEAD": Case(SERVED, asks(request(method="HEAD"), status=200)),
    "behind hints": Case(SERVED, asks(request(), status=200), responding(send(HINTS), send(response()))),
    "an upload": Case(SERVED, asks(POST, status=200)),
    "two requests": Case({"candidate": (2, 0)}, asks(request(), request())),
    # it does not
    "a 500": Case(FAILED, asks(request(), status=500), status(500)),
    "a 503 without fallback": Case(FAILED, asks(request(), status=503), status(503), changes=NONE_AT_ALL),
    "a dead connection": Case(FAILED, asks(POST, status=502), DEAD),
    "no response in time": Case(FAILED, asks(POST, status=504), SILENT, changes=SHORT),
    "not HTTP": Case(FAILED, asks(request(), status=502), replies(b"nonsense\r\n\r\n"), changes=NONE_AT_ALL),
    "a response cut short": Case(FAILED, reads_to_the_end, in_turn(read_request(), send(PART), close())),
    "hints and no more": Case(
        FAILED, asks(POST, status=502), in_turn(read_request(), send(HINTS), close())
    ),
    # legacy stands in
    "legacy instead of a 503": Case(FAILED, asks(request(), status=200), status(503), changes=FALLBACK),
    "legacy instead of a dead connection": Case(FAILED, asks(request(), status=200), DEAD, changes=FALLBACK),
    "legacy instead of silence": Case(FAILED, asks(request(), status=200), SILENT, changes=FALLBACK | SHORT),
    "legacy fails as well": Case(FAILED, asks(request(), status=500), status(503), status(500), changes=FALLBACK),
    "legacy must not stand in": Case(FAILED, asks(POST, status=503), status(503), changes=FALLBACK),
    "legacy streams instead": Case(
        FAILED, begins(request()), status(503), in_turn(read_request(), send(EVENTS)), changes=FALLBACK
    ),
    # what is asked more than once counts once
    "a retry that helps": Case(
        SERVED, asks(request(), status=200), replies(response(503), response()), changes={"retry": retry()}
    ),
    "a retry that does not": Case(
        FAILED, asks(request(), status=503), status(503), changes={"retry": retry()} | NONE_AT_ALL
    ),
    "a retry, then legacy": Case(
        FAILED, asks(request(), status=200), status(503), changes={"retry": retry()} | FALLBACK
    ),
    # no attempt is made
    "the breaker is open": Case(
        {"candidate": (2, 2)}, asks(POST, POST, status=503), status(500), changes={"breaker": breaker()} | NONE_AT_ALL
    ),
    "the breaker is open, and legacy stands in": Case(
        {"candidate": (2, 2)}, asks(POST, request(), status=200), status(500), changes={"breaker": breaker()} | FALLBACK
    ),
    "the bulkhead is full": Case(FAILED, is_refused_by_a_full_bulkhead, SILENT, changes=ONE_PLACE | NONE_AT_ALL),
    # the client
    "left before the head": Case(NOTHING, leaves(), SILENT),
    "left behind hints": Case(NOTHING, leaves(received=b"</a>\r\n\r\n"), in_turn(read_request(), send(HINTS), hang())),
    "left in the upload": Case(NOTHING, leaves(UPLOAD), in_turn(read_head(), hang())),
    "left in the response": Case(SERVED, leaves(received=b"hello"), in_turn(read_request(), send(PART), hang())),
    "left while a retry was under way": Case(
        NOTHING, leaves(), in_turn(read_request(), send(response(503))), changes={"retry": retry(backoff_s=30.0)}
    ),
    "left while legacy stood in": Case(FAILED, leaves(arm="legacy"), status(503), SILENT, changes=FALLBACK),
    "an upload that says it is too large": Case(
        NOTHING, asks(POST, status=413), changes={"limits": {"request_body_bytes": 0}}
    ),
    "an upload that turns out too large": Case(
        NOTHING,
        sends(UPLOAD, b"5\r\nhello\r\n", status=413),
        in_turn(read_head(), hang()),
        changes={"limits": {"request_body_bytes": 4}},
    ),
    "an upload that breaks its framing": Case(
        NOTHING, sends(UPLOAD, b"no size\r\n", status=400), in_turn(read_head(), hang())
    ),
    "an upload that stalls": Case(NOTHING, sends(UPLOAD, status=408), in_turn(read_head(), hang()), changes=SHORT),
    "an upload that breaks its framing behind the head": Case(
        SERVED, spoils_its_upload_after_the_head, in_turn(read_head(), send(PART), hang())
    ),
    "a head that is no HTTP": Case(NOTHING, asks(b"nonsense\r\n\r\n", status=400)),
    # endless responses count when they begin
    "a tunnel": Case(SERVED, begins(UPGRADE), in_turn(read_request(), send(SWITCH))),
    "a tunnel that has ended": Case(
        SERVED, leaves(UPGRADE, b"hello"), in_turn(read_request(), send(SWITCH), half_close())
    ),
    "an event stream": Case(SERVED, begins(request()), in_turn(read_request(), send(EVENTS))),
    "an event stream that has ended": Case(
        SERVED, leaves(received=b"hello\r\n"), in_turn(read_request(), send(EVENTS))
    ),
    "one stream too many": Case(
        {"candidate": (2, 1)}, is_one_stream_too_many, in_turn(read_request(), send(EVENTS)), changes=ONE_PLACE
    ),
    # an aggregate is one request
    "all parts": Case(
        SERVED, asks(request(), status=200), replies(JSON), replies(JSON), changes=parts(is_required=True)
    ),
    "an optional part is missing": Case(
        SERVED, asks(request(), status=200), replies(JSON), DEAD, changes=parts(is_required=False)
    ),
    "a required part is missing": Case(
        FAILED, asks(request(), status=502), replies(JSON), DEAD, changes=parts(is_required=True) | NONE_AT_ALL
    ),
    "a required part has no such thing": Case(
        FAILED, asks(request(), status=502), status(404), replies(JSON), changes=parts(is_required=True) | NONE_AT_ALL
    ),
    "legacy instead of an aggregate": Case(
        FAILED, asks(request(), status=200), DEAD, changes=parts(is_required=True) | FALLBACK
    ),
    "left before all parts": Case(NOTHING, leaves(), SILENT, replies(JSON), changes=parts(is_required=True)),
    # legacy
    "legacy's response": Case(LEGACY_SERVED, asks(request(), status=200), percent=0),
    "legacy's 404": Case(LEGACY_SERVED, asks(request(), status=404), legacy=status(404), percent=0),
    "legacy's 503": Case(LEGACY_FAILED, asks(request(), status=503), legacy=status(503), percent=0, changes=FALLBACK),
    "legacy's dead connection": Case(LEGACY_FAILED, asks(POST, status=502), legacy=DEAD, percent=0),
    "legacy's response cut short": Case(
        LEGACY_FAILED, reads_to_the_end, legacy=in_turn(read_request(), send(PART), close()),
        percent=0,
    ),
    "legacy's bulkhead": Case(
        LEGACY_FAILED, is_refused_by_a_full_bulkhead, legacy=SILENT, percent=0, changes=ONE_PLACE
    ),
    "legacy's event stream": Case(
        LEGACY_SERVED, begins(request()), legacy=in_turn(read_request(), send(EVENTS)), percent=0
    ),
    "left before legacy's head": Case(NOTHING, leaves(arm="legacy"), legacy=SILENT, percent=0),
    # the split did not decide
    "the caller chose the candidate": Case(
        NOTHING, asks(request("/api", "X-Arm: candidate"), status=200), changes={"override": "X-Arm"}
    ),
    "the caller chose legacy": Case(
        NOTHING, asks(request("/api", "X-Arm: legacy"), status=200), changes={"override": "X-Arm"}
    ),
    "a header chose the candidate": Case(
        NOTHING, asks(request("/api", "X-Beta: 1"), status=200), percent=0, changes={"split_headers": {"X-Beta": "1"}}
    ),
    "the kill switch is turned on": Case(
        SERVED, is_under_way_when_the_switch_is_turned, in_turn(read_request(), hang())
    ),
    "the route is disabled": Case(NOTHING, asks(request(), status=200), changes={"enabled": False}),
    "the route has ended": Case(
        NOTHING, asks(request(), status=410), changes={"retire": RetireSettings(1, 0, None, 410, ())}
    ),
    "another path": Case(NOTHING, asks(request("/other"), status=200)),
    "a path of no single meaning": Case(NOTHING, asks(request("/api/%2e%2e/a"), status=200)),
    "no rollout": Case(NOTHING, asks(request(), status=200), changes={"rollout": None}),
}  # fmt: skip


def settings_of(case: Case, legacy: ScriptedUpstream, candidate: ScriptedUpstream) -> Settings:
    changes: dict[str, Any] = {"rollout": RolloutSettings(), "percent": case.percent, **case.changes}
    same = {"bulkhead": changes["bulkhead"]} if "bulkhead" in changes else {}
    made = two_arms(upstream("legacy", at(legacy), **same), candidate, **changes)
    if "aggregate" in changes:
        made = replace(made, routes=(replace(made.routes[0], candidate=None),))
    return made


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_an_end_counts_as(
    case: Case, serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    candidate.script = case.candidate or candidate.script
    legacy.script = case.legacy or legacy.script
    running = await serve(settings_of(case, legacy, candidate))
    scene = Scene(running, legacy, candidate)
    await case.does(scene)
    await scene.settles()
    assert by_arm(running.context.rollouts.finish()) == case.expected
