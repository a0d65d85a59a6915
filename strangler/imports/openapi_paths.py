"""The endpoints of an OpenAPI description, 3.x or 2.0: paths with the base paths of their servers."""

import re
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from strangler.core.compare.model.templates import HOLE
from strangler.imports.documents import lines_of_paths
from strangler.imports.path_patterns import templates
from strangler.imports.values import ListedEndpoint, SummaryState, Unread

_METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace", "query")
MAX_BASES: Final = 16
"""The base paths of one operation, over all servers and the values of their variables."""
MAX_ENDPOINTS: Final = 100_000
_MAX_REFERENCES: Final = 8
_VARIABLE: Final = re.compile(r"\{([^{}]{1,128})\}")


def is_openapi(document: object) -> bool:
    return isinstance(document, dict) and ("openapi" in document or "swagger" in document)


def endpoints(document: Mapping[str, Any], data: bytes, state: SummaryState) -> Iterator[ListedEndpoint]:
    """Yield the endpoints of a description; `data` is its text, for the lines. Nothing is fetched."""
    lines = lines_of_paths(data)
    default = _bases(document.get("servers")) or _swagger_bases(document)
    paths = document.get("paths")
    for path, written in paths.items() if isinstance(paths, dict) else ():
        if not isinstance(path, str) or not path.startswith("/"):
            continue  # `x-…`
        line = lines.get(path, 0)
        item = _resolved(document, written)
        if item is None:
            state.skip(Unread.ELSEWHERE, line)
            continue
        bases = _bases(item.get("servers")) or default
        for method, operation in _operations(item):
            own = _bases(operation.get("servers")) if isinstance(operation, dict) else []
            for base in own or bases:
                yield from _listed(method, base + _holed(path), line, state)


def _holed(path: str) -> str:
    """Return a path with holes. A template has no other signs (OpenAPI 3.1, section 4.8.8.2): colons are literal."""
    return _VARIABLE.sub(HOLE, path.partition("?")[0].partition("#")[0])


def _listed(method: str, path: str, line: int, state: SummaryState) -> Iterator[ListedEndpoint]:
    found = templates(path.replace(":", "%3A").replace("*", "%2A"))
    if not found:
        state.skip(Unread.BAD_PATH, line)
    for template in found:
        yield ListedEndpoint(method, template, line)


def _operations(item: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    merged = item.get("<<")  # YAML's merge key: texts are not interpreted
    if isinstance(merged, dict):
        item = {**merged, **item}
    for method in _METHODS:
        if method in item:
            yield method.upper(), item[method]
    more = item.get("additionalOperations")  # OpenAPI 3.2
    for method, operation in more.items() if isinstance(more, dict) else ():
        if isinstance(method, str):
            yield method, operation


def _resolved(document: Mapping[str, Any], item: object) -> Mapping[str, Any] | None:
    """Return a path item, its `$ref` within the file followed; None if it leads elsewhere or in a circle."""
    for _ in range(_MAX_REFERENCES):
        if not isinstance(item, dict):
            return None
        reference = item.get("$ref")
        if reference is None:
            return item
        found = _pointed(document, reference)
        if not isinstance(found, dict):
            return None
        item = {**found, **{key: value for key, value in item.items() if key != "$ref"}}
    return None


def _pointed(document: object, reference: object) -> object:
    """Return what a JSON pointer (RFC 6901) in the same file points to, or None."""
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return None
    value = document
    for step in reference[2:].split("/"):
        key = unquote(step).replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict):
            value = value.get(key)
        elif isinstance(value, list) and key.isdecimal() and len(key) < 7 and int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return value


def _bases(servers: object) -> list[str]:
    """Return the base paths of servers without their slashes at the end; empty if there is no server."""
    found: dict[str, None] = {}
    for server in servers if isinstance(servers, list) else ():
        url = server.get("url") if isinstance(server, dict) else None
        if not isinstance(url, str) or len(url) > 2048:
            continue
        for base in _expanded(_path_of(url), server.get("variables")):
            found[base.rstrip("/")] = None
            if len(found) >= MAX_BASES:
                return list(found)
    return list(found)


def _path_of(url: str) -> str:
    """Return the path of a server's URL, which may be relative and have variables anywhere."""
    found = re.match(r"(?:[^/?#]*:)?//[^/?#]*", url)
    path = url[found.end() :] if found else url
    path = re.split(r"[?#]", path, maxsplit=1)[0]
    steps = [step for step in path.split("/") if step not in ("", ".", "..")]
    return "".join("/" + step for step in steps)


def _expanded(path: str, variables: object) -> Iterator[str]:
    """Yield a base path for each value that its variables may have; without values a variable is a hole."""
    names = list(dict.fromkeys(_VARIABLE.findall(path)))
    choices = [_values(variables.get(name) if isinstance(variables, dict) else None) for name in names]
    for count, values in enumerate(product(*choices)):
        if count >= MAX_BASES:
            return
        chosen = dict(zip(names, values, strict=True))
        text = _VARIABLE.sub(lambda found, chosen=chosen: chosen[found[1]], path)  # type: ignore[misc]
        yield "/" + text.strip("/") if text.strip("/") else ""


def _values(variable: object) -> list[str]:
    if not isinstance(variable, dict):
        return [HOLE]
    listed = variable.get("enum")
    values = [value for value in listed if isinstance(value, str)] if isinstance(listed, list) else []
    default = variable.get("default")
    return list(dict.fromkeys([*([default] if isinstance(default, str) else []), *values]))[:MAX_BASES] or [HOLE]


def _swagger_bases(document: Mapping[str, Any]) -> list[str]:
    base = document.get("basePath")
    return ["/" + urlsplit(base).path.strip("/")] if isinstance(base, str) and base.strip("/") else [""]
