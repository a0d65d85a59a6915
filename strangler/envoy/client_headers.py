"""The header section of a request on its way through Envoy, as our engine passes it on (core/http/headers.py).

All is done before Envoy itself looks at a request: what comes from clients that are not trusted is gone by then.
"""

from typing import Final

from strangler.core.http.headers import CLIENT_CERTIFICATE
from strangler.envoy.extensions import extension
from strangler.envoy.header_values import APPEND, REPLACE, header_value
from strangler.envoy.resources import Resource

_RANDOM: Final = ("x-strangler-random-1", "x-strangler-random-2")
"""Fields that live only while a trace is begun: only of a field can a format take the first characters."""

_VIA: Final = "1.1 strangler"
_SHADOW: Final = "x-strangler-shadow"


def early_mutations(peer: str, scheme: str, *, is_trusted: bool, has_certificates: bool) -> list[Resource]:
    """Return the changes of requests from a client. `peer`: its address, as a format; `has_certificates`: clients may
    show certificates of their own, which take the place of reported ones."""
    mutations: list[Resource] = [{"remove_on_match": {"key_matcher": {"prefix": "x-envoy-", "ignore_case": True}}}]
    if is_trusted:
        mutations += _extended(peer, scheme)
    else:
        mutations += _own(peer, scheme)
    if has_certificates or not is_trusted:
        mutations += [{"remove": name.decode()} for name in sorted(CLIENT_CERTIFICATE)]
    mutations += [_append("via", _VIA, APPEND), *_ids()]
    return [
        extension(
            "envoy.http.early_header_mutation.header_mutation",
            "http.early_header_mutation.header_mutation.v3.HeaderMutation",
            mutations=mutations,
        )
    ]


def _own(peer: str, scheme: str) -> list[Resource]:
    """Return the fields that say who an untrusted client is, in place of what it says itself."""
    return [
        {"remove": "forwarded"},
        {"remove": _SHADOW},
        _append("x-forwarded-for", peer),
        _append("x-forwarded-proto", scheme),
        _append("x-forwarded-host", "%REQ(:AUTHORITY)%"),
    ]


def _extended(peer: str, scheme: str) -> list[Resource]:
    """Return the same fields for a trusted proxy: what it says is kept, and its own address appended."""
    node = f'%REQ(FORWARDED)%, for="{peer}";proto={scheme};host="%REQ(:AUTHORITY)%"'
    return [
        _append("x-forwarded-for", f"%REQ(X-FORWARDED-FOR)%, {peer}", "OVERWRITE_IF_EXISTS"),
        _append("x-forwarded-for", peer, "ADD_IF_ABSENT"),
        _append("x-forwarded-proto", scheme, "ADD_IF_ABSENT"),
        _append("x-forwarded-host", "%REQ(:AUTHORITY)%", "ADD_IF_ABSENT"),
        _append("forwarded", node, "OVERWRITE_IF_EXISTS"),
    ]


def _ids() -> list[Resource]:
    """Return the ids of a request that has none, in version 00 of Trace Context. Of the 32 digits of a trace id, 16 are
    random, the first ones of two UUIDs, and 16 are the time in microseconds, in decimal."""
    first, second = (f"%REQ({name}):8%" for name in _RANDOM)
    return [
        _append("x-request-id", "%UNIQUE_ID%", "ADD_IF_ABSENT"),
        *(_append(name, "%UNIQUE_ID%") for name in _RANDOM),
        _append("traceparent", f"00-{first}{second}%START_TIME(%s%6f)%-{second}{first}-00", "ADD_IF_ABSENT"),
        *({"remove": name} for name in _RANDOM),
    ]


def _append(name: str, value: str, action: str = REPLACE) -> Resource:
    return {"append": header_value(name, value, action)}
