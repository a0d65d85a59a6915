"""Blocks for routes.yaml that are proposed for an endpoint. Each of them loads as it is."""

import json
import re
from urllib.parse import quote, unquote

from strangler.core.ledger.segments import HOLE, REST, split_segments
from strangler.core.ledger.word_classes import OVERFLOW
from strangler.core.routing.arm import LEGACY
from strangler.core.routing.path import has_one_reading
from strangler.core.settings import Settings

SHADOW_PERCENT = 10
_WORDS = re.compile(r"[a-z0-9]+")
_SAFE = ("GET", "HEAD")
_AS_IS = "~!$'()+,=:@&"
"""The characters of a segment, beside letters, digits and `-._`, that are written as they are."""


def match_of(method: str, template: str) -> str | None:
    """Return the `match` that covers one endpoint, as YAML; None if no path of routes.yaml can name it.

    What cannot be named ends a prefix: `/static/app-{}.js` -> `{prefix: "/static", …}`.
    """
    segments = split_segments(template)
    parameters = [text[1:].partition("=") for text in segments if text[:1] in ("?", "&")]
    names = [text for text in segments if text[:1] not in ("?", "&", "#")]
    if any(text[:1] == "#" for text in segments) or names == ["*"]:
        return None
    path, is_whole = _path(names)
    if not is_whole and path == "":
        return None
    pairs = [("path" if is_whole else "prefix", json.dumps(path or "/", ensure_ascii=False))]
    if method != "*":
        pairs.append(("methods", f"[{method}]"))
    query = {name: value for name, _, value in parameters if HOLE not in value}
    if query:
        pairs.append(("query", json.dumps(query, ensure_ascii=False)))
    return "{" + ", ".join(f"{name}: {value}" for name, value in pairs) + "}"


def _path(names: list[str]) -> tuple[str, bool]:
    """Return the path as a route spells it, and whether it is the whole of it."""
    path, holes = "", 0
    for at, text in enumerate(names):
        if text == HOLE:
            holes += 1
            path += "/{id}" if holes == 1 else f"/{{id{holes}}}"
        elif text == "" and at == len(names) - 1:
            path += "/"
        else:
            word = quote(unquote(text), safe=_AS_IS)
            if HOLE in text or text in (REST, OVERFLOW) or not has_one_reading(f"/{word}".encode()):
                return path, False
            path += "/" + word
    return path, True


def shadowing_route(method: str, template: str, settings: Settings) -> str | None:
    """Return a route that sends nobody to a candidate, and shadows of what legacy serves."""
    match = match_of(method, template)
    if match is None:
        return None
    candidate = next((name for name in settings.upstreams if name != LEGACY and not _is_beside(name, settings)), None)
    lines = []
    if candidate is None:
        candidate = "new-service"
        lines = ["upstreams:", f"  {candidate}:", "    url: http://127.0.0.1:8001 # where the new service listens"]
    lines += [
        "routes:",
        f"  - name: {route_name(method, template, settings)}",
        f"    match: {match}",
        f"    candidate: {json.dumps(candidate, ensure_ascii=False)}",
        "    split: {percent: 0}",
        f"    shadow: {shadow_of(method)}",
    ]
    return "\n".join(lines) + "\n"


def _is_beside(upstream: str, settings: Settings) -> bool:
    return any(route.is_passthrough and route.candidate == upstream for route in settings.routes)


def shadow_of(method: str) -> str:
    """Return the `shadow` for an endpoint. A write must not be run twice: the candidate gets it as a dry run."""
    if method in (*_SAFE, "*"):
        return f"{{percent: {SHADOW_PERCENT}}}"
    writes = "" if method in ("OPTIONS", "TRACE") else ", writes: dry_run"
    return f"{{percent: {SHADOW_PERCENT}, methods: [{method}]{writes}}}"


def retiring_route(method: str, template: str, sunset: str, settings: Settings) -> str | None:
    """Return a route that ends one endpoint on a day. Legacy serves it until then."""
    match = match_of(method, template)
    if match is None or match.startswith("{prefix"):
        return None  # other endpoints below it would end with it
    name = route_name(method, template, settings, "end-")
    return f"routes:\n  - name: {name}\n    match: {match}\n    retire: {{sunset: {sunset}}}\n"


def route_name(method: str, template: str, settings: Settings, begin: str = "") -> str:
    """Return a name for a new route that no route has."""
    words = _WORDS.findall(template.replace(HOLE, "id").lower())
    base = begin + "-".join([*([] if method == "*" else [method.lower()]), *words])[:60].strip("-")
    base = base if base.strip("-") else f"{begin}route"
    taken = {route.name for route in settings.routes}
    return next(
        name for name in (base, *(f"{base}-{number}" for number in range(2, len(taken) + 3))) if name not in taken
    )
