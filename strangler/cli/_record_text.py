"""The account of a recording, as people read it."""

from collections.abc import Iterator
from pathlib import Path

from strangler.cli._moves_document import counted
from strangler.recordings.recorded import Header
from strangler.recordings.summary import MAX_COUNTED, RecordingSummary
from strangler.times import rfc3339

_SOURCES = {"proxy": "a running proxy", "gor": "GoReplay", "har": "a HAR", "log": "an access log"}


def summary_lines(summary: RecordingSummary) -> Iterator[str]:
    """Yield what is in a recording, and what was passed over, a line each."""
    header = summary.header
    yield f"{summary.file}: {counted(summary.pairs, 'pair')} ({source_text(header)})"
    callers, endpoints = _many(summary.callers, "caller"), _many(summary.endpoints, "endpoint")
    if summary.first_at is not None and summary.last_at is not None:
        yield f"{callers}, {endpoints}, {rfc3339(summary.first_at)} to {rfc3339(summary.last_at)}"
    yield f"redacted, key {header.key}" if header.redacted else "not redacted: it holds secrets as they were sent"
    if summary.without_response:
        yield f"{counted(summary.without_response, 'request')} without a response"
    if summary.bodies_not_kept:
        is_one = summary.bodies_not_kept == 1
        yield f"{summary.bodies_not_kept:,} {'body is' if is_one else 'bodies are'} not in it, or not whole"
    yield from passed_lines(summary)


def passed_lines(summary: RecordingSummary, unit: str = "line") -> Iterator[str]:
    """Yield what was passed over, a line for each reason."""
    for passed in summary.passed_over:
        places = ", ".join(map(str, passed.first)) + (", …" if passed.count > len(passed.first) else "")
        units = unit if passed.count == 1 else {"line": "lines", "entry": "entries"}[unit]
        yield f"{passed.count:,} passed over: {passed.why} ({units} {places})"


def secrets_text(out: Path) -> str:
    """Return the warning about a recording that is not redacted."""
    return (
        f"{out} holds passwords, tokens and personal data as they were sent (--no-redact); only its owner may read it"
    )


def source_text(header: Header) -> str:
    """Return `GoReplay, traffic.gor`."""
    return _SOURCES[header.source] + (f", {header.from_}" if header.from_ else "")


def _many(number: int, noun: str) -> str:
    return f"{number:,} or more {noun}s" if number >= MAX_COUNTED else counted(number, noun)
