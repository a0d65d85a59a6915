"""Names of what comparisons find: the signature of a difference."""

import json
from hashlib import blake2b

from strangler.core.compare.model.values import Comparison, Kind, Severity, Where

_SERVER_ERROR = "5xx"


def signature(route: str, method: str, shape: str, in_: Where, path: str | None, kind: Kind, severity: Severity) -> str:
    """Return 16 hex digits, always the same for the same difference, on every replica.

    `shape` is the name of an endpoint's path: see `endpoint_names`. `path` is that of `signature_path`.
    """
    parts = json.dumps([route, method, shape, in_, path, kind, severity])
    return blake2b(parts.encode(), digest_size=8).hexdigest()


def status_key(legacy: object, candidate: object) -> str:
    """Return the name of a status difference: the pair (`302->303`), or `5xx` if the candidate failed."""
    if isinstance(candidate, int) and candidate >= 500:
        return _SERVER_ERROR
    return f"{legacy}->{candidate}"


def signature_path(in_: Where, path: str | None, legacy: object, candidate: object) -> str | None:
    """Return the `path` of a difference for its signature: a status has none, so its `status_key` takes its place."""
    return status_key(legacy, candidate) if in_ is Where.STATUS else path


def comparison_signature(route: str, method: str, shape: str, comparison: Comparison) -> str | None:
    """Return the signature of the gravest difference, which stands for the whole comparison; None if there is none."""
    if not comparison.differences:
        return None
    first = comparison.differences[0]
    path = signature_path(first.in_, first.path, first.legacy, first.candidate)
    return signature(route, method, shape, first.in_, path, first.kind, first.severity)
