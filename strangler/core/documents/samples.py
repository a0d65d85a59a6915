"""A comparison with both responses as it is kept: redacted, and partly cut."""

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType, field

from strangler.core.source import LIVE, Source


class ComparedDifference(Struct, frozen=True):
    """One difference of one comparison."""

    in_: Annotated[str, Meta(extra_json_schema={"enum": ["status", "header", "body"]})] = field(name="in")
    path: Annotated[str | None, Meta(description="`$.items[*].price`, or the name of a header; null for a status.")]
    kind: Annotated[str, Meta(extra_json_schema={"enum": ["missing", "extra", "type", "value", "order", "length"]})]
    severity: Annotated[str, Meta(extra_json_schema={"enum": ["breaking", "risky", "additive", "value"]})]
    legacy: Annotated[Any, Meta(description="What legacy has there, as JSON.")]
    candidate: Annotated[Any, Meta(description="What the candidate has there, as JSON.")]


class ComparedSide(Struct, frozen=True):
    """One response of a comparison, in figures."""

    upstream: str
    status: Annotated[int | None, Meta(description="Null if it did not respond.")]
    duration_ms: float | None
    bytes: int


class ComparisonLine(Struct, frozen=True, kw_only=True):
    """One comparison that is not a match: a line of shadow-diffs.jsonl."""

    time: str
    event: Annotated[str, Meta(description="`shadow.diff`")]
    id: str
    request_id: str
    trace_id: str
    route: str
    release: str | UnsetType | None = UNSET
    source: Annotated[Source, Meta(description="`live`: of a shadow; `replay`: of a replayed recording.")] = LIVE
    method: str
    path: str
    served_by: Annotated[
        str, Meta(description="The arm whose response the client got; empty if another proxy has mirrored the request.")
    ]
    outcome: Annotated[str, Meta(extra_json_schema={"enum": ["match", "accepted", "mismatch", "not_comparable"]})]
    reason: Annotated[str | None, Meta(description="Why the pair is not comparable.")]
    severity: Annotated[str | None, Meta(description="That of the most severe difference.")]
    signature: Annotated[str | None, Meta(description="That of the most severe difference.")]
    legacy: ComparedSide
    candidate: ComparedSide
    differences: list[ComparedDifference]
    accepted: Annotated[int, Meta(description="Differences that accept rules allow.")]
    cut: Annotated[bool | UnsetType, Meta(description="The bodies were only partly compared.")] = UNSET


class KeptBody(Struct, frozen=True):
    """A body: its text, or its hash and length if the text is not kept."""

    kind: Annotated[str, Meta(description="`json`, `ndjson`, `form`, `html`, `xml`, `text` or `opaque`.")]
    text: str | UnsetType = UNSET
    hash: str | UnsetType = UNSET
    length: int | UnsetType = UNSET
    cut_from: Annotated[int | UnsetType, Meta(description="The full length of a text whose start is kept.")] = UNSET


class KeptRequest(Struct, frozen=True):
    """The request."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: KeptBody | None = None


class KeptResponse(Struct, frozen=True):
    """One response."""

    status: Annotated[int, Meta(description="0 if it did not respond.")]
    fault: str | None
    duration_ms: float | None
    bytes: int
    headers: list[tuple[str, str]]
    body: KeptBody | None


class KeptPair(Struct, frozen=True):
    """A request with the responses of both arms."""

    request: KeptRequest
    legacy: KeptResponse
    candidate: KeptResponse


class SampleDocument(Struct, frozen=True):
    """A comparison that is kept whole."""

    comparison: ComparisonLine
    answers: KeptPair
