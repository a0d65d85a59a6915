"""The end of a route as Envoy tells it: what responses announce, and what a request gets in a brownout and afterwards.

Both depend on the time for which they are rendered; `next_change` is when they have to be rendered again.
"""

from collections.abc import Iterable
from typing import Final

from strangler.core.http.problem import Problem, fill_page, wants_page
from strangler.core.routing.retirement import ENDING_FIELDS, Refusal, Retirement
from strangler.core.settings import RouteSettings, Settings
from strangler.envoy.resources import Resource

_REQUEST_ID: Final = "%REQ(X-REQUEST-ID)%"
_MARK: Final = "strangler-request-id"
_DETAILS: Final = "application/problem+json"
_PAGE: Final = "text/html; charset=utf-8"
_PLAIN_ID: Final = "[A-Za-z0-9._:-]{1,128}"


def next_change(settings: Settings, now: float) -> float | None:
    """Return the next Unix time at which some route has a brownout, is served again or is gone; None if none does."""
    return min((at for route in settings.routes for at in _changes(route) if at > now), default=None)


def _changes(route: RouteSettings) -> Iterable[float]:
    retire = route.retire
    if retire is None:
        return ()
    bounds = (at for window in retire.windows for at in (window.begins, window.ends))
    return map(float, (*bounds, retire.sunset))


def announcement(route: RouteSettings) -> Resource:
    """Return the part of a route entry that announces the end: what an upstream says of that itself is replaced."""
    if route.retire is None:
        return {}
    return {
        "response_headers_to_remove": sorted(field.decode() for field in ENDING_FIELDS),
        "response_headers_to_add": _added(_fields(Retirement(route.retire).announcement)),
    }


def refusal_of(route: RouteSettings, now: float) -> Refusal | None:
    """Return why requests of a route are refused at a time; None if they are not."""
    return None if route.retire is None else Retirement(route.retire).refusal(now)


def refusals(settings: Settings, problem: Problem) -> list[tuple[list[Resource], Resource]]:
    """Return the responses to a refused request: conditions on its headers, and the rest of the route entry.

    A browser gets a page: it accepts HTML and no JSON. The page has the request's id as it stands, so one that HTML
    could read as more than text gets the details, which are JSON.
    """
    details = (list[Resource](), _respond(problem, _DETAILS, {"json_format": _details(problem)}))
    if not wants_page(problem, b"text/html"):
        return [details]
    page = _respond(problem, _PAGE, {"text_format_source": {"inline_string": _page(settings, problem)}})
    return [(_browser(), page), details]


def longest_page(settings: Settings, now: float) -> int:
    """Return the most bytes that a response to a refused request has at a time."""
    found = [refusal.problem for route in settings.routes if (refusal := refusal_of(route, now)) is not None]
    return max((len(_page(settings, problem)) for problem in found), default=0)


def _respond(problem: Problem, kind: str, body: Resource) -> Resource:
    fields = [("Content-Type", kind), ("Cache-Control", "no-store"), *_fields(problem.lines or b"")]
    return {
        "direct_response": {"status": problem.status, "body_format": {**body, "content_type": kind}},
        "response_headers_to_add": _added(fields),
    }


def _details(problem: Problem) -> Resource:
    return {
        "type": f"urn:strangler:fault:{problem.fault}",
        "title": _literal(problem.title),
        "status": problem.status,
        "fault": str(problem.fault),
        "request_id": _REQUEST_ID,
        **{name: _literal(value) for name, value in problem.members},
    }


def _page(settings: Settings, problem: Problem) -> str:
    page = fill_page(settings.errors.html, problem, _MARK).decode()
    return _literal(page).replace(_MARK, _REQUEST_ID)


def _browser() -> list[Resource]:
    html = {"safe_regex": {"regex": "(?i).*(?:text/html|application/xhtml\\+xml).*"}}
    return [
        {"name": "accept", "string_match": html},
        {"name": "accept", "string_match": {"contains": "json", "ignore_case": True}, "invert_match": True},
        {"name": "x-request-id", "string_match": {"safe_regex": {"regex": _PLAIN_ID}}},
    ]


def _fields(lines: bytes) -> list[tuple[str, str]]:
    """Return the fields of lines of a head."""
    pairs = (line.split(": ", 1) for line in lines.decode().split("\r\n") if line)
    return [(name, value) for name, value in pairs]


def _added(fields: Iterable[tuple[str, str]]) -> list[Resource]:
    """Return fields that are added. Link may be there already, from the upstream: it may have several values."""
    return [
        {
            "header": {"key": name, "value": _literal(value)},
            "append_action": "APPEND_IF_EXISTS_OR_ADD" if name == "Link" else "OVERWRITE_IF_EXISTS_OR_ADD",
        }
        for name, value in fields
    ]


def _literal(text: str) -> str:
    """Return a text as a format of Envoy, in which a percent sign begins a command."""
    return text.replace("%", "%%")
