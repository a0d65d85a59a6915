"""Responses of the admin listener, and the bodies of its requests."""

from typing import Final, TypeVar

import msgspec
from aiohttp import web

from strangler.control.visitor import Visitor
from strangler.core.documents import ProblemDocument


def json_response(value: object, status: int = 200) -> web.Response:
    """Return a response with a document as JSON."""
    return web.Response(body=msgspec.json.encode(value) + b"\n", status=status, content_type="application/json")


def problem(status: int, detail: str, *, retry_after_s: int | None = None) -> web.Response:
    """Return a response with a problem document (RFC 9457)."""
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    if retry_after_s is not None:
        headers["Retry-After"] = str(retry_after_s)
    return web.Response(
        body=msgspec.json.encode(ProblemDocument(status, detail)) + b"\n",
        status=status,
        headers=headers,
        content_type="application/problem+json",
    )


MAX_ACTOR_CHARS = 100


VISITOR: Final = web.RequestKey("visitor", Visitor)
"""The client behind a request; the application puts it there before anything else."""


def named(request: web.Request, actor: str) -> str:
    """Return the name of an API client for the audit: the user that a trusted proxy names, together with the client's
    own name; without a user the own name, else the address."""
    visitor, actor_name = request[VISITOR], " ".join(actor.split())[:MAX_ACTOR_CHARS]
    if visitor.user is None:
        return actor_name or visitor.name("api")
    return visitor.name(f"api, says {actor_name}," if actor_name and actor_name != visitor.user else "api")


Body = TypeVar("Body")


async def read_body(request: web.Request, kind: type[Body]) -> Body | web.Response:
    """Return the request's JSON as a value of `kind`, or a response that refuses it."""
    if request.content_type != "application/json":  # a form of a foreign page cannot send JSON
        return problem(415, "the Content-Type must be application/json")
    try:
        return msgspec.json.decode(await request.read(), type=kind)
    except msgspec.DecodeError as error:
        return problem(400, str(error))
    except RecursionError:
        return problem(400, "the JSON is nested too deeply")
