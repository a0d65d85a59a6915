"""Checks of the paths that routes.yaml names. Each function yields complaints: what is wrong, and the way out."""

import re
from collections import Counter
from collections.abc import Iterator

from strangler.core.routing.path import has_one_reading, is_well_encoded

Complaint = tuple[str, str]

_NAME = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_INVISIBLE = re.compile(r"[\x00-\x20\x7f]")
_NOT_SENT = re.compile(r"[^\x21-\x7e]|[\"<>\\^`|]")
_HOST = re.compile(r"(\*\.)?[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_][a-z0-9_-]{0,62})*|\[[0-9a-f:.]+\]")


def names(path: str) -> list[str]:
    """Return the names of a pattern's `{name}` segments."""
    return [found[1] for found in map(_NAME.fullmatch, path.split("/")) if found]


def pattern(path: str) -> Iterator[Complaint]:
    """Check `match.prefix` or `match.path`."""
    if not path.startswith("/"):
        yield f"is {path!r}", f"it must start with '/'; write {_with_slash(path)}"
        return
    yield from _not_a_path(path)
    yield from _braces(path)
    if "*" in path:
        yield f"is {path!r}", "'*' has no meaning here; write match.prefix for all below a path, {name} for one segment"
    yield from _unreachable(path)


def _with_slash(path: str) -> str:
    return f"/{path}" if re.fullmatch(r"[\w./{}-]+", path) else "a path such as /api/orders"


def _not_a_path(path: str) -> Iterator[Complaint]:
    if "?" in path:
        yield f"is {path!r}", "a path has no '?'; write match.query for parameters"
    if "#" in path:
        yield f"is {path!r}", "a path has no '#'"
    if _INVISIBLE.search(path):
        yield f"is {path!r}", "a path has no spaces or control characters; percent-encode them"


def _braces(path: str) -> Iterator[Complaint]:
    if "{" not in path and "}" not in path:
        return
    for segment in path.split("/"):
        if ("{" in segment or "}" in segment) and _NAME.fullmatch(segment) is None:
            yield f"has the segment {segment!r}", "write a whole segment as {name}, of letters, digits and _"
    for name, count in Counter(names(path)).items():
        if count > 1:
            yield f"has {{{name}}} twice", "give each its own name"


_OTHERS_NAMES = re.compile(r":([A-Za-z_]\w*)|<(?:\w+:)?([A-Za-z_]\w*)>|\[([A-Za-z_]\w*)\]|\$([A-Za-z_]\w*)")


def other_syntax(path: str) -> Iterator[Complaint]:
    """Find segments that are names in other routers (`:id`, `<int:pk>`, `[id]`, `$id`), but match only themselves."""
    for segment in path.split("/"):
        found = _OTHERS_NAMES.fullmatch(segment)
        if found is not None:
            name = next(filter(None, found.groups()))
            yield f"has the segment {segment!r}, which only matches itself", f"write {{{name}}} for any one segment"


def _unreachable(path: str) -> Iterator[Complaint]:
    """Find patterns that are never matched: paths with a second reading go to legacy."""
    literal = re.sub(r"\{[^/]*\}", "x", path)
    if re.search(r"%(?![0-9A-Fa-f]{2})", literal):
        yield f"is {path!r}", "'%' starts an encoding such as %20; write %25 for a literal one"
        return
    raw = literal.rstrip("/").encode() or b"/"
    if "//" in literal or not is_well_encoded(raw) or not has_one_reading(raw):
        yield (
            f"is {path!r} and can never be reached",
            "paths with dot segments, '//', ';', '\\' or an encoded '/' or '%' have two readings and go to legacy",
        )


def target(path: str, known: list[str], source: str) -> Iterator[Complaint]:
    """Check a path that is sent (`rewrite.prefix`, a part's `path`, `health.path`). `known`: the names in `source`."""
    if not path.startswith("/"):
        yield f"is {path!r}", f"it must start with '/'; write {_with_slash(path)}"
        return
    if "#" in path:
        yield f"is {path!r}", "a request's target has no '#'"
    elif _NOT_SENT.search(re.sub(r"[{}]", "", path)):
        yield (
            f"is {path!r}",
            "it is sent as it stands; percent-encode spaces and other characters that a URL cannot hold",
        )
    inside = path.split("?")[0]
    yield from _braces(inside)
    for name in names(inside):
        if name not in known:
            has = f"it has {', '.join(f'{{{k}}}' for k in known)}" if known else "it has none"
            yield f"has {{{name}}}, which {source} does not have", f"take a name from {source}; {has}"


def host(text: str) -> Iterator[Complaint]:
    """Check `match.host`."""
    if "/" in text:
        yield f"is {text!r}", "write the host only, without http:// and path"
    elif re.search(r":[0-9]+$", text) and not text.endswith("]"):
        yield f"is {text!r}", "write it without the port: a host matches on every port"
    elif _HOST.fullmatch(text.lower()) is None:
        yield f"is {text!r}", "write a host such as shop.example.com, or *.example.com for all below it"
