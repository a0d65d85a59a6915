"""The bodies of responses that Envoy makes itself: problem details, and the page that browsers get."""

from typing import Final

from strangler.core.http.problem import Problem, fill_page
from strangler.core.settings import Settings
from strangler.envoy.header_values import literal
from strangler.envoy.resources import Resource

DETAILS: Final = "application/problem+json"
PAGE: Final = "text/html; charset=utf-8"

_REQUEST_ID: Final = "%REQ(X-REQUEST-ID)%"
_MARK: Final = "strangler-request-id"
_PLAIN_ID: Final = "[A-Za-z0-9._:-]{1,128}"


def details(problem: Problem) -> Resource:
    """Return the format of problem details, with the request's id."""
    return {
        "type": f"urn:strangler:fault:{problem.fault}",
        "title": literal(problem.title),
        "status": problem.status,
        "fault": str(problem.fault),
        "request_id": _REQUEST_ID,
        **{name: literal(value) for name, value in problem.members},
    }


def page(settings: Settings, problem: Problem) -> str:
    """Return the format of the page, with the request's id."""
    return literal(fill_page(settings.errors.html, problem, _MARK).decode()).replace(_MARK, _REQUEST_ID)


def wants_page() -> list[Resource]:
    """Return the conditions on header fields under which a page is sent: Accept has HTML and no JSON; and the request's
    id, which stands in the page as it is, has nothing that HTML reads as more than text."""
    html = {"safe_regex": {"regex": "(?i).*(?:text/html|application/xhtml\\+xml).*"}}
    return [
        {"name": "accept", "string_match": html},
        {"name": "accept", "string_match": {"contains": "json", "ignore_case": True}, "invert_match": True},
        {"name": "x-request-id", "string_match": {"safe_regex": {"regex": _PLAIN_ID}}},
    ]
