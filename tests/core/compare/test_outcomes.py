"""Status, outcomes, reasons, and the second look."""

from typing import Any

import pytest

from strangler.core.compare import Comparison, Outcome, Reason, Response, Severity, conditions_of, second_look
from strangler.core.fault import Fault
from tests.core.compare.responses import accept, compared, found, response, settings, trees


@pytest.mark.parametrize(
    ("legacy", "candidate", "severity"),
    [
        (200, 201, "risky"),
        (301, 302, "risky"),
        (400, 422, "risky"),
        (200, 302, "breaking"),
        (200, 404, "breaking"),
        (404, 200, "breaking"),
        (200, 500, "breaking"),
        (404, 503, "breaking"),
    ],
)
def test_status_counts_by_class(legacy: int, candidate: int, severity: str) -> None:
    comparison = compared(response(status=legacy), response(status=candidate))
    assert found(comparison) == {("status", None, "value", severity)}
    assert comparison.severity == severity


BROKEN_GZIP = response(b"no gzip", content_encoding="gzip", status=502)
FAILURES: dict[str, Response] = {
    "a text": response(b"oops", "text/plain", 500),
    "the same body": response({"a": 1}, status=503),
    "other headers": response({}, status=500, cache_control="no-store", location="/x"),
    "a coding that cannot be undone": BROKEN_GZIP,
    "too large": Response(500, [], b"x", is_too_large=True),
    "a stream": response(b"data: 1", "text/event-stream", 503),
    "told to be a stream": Response(504, is_streaming=True),
    "nested too deep": response(b"[" * 100_000, status=500),
    "no body": Response(599),
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_server_error_of_the_candidate_is_one_difference_of_the_status(failure: Response) -> None:
    rules = settings(accept("$"), accept(status=(200, failure.status)), headers=("content-type", "cache-control"))
    comparison = compared(response({"a": 1}), failure, rules)
    assert found(comparison) == {("status", None, "value", "breaking")}
    assert not comparison.rules_used


@pytest.mark.parametrize("status", [200, 204, 206, 304, 404, 412, 416])
def test_server_error_is_a_mismatch_whatever_legacy_answered(status: int) -> None:
    request = conditions_of([(b"If-None-Match", b'"a"'), (b"If-Match", b'"a"'), (b"If-Range", b'"a"')])
    comparison = compared(Response(status), Response(500), request=request)
    assert found(comparison) == {("status", None, "value", "breaking")}


def test_of_two_failures_legacy_s_counts() -> None:
    assert compared(Response(500), Response(500)).reason is Reason.LEGACY_ERROR


def test_a_dry_run_that_failed_without_a_word_is_not_handled() -> None:
    assert compared(OK, Response(500), is_dry_run=True).reason is Reason.NOT_HANDLED
    response_500 = response(b"", None, 500, x_strangler_shadow_handled="1")
    assert compared(OK, response_500, is_dry_run=True).outcome is Outcome.MISMATCH


def failed(fault: Fault) -> Response:
    return Response(0, fault=fault)


OK = response({"a": 1})
STREAM = response(b"data: 1\n\n", "text/event-stream; charset=utf-8")
PARTIAL = Response(200, [], b"x", is_too_large=True)
WITHOUT_BODY = Response(200, is_unrecorded=True)
NOTHING_RECORDED = Response(0, is_unrecorded=True)
REASONS: dict[str, tuple[Response, Response, str]] = {
    "legacy answers 500": (response(status=500), OK, "legacy_error"),
    "both answer 500": (response(status=503), response(status=503), "legacy_error"),
    "legacy timed out": (failed(Fault.TIMEOUT), OK, "legacy_error"),
    "both failed": (failed(Fault.CONNECT), failed(Fault.CONNECT), "legacy_error"),
    "candidate refused": (OK, failed(Fault.CONNECT), "unavailable"),
    "candidate reset": (OK, failed(Fault.RESET), "unavailable"),
    "breaker open": (OK, failed(Fault.OPEN), "unavailable"),
    "candidate timed out": (OK, failed(Fault.TIMEOUT), "timeout"),
    "candidate timed out within the body": (OK, Response(200, [], b"x", Fault.TIMEOUT), "timeout"),
    "legacy too large": (PARTIAL, OK, "too_large"),
    "candidate too large": (OK, PARTIAL, "too_large"),
    "legacy streams events": (STREAM, OK, "streaming"),
    "candidate streams events": (OK, STREAM, "streaming"),
    "upgrade": (Response(101), Response(101), "streaming"),
    "recorded without its body": (WITHOUT_BODY, OK, "not_recorded"),
    "recorded without its body, and it is too large": (WITHOUT_BODY, PARTIAL, "not_recorded"),
    "nothing recorded": (NOTHING_RECORDED, OK, "not_recorded"),
    "nothing recorded, and the candidate answers 500": (NOTHING_RECORDED, Response(500), "not_recorded"),
    "recorded without its body, a 500": (Response(500, is_unrecorded=True), OK, "legacy_error"),
    "recorded without its body, the candidate refused": (WITHOUT_BODY, failed(Fault.CONNECT), "unavailable"),
    "recorded without its body, a stream": (WITHOUT_BODY, STREAM, "streaming"),
    "told to be a stream": (OK, Response(200, is_streaming=True), "streaming"),
}


@pytest.mark.parametrize(("legacy", "candidate", "reason"), REASONS.values(), ids=REASONS)
def test_pairs_that_say_nothing_are_not_comparable(legacy: Response, candidate: Response, reason: str) -> None:
    assert compared(legacy, candidate) == Comparison(Outcome.NOT_COMPARABLE, Reason(reason))


@pytest.mark.parametrize("status", [204, 302, 404, 500])
def test_of_a_response_without_its_body_the_status_counts(status: int) -> None:
    comparison = compared(WITHOUT_BODY, Response(status, [], b"x"))
    assert {(item.in_, item.legacy, item.candidate) for item in comparison.differences} == {("status", 200, status)}


def test_a_rule_accepts_another_status_than_that_of_a_response_without_its_body() -> None:
    comparison = compared(WITHOUT_BODY, Response(204), settings(accept(status=(200, 204))))
    assert comparison.outcome is Outcome.ACCEPTED


def test_dry_run_must_be_confirmed() -> None:
    confirmed = response({"a": 1}, x_strangler_shadow_handled="1")
    assert compared(OK, OK, is_dry_run=True).reason is Reason.NOT_HANDLED
    assert compared(OK, response({}, x_strangler_shadow_handled="0"), is_dry_run=True).reason is Reason.NOT_HANDLED
    assert compared(OK, confirmed, is_dry_run=True).outcome is Outcome.MATCH


def test_severity_is_that_of_the_gravest_difference() -> None:
    assert trees({"a": 1}, {"a": 1, "b": 1}).severity is Severity.ADDITIVE
    assert trees({"a": 1}, {"a": 2, "b": 1}).severity is Severity.ADDITIVE
    assert trees({"a": [1]}, {"a": [1, 2], "b": 1}).severity is Severity.RISKY
    assert trees({"a": 1, "c": 1}, {"a": 1, "b": 1}).severity is Severity.BREAKING
    assert trees({"a": 1}, {"a": 1}).severity is None


def test_second_look_keeps_what_both_looks_share() -> None:
    first = trees({"a": 1, "b": 1, "c": 1}, {"a": 2, "b": 2})
    second = trees({"a": 3, "b": 3, "c": 1}, {"a": 4, "b": 3, "c": 1})
    both = second_look(first, second)
    assert found(both) == {("body", "$.a", "value", "value")}
    assert (both.outcome, both.severity) == (Outcome.MISMATCH, Severity.VALUE)
    assert both.differences[0].legacy == b"3"


GONE: dict[str, tuple[Any, Any]] = {
    "all equal": ({"a": 1}, {"a": 1}),
    "another path": ({"a": 1, "b": 1}, {"a": 1, "b": 2}),
    "another kind": ({"a": 1}, {"a": "1"}),
}


@pytest.mark.parametrize("second", GONE.values(), ids=GONE)
def test_mismatch_that_is_gone_at_the_second_look_was_a_lag(second: tuple[Any, Any]) -> None:
    looked = second_look(trees({"a": 1}, {"a": 2}), trees(*second))
    assert looked == Comparison(Outcome.NOT_COMPARABLE, Reason.LAG)


def test_accepted_at_the_second_look_is_gone_too() -> None:
    rules = settings(accept("$.a", abs="1"))
    looked = second_look(trees({"a": 1}, {"a": 5}, rules), trees({"a": 1}, {"a": 2}, rules))
    assert looked.reason is Reason.LAG


def test_second_look_that_could_not_be_had_keeps_its_reason() -> None:
    looked = second_look(trees({"a": 1}, {"a": 2}), compared(OK, failed(Fault.TIMEOUT)))
    assert looked.reason is Reason.TIMEOUT


def test_only_a_mismatch_needs_a_second_look() -> None:
    match = trees({"a": 1}, {"a": 1})
    assert second_look(match, trees({"a": 1}, {"a": 2})) is match
