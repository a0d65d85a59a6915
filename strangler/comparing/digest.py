"""From a comparison to its finding. Everything that leaves here is redacted."""

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec
from msgspec import UNSET

from strangler.comparing.arm_request import lines_of, path_of
from strangler.core.compare import (
    Comparison,
    EndpointNames,
    KeptDifference,
    Outcome,
    Redactor,
    Response,
    Sample,
    redact_differences,
    redact_sample,
    signature,
    signature_path,
)
from strangler.core.compare.model.endpoint_names import spelled_request
from strangler.core.compare.model.shapes import shape_of
from strangler.core.compare.redaction.plain_json import KeptValue, printable
from strangler.core.documents import ComparedDifference, ComparedSide, ComparisonLine
from strangler.core.source import LIVE, Source
from strangler.ipc.messages import Captured
from strangler.store.evidence.findings import Finding, Noisy, StoredDifference
from strangler.store.evidence.index import IndexState
from strangler.store.evidence.ulid import ulid
from strangler.times import rfc3339

_MAX_ID = 200
_MAX_SAMPLE = 256 * 1024
"""The largest sample in bytes; the bodies of a larger one are cut."""
_CUT_TEXT = 32 * 1024


@dataclass(frozen=True, slots=True)
class Pair:
    """The two responses to one request, and their upstreams."""

    captured: Captured
    legacy: Response
    candidate: Response
    candidate_upstream: str
    legacy_bytes: int | None = None  # of a body that was not kept
    candidate_bytes: int | None = None


def endpoint_of(captured: Captured, names: EndpointNames) -> str:
    """Return the endpoint of a capture, `GET /api/orders/{}`. To be called by the thread that the tree belongs to."""
    return f"{_method_of(captured)} {names.of(path_of(captured.target))}"


def request_of(captured: Captured) -> str:
    """Return a capture in the spelling of endpoints, with nothing folded or redacted: it must not be kept."""
    return spelled_request(_method_of(captured), path_of(captured.target))


def _method_of(captured: Captured) -> str:
    return captured.method.decode("ascii", "replace")


def digest(
    pair: Pair,
    endpoint: str,
    comparison: Comparison,
    baseline: Comparison | None,
    latency: tuple[float, float] | None,
    redactor: Redactor,
    index: IndexState,
    release: str = "",
    source: Source = LIVE,
    *,
    is_timeable: bool = False,
) -> Finding:
    """Return the finding of a comparison. To be run in a thread: a body of 256 KiB takes tens of milliseconds."""
    captured = pair.captured
    if comparison.outcome is Outcome.MATCH and baseline is None:  # the usual case: nothing of the responses is kept
        return Finding(
            id=ulid(captured.at),
            at=captured.at,
            route=captured.route,
            endpoint=endpoint,
            outcome=comparison.outcome.value,
            reason="",
            latency=latency,
            release=release,
            is_partial=comparison.is_cut or comparison.omitted > 0,
            source=source,
            is_timeable=is_timeable,
        )
    redactor = redactor.within(endpoint)
    kept = redact_differences(comparison.differences, redactor)
    seen = tuple(_seen(captured.route, endpoint, difference) for difference in kept)
    accepted = redact_differences(comparison.accepted_differences, redactor)
    name = ulid(captured.at)
    line = sample = None
    if comparison.outcome is not Outcome.MATCH:
        line = _line(name, pair, comparison, kept, seen, redactor, release, source)
    if seen and index.wants_sample((difference.id for difference in seen), captured.at, release, source):
        sample = _sample(pair, kept, redactor, line or b"{}")
    return Finding(
        id=name,
        at=captured.at,
        route=captured.route,
        endpoint=endpoint,
        outcome=comparison.outcome.value,
        reason=comparison.reason.value if comparison.reason else "",
        differences=seen,
        line=line,
        sample=sample,
        latency=latency,
        baseline=None if baseline is None else _noise(baseline, redactor),
        release=release,
        accepted=tuple(_seen(captured.route, endpoint, difference) for difference in accepted),
        is_partial=comparison.is_cut or comparison.omitted > 0,
        source=source,
        is_timeable=is_timeable,
    )


def _seen(route: str, endpoint: str, difference: KeptDifference) -> StoredDifference:
    method, _, shape = endpoint.partition(" ")
    path = signature_path(difference.in_, difference.path, difference.legacy, difference.candidate)
    return StoredDifference(
        id=signature(route, method, shape, difference.in_, path, difference.kind, difference.severity),
        place=difference.in_.value,
        path=difference.path,
        kind=difference.kind.value,
        severity=difference.severity.value,
        legacy=msgspec.json.encode(difference.legacy).decode(),
        candidate=msgspec.json.encode(difference.candidate).decode(),
    )


def _noise(baseline: Comparison, redactor: Redactor) -> tuple[Noisy, ...] | None:
    """Return the noise of a baseline; None if legacy could not be compared with itself."""
    if baseline.outcome is Outcome.NOT_COMPARABLE:
        return None
    return tuple(
        Noisy(
            difference.in_.value,
            difference.path or "",
            difference.kind.value,
            shape_of(raw.legacy, raw.candidate) or "",
        )
        for raw, difference in zip(
            baseline.differences, redact_differences(baseline.differences, redactor), strict=True
        )
    )


def _line(
    name: str,
    pair: Pair,
    comparison: Comparison,
    differences: Iterable[KeptDifference],
    seen: tuple[StoredDifference, ...],
    redactor: Redactor,
    release: str,
    source: Source,
) -> bytes:
    """Return one line of shadow-diffs.jsonl."""
    captured = pair.captured
    line = ComparisonLine(
        time=rfc3339(captured.at),
        event="shadow.diff",
        id=name,
        request_id=_identifier(captured.request_id, redactor),
        trace_id=captured.traceparent[3:35].decode("ascii", "replace"),
        route=captured.route,
        release=release or None,
        source=source,
        method=_method_of(captured),
        path=printable(redactor.target(path_of(captured.target))),
        served_by=captured.arm,
        outcome=comparison.outcome.value,
        reason=comparison.reason.value if comparison.reason else None,
        severity=comparison.severity.value if comparison.severity else None,
        signature=seen[0].id if seen else None,
        legacy=_side("legacy", pair.legacy, pair.legacy_bytes),
        candidate=_side(pair.candidate_upstream, pair.candidate, pair.candidate_bytes),
        differences=[_difference(difference) for difference in differences],
        accepted=comparison.accepted,
        cut=True if comparison.is_cut else UNSET,
    )
    return msgspec.json.encode(line) + b"\n"


def _difference(kept: KeptDifference) -> ComparedDifference:
    return ComparedDifference(
        in_=kept.in_.value,
        path=kept.path,
        kind=kept.kind.value,
        severity=kept.severity.value,
        legacy=kept.legacy,
        candidate=kept.candidate,
    )


def _side(upstream: str, response: Response, size: int | None) -> ComparedSide:
    return ComparedSide(
        upstream=upstream,
        status=response.status or None,
        duration_ms=None if response.duration_s is None else round(response.duration_s * 1000, 3),
        bytes=len(response.body) if size is None else size,
    )


def _identifier(raw: bytes, redactor: Redactor) -> str:
    return printable(redactor.text(raw[:_MAX_ID].decode("utf-8", "backslashreplace")))


def _sample(pair: Pair, differences: Iterable[KeptDifference], redactor: Redactor, line: bytes) -> bytes:
    captured = pair.captured
    sample = redact_sample(
        Sample(
            method=captured.method,
            target=captured.target,
            headers=list(lines_of(captured.lines)),
            legacy=pair.legacy,
            candidate=pair.candidate,
            body=captured.body,
            is_body_complete=captured.is_body_complete,
        ),
        redactor,
    )
    content = msgspec.json.encode(sample)
    if len(content) > _MAX_SAMPLE:
        content = msgspec.json.encode({part: _cut(value) for part, value in sample.items()})
    return b'{"comparison":%b,"answers":%b}' % (line.rstrip(b"\n"), content)


def _cut(part: KeptValue) -> KeptValue:
    """Return a part of a sample with its body cut."""
    if not isinstance(part, dict) or not isinstance(part.get("body"), dict):
        return part
    body = part["body"]
    assert isinstance(body, dict)
    text = body.get("text")
    if not isinstance(text, str) or len(text) <= _CUT_TEXT:
        return part
    return part | {"body": body | {"text": text[:_CUT_TEXT], "cut_from": len(text)}}
