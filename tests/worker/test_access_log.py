"""Which requests have an access line, and that nothing from the wire can forge one."""

import re
from dataclasses import replace

import pytest

from strangler.core.settings import AccessSettings, LogSettings, Settings
from tests.http1.scripted import ScriptedUpstream, in_turn, pause, read_request, refused_port, reset, responding, send
from tests.worker.conftest import Serve
from tests.worker.plane import request, response, two_arms

NONE = AccessSettings(0.0, None, "sampled")

COMBINED = re.compile(
    rb'(?P<host>\S+) - - \[(?P<time>\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000)\] "(?P<request>(?:[^"\\]|\\.)*)" '
    rb'(?P<status>\d{3}) (?P<size>\d+|-) "(?P<referer>(?:[^"\\]|\\.)*)" "(?P<agent>(?:[^"\\]|\\.)*)"\n'
)
"""As the tools for Apache's combined format read it."""


def logging(settings: Settings, access: AccessSettings | None, **log: object) -> Settings:
    return replace(settings, log=LogSettings("info", log.get("format", "json"), access))  # type: ignore[arg-type]


async def served(serve: Serve, legacy: ScriptedUpstream, access: AccessSettings | None, count: int = 1) -> list[str]:
    """The paths of the lines that `count` requests leave, and of one to /last which always fails."""
    async with refused_port() as port:
        running = await serve(logging(two_arms(legacy, port, fallback=None), access))
        for _ in range(count):
            await running.ask(request("/well"))
        await running.ask(request("/api/failed"))
        await running.until(lambda: running.counted("strangler_attempts_total")[("orders", "connect")] == 1)
        if access is not None and access.errors == "always":
            return [line["path"] for line in await running.lines(1)]
        running.access_log.flush()
        return [line["path"] for line in await running.lines(0)]


async def test_without_a_sample_only_errors_have_lines(serve: Serve, legacy: ScriptedUpstream) -> None:
    assert await served(serve, legacy, replace(NONE, errors="always"), 5) == ["/api/failed"]


async def test_errors_can_be_sampled_too(serve: Serve, legacy: ScriptedUpstream) -> None:
    assert await served(serve, legacy, NONE, 5) == []


async def test_access_false_writes_none(serve: Serve, legacy: ScriptedUpstream) -> None:
    assert await served(serve, legacy, None, 5) == []


async def test_a_share_of_the_others_has_lines(serve: Serve, legacy: ScriptedUpstream) -> None:
    """Chance: of 200 requests at one half, fewer than 50 or more than 150 come once in 10^12 runs."""
    running = await serve(logging(two_arms(legacy, legacy), replace(NONE, sample=0.5)))
    client = await running.client()
    for _ in range(200):
        await client.ask(request("/well"))
    running.access_log.flush()
    assert 50 <= len(await running.lines(0)) <= 150


async def test_a_slow_request_always_has_a_line(serve: Serve, legacy: ScriptedUpstream) -> None:
    running = await serve(logging(two_arms(legacy, legacy), replace(NONE, slow_s=0.1)))
    await running.ask(request("/quick"))
    await legacy.renew()
    legacy.script = responding(pause(0.15), send(response()))
    await running.ask(request("/slow"))
    assert (await running.line())["path"] == "/slow"


@pytest.mark.parametrize("how", ["5xx", "reset", "fallback"])
async def test_an_error_is_a_5xx_a_fault_or_a_fallback(
    how: str, serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    candidate.script = in_turn(read_request(), reset()) if how == "reset" else responding(send(response(503)))
    changes = {} if how == "fallback" else {"fallback": None}
    running = await serve(logging(two_arms(legacy, candidate, **changes), replace(NONE, errors="always")))
    reply = await running.ask(request("/api/x"))
    line = await running.line()
    assert (reply.status, line["status"]) == {"5xx": (503, 503), "reset": (502, 502), "fallback": (200, 200)}[how]


async def test_what_was_not_told_is_counted_all_the_same(serve: Serve, legacy: ScriptedUpstream) -> None:
    running = await serve(logging(two_arms(legacy, legacy), NONE))
    await running.ask(request("/well"))
    assert running.counted("strangler_requests_total") == {("", "legacy", "legacy", "2xx"): 1}


async def test_a_combined_line_is_that_of_apache(serve: Serve, legacy: ScriptedUpstream) -> None:
    running = await serve(logging(two_arms(legacy, legacy), AccessSettings(1.0, None, "always"), format="combined"))
    await running.ask(request("/a?b=c", "Referer: http://shop/", "User-Agent: curl/8.5.0"))
    (line,) = await running.raw_lines(1)
    found = COMBINED.fullmatch(line)
    assert found is not None, line
    assert found.group("host", "request", "status", "size", "referer", "agent") == (
        b"127.0.0.1", b"GET /a?b=c HTTP/1.1", b"200", b"6", b"http://shop/", b"curl/8.5.0",
    )  # fmt: skip


HOSTILE = {
    "a quote in the path": (b'/x"%20200%205%20"-"%20"-', b"ua"),
    "a backslash at the end of the path": (b"/x\\", b"ua"),
    "a quote in the agent": (b"/x", b'ua" 200 5 "'),
    "a backslash at the end of the agent": (b"/x", b"ua\\"),
    "bytes that are no ASCII": (b"/\xc2\x9b31m\xff", b"\xe2\x80\xa8\x85forged"),
    "a tab": (b"/x", b"a\tb"),
    "nothing": (b"/x", b""),
}


@pytest.mark.parametrize("case", HOSTILE.values(), ids=HOSTILE)
async def test_a_hostile_request_cannot_forge_a_combined_line(
    case: tuple[bytes, bytes], serve: Serve, legacy: ScriptedUpstream
) -> None:
    target, agent = case
    running = await serve(logging(two_arms(legacy, legacy), AccessSettings(1.0, None, "always"), format="combined"))
    await running.ask(b"GET %b HTTP/1.1\r\nHost: shop\r\nUser-Agent: %b\r\n\r\n" % (target, agent))
    (line,) = await running.raw_lines(1)
    found = COMBINED.fullmatch(line)
    assert found is not None, line
    assert _unescaped(found["request"]) == b"GET %b HTTP/1.1" % target
    assert _unescaped(found["agent"]) == (agent or b"-")
    assert line[:-1].isascii()
    assert all(32 <= byte < 127 for byte in line[:-1])


def _unescaped(text: bytes) -> bytes:
    def byte(found: "re.Match[bytes]") -> bytes:
        return b"\t" if found[1] == b"t" else bytes([int(found[1][1:], 16)]) if len(found[1]) == 3 else found[1]

    return re.sub(rb"\\(x[0-9a-f]{2}|.)", byte, text)


async def test_a_request_that_cannot_be_read_is_a_dash(serve: Serve, legacy: ScriptedUpstream) -> None:
    running = await serve(logging(two_arms(legacy, legacy), AccessSettings(1.0, None, "always"), format="combined"))
    await running.ask(b"no request\r\n\r\n")
    (line,) = await running.raw_lines(1)
    found = COMBINED.fullmatch(line)
    assert found is not None
    assert found.group("request", "status") == (b"-", b"400")


async def test_a_line_for_a_terminal_cannot_steer_it(serve: Serve, legacy: ScriptedUpstream) -> None:
    running = await serve(logging(two_arms(legacy, legacy), AccessSettings(1.0, None, "always"), format="console"))
    await running.ask(b"GET /\xc2\x9b31m\xe2\x80\xae HTTP/1.1\r\nHost: shop\r\n\r\n")
    (line,) = running.logged("request")
    assert line["path"] == "/\\x9b31m\\u202e"


ADDRESS = b"/users/joe.k%2Bshop%40mail.example/orders/7?copy=mia@mail.example"


async def test_an_e_mail_address_in_a_path_is_not_logged(serve: Serve, legacy: ScriptedUpstream) -> None:
    running = await serve(logging(two_arms(legacy, legacy), AccessSettings(1.0, None, "always")))
    await running.ask(b"GET %b HTTP/1.1\r\nHost: shop\r\n\r\n" % ADDRESS)
    assert (await running.line())["path"] == "/users/*@*/orders/7"
    assert b"joe.k%2Bshop%40mail.example" in legacy.requests[-1].raw


async def test_nor_is_it_in_a_combined_line(serve: Serve, legacy: ScriptedUpstream) -> None:
    running = await serve(logging(two_arms(legacy, legacy), AccessSettings(1.0, None, "always"), format="combined"))
    await running.ask(
        b"GET %b HTTP/1.1\r\nHost: shop\r\nReferer: https://shop.example%b\r\n"
        b"User-Agent: bot/1 (+mailto:bot@mail.example)\r\n\r\n" % (ADDRESS, ADDRESS)
    )
    (line,) = await running.raw_lines(1)
    assert b"mail.example" not in line
    found = COMBINED.fullmatch(line)
    assert found is not None
    assert found.group("request", "referer", "agent") == (
        b"GET /users/*@*/orders/7?copy=*@* HTTP/1.1",
        b"https://shop.example/users/*@*/orders/7?copy=*@*",
        b"bot/1 (+mailto:*@*)",
    )


async def test_nor_on_a_terminal(serve: Serve, legacy: ScriptedUpstream) -> None:
    running = await serve(logging(two_arms(legacy, legacy), AccessSettings(1.0, None, "always"), format="console"))
    await running.ask(b"GET %b HTTP/1.1\r\nHost: shop\r\n\r\n" % ADDRESS)
    (line,) = running.logged("request")
    assert line["path"] == "/users/*@*/orders/7"
