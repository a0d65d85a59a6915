"""A pair that matches at sight has the finding that it has when its responses are compared in full."""

from dataclasses import replace
from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from strangler.core.compare import CompareRules, Comparison, Outcome, Redactor, Response, compare, match_at_sight
from strangler.recordings.comparable import Comparable
from strangler.recordings.recorded import (
    RecordedBody,
    RecordedPair,
    RecordedRequest,
    RecordedResponse,
    recorded_headers,
)
from strangler.recordings.redact_in_place import RecordingRedactor
from strangler.replay.recorded_messages import recorded_response
from tests.core.compare.secret_texts import texts

RULES = CompareRules(("content-type", "cache-control", "location", "set-cookie"), (), ())
DAY = date(2027, 1, 1)
RECORDING = RecordingRedactor(Redactor.of(b"key", ["$..email"]))
FIELDS = st.lists(
    st.tuples(
        st.sampled_from([b"Content-Type", b"Cache-Control", b"Location", b"Set-Cookie", b"Content-Encoding", b"Date"]),
        st.sampled_from([b"application/json", b"text/html", b"gzip", b"a=ana@example.com", b"/a?token=abc123", b"x"]),
    ),
    max_size=4,
)
BODIES = texts().map(str.encode) | st.sampled_from(
    [b'{"email": "a", "n": 1}', b"token=abc123", b"", b"redacted:0011aabb"]
)
STATUSES = st.sampled_from([200, 204, 302, 500])


def recorded(response: Response) -> Response:
    """Return a response as a replay reads it from a redacted recording."""
    fields = recorded_headers(response.headers)
    kept = RecordedResponse(response.status, fields, RecordedBody.of(response.body))
    pair = RecordedPair(at=0, caller="", request=RecordedRequest("GET", "/"), response=kept)
    redacted = RECORDING.pair(pair, hides_caller=True)
    assert redacted is not None
    return recorded_response(redacted.response)


def in_full(left: Response, right: Response, comparable: Comparable) -> Comparison:
    return compare(*comparable.responses(left, right), RULES, DAY)


@given(st.builds(Response, STATUSES, FIELDS, BODIES), st.booleans(), st.booleans())
def test_a_match_at_sight_is_one_in_full(received: Response, is_same_key: bool, is_plain: bool) -> None:
    left = recorded(received)
    comparable = Comparable(
        RecordingRedactor(Redactor.of(b"key" if is_same_key else b"other", ["$..email"])), is_same_key=is_same_key
    )
    right = received if is_plain else replace(left, is_unrecorded=False)
    for each in (right, replace(right, headers=[*right.headers, (b"Date", b"2")])):
        at_sight = match_at_sight(left, each, RULES)
        if at_sight is not None:
            assert at_sight.outcome is Outcome.MATCH
            assert in_full(left, each, comparable) == at_sight
