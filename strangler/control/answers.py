"""Answers of the admin listener."""

from typing import Any

import msgspec
from aiohttp import web


def json_answer(value: Any, status: int = 200) -> web.Response:
    """Any plain data as JSON."""
    return web.Response(body=msgspec.json.encode(value) + b"\n", status=status, content_type="application/json")


def problem(status: int, detail: str) -> web.Response:
    """RFC 9457."""
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    return web.Response(
        body=msgspec.json.encode({"status": status, "detail": detail}) + b"\n",
        status=status,
        headers=headers,
        content_type="application/problem+json",
    )


MAX_WHO = 100


def api_client(request: web.Request) -> str:
    """How the audit names a client that does not say who it is."""
    return f"api {request.remote}"


def named(request: web.Request, who: str) -> str:
    """How the audit names a client: as it says, else by its address."""
    return " ".join(who.split())[:MAX_WHO] or api_client(request)


Body = Any


async def read_body(request: web.Request, kind: type[Body]) -> Body | web.Response:
    """The request's JSON as a value of `kind`, or the refusal."""
    if request.content_type != "application/json":  # what a form of another page can send is never JSON
        return problem(415, "send application/json")
    try:
        return msgspec.json.decode(await request.read(), type=kind)
    except msgspec.DecodeError as error:
        return problem(400, str(error))
