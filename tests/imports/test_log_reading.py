"""A log as a whole: its calls, the account of what gave none, and when it is refused."""

import gzip
import io

import pytest

from strangler.imports.log_reading import CallsState
from strangler.imports.recognise import read
from strangler.imports.source_bytes import MAX_LINE_BYTES, SourceState
from strangler.imports.values import ImportOptions, ImportRefusedError, Skipped, Unread

GOOD = b'203.0.113.7 - - [10/Oct/2000:13:55:%02d +0000] "GET /orders/%d HTTP/1.1" 200 5 "-" "curl/8"'


def log(*lines: bytes, end: bytes = b"\n") -> bytes:
    return b"\n".join(lines) + end


def good(count: int) -> list[bytes]:
    return [GOOD % (number % 60, number) for number in range(count)]


def calls(data: bytes, options: ImportOptions | None = None) -> CallsState:
    found = read(SourceState(io.BytesIO(data), "access.log"), options or ImportOptions())
    assert isinstance(found, CallsState)
    return found


def test_all_calls_come_in_the_order_of_the_lines() -> None:
    reading = calls(log(*good(1000)))
    assert [call.path for call in reading] == [b"/orders/%d" % number for number in range(1000)]
    summary = reading.summary
    assert (summary.format, summary.read, summary.skipped) == ("common or combined", 1000, ())
    assert summary.last_at is not None
    assert summary.first_at is not None
    assert summary.last_at - summary.first_at == 59


def test_compressed_or_not_the_digest_is_that_of_the_content() -> None:
    data = log(*good(50))
    plain, packed = calls(data), calls(gzip.compress(data))
    assert list(plain) == list(packed)
    assert plain.summary.digest == packed.summary.digest


def test_what_gave_no_call_is_counted_by_reason_with_the_first_lines() -> None:
    junk = b'203.0.113.7 - - [10/Oct/2000:13:55:00 +0000] "\\x16\\x03" 400 5 "-" "-"'
    lines = [*good(3), b"", b"# comment", *[junk] * 7, b"no log", *good(20), b"x" * (MAX_LINE_BYTES + 1)]
    reading = calls(log(*lines))
    assert len(list(reading)) == 23
    assert reading.summary.skipped == (
        Skipped(Unread.NO_REQUEST, 7, (6, 7, 8, 9, 10)),
        Skipped(Unread.BAD_FORM, 1, (13,)),
        Skipped(Unread.TOO_LONG, 1, (34,)),
    )
    assert reading.summary.sentences()[0] == "7 passed over: no request in it (at 6, 7, 8, 9, 10, …)"


def test_a_last_line_that_is_cut_off_is_no_fault() -> None:
    reading = calls(log(*good(3), GOOD[:40], end=b""))
    assert len(list(reading)) == 3
    assert reading.summary.skipped == (Skipped(Unread.CUT, 1, (4,)),)


def test_zeros_that_a_truncated_file_begins_with_are_passed_over() -> None:
    assert len(list(calls(bytes(3_000_000) + log(*good(3))))) == 3


def test_a_last_line_without_a_line_break_is_read() -> None:
    assert len(list(calls(log(*good(3), end=b"")))) == 3


def test_a_cut_archive_is_read_as_far_as_it_goes() -> None:
    reading = calls(gzip.compress(log(*good(50_000)))[:-500])
    assert 40_000 < len(list(reading)) < 50_000
    assert reading.summary.is_cut
    assert reading.summary.sentences()[-1] == "the compressed file ends too early; what came before was read"


def test_of_several_formats_lines_of_the_first_are_read() -> None:
    events = [b'{"event":"listening","time":"2000-10-10T20:55:36.250Z"}'] * 5
    reading = calls(log(*events, *good(3)))
    assert len(list(reading)) == 3
    assert reading.summary.skipped == (Skipped(Unread.OTHER_EVENT, 5, (1, 2, 3, 4, 5)),)


def test_a_log_that_turns_into_something_else_is_refused() -> None:
    reading = calls(log(*good(1200), *[b"no log at all"] * 3000))
    with pytest.raises(ImportRefusedError, match=r"most lines cannot be read as common or combined .* line 1201, 1202"):
        list(reading)


def test_of_several_hosts_one_can_be_read() -> None:
    lines = [b"%b:80 %b" % (host, line) for host in (b"a.example", b"B.example") for line in good(2)]
    reading = calls(log(*lines, *good(1)), ImportOptions(host="b.example:443"))
    assert [call.host for call in reading] == ["b.example", "b.example", ""]
    assert reading.summary.skipped == (Skipped(Unread.OTHER_HOST, 2, (1, 2)),)


UNKNOWN = {
    "text": (
        b"Exception in thread main\n" * 5,
        r"access.log:1: `Exception in thread main` has no form that is known.*--fields",
    ),
    "half of another format": (
        log(*good(40), *[b"no log"] * 60),
        r"access.log:41: `no log` has no form .* nearest is common or combined: 40 of the first 100 lines",
    ),
    "JSON without a path": (b'{"when":1,"who":"x"}\n' * 5, r"they have when, who\..*--fields"),
    "Docker's JSON": (b'{"log":"x","stream":"stdout","time":"x"}\n', r"jq -rj \.log"),
    "a JSON array": (b'[{"when":1}]', r"jq -c '\.\[\]'"),
    "nothing": (b"\n\n", r"access.log is empty"),
    "not text": (b"\x7fELF\x00\x00" + bytes(100), r"is no text"),
    "a broken archive": (gzip.compress(b"x")[:5], r"is empty or cannot be decompressed"),
}


@pytest.mark.parametrize(("data", "message"), UNKNOWN.values(), ids=UNKNOWN)
def test_a_file_of_no_known_kind_is_refused_with_the_way_out(data: bytes, message: str) -> None:
    with pytest.raises(ImportRefusedError, match=message):
        calls(data)


def test_a_refusal_names_the_fields_that_are_not_there() -> None:
    with pytest.raises(ImportRefusedError, match=r"no such field: path=uri; they have verb, where"):
        calls(b'{"verb":"GET","where":"/a"}\n', ImportOptions({"path": "uri"}))


def test_a_refusal_quotes_no_secret() -> None:
    line = b"2026 mia@mail.example GET /a?token=s3cret password=hunter2 203.0.113.7\n"
    with pytest.raises(ImportRefusedError) as refused:
        calls(line * 3)
    assert not [text for text in ("mia", "s3cret", "hunter2", "203.0") if text in str(refused.value)]
