"""Every line of our own access log can be imported, in each format."""

import io
import logging
from collections.abc import Iterator
from types import SimpleNamespace
from typing import cast

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from strangler.core.privacy.masked import without_addresses
from strangler.core.routing.arm import Reason
from strangler.core.settings import AccessSettings, LogSettings
from strangler.imports.log_reading import CallsState
from strangler.imports.recognise import read
from strangler.imports.request_lines import encoded
from strangler.imports.source_bytes import SourceState
from strangler.imports.values import ImportOptions, LoggedCall
from strangler.logs import LogWriter, configure
from strangler.worker.access_log import AccessLog
from strangler.worker.call import Call


class Collected(LogWriter):
    """The lines in place of a file."""

    def __init__(self) -> None:
        self.text = b""

    def write(self, line: bytes) -> bool:
        self.text += line
        return True

    def write_lines(self, lines: list[bytes]) -> bool:
        self.text += b"".join(lines)
        return True


def served(path: bytes, query: bytes, caller: bytes, status: int, method: bytes = b"GET") -> Call:
    return cast(
        Call,
        SimpleNamespace(
            plan=SimpleNamespace(reason=Reason.NO_ROUTE),
            arm="legacy",
            upstream="legacy",
            status=status,
            end=None,
            attempts=1,
            is_fallback=False,
            no_fallback=None,
            no_retry=None,
            failed_parts=None,
            path=path,
            target=path + (b"?" + query if query else b""),
            trace=SimpleNamespace(request_id=b"01J0"),
            client_ip=b"203.0.113.7",
            method=method,
            sent_bytes=5,
            fields={b"user-agent": caller},
            request_headers=SimpleNamespace(is_http10=False),
        ),
    )


def imported(call: Call, log_format: str) -> LoggedCall:
    """Return what is read back of the line that our log writes of a call."""
    settings = LogSettings("info", log_format, AccessSettings(1.0, None, "always"))  # type: ignore[arg-type]
    writer = Collected()
    if log_format == "console":
        configure(settings, "worker-0", writer)
    log = AccessLog(writer, "worker-0", 7)
    log.adopt(settings)
    log.write(call, "orders", 0.0125)
    log.flush()
    reading = read(SourceState(io.BytesIO(writer.text), "own"), ImportOptions())
    assert isinstance(reading, CallsState)
    (found,) = reading
    assert reading.summary.skipped == ()
    return found


# an unprintable character, a backslash and `x` are told apart from an escaped byte in the combined format alone
_SOME = st.one_of(st.integers(0x21, 0x7E), st.integers(0x80, 0xFF)).filter(lambda byte: byte not in b"?#")
PATHS = st.lists(_SOME, max_size=30).map(lambda some: b"/" + bytes(some))
QUERIES = st.lists(_SOME, max_size=20).map(bytes)
CALLERS = st.binary(max_size=30).map(lambda raw: raw.replace(b"\n", b"").replace(b"\r", b"").strip())


@pytest.fixture(autouse=True, scope="module")
def _logs() -> Iterator[None]:
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    structlog.reset_defaults()
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


@given(PATHS, QUERIES, CALLERS, st.integers(200, 599))
def test_a_combined_line_is_read_back(path: bytes, query: bytes, caller: bytes, status: int) -> None:
    call = imported(served(path, query, caller, status), "combined")
    target = without_addresses(path + (b"?" + query if query else b""))
    found = call.path + (b"?" + call.query if call.query else b"")
    assert found == encoded(target)
    assert (call.method, call.status) == ("GET", status)
    text = without_addresses(caller).decode("utf-8", "replace")
    assert call.caller == ("" if text == "-" else text)


@given(PATHS.filter(lambda path: b"\\" not in path), st.integers(200, 599))
def test_a_json_line_is_read_back(path: bytes, status: int) -> None:
    call = imported(served(path, b"", b"", status), "json")
    assert (call.path, call.status) == (encoded(without_addresses(path)), status)
    assert call.duration_s == 0.0125
    assert call.at is not None


@given(st.from_regex(rb"/[A-Za-z0-9/._~!$&'()*+,;=:@%-]{0,30}", fullmatch=True), st.integers(200, 599))
def test_a_console_line_is_read_back(path: bytes, status: int) -> None:
    call = imported(served(path, b"", b"", status), "console")
    assert (call.method, call.path, call.status) == ("GET", without_addresses(path), status)
    assert call.duration_s == 0.0125
