"""`compare`: two responses in, one comparison out. Pure: today is an argument, and nothing is looked up."""

from datetime import date

from strangler.core.collector import collector_paused
from strangler.core.compare.accept_rules.found import FoundState
from strangler.core.compare.accept_rules.rules import CompareRules
from strangler.core.compare.bodies import compare_bodies, content_of
from strangler.core.compare.codings import undo_codings
from strangler.core.compare.compared_headers import CONTENT_RANGE, Rewrite, compare_headers
from strangler.core.compare.model.conditions import NO_CONDITIONS, RequestConditions, Standing, has_ranges, standing_of
from strangler.core.compare.model.media import parse_media_type
from strangler.core.compare.model.values import Comparison, Outcome, Reason, Response, not_comparable
from strangler.core.compare.same import is_same
from strangler.core.fault import Fault
from strangler.core.http.headers import STREAM_TYPES

MATCH = Comparison(Outcome.MATCH)
_HANDLED = b"x-strangler-shadow-handled"


def _as_received(location: bytes) -> bytes:
    return location


def compare(
    legacy: Response,
    candidate: Response,
    rules: CompareRules,
    today: date,
    *,
    request: RequestConditions = NO_CONDITIONS,
    rewrite_back: Rewrite = _as_received,
    cookie_back: Rewrite = _as_received,
    is_dry_run: bool = False,
) -> Comparison:
    """Compare the responses of the two arms to one request (DESIGN section 7).

    `request` has the conditions of that request. `rewrite_back` turns a Location of the candidate into what the client
    would get, `cookie_back` a Set-Cookie. With `is_dry_run` the candidate must have confirmed that it changed nothing:
    `X-Strangler-Shadow-Handled: 1`.
    """
    reason = _why_no_response(legacy, candidate, is_dry_run)
    if reason is not None:
        return not_comparable(reason)
    if is_same(legacy, candidate, rules):
        return MATCH
    if candidate.status >= 500:  # one difference, whatever else differs
        return _status_alone(legacy, candidate, rules, today)
    standing = standing_of(legacy, candidate, request)
    if standing is Standing.MATCH:
        return MATCH
    if standing is Standing.CONDITIONAL:
        return not_comparable(Reason.CONDITIONAL)
    if standing is Standing.STATUS_ALONE or (legacy.is_unrecorded and legacy.status != candidate.status):
        return _status_alone(legacy, candidate, rules, today)
    reason = _why_not_whole(legacy, candidate)
    if reason is not None:
        return not_comparable(reason)
    with collector_paused():  # two trees of 256 KiB are up to 500,000 objects: half the time
        return _compared(legacy, candidate, rules, today, rewrite_back, cookie_back)


def match_at_sight(
    legacy: Response, candidate: Response, rules: CompareRules, *, is_dry_run: bool = False
) -> Comparison | None:
    """Return the match of two responses with the same bytes in all that is compared; None says nothing."""
    if _why_no_response(legacy, candidate, is_dry_run) is None and is_same(legacy, candidate, rules):
        return MATCH
    return None


def _compared(
    legacy: Response,
    candidate: Response,
    rules: CompareRules,
    today: date,
    rewrite_back: Rewrite,
    cookie_back: Rewrite,
) -> Comparison:
    bodies = _decoded(legacy), _decoded(candidate)
    if isinstance(bodies[0], Reason) or isinstance(bodies[1], Reason):
        return not_comparable(next(body for body in bodies if isinstance(body, Reason)))
    found = FoundState(rules, today)
    if legacy.status != candidate.status:
        found.status(legacy.status, candidate.status)
    compare_headers(_names(legacy, candidate, rules), legacy, candidate, found, rewrite_back, cookie_back)
    contents = content_of(legacy, bodies[0]), content_of(candidate, bodies[1])
    reason = compare_bodies(*contents, rules, found)
    return found.comparison() if reason is None else not_comparable(reason)


def _status_alone(legacy: Response, candidate: Response, rules: CompareRules, today: date) -> Comparison:
    found = FoundState(rules, today)
    found.status(legacy.status, candidate.status)
    return found.comparison()


def _names(legacy: Response, candidate: Response, rules: CompareRules) -> tuple[str, ...]:
    """Return the listed headers; for two responses with ranges, Content-Range too."""
    if CONTENT_RANGE in rules.headers or not has_ranges(legacy, candidate):
        return rules.headers
    return (*rules.headers, CONTENT_RANGE)


def _why_no_response(legacy: Response, candidate: Response, is_dry_run: bool) -> Reason | None:
    """Return why a response is missing; an unconfirmed dry run says so even if it failed, since it may have written."""
    if legacy.fault is not None or legacy.status >= 500:
        return Reason.LEGACY_ERROR
    if legacy.is_unrecorded and not legacy.status:
        return Reason.NOT_RECORDED
    if candidate.fault is not None:
        return Reason.TIMEOUT if candidate.fault is Fault.TIMEOUT else Reason.UNAVAILABLE
    if is_dry_run and candidate.field_values(_HANDLED) != [b"1"]:
        return Reason.NOT_HANDLED
    return None


def _why_not_whole(legacy: Response, candidate: Response) -> Reason | None:
    if _is_stream(legacy) or _is_stream(candidate):
        return Reason.STREAMING
    if legacy.is_unrecorded:
        return Reason.NOT_RECORDED
    return Reason.TOO_LARGE if legacy.is_too_large or candidate.is_too_large else None


def _is_stream(response: Response) -> bool:
    if response.is_streaming or response.status == 101:
        return True
    return any(parse_media_type(value).essence in STREAM_TYPES for value in response.field_values(b"content-type"))


def _decoded(response: Response) -> bytes | Reason:
    return undo_codings(response.body, response.field_values(b"content-encoding"))


def second_look(first: Comparison, second: Comparison) -> Comparison:
    """Return what counts of a mismatch after another look: the differences of both looks, by in, path and kind.

    If there are none, it was a lag. If the second look failed (an arm failed, or was too slow), its reason stands: the
    first look alone is no evidence.
    """
    if first.outcome is not Outcome.MISMATCH or second.outcome is Outcome.NOT_COMPARABLE:
        return first if first.outcome is not Outcome.MISMATCH else second
    seen = {difference.key for difference in first.differences}
    shared = tuple(difference for difference in second.differences if difference.key in seen)
    if not shared:
        return not_comparable(Reason.LAG)
    return Comparison(
        outcome=Outcome.MISMATCH,
        severity=shared[0].severity,
        differences=shared,
        accepted=second.accepted,
        accepted_differences=second.accepted_differences,
        omitted=min(first.omitted, second.omitted),
        rules_used=first.rules_used | second.rules_used,
        rules_expired=first.rules_expired | second.rules_expired,
        is_cut=first.is_cut or second.is_cut,
    )
