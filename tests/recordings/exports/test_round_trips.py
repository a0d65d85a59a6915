"""Exports that are imported again: nothing is lost that the format can hold."""

from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from strangler.recordings.exports.to_gor import SEPARATOR, GorFormat
from strangler.recordings.exports.to_har import HarFormat
from strangler.recordings.recorded import (
    RawText,
    RecordedPair,
    RecordedRequest,
    RecordedResponse,
    raw_bytes,
    raw_headers,
)
from strangler.recordings.recorded import RecordedBody as Body
from strangler.recordings.sources.from_gor import gor_pairs
from strangler.recordings.sources.from_har import har_pairs
from strangler.recordings.sources.pairs import NumberedPairs
from tests.recordings.exports.pairs import TO, exported

TOKENS = st.text("abcXYZ019!#$%&'*+-.^_`|~", min_size=1, max_size=12).filter(
    lambda name: name.lower() not in ("host", "te", "content-length", "transfer-encoding", "content-encoding")
)
TEXTS = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), max_size=30).map(
    lambda text: text.strip(" \t")
)
FIELDS = st.lists(st.tuples(TOKENS, TEXTS), max_size=5).map(tuple)
BODIES = st.none() | (st.binary(min_size=1, max_size=200) | st.text(min_size=1).map(str.encode)).map(Body.of)
NOT_IN_URLS = '#\x7f?\\"<>^`{|}'
PATHS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x2FF, exclude_characters=NOT_IN_URLS), max_size=30)
REQUESTS = st.builds(
    RecordedRequest,
    st.sampled_from(["GET", "POST", "PUT", "DELETE", "PROPFIND"]),
    st.builds(lambda path, query: f"/{path}" + ("" if query is None else f"?{query}"), PATHS, st.none() | PATHS),
    FIELDS,
    BODIES,
)
MILLISECONDS = st.integers(0, 60_000_000).map(lambda microseconds: microseconds / 1000)
RESPONSES = st.builds(RecordedResponse, st.sampled_from([200, 201, 302, 404, 503, 599]), FIELDS, BODIES, MILLISECONDS)
TIMES = st.integers(1_600_000_000_000_000, 1_900_000_000_000_000).map(lambda microseconds: microseconds / 1e6)
PAIRS = st.builds(
    RecordedPair, at=TIMES, caller=st.sampled_from(["ann", "bob"]), request=REQUESTS, response=st.none() | RESPONSES
)


def imported(pairs: NumberedPairs) -> list[RecordedPair]:
    found = []
    for _, pair in pairs:
        assert isinstance(pair, RecordedPair), pair
        found.append(pair)
    return found


def without_added(request: RecordedRequest) -> list[tuple[bytes, bytes]]:
    """Return the fields but for those that an export adds: the host, and a body's length."""
    return [(name, value) for name, value in raw_headers(request.headers) if name not in (b"Host", b"Content-Length")]


def url_text(target: RawText) -> str:
    """Return a target as a URL has it."""
    return quote(raw_bytes(target), safe="".join(map(chr, range(0x21, 0x7F))))


def check_same(pairs: list[RecordedPair], found: list[RecordedPair], *, time_s: float, ms: float) -> None:
    assert len(found) == len(pairs)
    for before, after in zip(pairs, found, strict=True):
        assert abs(before.at - after.at) <= time_s
        assert (after.request.method, after.request.target) == (before.request.method, before.request.target)
        assert without_added(after.request) == raw_headers(before.request.headers)
        assert after.request.body == before.request.body
        if before.response is None or after.response is None:
            assert before.response is after.response
            continue
        assert (after.response.status, after.response.body) == (before.response.status, before.response.body)
        assert after.response.headers == before.response.headers
        assert before.response.ms is not None
        assert after.response.ms is not None
        assert abs(after.response.ms - before.response.ms) <= ms


@given(st.lists(PAIRS, max_size=3))
def test_gor(pairs: list[RecordedPair]) -> None:
    pairs = sorted(pairs, key=lambda pair: pair.at)
    text, counts = exported(GorFormat(), *pairs)
    assert counts.written == len(pairs)
    chunks = (text[start : start + 7] for start in range(0, len(text), 7))
    found = sorted(imported(gor_pairs(chunks)), key=lambda pair: pair.at)
    check_same(pairs, found, time_s=1e-6, ms=0.002)
    assert len({pair.caller for pair in found}) == len({pair.caller for pair in pairs})
    assert text.count(SEPARATOR) == sum(1 + (pair.response is not None) for pair in pairs)


@given(st.lists(PAIRS, max_size=3))
def test_har(pairs: list[RecordedPair]) -> None:
    text, counts = exported(HarFormat(TO), *pairs)
    assert counts.written == len(pairs)
    encoded = [replace(pair, request=replace(pair.request, target=url_text(pair.request.target))) for pair in pairs]
    check_same(encoded, imported(har_pairs(text, "a.har", "")), time_s=2e-6, ms=0)
