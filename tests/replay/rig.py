"""Replays of recordings that tests make, against scripted upstreams over real sockets."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from strangler.core.replaying.caller_order import Speed
from strangler.core.settings import RouteSettings, Settings
from strangler.recordings.recorded import (
    Arm,
    RecordedBody,
    RecordedPair,
    RecordedRequest,
    RecordedResponse,
    raw_text,
    recorded_headers,
)
from strangler.recordings.recording_reader import open_recording
from strangler.replay.progress import ReplayProgress
from strangler.replay.replay_settings import ReplaySettings
from strangler.replay.replayed_finding import ReplayedFinding
from strangler.replay.run import run_replay
from tests.factories import route, settings, upstream
from tests.http1.scripted import Connection, Request, Script
from tests.recordings.made import HEADER, written

KEY = b"k" * 32
MAX = Speed()
JSON = (b"Content-Type", b"application/json")
Fields = Iterable[tuple[bytes, bytes]]


def pair(
    target: bytes = b"/orders/1",
    *,
    method: str = "GET",
    headers: Fields = ((b"Host", b"shop"),),
    body: RecordedBody | bytes | None = None,
    status: int | None = 200,
    fields: Fields = (JSON,),
    response: RecordedBody | bytes | None = b'{"ok":true}',
    at: float = 1.0,
    caller: str = "ann",
    arm: Arm | None = "legacy",
) -> RecordedPair:
    """A pair. `fields`, `status` and `response` are of the response; without a status there is none."""
    return RecordedPair(
        at=at,
        caller=caller,
        arm=arm,
        request=RecordedRequest(method, raw_text(target), recorded_headers(headers), _body(body)),
        response=None if status is None else RecordedResponse(status, recorded_headers(fields), _body(response), 2.0),
    )


def _body(body: RecordedBody | bytes | None) -> RecordedBody | None:
    return RecordedBody.of(body) if isinstance(body, bytes) else body


def ok(body: bytes = b'{"ok":true}', *fields: bytes, status: int = 200) -> bytes:
    lines = b"".join(each + b"\r\n" for each in (b"Content-Type: application/json", *fields))
    return b"HTTP/1.1 %d X\r\n%bContent-Length: %d\r\n\r\n%b" % (status, lines, len(body), body)


def by_target(respond: Callable[[Request], bytes]) -> Script:
    """A script that responds to each request with what a function makes of it."""

    async def script(connection: Connection) -> None:
        while not connection.is_closed:
            await connection.send(respond(await connection.read_request()))

    return script


def of_ports(ports: Mapping[str, int], *routes: RouteSettings, **changes: Any) -> Settings:
    """Settings with an upstream at each port; `legacy` is at a port that refuses unless it has one."""
    named = {"legacy": 1, **ports}
    return settings(
        routes or (route("orders"),),
        [upstream(name, f"http://127.0.0.1:{port}") for name, port in named.items()],
        **changes,
    )


@dataclass(slots=True)
class Replayed:
    """A replay that has ended."""

    kept: list[ReplayedFinding] = field(default_factory=list)
    progress: ReplayProgress = field(default_factory=ReplayProgress)

    @property
    def outcomes(self) -> list[tuple[str, str]]:
        return [(each.finding.outcome, each.finding.reason) for each in self.kept]


async def replayed(
    folder: Path, pairs: Iterable[RecordedPair], routes: Settings, /, *, key: bytes = KEY, **how: Any
) -> Replayed:
    """Replay pairs as fast as it goes, unless `how` says otherwise."""
    done = Replayed()
    path = written(folder / "a.rec", pairs, header=how.pop("header", HEADER), force=True)
    with open_recording(path) as recording:
        settings_of = ReplaySettings(**{"speed": MAX, **how})
        await run_replay(recording, routes, settings_of, key, done.progress, done.kept.append)
    return done


def lines_of(request: Request) -> list[bytes]:
    """The header lines of a request as it arrived."""
    return request.raw.split(b"\r\n\r\n")[0].split(b"\r\n")[1:]


def body_of(request: Request) -> bytes:
    return request.raw.split(b"\r\n\r\n", 1)[1]
