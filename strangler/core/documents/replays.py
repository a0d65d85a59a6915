"""The findings of a replay, as a command sends them to the running proxy."""

from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct, field

from strangler.core.documents.actions import MAX_TEXT
from strangler.core.documents.samples import ComparisonLine, KeptPair

MAX_FINDINGS: Final = 1000
"""The most findings of one request."""
MAX_REPLAY_BYTES: Final = 8 * 1024 * 1024
"""The largest body of one request."""
RUN_PATTERN: Final = r"^[0-9A-Za-z._-]{1,64}\Z"

_Text = Annotated[str, Meta(max_length=MAX_TEXT)]
_Seconds = Annotated[float, Meta(ge=0.0, le=86_400.0)]


class ReplayedDifference(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One difference of a replayed pair, redacted."""

    in_: Literal["status", "header", "body"] = field(name="in")
    path: Annotated[str, Meta(max_length=2000)] | None
    kind: Literal["missing", "extra", "type", "value", "order", "length"]
    severity: Literal["breaking", "risky", "additive", "value"]
    legacy: Annotated[Any, Meta(description="What legacy has there, as JSON.")] = None
    candidate: Annotated[Any, Meta(description="What the candidate has there, as JSON.")] = None


class ReplayedPair(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The finding of one replayed request: how the new response compares, redacted."""

    id: Annotated[str, Meta(pattern=r"^[0-9A-HJKMNP-TV-Z]{26}\Z", description="A ULID, as in shadow-diffs.jsonl.")]
    at: Annotated[float, Meta(ge=0.0, description="Unix time of the replayed request.")]
    route: _Text
    endpoint: Annotated[str, Meta(max_length=65_536, pattern=r"^[!-~]{1,40} [^\x00-\x20\x7f]+\Z")]
    outcome: Literal["match", "accepted", "mismatch", "not_comparable"]
    reason: Annotated[str, Meta(max_length=40, description="Why the pair is not comparable; empty if it is.")] = ""
    differences: Annotated[list[ReplayedDifference], Meta(max_length=200, description="The gravest first.")] = []
    accepted: Annotated[list[ReplayedDifference], Meta(max_length=200, description="Those that a rule accepts.")] = []
    line: Annotated[ComparisonLine | None, Meta(description="Its line; its `differences` may be left out as `[]`.")] = (
        None
    )
    sample: Annotated[KeptPair | None, Meta(description="Both responses; only together with `line`.")] = None
    latency: Annotated[
        tuple[_Seconds, _Seconds] | None, Meta(description="Seconds of legacy and of the candidate.")
    ] = None
    release: Annotated[str, Meta(max_length=100, description="Of the candidate; empty: the current one.")] = ""
    is_timeable: bool = False
    is_partial: Annotated[bool, Meta(description="More may differ than is listed.")] = False


class ReplaysRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Findings of a replay, to be added to the evidence."""

    who: Annotated[str, Meta(min_length=1, max_length=MAX_TEXT)]
    run: Annotated[
        str, Meta(pattern=RUN_PATTERN, description="The replay; the audit has one entry for all of its requests.")
    ]
    findings: Annotated[list[ReplayedPair], Meta(max_length=MAX_FINDINGS)]


class ReplaysDocument(Struct, frozen=True):
    """The numbers of findings of a request."""

    stored: Annotated[int, Meta(description="Findings that are in the store now.")]
    dropped: Annotated[int, Meta(description="Findings from before the evidence of their route was set aside.")]
