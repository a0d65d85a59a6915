"""Validators, conditional requests and ranges: RFC 9110 sections 8.8, 13 and 14."""

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime

from aiohttp import ETag, web

from legacy_stub.build import BUILD


@dataclass(frozen=True, slots=True)
class Version:
    """The version of a resource that a response has.

    of: the data that the resource is made from, which JSON can encode; whatever else is in a body (a nonce, the time)
    does not make another version. modified: the time of the last change. is_strong: the same version has the same
    bytes, so that ranges of it are possible; it is not compressed then, since gzip makes other bytes.
    """

    of: object
    modified: datetime | None = None
    is_strong: bool = False

    def tag(self, salt: str) -> ETag:
        made = hashlib.sha256(f"{salt} {json.dumps(self.of, sort_keys=True)}".encode())
        return ETag(value=made.hexdigest()[:16], is_weak=not self.is_strong)


def conditional(request: web.Request, response: web.Response, version: Version) -> web.Response:
    """Return the response that the conditions of the request call for: itself, 304, 412, 206 or 416.

    The conditions are checked in the order of RFC 9110 section 13.2.2. Every response has the validators.
    """
    tag = version.tag(request.app[BUILD].salt)
    if not _is_as_expected(request, version, tag):
        response = web.Response(status=412)
    elif _is_known(request, version, tag):
        response = web.Response(status=304)
    elif version.is_strong and _wants_part(request, version, tag):
        response = _part(request, response)
    response.etag = tag
    response.last_modified = version.modified
    response.headers["Cache-Control"] = "private, no-cache"
    if version.is_strong:
        response.headers["Accept-Ranges"] = "bytes"
    return response


def _is_as_expected(request: web.Request, version: Version, tag: ETag) -> bool:
    """Return True if If-Match, or else If-Unmodified-Since, holds. Tags are compared strongly."""
    if request.if_match is not None:
        return any(known.value == "*" or (known == tag and not tag.is_weak) for known in request.if_match)
    since = request.if_unmodified_since
    return since is None or version.modified is None or version.modified <= since


def _is_known(request: web.Request, version: Version, tag: ETag) -> bool:
    """Return True if the client has this version: If-None-Match, or else If-Modified-Since. Tags compare weakly."""
    if request.if_none_match is not None:
        return any(known.value in (tag.value, "*") for known in request.if_none_match)
    since = request.if_modified_since
    return since is not None and version.modified is not None and version.modified <= since


def _wants_part(request: web.Request, version: Version, tag: ETag) -> bool:
    """Return True if Range counts: If-Range is absent or names this very version (section 13.1.5)."""
    if request.method != "GET" or "Range" not in request.headers:
        return False
    wanted = request.headers.get("If-Range")
    if wanted is None or wanted == f'"{tag.value}"':
        return True
    return version.modified is not None and wanted == format_datetime(version.modified.astimezone(UTC), usegmt=True)


def _part(request: web.Request, response: web.Response) -> web.Response:
    """Return 206 with the part of the body that Range names, or 416. An unknown form of Range is ignored."""
    body = response.body if isinstance(response.body, bytes) else b""
    try:
        requested = request.http_range
    except ValueError:
        return response
    start, end, _ = requested.indices(len(body))
    if start >= end:
        return web.Response(status=416, headers={"Content-Range": f"bytes */{len(body)}"})
    headers = {
        "Content-Type": response.headers["Content-Type"],
        "Content-Range": f"bytes {start}-{end - 1}/{len(body)}",
    }
    return web.Response(status=206, body=body[start:end], headers=headers)
