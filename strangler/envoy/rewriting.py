"""The rewriting of paths in a gate, as `strangler.core.routing.rewrite` does it: segments are cut by their number."""

from strangler.core.routing.rewrite import Rewrite
from strangler.envoy.resources import Resource


def path_rewrite(rewrite: Rewrite | None, base: str) -> Resource:
    """Return the field of a route action that changes the path: the candidate's prefix in place of the public one, and
    the path of the upstream's URL before all. None of it: no field."""
    base = base.rstrip("/")
    if rewrite is None:
        return _regex("^", _literal(base)) if base else {}
    pattern, names = "^", list[bytes]()
    for segment in rewrite.public:
        if _is_name(segment):
            names.append(segment)
        pattern += "/([^/]*)" if _is_name(segment) else "/[^/]*"
    own = "".join("/" + _filled(segment, names) for segment in rewrite.candidate)
    if own:
        return _regex(pattern + "(/.*)?$", f"{_literal(base)}{own}\\{len(names) + 1}")
    return _regex(pattern + "/?(.*)$", f"{_literal(base)}/\\{len(names) + 1}")


def _regex(pattern: str, substitution: str) -> Resource:
    return {"regex_rewrite": {"pattern": {"regex": pattern}, "substitution": substitution}}


def _filled(segment: bytes, names: list[bytes]) -> str:
    return f"\\{names.index(segment) + 1}" if segment in names else _literal(segment.decode())


def _is_name(segment: bytes) -> bool:
    return segment.startswith(b"{") and segment.endswith(b"}")


def _literal(text: str) -> str:
    return text.replace("\\", "\\\\")
