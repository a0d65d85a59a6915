"""Conversations of one caller with two sides: what the recording has, and a side that makes values of its own."""

import json
from collections.abc import Mapping
from typing import Any

from strangler.core.compare.model.values import Response
from strangler.core.replaying.learned import CallerValues
from strangler.core.replaying.request_message import RequestMessage
from strangler.core.replaying.substitute import Substituted, substitute
from tests.core.replaying.all_values import values_by_place


def response(body: object = b"", *, kind: str = "", status: int = 200, **headers: str | list[str]) -> Response:
    """Return a response: JSON, unless `body` is bytes or text. `set_cookie=…` becomes the field Set-Cookie."""
    fields = [
        (name.replace("_", "-").encode(), value.encode())
        for name, values in headers.items()
        for value in ([values] if isinstance(values, str) else values)
    ]
    if isinstance(body, str):
        data, kind = body.encode(), kind or "text/html; charset=utf-8"
    elif isinstance(body, bytes):
        data = body
    else:
        data, kind = json.dumps(body).encode(), kind or "application/json"
    return Response(status, [*fields, *([(b"Content-Type", kind.encode())] if kind else [])], data)


def learned(*exchanges: tuple[str, Response, Response]) -> CallerValues:
    """Return what a caller has learned from exchanges: target, recorded response, response of this replay."""
    values = CallerValues()
    for target, recorded, replayed in exchanges:
        values.learn(values_by_place(recorded, target), values_by_place(replayed, target))
    return values


def request(
    target: str = "/",
    body: object = b"",
    *,
    method: str = "GET",
    kind: str = "",
    headers: Mapping[str, str] | None = None,
) -> RequestMessage:
    fields = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    if isinstance(body, bytes | str):
        data = body.encode() if isinstance(body, str) else body
    else:
        data, kind = json.dumps(body).encode(), kind or "application/json"
    if data:
        fields += [(b"Content-Length", str(len(data)).encode())]
    if kind:
        fields += [(b"Content-Type", kind.encode())]
    return RequestMessage(method.encode(), target.encode(), fields, data)


def sent(values: CallerValues, *arguments: Any, **keywords: Any) -> RequestMessage:
    """Return the request as it is sent, when nothing is left out."""
    done = substitute(request(*arguments, **keywords), values)
    assert not done.left_out
    assert not done.unsendable
    return done.request


def target_of(values: CallerValues, target: str) -> str:
    return sent(values, target).target.decode()


def fields_of(done: Substituted | RequestMessage) -> dict[str, str]:
    message = done.request if isinstance(done, Substituted) else done
    return {name.decode(): value.decode() for name, value in message.headers}
