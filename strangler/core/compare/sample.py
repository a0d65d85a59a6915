"""A whole sample, request and both answers, in the form in which it may be kept: plain JSON without secrets."""

from dataclasses import dataclass, field

from strangler.core.compare.bodies import Content, content_of, parse_content
from strangler.core.compare.codings import undo_codings
from strangler.core.compare.model.forms import parse_form
from strangler.core.compare.model.media import Body
from strangler.core.compare.model.tree import Json, write_json
from strangler.core.compare.model.values import Answer, Reason
from strangler.core.compare.redaction.plain_json import Shown, printable
from strangler.core.compare.redaction.redact import Redactor
from strangler.core.http.head import RawHeaders


@dataclass(frozen=True, slots=True)
class Sample:
    """What was asked and what the two arms answered. `body` is the request's, as sent."""

    method: bytes
    target: bytes
    headers: RawHeaders
    legacy: Answer
    candidate: Answer
    body: bytes = field(default=b"", repr=False)
    is_body_complete: bool = True


def redact_sample(sample: Sample, redactor: Redactor) -> dict[str, Shown]:
    """`{"request": {method, target, headers, body}, "legacy": {status, headers, body, …}, "candidate": {…}}`.

    A body is `{"kind": "json" | "ndjson" | "form" | "html" | "xml" | "text", "text": …}`, its codings undone and JSON
    numbers in canonical form; or `{"kind": "opaque", "hash": …, "length": …}` if it could not be read, was not kept
    whole, or is binary; or None if there is none.
    """
    asked = Answer(0, sample.headers, sample.body, is_too_large=not sample.is_body_complete)
    return {
        "request": {
            "method": printable(sample.method.decode("latin-1")),
            "target": redactor.target(sample.target),
            "headers": _headers(sample.headers, redactor),
            "body": redact_body(asked, redactor),
        },
        "legacy": _answer(sample.legacy, redactor),
        "candidate": _answer(sample.candidate, redactor),
    }


def _answer(answer: Answer, redactor: Redactor) -> dict[str, Shown]:
    return {
        "status": answer.status,
        "fault": answer.fault.value if answer.fault else None,
        "duration_ms": None if answer.duration_s is None else round(answer.duration_s * 1000, 3),
        "bytes": len(answer.body),
        "headers": _headers(answer.headers, redactor),
        "body": redact_body(answer, redactor),
    }


def _headers(headers: RawHeaders, redactor: Redactor) -> list[Shown]:
    pairs = ((name.decode("latin-1"), value.decode("utf-8", "backslashreplace")) for name, value in headers)
    return [[printable(name), redactor.header(name, value)] for name, value in pairs]


def redact_body(answer: Answer, redactor: Redactor) -> Shown:
    """One body in the form described at `redact_sample`."""
    if not answer.body:
        return None
    data = undo_codings(answer.body, answer.field_values(b"content-encoding"))
    if isinstance(data, Reason) or answer.is_too_large or answer.is_streaming:
        return _opaque(answer.body, redactor)
    content = content_of(answer, data)
    readable = _readable(content, redactor)
    return _opaque(data, redactor) if readable is None else {"kind": readable[0], "text": printable(readable[1])}


def _opaque(data: bytes, redactor: Redactor) -> Shown:
    return {"kind": "opaque", **redactor.opaque(data)}


def _readable(content: Content, redactor: Redactor) -> tuple[str, str] | None:
    """The kind and the redacted text of a body; None if it cannot be read, or does not parse as what it is called."""
    if content.kind in (Body.JSON, Body.NDJSON):
        parsed = parse_content(content)
        return _json(parsed, content.kind, redactor) if isinstance(parsed, Json) else None
    if content.kind is Body.FORM:
        return "form", write_json(redactor.tree(parse_form(content.data)))
    text = content.text if content.kind in (Body.HTML, Body.XML, Body.TEXT, Body.UNNAMED) else None
    if text is None:
        return None
    if content.kind in (Body.TEXT, Body.UNNAMED):
        return "text", redactor.lines(text)
    markup = redactor.markup(text, is_html=content.kind is Body.HTML)
    return None if markup is None else ("html" if content.kind is Body.HTML else "xml", markup)


def _json(parsed: Json, kind: Body, redactor: Redactor) -> tuple[str, str]:
    tree = redactor.tree(parsed.tree)
    if kind is Body.NDJSON and isinstance(tree, list):
        return "ndjson", "\n".join(map(write_json, tree))
    return "json", write_json(tree)
