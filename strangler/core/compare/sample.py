"""A whole sample, request and both responses, in the form in which it may be kept: plain JSON without secrets."""

from dataclasses import dataclass, field

from strangler.core.compare.bodies import Content, content_of, parse_content
from strangler.core.compare.codings import undo_codings
from strangler.core.compare.model.forms import parse_form
from strangler.core.compare.model.media import Body
from strangler.core.compare.model.tree import Json, write_json
from strangler.core.compare.model.values import Reason, Response
from strangler.core.compare.redaction.plain_json import KeptValue, printable
from strangler.core.compare.redaction.redact import Redactor
from strangler.core.http.head import RawHeaders


@dataclass(frozen=True, slots=True)
class Sample:
    """A request and the responses of both arms. `body` is the request's, as sent."""

    method: bytes
    target: bytes
    headers: RawHeaders
    legacy: Response
    candidate: Response
    body: bytes = field(default=b"", repr=False)
    is_body_complete: bool = True


def redact_sample(sample: Sample, redactor: Redactor) -> dict[str, KeptValue]:
    """Return `{"request": {method, target, headers, body}, "legacy": {status, headers, …}, "candidate": {…}}`.

    A body is `{"kind": "json" | "ndjson" | "form" | "html" | "xml" | "text", "text": …}`, its codings undone and JSON
    numbers in canonical form; or `{"kind": "opaque", "hash": …, "length": …}` if it could not be read, was not kept
    whole, or is binary; or None if there is none.
    """
    request = Response(0, sample.headers, sample.body, is_too_large=not sample.is_body_complete)
    return {
        "request": {
            "method": printable(sample.method.decode("latin-1")),
            "target": redactor.target(sample.target),
            "headers": _headers(sample.headers, redactor),
            "body": redact_body(request, redactor),
        },
        "legacy": _response_sample(sample.legacy, redactor),
        "candidate": _response_sample(sample.candidate, redactor),
    }


def _response_sample(response: Response, redactor: Redactor) -> dict[str, KeptValue]:
    return {
        "status": response.status,
        "fault": response.fault.value if response.fault else None,
        "duration_ms": None if response.duration_s is None else round(response.duration_s * 1000, 3),
        "bytes": len(response.body),
        "headers": _headers(response.headers, redactor),
        "body": redact_body(response, redactor),
    }


def _headers(headers: RawHeaders, redactor: Redactor) -> list[KeptValue]:
    pairs = ((name.decode("latin-1"), value.decode("utf-8", "backslashreplace")) for name, value in headers)
    return [[printable(name), redactor.header(name, value)] for name, value in pairs]


def redact_body(response: Response, redactor: Redactor) -> KeptValue:
    """Return one body in the form described at `redact_sample`."""
    if not response.body:
        return None
    data = undo_codings(response.body, response.field_values(b"content-encoding"))
    if isinstance(data, Reason) or response.is_too_large or response.is_streaming:
        return _opaque(response.body, redactor)
    content = content_of(response, data)
    readable = _readable(content, redactor)
    return _opaque(data, redactor) if readable is None else {"kind": readable[0], "text": printable(readable[1])}


def _opaque(data: bytes, redactor: Redactor) -> KeptValue:
    return {"kind": "opaque", **redactor.opaque(data)}


def _readable(content: Content, redactor: Redactor) -> tuple[str, str] | None:
    """Return the kind and the redacted text of a body; None if it cannot be read or parsed as its media type."""
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
