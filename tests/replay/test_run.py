"""A recording that is sent again: what arrives, what is compared, what is left out."""

import asyncio
import itertools
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from strangler.core.listener_settings import Address, ListenerSettings
from strangler.core.replaying.given import read_given
from strangler.core.settings import AggregatePart, HeaderEdits
from strangler.recordings.recorded import RecordedBody, RecordedPair
from strangler.recordings.recording_reader import open_recording
from strangler.replay.destination import ReplayError
from strangler.replay.progress import MAX_PLACES, MAX_UNSENT, ReplayProgress, Unsent
from strangler.replay.replay_settings import ReplaySettings
from strangler.replay.replayed_finding import ReplayedFinding
from strangler.replay.run import run_replay
from strangler.store.evidence.stored_claims import FOLDED
from tests.factories import route
from tests.http1.scripted import (
    ScriptedUpstream,
    hang,
    in_turn,
    read_request,
    refused_port,
    responding,
    send,
)
from tests.recordings.made import HEADER, written
from tests.replay.rig import KEY, MAX, Replayed, by_target, lines_of, of_ports, ok, pair, replayed


async def test_a_request_goes_to_the_candidate_of_its_route_as_a_worker_sends_it(tmp_path: Path) -> None:
    async with ScriptedUpstream(responding(send(ok()))) as candidate:
        done = await replayed(tmp_path, [pair()], of_ports({"orders": candidate.port}))
    assert done.outcomes == [("match", "")]
    assert candidate.requests[0].raw.startswith(b"GET /orders/1 HTTP/1.1\r\n")
    assert lines_of(candidate.requests[0]) == [
        b"Host: shop",
        b"X-Forwarded-For: 127.0.0.1",
        b"X-Forwarded-Proto: http",
        b"X-Forwarded-Host: shop",
        b"Via: 1.1 strangler",
        b"X-Strangler-Shadow: 1",
    ]
    assert (done.progress.sent, done.progress.read, done.progress.share_read) == (1, 1, 1.0)
    assert done.kept[0].is_for_inbox
    assert done.kept[0].what == "candidate"


async def test_one_caller_has_one_connection_and_its_order(tmp_path: Path) -> None:
    pairs = [pair(b"/orders/%d" % number, caller=caller) for number in range(200) for caller in ("ann", "bob")]
    async with ScriptedUpstream(responding(send(ok()))) as candidate:
        done = await replayed(tmp_path, pairs, of_ports({"orders": candidate.port}), callers_at_once=2)
    assert done.progress.outcomes == {"match": 400}
    assert len(candidate.connections) == 2
    for number in range(2):
        targets = [each.target for each in candidate.requests if each.connection == number]
        assert targets == [b"/orders/%d" % at for at in range(200)]


async def test_what_legacy_made_is_put_into_later_requests(tmp_path: Path) -> None:
    def respond(request: object) -> bytes:
        return ok(b'{"id":"new-77001"}', status=200)

    pairs = [
        pair(b"/orders", response=b'{"id":"old-12345"}'),
        pair(b"/orders/old-12345", response=b'{"id":"old-12345"}'),
    ]
    async with ScriptedUpstream(by_target(respond)) as candidate:
        done = await replayed(tmp_path, pairs, of_ports({"orders": candidate.port}))
    assert [each.target for each in candidate.requests] == [b"/orders", b"/orders/new-77001"]
    assert done.progress.learned > 0


async def test_the_route_of_today_rewrites_and_edits_and_the_file_s_host_is_never_connected_to(tmp_path: Path) -> None:
    async with ScriptedUpstream(responding(send(ok()))) as candidate:
        made = of_ports({"orders": candidate.port}, route("orders", rewrite="/v2"))
        edited = replace(made.upstreams["orders"], headers=HeaderEdits((("X-Added", "1"),), ("cookie",)))
        made = replace(made, upstreams={**made.upstreams, "orders": edited})
        headers = ((b"Host", b"elsewhere.example"), (b"Cookie", b"a=b"), (b"Connection", b"X-Hop"), (b"X-Hop", b"1"))
        await replayed(tmp_path, [pair(b"http://elsewhere.example/orders/1?a=b", headers=headers)], made)
    arrived = candidate.requests[0]
    assert arrived.target == b"http://elsewhere.example/v2/1?a=b"
    assert {b"Host: elsewhere.example", b"X-Added: 1", b"X-Forwarded-Prefix: /orders"} <= {*lines_of(arrived)}
    assert not any(line.startswith((b"Cookie", b"X-Hop", b"Connection")) for line in lines_of(arrived))


async def test_a_named_upstream_gets_all_and_legacy_gets_the_path_as_it_was(tmp_path: Path) -> None:
    async with ScriptedUpstream(responding(send(ok()))) as other:
        for name, target in (("legacy", b"/orders/1"), ("staging", b"/v2/1")):
            made = of_ports({"orders": 1, name: other.port}, route("orders", rewrite="/v2"))
            done = await replayed(tmp_path, [pair()], made, to=name)
            assert other.requests[-1].target == target
            assert done.kept[0].is_for_inbox is (name != "legacy")
            assert done.kept[0].what == ("recording" if name == "legacy" else "candidate")


LEFT_OUT = {
    "no route": (pair(b"/other"), {}, "no route with a candidate"),
    "an ambiguous path": (pair(b"/orders/%2e%2e/a"), {}, "an ambiguous path, which legacy serves"),
    "a write": (pair(method="POST", body=b"{}"), {}, "a write"),
    "an upgrade": (pair(headers=((b"Host", b"shop"), (b"Upgrade", b"websocket"))), {}, "an upgrade"),
    "a body that was cut": (
        pair(body=RecordedBody(text="{", cut_from=9)), {}, "its body was not recorded",
    ),
    "a body that was omitted": (pair(body=RecordedBody(omitted=9)), {}, "its body was not recorded"),
    "a mark in the path": (pair(b"/orders/redacted:0123abcd"), {}, "a secret in its path"),
    "CONNECT": (pair(method="CONNECT"), {}, "a head that a worker refuses: CONNECT and TRACE are not forwarded"),
    "a line break in a value": (
        pair(headers=((b"Host", b"shop"), (b"X", b"1\r\nX-Smuggled: 1"))), {},
        "a line break, or a name that is none, in its head",
    ),
    "a line break in the target": (
        pair(b"/orders HTTP/1.1\r\nX-Smuggled: 1"), {}, "a line break, or a name that is none, in its head",
    ),
    "a line break in the method": (
        pair(method="GET / HTTP/1.1\r\nX:"), {}, "a line break, or a name that is none, in its head",
    ),
    "a NUL": (
        pair(headers=((b"Host", b"shop"), (b"X", b"\0"))), {}, "a line break, or a name that is none, in its head",
    ),
    "a name that is none": (
        pair(headers=((b"Host", b"shop"), (b"X:Y", b"1"))), {}, "a line break, or a name that is none, in its head",
    ),
    "a write to a named upstream": (pair(method="POST"), {"to": "twin"}, "a write"),
    "another route": (pair(), {"routes": frozenset({"items"})}, "another route than those chosen"),
}  # fmt: skip


@pytest.mark.parametrize(("sent", "how", "why"), LEFT_OUT.values(), ids=LEFT_OUT)
async def test_what_is_not_sent_is_counted_with_its_reason(
    tmp_path: Path, sent: RecordedPair, how: dict[str, Any], why: str
) -> None:
    async with ScriptedUpstream(responding(send(ok()))) as candidate:
        routes = (route("orders"), route("items", candidate="orders"))
        made = of_ports({"orders": candidate.port, "twin": candidate.port}, *routes)
        done = await replayed(tmp_path, [sent], made, **how)
    assert (done.progress.left_out, done.kept, candidate.requests) == ({why: 1}, [], [])
    assert done.progress.sent == 0


async def test_what_is_not_sent_is_counted_at_its_endpoint_if_a_route_matches_it(tmp_path: Path) -> None:
    unsent = [
        pair(b"/orders", method="POST", body=b"{}"),
        pair(b"/orders/7/lines", method="PATCH", body=RecordedBody(omitted=9)),
        pair(b"/orders/redacted:0123abcd"),
        pair(b"/orders/redacted:4567cdef"),
        pair(b"/elsewhere"),
        pair(b"/items", method="POST"),
        pair(headers=((b"Host", b"shop"), (b"X:Y", b"1"))),
    ]
    made = of_ports({"orders": 1}, route("orders"), route("items", candidate="orders"))
    done = await replayed(tmp_path, unsent, made, routes=frozenset({"orders"}))
    assert done.progress.left_out.total() == len(unsent)
    assert done.progress.unsent == {
        ("orders", "POST /orders", "a write"): 1,
        ("orders", "PATCH /orders/{}/lines", "its body was not recorded"): 1,
        ("orders", "GET /orders/{}", "a secret in its path"): 2,
    }


async def test_the_endpoints_of_what_is_not_sent_are_bounded(tmp_path: Path) -> None:
    words = itertools.islice(itertools.product("abcdefghijk", repeat=3), MAX_UNSENT + 5)
    pairs = [pair(f"/orders/{''.join(word)}".encode(), method="PUT") for word in words]
    done = await replayed(tmp_path, pairs, of_ports({"orders": 1}))
    assert len(done.progress.unsent) == MAX_UNSENT + 1
    assert done.progress.unsent[Unsent("orders", "PUT …", "a write")] == 5


async def test_a_mark_that_can_be_left_out_is_never_sent_and_a_given_field_takes_its_place(tmp_path: Path) -> None:
    headers = ((b"Host", b"shop"), (b"Authorization", b"Bearer redacted:0123abcd"), (b"Accept", b"*/*"))
    async with ScriptedUpstream(responding(send(ok()))) as candidate:
        made = of_ports({"orders": candidate.port})
        done = await replayed(tmp_path, [pair(headers=headers)], made)
        given, problems = read_given(["Authorization: Bearer s3cret-s3cret"], None)
        await replayed(tmp_path, [pair(headers=headers)], made, given=given)
    assert not problems
    assert b"redacted" not in candidate.requests[0].raw
    assert done.progress.fields_left_out == {"header:authorization": 1}
    assert b"Authorization: Bearer s3cret-s3cret" in lines_of(candidate.requests[1])


RECORDED: dict[str, tuple[RecordedPair, tuple[str, str]]] = {
    "the same": (pair(), ("match", "")),
    "another value": (pair(response=b'{"ok":false}'), ("mismatch", "")),
    "another status": (pair(status=404), ("mismatch", "")),
    "no response": (pair(status=None), ("not_comparable", "not_recorded")),
    "without its body": (pair(response=RecordedBody(omitted=3)), ("not_comparable", "not_recorded")),
    "a body that was cut": (pair(response=RecordedBody(text="{", cut_from=3)), ("not_comparable", "not_recorded")),
    "without its body, another status": (pair(status=404, response=RecordedBody(omitted=3)), ("mismatch", "")),
    "a failure": (pair(status=502), ("not_comparable", "legacy_error")),
}


@pytest.mark.parametrize(("sent", "outcome"), RECORDED.values(), ids=RECORDED)
async def test_what_was_recorded_stands_in_legacy_s_place(
    tmp_path: Path, sent: RecordedPair, outcome: tuple[str, str]
) -> None:
    async with ScriptedUpstream(responding(send(ok()))) as candidate:
        done = await replayed(tmp_path, [sent], of_ports({"orders": candidate.port}))
    assert done.outcomes == [outcome]
    assert done.kept[0].finding.latency is None


async def test_what_the_candidate_served_is_counted_and_not_for_the_inbox(tmp_path: Path) -> None:
    async with ScriptedUpstream(responding(send(ok()))) as candidate:
        done = await replayed(tmp_path, [pair(arm="candidate")], of_ports({"orders": candidate.port}))
    assert (done.progress.by_candidate, done.kept[0].is_for_inbox) == (1, False)


async def test_with_legacy_beside_each_arm_gets_what_was_learned_of_it(tmp_path: Path) -> None:
    pairs = [
        pair(b"/orders", response=b'{"id":"recorded-1"}'),
        pair(b"/orders/recorded-1", response=b'{"id":"recorded-1"}'),
        pair(b"/orders", method="POST", body=b"{}", response=b'{"id":"candidate-9"}'),
    ]
    async with (
        ScriptedUpstream(responding(send(ok(b'{"id":"candidate-9"}')))) as candidate,
        ScriptedUpstream(responding(send(ok(b'{"id":"legacys-5"}')))) as legacy,
    ):
        made = of_ports({"orders": candidate.port, "legacy": legacy.port})
        done = await replayed(tmp_path, pairs, made, against="legacy", writes="sandbox", to="orders")
    assert [each.target for each in candidate.requests] == [b"/orders", b"/orders/candidate-9", b"/orders"]
    assert [each.target for each in legacy.requests] == [b"/orders", b"/orders/legacys-5"]
    assert [each.finding.outcome for each in done.kept] == ["mismatch", "mismatch", "match"]
    assert [each.finding.latency is None for each in done.kept] == [False, False, True]
    assert done.progress.sent == 3


async def test_self_compares_legacy_with_itself_and_with_the_recording(tmp_path: Path) -> None:
    count = itertools.count()
    async with ScriptedUpstream(by_target(lambda _: ok(b'{"n":%d}' % next(count)))) as legacy:
        made = of_ports({"orders": 1, "legacy": legacy.port})
        pairs = [pair(response=b'{"n":0}'), pair(method="POST", body=b"{}")]
        done = await replayed(tmp_path, pairs, made, is_self=True)
    assert [(each.what, each.finding.outcome, each.is_for_inbox) for each in done.kept] == [
        ("recording", "match", False),
        ("noise", "mismatch", False),
    ]
    assert len(legacy.requests) == 2
    assert done.progress.left_out == {"a write": 1}


async def test_an_aggregate_is_asked_through_its_parts(tmp_path: Path) -> None:
    parts = tuple(AggregatePart(name, name, f"/{name}/1", True, None) for name in ("a", "b"))
    async with ScriptedUpstream(responding(send(ok(b"1")))) as part:
        made = of_ports({"a": part.port, "b": part.port}, route("orders", candidate=None, aggregate=parts))
        done = await replayed(tmp_path, [pair(response=b'{"a":1,"b":1}')], made)
    assert done.outcomes == [("match", "")]
    assert sorted(each.target for each in part.requests) == [b"/a/1", b"/b/1"]


async def test_the_proxy_gets_no_mark_and_says_its_arm(tmp_path: Path) -> None:
    headers = ((b"Host", b"shop"), (b"X-Forwarded-For", b"203.0.113.9"), (b"Via", b"1.1 strangler"))
    arms = iter([b"X-Strangler-Arm: candidate", b"X-Strangler-Arm: legacy", b"X-None: 1"])
    async with ScriptedUpstream(by_target(lambda _: ok(b'{"ok":true}', next(arms)))) as proxy:
        listener = ListenerSettings(Address("127.0.0.1", proxy.port))
        made = of_ports({"orders": 1}, listeners=(listener,))
        done = await replayed(tmp_path, [pair(headers=headers)] * 3 + [pair(method="POST")], made, to="proxy")
    assert lines_of(proxy.requests[0]) == [b"Host: shop"]
    assert done.progress.arms == {"candidate": 1, "legacy": 1, "not named": 1}
    assert [(each.what, each.is_for_inbox) for each in done.kept] == [
        ("candidate", True), ("recording", False), ("recording", False),
    ]  # fmt: skip
    assert done.progress.left_out == {"a write": 1}


async def test_lines_that_cannot_be_read_are_named_and_the_rest_is_sent(tmp_path: Path) -> None:
    path = tmp_path / "a.rec"
    lines = [msgspec.json.encode(HEADER), b"{", msgspec.json.encode(pair()), b"[]"]
    path.write_bytes(b"\n".join(lines) + b"\n")
    progress = ReplayProgress()
    async with ScriptedUpstream(responding(send(ok()))) as candidate:
        with open_recording(path) as recording:
            made = of_ports({"orders": candidate.port})
            await run_replay(recording, made, ReplaySettings(speed=MAX), KEY, progress, lambda _: None)
    assert (progress.read, progress.sent, progress.bad_lines.total()) == (1, 1, 2)
    assert sorted(number for numbers in progress.first_bad_lines.values() for number in numbers) == [2, 4]


def test_the_places_that_are_told_apart_are_bounded() -> None:
    progress = ReplayProgress()
    for _ in range(2):
        progress.add_fields_left_out(f"query:{number}" for number in range(MAX_PLACES + 5))
    assert len(progress.fields_left_out) == MAX_PLACES + 1
    assert (progress.fields_left_out["query:0"], progress.fields_left_out[FOLDED]) == (2, 10)


async def test_it_stops_when_too_much_cannot_be_sent(tmp_path: Path) -> None:
    async with refused_port() as port:
        done = await replayed(tmp_path, [pair()] * 500, of_ports({"orders": port}), callers_at_once=1)
    assert done.progress.stopped == (
        f"50 of 50 requests to 'orders' (http://127.0.0.1:{port}) could not be sent: no connection was made (connect);"
        " see that it runs and can be reached, then replay again"
    )
    assert (done.progress.sent, done.progress.faults) == (50, {"connect": 50})


async def test_failures_of_the_candidate_stop_nothing(tmp_path: Path) -> None:
    async with ScriptedUpstream(responding(send(ok(status=503)))) as candidate:
        done = await replayed(tmp_path, [pair()] * 100, of_ports({"orders": candidate.port}))
    assert (done.progress.stopped, done.progress.outcomes) == (None, {"mismatch": 100})


async def test_cancelling_ends_it_with_what_was_found(tmp_path: Path) -> None:
    async with ScriptedUpstream(in_turn(read_request(), send(ok()), read_request(), hang())) as candidate:
        done = Replayed()
        path = written(tmp_path / "a.rec", [pair(), *[pair(b"/orders/second")] * 9])
        with open_recording(path) as recording:
            made, how = of_ports({"orders": candidate.port}), ReplaySettings(speed=MAX)
            running = asyncio.create_task(run_replay(recording, made, how, KEY, done.progress, done.kept.append))
            connection = await candidate.wait_for_connection()
            assert await connection.has_received(b"/orders/second")
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
        assert await candidate.connections[0].read_end() in ("eof", "reset")
    assert (len(done.kept), done.progress.running, done.progress.sent) == (1, 0, 2)


async def test_an_error_of_what_keeps_the_findings_ends_it(tmp_path: Path) -> None:
    def keep(_: ReplayedFinding) -> None:
        raise OSError("no space left")

    async with ScriptedUpstream(responding(send(ok()))) as candidate:
        with open_recording(written(tmp_path / "a.rec", [pair()] * 9)) as recording:
            made = of_ports({"orders": candidate.port})
            with pytest.raises(OSError, match="no space left"):
                await run_replay(recording, made, ReplaySettings(speed=MAX), KEY, ReplayProgress(), keep)


async def test_a_request_without_host_gets_that_of_the_upstream(tmp_path: Path) -> None:
    async with ScriptedUpstream(responding(send(ok()))) as candidate:
        done = await replayed(tmp_path, [pair(headers=())], of_ports({"orders": candidate.port}))
    assert lines_of(candidate.requests[0])[0] == b"Host: 127.0.0.1:%d" % candidate.port
    assert done.outcomes == [("match", "")]


async def test_secrets_are_hidden_in_what_is_kept(tmp_path: Path) -> None:
    async with ScriptedUpstream(responding(send(ok(b'{"password":"hunter2-hunter2","n":1}')))) as candidate:
        sent = pair(headers=((b"Host", b"shop"), (b"Cookie", b"sid=s3cret-s3cret")), response=b'{"password":"a","n":2}')
        done = await replayed(tmp_path, [sent], of_ports({"orders": candidate.port}))
    assert done.outcomes == [("mismatch", "")]
    assert done.kept[0].finding.sample is not None
    assert not any(secret in repr(asdict(done.kept[0])) for secret in ("hunter2", "s3cret"))


ERRORS = {
    "an unknown upstream": ({"to": "ordesr"}, "unknown upstream 'ordesr'; did you mean 'orders'?"),
    "an unknown route": ({"routes": frozenset({"order"})}, "unknown route 'order'; did you mean 'orders'?"),
    "no sandbox": ({"writes": "sandbox"}, "route 'orders' has no `shadow.to`"),
    "writes to legacy": ({"writes": "sandbox", "to": "legacy"}, "legacy, which never gets a write"),
    "writes to legacy by another name": ({"writes": "dry_run", "to": "twin"}, "legacy, which never gets a write"),
    "writes of legacy itself": ({"writes": "dry_run", "is_self": True}, "--self get safe requests alone"),
    "a listener without a port": ({"to": "proxy"}, "has a port that the system chooses"),
}


@pytest.mark.parametrize(("how", "text"), ERRORS.values(), ids=ERRORS)
async def test_what_cannot_be_meant_is_an_error_before_anything_is_sent(
    tmp_path: Path, how: dict[str, Any], text: str
) -> None:
    with pytest.raises(ReplayError) as error:
        await replayed(tmp_path, [pair()], of_ports({"orders": 2, "twin": 1}), **how)
    assert text in str(error.value)
