"""Envoy's own responses, in the words of our problem details."""

from typing import Final

from strangler.core.fault import Fault
from strangler.core.http.problem import HEADER_TIMEOUT, HEADER_TOO_LARGE, Problem, problem_of
from strangler.core.settings import Settings
from strangler.envoy.header_values import header_value
from strangler.envoy.problem_formats import DETAILS, PAGE, details, page, wants_page
from strangler.envoy.resources import Resource
from strangler.envoy.retrying import RESULT_HEADER

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
    as_details = _mapper(problem, condition, fault, json_format=details(problem), content_type=DETAILS)
    if problem.status not in _PAGE_CODES:
        return [as_details]
    as_page = _mapper(
        problem,
        {"and_filter": {"filters": [condition, *({"header_filter": {"header": each}} for each in wants_page())]}},
        fault,
        text_format_source={"inline_string": page(settings, problem)},
        content_type=PAGE,
    )
    return [as_page, as_details]


def _mapper(problem: Problem, condition: Resource, fault: Fault | None, **body: object) -> Resource:
    fields = [("cache-control", "no-store")]
    if problem.retry_after_s is not None:
        fields.append(("retry-after", str(problem.retry_after_s)))
    if fault is not None:
        fields.append((RESULT_HEADER, fault.value))
    return {
        "filter": condition,
        "status_code": problem.status,
        "headers_to_add": [header_value(name, value) for name, value in fields],
        "body_format_override": body,
    }


def _flags(*flags: str) -> Resource:
    return {"response_flag_filter": {"flags": list(flags)}}


def _status(status: int) -> Resource:
    value = {"default_value": status, "runtime_key": f"strangler.own_status.{status}"}
    return {"status_code_filter": {"comparison": {"op": "EQ", "value": value}}}
