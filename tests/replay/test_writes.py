"""Writes of a recording: to a sandbox, as dry runs, and never to legacy."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from strangler.config.urls import base_url
from strangler.core.routing.arm import LEGACY
from strangler.core.settings import Settings
from strangler.replay.destination import ReplayError
from tests.factories import shadow
from tests.http1.scripted import Request, ScriptedUpstream, responding, send
from tests.replay.rig import by_target, lines_of, of_ports, ok, pair, replayed

HANDLED = b"X-Strangler-Shadow-Handled: 1"
WRITE = pair(method="POST", body=b'{"a":1}')


def with_shadow(made: Settings, **changes: Any) -> Settings:
    """Settings whose route has a shadow that sends writes in some way."""
    return replace(made, routes=tuple(replace(each, shadow=shadow(**changes)) for each in made.routes))


@pytest.mark.parametrize(
    ("in_file", "how"),
    [
        ({"writes": "sandbox", "to": "sandbox"}, {}),
        ({"writes": "skip", "to": "sandbox"}, {"writes": "sandbox"}),
        ({"writes": "skip"}, {"writes": "sandbox", "to": "sandbox"}),
        ({"writes": "sandbox", "to": "sandbox"}, {"to": "sandbox"}),
    ],
    ids=["as the file says", "as the option says", "to the one that is named", "by its name"],
)
async def test_a_write_goes_to_the_sandbox_with_its_body(
    tmp_path: Path, in_file: dict[str, Any], how: dict[str, Any]
) -> None:
    async with (
        ScriptedUpstream(responding(send(ok()))) as sandbox,
        ScriptedUpstream(responding(send(ok()))) as candidate,
    ):
        made = with_shadow(of_ports({"orders": candidate.port, "sandbox": sandbox.port}), **in_file)
        done = await replayed(tmp_path, [WRITE], made, **how)
    assert done.outcomes == [("match", "")]
    assert sandbox.requests[0].raw.endswith(b'Content-Length: 7\r\n\r\n{"a":1}')
    assert not candidate.requests


async def test_a_write_of_a_route_with_a_sandbox_goes_to_no_other_upstream(tmp_path: Path) -> None:
    async with ScriptedUpstream(responding(send(ok()))) as staging:
        made = with_shadow(
            of_ports({"staging": staging.port, "orders": 1, "sandbox": 2}), writes="sandbox", to="sandbox"
        )
        done = await replayed(tmp_path, [WRITE], made, to="staging")
    assert (done.progress.left_out, staging.requests) == ({"a write": 1}, [])


async def test_a_dry_run_goes_out_after_the_candidate_has_confirmed_it(tmp_path: Path) -> None:
    async with ScriptedUpstream(responding(send(ok(b'{"ok":true}', HANDLED)))) as candidate:
        made = with_shadow(of_ports({"orders": candidate.port}), writes="dry_run")
        done = await replayed(tmp_path, [WRITE] * 3, made)
    assert [each.raw.split(b" ")[0] for each in candidate.requests] == [b"OPTIONS", b"POST", b"POST", b"POST"]
    assert all(b"X-Strangler-Shadow: dry-run" in lines_of(each) for each in candidate.requests)
    assert done.progress.outcomes == {"match": 3}


def _only_options(request: Request) -> bytes:
    return ok(b'{"ok":true}', *([HANDLED] if request.raw.startswith(b"OPTIONS") else []))


@pytest.mark.parametrize(
    ("confirms", "methods", "text"),
    [
        (lambda _: ok(), [b"OPTIONS"], "so no write was sent"),
        (_only_options, [b"OPTIONS", b"POST"], "it may have run that write"),
    ],
    ids=["nothing", "the question alone"],
)
async def test_a_candidate_that_does_not_confirm_gets_no_more_writes(
    tmp_path: Path, confirms: Any, methods: list[bytes], text: str
) -> None:
    async with ScriptedUpstream(by_target(confirms)) as candidate:
        made = with_shadow(of_ports({"orders": candidate.port}), writes="dry_run")
        done = await replayed(tmp_path, [WRITE] * 3, made)
    assert [each.raw.split(b" ")[0] for each in candidate.requests] == methods
    assert done.outcomes == [("not_comparable", "not_handled")]
    assert done.progress.left_out == {"a write, since the candidate does not confirm dry runs": 2}
    assert text in done.progress.refusals["orders"]


HOWS: dict[str, dict[str, Any]] = {
    "to legacy": {"to": "legacy"},
    "to the same server": {"to": "twin"},
    "beside": {"against": "legacy"},
    "itself": {"is_self": True},
}


SPELLINGS = (
    "http://127.0.0.1:{}",
    "http://127.0.0.1:{}/sandbox",
    "http://localhost:{}",
    "http://LocalHost:{}",
    "http://localhost.:{}",
    "http://0.0.0.0:{}",
    "http://[::ffff:127.0.0.1]:{}",
)
WRITES = [
    *(pair(method=method) for method in ("POST", "PUT", "DELETE", "PATCH", "QUERY-IT")),
    *(
        pair(headers=((b"Host", b"shop"), (name, b"DELETE")))
        for name in (b"X-HTTP-Method", b"X-HTTP-Method-Override", b"x-method-override")
    ),
]


@pytest.mark.parametrize("how", HOWS.values(), ids=HOWS)
@pytest.mark.parametrize("writes", ["sandbox", "dry_run"])
@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_legacy_never_gets_a_write(tmp_path: Path, how: dict[str, Any], writes: str, spelling: str) -> None:
    async with (
        ScriptedUpstream(responding(send(ok(b'{"ok":true}', HANDLED)))) as legacy,
        ScriptedUpstream(responding(send(ok(b'{"ok":true}', HANDLED)))) as candidate,
    ):
        made = of_ports({"orders": candidate.port, "legacy": legacy.port})
        twin = replace(made.upstreams[LEGACY], name="twin", urls=(base_url(spelling.format(legacy.port)),))
        made = replace(made, upstreams=made.upstreams | {"twin": twin})
        made = with_shadow(made, writes=writes, to="twin" if how.get("to") == "twin" else "orders")
        await replayed(tmp_path, WRITES, made, **how)
    assert not legacy.requests


async def test_writes_that_legacy_would_get_are_refused_before_the_start(tmp_path: Path) -> None:
    made = of_ports({"orders": 1, "legacy": 2})
    twin = replace(made.upstreams[LEGACY], name="twin", urls=(base_url("http://localhost:2"),))
    made = replace(made, upstreams=made.upstreams | {"twin": twin})
    with pytest.raises(ReplayError, match="'twin' is legacy, which never gets a write"):
        await replayed(tmp_path, [WRITE], made, to="twin", writes="sandbox")
