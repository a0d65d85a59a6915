"""The end of a route as Envoy tells it: what responses announce, and what a request gets in a brownout and afterwards.

Both depend on the time for which they are rendered; `next_change` is when they have to be rendered again.
"""

from collections.abc import Iterable

from strangler.core.http.problem import Problem
from strangler.core.http.problem import wants_page as may_have_page
from strangler.core.routing.retirement import ENDING_FIELDS, Refusal, Retirement
from strangler.core.settings import RouteSettings, Settings
from strangler.envoy.header_values import APPEND, REPLACE, header_value, literal
from strangler.envoy.problem_formats import DETAILS, PAGE, details, page, wants_page
from strangler.envoy.resources import Resource


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

    A browser gets a page, whoever else gets the details, which are JSON.
    """
    as_details = (list[Resource](), _respond(problem, DETAILS, {"json_format": details(problem)}))
    if not may_have_page(problem, b"text/html"):
        return [as_details]
    as_page = _respond(problem, PAGE, {"text_format_source": {"inline_string": page(settings, problem)}})
    return [(wants_page(), as_page), as_details]


def longest_page(settings: Settings, now: float) -> int:
    """Return the most bytes that a response to a refused request has at a time."""
    found = [refusal.problem for route in settings.routes if (refusal := refusal_of(route, now)) is not None]
    return max((len(page(settings, problem)) for problem in found), default=0)


def _respond(problem: Problem, kind: str, body: Resource) -> Resource:
    fields = [("Content-Type", kind), ("Cache-Control", "no-store"), *_fields(problem.lines or b"")]
    return {
        "direct_response": {"status": problem.status, "body_format": {**body, "content_type": kind}},
        "response_headers_to_add": _added(fields),
    }


def _fields(lines: bytes) -> list[tuple[str, str]]:
    """Return the fields of lines of a head."""
    pairs = (line.split(": ", 1) for line in lines.decode().split("\r\n") if line)
    return [(name, value) for name, value in pairs]


def _added(fields: Iterable[tuple[str, str]]) -> list[Resource]:
    """Return fields that are added. Link may be there already, from the upstream: it may have several values."""
    return [header_value(name, literal(value), APPEND if name == "Link" else REPLACE) for name, value in fields]
