"""The request to an aggregate for a comparison: to its parts at once, joined by a worker's rules."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from strangler.comparing.arm_request import Outgoing, is_absolute, lines_of, origin_form, outgoing
from strangler.core.compare import Response
from strangler.core.fault import Fault
from strangler.core.http.head import RawHeaders
from strangler.core.routing.aggregate import (
    FIELDS_FOR_PARTS,
    MAX_PART_BYTES,
    NOT_FOR_PARTS,
    Joined,
    Part,
    PartFailure,
    PartResponse,
    join,
    part_failed,
    part_unusable,
    read_part,
)
from strangler.core.settings import UpstreamSettings, Url
from strangler.ipc.messages import Captured

_FIRST_OF_OURS = b"x-forwarded-for"
"""The first of the fields that a worker adds; a client's field of this name is only passed on there."""


class PartUpstream(Protocol):
    """An upstream that a part may come from."""

    @property
    def settings(self) -> UpstreamSettings: ...
    def pick(self) -> Url: ...
    async def ask(self, request: Outgoing, timeout_s: float, max_bytes: int, /) -> Response: ...


async def ask_parts(
    captured: Captured, parts: Sequence[Part], upstreams: Mapping[str, PartUpstream], timeout_s: float, max_bytes: int
) -> Response:
    """Return the response that the aggregate would give. Its time is that of the slowest part.

    `max_bytes`: the limit of the joined body; a larger one cannot be compared.
    """
    responses = await asyncio.gather(*(_ask(captured, part, upstreams[part.upstream], timeout_s) for part in parts))
    duration_s = max(response.duration_s or 0.0 for response in responses)
    whole = join(parts, [_read(response) for response in responses])
    if not isinstance(whole, Joined):
        return _failed(whole[1], duration_s)
    if len(whole.body) > max_bytes:
        return Response(200, whole.fields, duration_s=duration_s, is_too_large=True)
    return Response(200, whole.fields, b"" if captured.method == b"HEAD" else whole.body, duration_s=duration_s)


async def _ask(captured: Captured, part: Part, upstream: PartUpstream, timeout_s: float) -> Response:
    path, mark, query = origin_form(captured.target).partition(b"?")
    request = msgspec.structs.replace(
        captured,
        method=b"GET",
        target=part.target(path, query if mark else None),
        lines=b"".join(b"%b: %b\r\n" % field for field in _fields(captured)),
        body=b"",
    )
    limit_s = timeout_s if part.timeout_s is None else min(part.timeout_s, timeout_s)
    has_own_host = is_absolute(captured.target)
    sent = outgoing(request, upstream.settings, upstream.pick(), None, is_dry_run=False, has_own_host=has_own_host)
    return await upstream.ask(sent, limit_s, MAX_PART_BYTES)


def _fields(captured: Captured) -> RawHeaders:
    """Return the client's fields as each part gets them: fields added for parts come before the proxy's own."""
    fields = [pair for pair in lines_of(captured.lines) if pair[0].lower() not in NOT_FOR_PARTS]
    end = next((at for at, pair in enumerate(fields) if pair[0].lower() == _FIRST_OF_OURS), len(fields))
    return fields[:end] + FIELDS_FOR_PARTS + fields[end:]


def _read(response: Response) -> PartResponse | PartFailure:
    duration_s = response.duration_s or 0.0
    if response.fault is not None:
        return part_failed(response.fault, duration_s)
    if response.is_too_large:
        return part_unusable("too_large", duration_s)
    return read_part(
        response.status, list(response.headers), b"" if response.is_streaming else response.body, duration_s
    )


def _failed(failure: PartFailure, duration_s: float) -> Response:
    """Return the response to a failed required part: a problem with its status, or a fault if none responded."""
    fault = failure.result.fault
    if fault is not None and fault is not Fault.BAD_RESPONSE:
        return Response(0, fault=fault)
    status = failure.problem.status
    return Response(status, [(b"Content-Type", b"application/problem+json")], b"", duration_s=duration_s)
