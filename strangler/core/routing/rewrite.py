"""Rewriting the prefix of a path, and restoring the public one in Location and cookies.

Only the prefix changes: what follows it, the query and the authority are passed on byte for byte. docs/paths.md states
the rules; they are those of nginx's proxy_pass and proxy_redirect, on whole segments.
"""

import re
from dataclasses import dataclass
from typing import Self
from urllib.parse import quote

from strangler.core.routing.path import climbs, has_one_reading

_absolute = re.compile(rb"(?:(https?):)?//([^/?#@\\]*)(?=[/?#]|\Z)", re.IGNORECASE).match
_path_end = re.compile(rb"[?#]|\Z").search
_LOOKS_LIKE_A_HOST = (b"/", b"\\")
"""After a first slash: `//x` names a host and not a path (RFC 3986 section 4.2), in browsers `/\\x` too."""

_NOT_QUOTED = "/%{}!$&'()*+,;=:@~"
"""The characters that stay as written; others are percent-encoded as UTF-8 (RFC 3986 section 2.5)."""

_DEFAULT_PORTS = {b"http": b":80", b"https": b":443"}


@dataclass(frozen=True, slots=True)
class Rewrite:
    """A public prefix and the one that the candidate sees, each as raw segments; `{name}` stands for one segment."""

    public: tuple[bytes, ...]
    candidate: tuple[bytes, ...]

    @classmethod
    def between(cls, public: str, candidate: str) -> Self:
        """Return the rewrite between two prefixes of routes.yaml; a trailing slash does not count."""
        return cls(_segments(public), _segments(candidate))

    def path(self, path: bytes) -> bytes:
        """Return the candidate's path for a path under the public prefix."""
        head, rest = _cut(path, len(self.public))
        return _join(_filled(self.candidate, self._values(head))) + rest or b"/"

    def is_safe(self, path: bytes) -> bool:
        """Return False if a server could read the rewritten path as one outside the candidate's prefix."""
        head, rest = _cut(path, len(self.public))
        if not all(has_one_reading(b"/" + value) for value in self._values(head).values()):
            return False
        if not self.candidate and rest[1:2] in _LOOKS_LIKE_A_HOST:
            return False
        return not climbs(rest or b"/")

    def public_path(self, path: bytes, request_path: bytes) -> bytes | None:
        """Return the public form of a candidate's path, or None if that is not under the candidate's prefix.

        `{name}` takes its value from the candidate's path, else from the request's path.
        """
        head, rest = _cut(path, len(self.candidate))
        found = _captures(self.candidate, head)
        if found is None:
            return None
        values = self._values(_cut(request_path, len(self.public))[0]) | found
        return _join(_filled(self.public, values)) + rest or b"/"

    def forwarded_prefix(self, request_path: bytes) -> bytes:
        """Return the start of the client's path that the candidate does not see, for X-Forwarded-Prefix.

        If the candidate's prefix is the end of the public one, that is what stands before it; else the whole public
        prefix, which the candidate's replaces.
        """
        head, _ = _cut(request_path, len(self.public))
        seen = _filled(self.candidate, self._values(head))
        is_end = not seen or head[-len(seen) :] == seen
        return _join(head[: len(head) - len(seen)] if is_end else head)

    def cookie_path(self, path: bytes, request_path: bytes) -> bytes:
        """Return the Path of a cookie that the client needs so that the cookie comes back to the candidate.

        A path above the candidate's prefix covers all of that prefix, so it becomes the public prefix; but `/` stays,
        since it covers the client's paths, too.
        """
        values = self._values(_cut(request_path, len(self.public))[0])
        own = _join(_filled(self.candidate, values))
        if path != b"/" and (own + b"/").startswith(path.rstrip(b"/") + b"/"):
            path = own or b"/"
        public = self.public_path(path, request_path)
        return path if public is None else public.rstrip(b"/") or b"/"

    def _values(self, head: tuple[bytes, ...]) -> dict[bytes, bytes]:
        return {name: value for name, value in zip(self.public, head, strict=False) if _is_name(name)}


def rewrite_target(target: bytes, rewrite: Rewrite | None, base: bytes = b"") -> bytes:
    """Return the request target for the upstream, in the form received: origin-form, absolute-form or `*`.

    `base` is the path of the upstream's URL, put before every path. The target's path must be under the public prefix
    of `rewrite`, which it is whenever a plan names the route.
    """
    base = base.rstrip(b"/")
    if (rewrite is None and not base) or target == b"*":
        return target
    front = b""
    if not target.startswith(b"/"):
        found = _absolute(target)
        if found is None:
            return target
        front = found[0]
    end = _end_of_path(target, len(front))
    path = target[len(front) : end] or b"/"
    return front + base + (path if rewrite is None else rewrite.path(path)) + target[end:]


def cookie_path_back(path: bytes, rewrite: Rewrite | None, request_path: bytes, base: bytes) -> bytes:
    """Return the client's form of the Path of a candidate's cookie: without `base`, and with the public prefix."""
    inside = _without_base(path, base.rstrip(b"/"))
    if inside is None:
        return path
    return (rewrite or _NO_REWRITE).cookie_path(inside, request_path)


def rewrite_back(
    location: bytes, rewrite: Rewrite | None, request_path: bytes, base: bytes, upstream: bytes, own: bytes
) -> bytes:
    """Return the Location or Content-Location that the client gets.

    A path, or a URL at the authority `upstream` (the upstream's) or `own` (the request's), whose path is under `base`
    and the candidate's prefix gets the public prefix instead. At `own` the URL keeps its scheme and authority; at
    `upstream` only the path is left, since the client cannot reach that authority. All else is returned unchanged, and
    so is what would become `//host`: a candidate's path must not send the client elsewhere.
    """
    own_front, start = b"", 0
    if location.startswith(b"//") or not location.startswith(b"/"):
        found = _absolute(location)
        if found is None:
            return location
        scheme, authority = (found[1] or b"").lower(), found[2]
        if _is_same(authority, own, scheme):
            own_front = found[0]
        elif not _is_same(authority, upstream, scheme):
            return location
        start = found.end()
    end = _end_of_path(location, start)
    path = _without_base(location[start:end] or b"/", base.rstrip(b"/"))
    public = None if path is None else (rewrite or _NO_REWRITE).public_path(path, request_path)
    if public is None or (not own_front and public[1:2] in _LOOKS_LIKE_A_HOST):
        return location
    return own_front + public + location[end:]


def _segments(prefix: str) -> tuple[bytes, ...]:
    stripped = quote(prefix.strip("/"), safe=_NOT_QUOTED).encode()
    return tuple(stripped.split(b"/")) if stripped else ()


def _is_name(segment: bytes) -> bool:
    return segment.startswith(b"{") and segment.endswith(b"}")


def _cut(path: bytes, count: int) -> tuple[tuple[bytes, ...], bytes]:
    """Return the first `count` raw segments of a path, and the rest: empty, or from its slash on."""
    parts = path.split(b"/", count + 1)
    rest = b"/" + parts[count + 1] if len(parts) > count + 1 else b""
    return tuple(parts[1 : count + 1]), rest


def _captures(pattern: tuple[bytes, ...], head: tuple[bytes, ...]) -> dict[bytes, bytes] | None:
    """Return the segments that the names in a pattern stand for, or None if they do not match it."""
    if len(head) != len(pattern):
        return None
    found: dict[bytes, bytes] = {}
    for expected, segment in zip(pattern, head, strict=True):
        if _is_name(expected) and segment:
            found[expected] = segment
        elif expected != segment:
            return None
    return found


def _filled(pattern: tuple[bytes, ...], values: dict[bytes, bytes]) -> tuple[bytes, ...]:
    return tuple(values.get(segment, segment) for segment in pattern) if values else pattern


def _join(segments: tuple[bytes, ...]) -> bytes:
    return b"".join(b"/" + segment for segment in segments)


def _without_base(path: bytes, base: bytes) -> bytes | None:
    if not path.startswith(base):
        return None
    rest = path[len(base) :]
    return (rest or b"/") if rest[:1] in (b"", b"/") else None


def _end_of_path(target: bytes, start: int) -> int:
    found = _path_end(target, start)
    return found.start() if found else len(target)


def _is_same(authority: bytes, other: bytes, scheme: bytes) -> bool:
    port = _DEFAULT_PORTS.get(scheme, b"")
    return authority.lower().removesuffix(port) == other.lower().removesuffix(port)


_NO_REWRITE = Rewrite((), ())
