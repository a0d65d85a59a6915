"""W3C Trace Context: what upstreams get of traceparent and tracestate, and which requests have spans."""

import re
from typing import Any

import pytest

from strangler.core.settings import FallbackSettings, TracingSettings
from strangler.ipc.messages import Spans
from tests.http1.scripted import ScriptedUpstream, responding, send
from tests.worker.conftest import Serve
from tests.worker.plane import RunningPlane, request, response, two_arms

ID = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
GIVEN = f"00-{ID}-{PARENT}-01"
OWN = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-0[01]")


class CollectingLink:
    """A link that keeps what is offered."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.is_connected = True

    def offer(self, message: Any) -> bool:
        self.messages.append(message)
        return True

    @property
    def spans(self) -> list[Spans]:
        return [message for message in self.messages if isinstance(message, Spans)]


async def sampling(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream, share: float
) -> tuple[RunningPlane, CollectingLink]:
    general = {"tracing": TracingSettings(otlp="http://127.0.0.1:4318", sample=share)}
    fallback = FallbackSettings((503,), 0.0)
    link = CollectingLink()
    return await serve(two_arms(legacy, candidate, general=general, fallback=fallback), link=link), link


def values(upstream: ScriptedUpstream, name: bytes) -> list[str]:
    """Return the values of the last request that the upstream got."""
    head = upstream.requests[-1].raw.split(b"\r\n\r\n")[0]
    pairs = [line.partition(b":") for line in head.split(b"\r\n")[1:]]
    return [value.strip().decode() for key, _, value in pairs if key.lower() == name]


@pytest.mark.parametrize(
    ("given", "is_kept"),
    [
        pytest.param(GIVEN, True, id="valid"),
        pytest.param(f"00-{ID}-{PARENT}-00", True, id="not sampled"),
        pytest.param(f"00-{ID}-{PARENT}-ff", True, id="flags of later levels stay"),
        pytest.param(f"cc-{ID}-{PARENT}-01", True, id="a later version"),
        pytest.param(f"cc-{ID}-{PARENT}-01-what-comes", True, id="a later version with more fields"),
        pytest.param(f"cc-{ID}-{PARENT}-01.what", False, id="a later version, malformed"),
        pytest.param(f"ff-{ID}-{PARENT}-01", False, id="version ff"),
        pytest.param(f"00-{ID}-{PARENT}-01-more", False, id="version 00 with more fields"),
        pytest.param(f"00-{ID.upper()}-{PARENT}-01", False, id="upper case"),
        pytest.param(f"0X-{ID}-{PARENT}-01", False, id="version is no number"),
        pytest.param(f"00-{'0' * 32}-{PARENT}-01", False, id="trace id of zeros"),
        pytest.param(f"00-{ID}-{'0' * 16}-01", False, id="parent id of zeros"),
        pytest.param(f"00-{ID[:-1]}-{PARENT}-01", False, id="short trace id"),
        pytest.param(f"00-{ID}-{PARENT}-1", False, id="short flags"),
        pytest.param(f"00-{ID}-{PARENT}-x1", False, id="flags are no number"),
        pytest.param("", False, id="empty"),
    ],
)
@pytest.mark.parametrize("share", [None, 1.0], ids=["no spans", "spans"])
async def test_a_valid_traceparent_is_kept_and_any_other_is_replaced_with_its_tracestate(
    given: str, is_kept: bool, share: float | None, serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    if share is None:
        running = await serve(two_arms(legacy, candidate))
    else:
        running, _ = await sampling(serve, legacy, candidate, share)
    await running.ask(request("/api", f"traceparent: {given}", "tracestate: a=1,b=2"))
    (got,) = values(candidate, b"traceparent")
    assert values(candidate, b"tracestate") == (["a=1,b=2"] if is_kept else [])
    is_sampled = share is not None and is_kept and int(given[53:55], 16) & 1
    if is_kept and not is_sampled:
        assert got == given
    elif is_kept:
        assert got[:36] == f"00-{ID}-"
        assert got[36:52] != PARENT
        assert got[53:55] == {"ff": "03"}.get(given[53:55], "01")
    else:
        assert OWN.fullmatch(got)
        assert ID not in got


async def test_two_traceparents_are_none(serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream) -> None:
    running = await serve(two_arms(legacy, candidate))
    await running.ask(request("/api", f"traceparent: {GIVEN}", f"traceparent: {GIVEN}", "tracestate: a=1"))
    (got,) = values(candidate, b"traceparent")
    assert ID not in got
    assert values(candidate, b"tracestate") == []


async def test_several_tracestates_of_a_valid_traceparent_pass(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    running = await serve(two_arms(legacy, candidate))
    await running.ask(request("/api", f"traceparent: {GIVEN}", "tracestate: a=1", "tracestate: b=2"))
    assert values(candidate, b"tracestate") == ["a=1", "b=2"]


@pytest.mark.parametrize("fields", [(), ("X-Request-Id: 7",)], ids=["alone", "with a request id"])
async def test_a_tracestate_without_a_traceparent_is_dropped(
    fields: tuple[str, ...], serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    running = await serve(two_arms(legacy, candidate))
    await running.ask(request("/api", "tracestate: a=1", *fields))
    assert values(candidate, b"tracestate") == []
    assert OWN.fullmatch(values(candidate, b"traceparent")[0])


@pytest.mark.parametrize(
    ("share", "fields", "has_spans"),
    [
        pytest.param(1.0, (), True, id="all that begin here"),
        pytest.param(0.0, (), False, id="none that begins here"),
        pytest.param(1.0, ("X-Request-Id: 7",), True, id="with a request id"),
        pytest.param(0.0, (f"traceparent: {GIVEN}",), True, id="whoever began it wants spans"),
        pytest.param(1.0, (f"traceparent: {GIVEN[:-1]}0",), False, id="whoever began it wants none"),
        pytest.param(1.0, ("traceparent: nonsense",), True, id="an invalid one counts for nothing"),
    ],
)
async def test_who_began_a_trace_decides_whether_it_has_spans(
    share: float,
    fields: tuple[str, ...],
    has_spans: bool,
    serve: Serve,
    legacy: ScriptedUpstream,
    candidate: ScriptedUpstream,
) -> None:
    running, link = await sampling(serve, legacy, candidate, share)
    await running.ask(request("/api", *fields))
    await running.line()
    assert len(link.spans) == has_spans
    assert values(candidate, b"traceparent")[0].endswith("-01" if has_spans else "-00")


async def test_about_that_share_of_the_traces_that_begin_here_has_spans(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    running, link = await sampling(serve, legacy, candidate, 0.5)
    client = await running.client()
    for _ in range(200):
        await client.ask(request("/api"))
    await running.lines(200)
    assert 60 <= len(link.spans) <= 140  # a fair coin leaves this once in 10^8


async def test_the_upstreams_parent_is_the_span_of_its_attempt(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    candidate.script = responding(send(response(503)))
    running, link = await sampling(serve, legacy, candidate, 0.0)
    await running.ask(request("/api/7?secret=1", f"traceparent: {GIVEN}", "tracestate: a=1"))
    await running.line()
    (spans,) = link.spans
    first, second = spans.attempts
    assert (spans.trace_id, spans.parent_id, spans.state) == (ID.encode(), PARENT.encode(), b"a=1")
    assert values(candidate, b"traceparent") == [f"00-{ID}-{first.span_id.decode()}-01"]
    assert values(legacy, b"traceparent") == [f"00-{ID}-{second.span_id.decode()}-01"]
    assert len({spans.span_id, first.span_id, second.span_id}) == 3
    assert (first.arm, first.fault, first.status) == ("candidate", None, 503)
    assert (second.arm, second.fault, second.status) == ("legacy", None, 200)
    assert (spans.status, spans.is_fallback, spans.path) == (200, True, b"/api/7")
    assert first.started <= second.started


async def test_an_e_mail_address_in_a_path_is_not_in_the_spans(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    running, link = await sampling(serve, legacy, candidate, 1.0)
    await running.ask(request("/users/joe%40mail.example/orders"))
    (spans,) = link.spans
    assert spans.path == b"/users/*@*/orders"
