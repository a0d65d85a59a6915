"""Lists of routes as JSON: Spring's actuator, Laravel, Django's show_urls, Express; and Express as Node prints it."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from strangler.imports.documents import line_of_entries
from strangler.imports.path_patterns import is_any_path, templates
from strangler.imports.values import ListedEndpoint, SummaryState, Unread

_CONDITIONS: Final = re.compile(r"\{?([A-Z]+(?:\s*\|\|\s*[A-Z]+)*)?\s*\[([^\]]*)\]")
_EXPRESS: Final = re.compile(rb"path:\s*(['\"])(/[^'\"\n]{0,1024})\1,\s*methods:\s*\[([^\]]{0,1024})\]", re.DOTALL)


def listed(
    methods: list[str], pattern: str, line: int, state: SummaryState, star_is_rest: bool = True
) -> Iterator[ListedEndpoint]:
    """Yield an endpoint for each method and each template of a pattern; HEAD and OPTIONS beside others are implied."""
    found = templates(pattern, star_is_rest)
    if not found:
        state.skip(Unread.BAD_PATH, line)
    for template in found:
        if is_any_path(template):
            state.skip(Unread.ANY_PATH, line)
            continue
        for method in _explicit(methods):
            yield ListedEndpoint(method, template, line)


def _explicit(methods: list[str]) -> list[str]:
    names = list(dict.fromkeys(method.upper() for method in methods))
    if not names or any(name in ("*", "ANY", "ALL") for name in names) or len(names) >= 7:
        return ["*"]
    explicit = [name for name in names if name not in ("HEAD", "OPTIONS")]
    return explicit or names


def is_spring(document: object) -> bool:
    return isinstance(document, dict) and isinstance(document.get("contexts"), dict)


def spring(document: Mapping[str, Any], data: bytes, state: SummaryState) -> Iterator[ListedEndpoint]:
    """Yield the endpoints of `/actuator/mappings`: those of servlets, and of WebFlux."""
    lines = line_of_entries(data, b"predicate")
    for context in document["contexts"].values():
        mappings = context.get("mappings") if isinstance(context, dict) else None
        for kind in ("dispatcherServlets", "dispatcherHandlers"):
            servlets = mappings.get(kind) if isinstance(mappings, dict) else None
            for entries in servlets.values() if isinstance(servlets, dict) else ():
                for entry in entries if isinstance(entries, list) else ():
                    yield from _spring_entry(entry, next(lines), state)


def _spring_entry(entry: object, line: int, state: SummaryState) -> Iterator[ListedEndpoint]:
    if not isinstance(entry, dict):
        return
    details = entry.get("details")
    conditions = details.get("requestMappingConditions") if isinstance(details, dict) else None
    if isinstance(conditions, dict):
        methods, patterns = _texts(conditions.get("methods")), _texts(conditions.get("patterns"))
    else:
        written = entry.get("predicate")
        text = written if isinstance(written, str) else ""
        found = _CONDITIONS.match(text)
        methods = re.findall(r"[A-Z]+", found[1] or "") if found else []
        patterns = re.split(r"\s*(?:,|\|\|)\s*", found[2]) if found else [text]
    for pattern in patterns:
        if pattern.startswith("/"):
            yield from listed(methods, pattern, line, state, star_is_rest=False)
        else:
            state.skip(Unread.NO_REQUEST, line)


def _texts(values: object) -> list[str]:
    return [value for value in values if isinstance(value, str)] if isinstance(values, list) else []


def is_route_list(document: object) -> bool:
    """Return True for a list of objects with a path under a name that one of the frameworks uses."""
    if not isinstance(document, list) or not document or not isinstance(document[0], dict):
        return False
    return any(isinstance(document[0].get(name), str) for name in _PATHS)


_PATHS: Final = ("uri", "path", "url", "route", "rule")
_METHOD_NAMES: Final = ("methods", "method", "verb", "verbs")


def route_list(document: list[Any], data: bytes, state: SummaryState) -> Iterator[ListedEndpoint]:
    """Yield the endpoints of a list of objects: Laravel (`uri`), Express (`path`), show_urls (`url`)."""
    name = next(name for name in _PATHS if isinstance(document[0].get(name), str))
    lines = line_of_entries(data, name.encode())
    for entry in document:
        line = next(lines)
        pattern = entry.get(name) if isinstance(entry, dict) else None
        if not isinstance(pattern, str):
            state.skip(Unread.BAD_FORM, line)
            continue
        yield from listed(_methods_of(entry), pattern, line, state)


def _methods_of(entry: Mapping[str, Any]) -> list[str]:
    written = next((entry[name] for name in _METHOD_NAMES if entry.get(name)), None)
    texts = [written] if isinstance(written, str) else _texts(written)
    return [method for text in texts for method in re.split(r"[|,\s]+", text) if method]


def express(data: bytes, state: SummaryState) -> Iterator[ListedEndpoint]:
    """Yield the endpoints of `console.log(listEndpoints(app))`, which is JavaScript and no JSON."""
    number, at = 1, 0
    for found in _EXPRESS.finditer(data):
        number += data.count(b"\n", at, found.start())
        at = found.start()
        methods = re.findall(r"[A-Z]+", found[3].decode("utf-8", "replace"))
        yield from listed(methods, found[2].decode("utf-8", "replace"), number, state)


def is_express(data: bytes) -> bool:
    return _EXPRESS.search(data) is not None
