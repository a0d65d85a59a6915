"""Envoy's own responses, in the words of our problem details."""

from typing import Final

from strangler.core.fault import Fault
from strangler.core.http.problem import HEADER_TIMEOUT, HEADER_TOO_LARGE, Problem, fill_page, problem_of
from strangler.core.settings import Settings
from strangler.envoy.resources import Resource
from strangler.envoy.retrying import RESULT_HEADER

REQUEST_ID: Final = "%REQ(X-REQUEST-ID)%"

FAULT_FLAGS: Final = (
    (Fault.FULL, ("UO",)),
    (Fault.TIMEOUT, ("UT", "SI")),
    (Fault.OPEN, ("UH",)),
    (Fault.CONNECT, ("UF", "NC")),
    (Fault.BAD_RESPONSE, ("UPE",)),
    (Fault.RESET, ("UC", "UR", "LR")),
)
"""Which fault a flag of a response stands for; the first that fits counts."""

_MALFORMED: Final = Problem(400, "malformed", "The request is malformed.")
_PAGE_CODES: Final = frozenset({502, 503, 504})
_ID_PATTERN: Final = "[A-Za-z0-9._:-]{1,128}"
_MARK: Final = "strangler-request-id"


def local_replies(settings: Settings, *, is_gate: bool) -> Resource:
    """Return how responses that are Envoy's own are written. A gate also says which fault each one is."""
    mappers = []
    for fault, flags in FAULT_FLAGS:
        mappers += _mappers(settings, problem_of(fault), _flags(*flags), fault if is_gate else None)
    if not is_gate:
        mappers += _mappers(settings, HEADER_TOO_LARGE, _status(431), None)
        mappers += _mappers(settings, problem_of(Fault.TOO_LARGE), _status(413), None)
        mappers += _mappers(settings, HEADER_TIMEOUT, _status(408), None)
        mappers += _mappers(settings, _MALFORMED, _status(400), None)
    return {"mappers": mappers}


def _mappers(settings: Settings, problem: Problem, condition: Resource, fault: Fault | None) -> list[Resource]:
    """Return the mapper of a problem, after the one for browsers, which get a page."""
    details = _mapper(problem, condition, fault, json_format=_details(problem), content_type="application/problem+json")
    if problem.status not in _PAGE_CODES:
        return [details]
    page = _mapper(
        problem,
        {"and_filter": {"filters": [condition, *_wants_page()]}},
        fault,
        text_format_source={"inline_string": _page(settings, problem)},
        content_type="text/html; charset=utf-8",
    )
    return [page, details]


def _mapper(problem: Problem, condition: Resource, fault: Fault | None, **body: object) -> Resource:
    fields = [("cache-control", "no-store")]
    if problem.retry_after_s is not None:
        fields.append(("retry-after", str(problem.retry_after_s)))
    if fault is not None:
        fields.append((RESULT_HEADER, fault.value))
    return {
        "filter": condition,
        "status_code": problem.status,
        "headers_to_add": [
            {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
            for name, value in fields
        ],
        "body_format_override": body,
    }


def _details(problem: Problem) -> Resource:
    return {
        "type": f"urn:strangler:fault:{problem.fault}",
        "title": problem.title,
        "status": problem.status,
        "fault": str(problem.fault),
        "request_id": REQUEST_ID,
    }


def _page(settings: Settings, problem: Problem) -> str:
    """Return the page as a format, in which a percent sign is written twice."""
    page = fill_page(settings.errors.html, problem, _MARK).decode()
    return page.replace("%", "%%").replace(_MARK, REQUEST_ID)


def _wants_page() -> list[Resource]:
    """Return the conditions of a page: Accept has HTML and no JSON; and the request's id, which stands in the page as
    it is, has nothing that HTML reads as more than text."""
    html = {"safe_regex": {"regex": "(?i).*(?:text/html|application/xhtml\\+xml).*"}}
    plain = {"safe_regex": {"regex": "(?i).*json.*"}}
    return [
        _header("accept", string_match=html),
        _header("accept", string_match=plain, invert_match=True),
        _header("x-request-id", string_match={"safe_regex": {"regex": _ID_PATTERN}}),
    ]


def _header(name: str, **match: object) -> Resource:
    return {"header_filter": {"header": {"name": name, **match}}}


def _flags(*flags: str) -> Resource:
    return {"response_flag_filter": {"flags": list(flags)}}


def _status(status: int) -> Resource:
    value = {"default_value": status, "runtime_key": f"strangler.own_status.{status}"}
    return {"status_code_filter": {"comparison": {"op": "EQ", "value": value}}}
