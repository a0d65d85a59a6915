"""The inbox: recurring differences, one row each, with their reviews."""

from typing import Annotated, Any

from msgspec import Meta, Struct, field

from strangler.core.documents.samples import SampleDocument
from strangler.core.source import Source


class SignatureRow(Struct, frozen=True):
    """One difference of a route: an endpoint, a place in the response, a kind and a severity."""

    id: Annotated[str, Meta(description="16 hex digits, the same for the same difference on every replica.")]
    route: str
    release: Annotated[str | None, Meta(description="The candidate's release; null: the unnamed one.")]
    endpoint: Annotated[str, Meta(description="`GET /api/orders/{}`")]
    in_: Annotated[str, Meta(extra_json_schema={"enum": ["status", "header", "body"]})] = field(name="in")
    path: Annotated[str | None, Meta(description="`$.items[*].price`, or the name of a header; null for a status.")]
    kind: Annotated[str, Meta(extra_json_schema={"enum": ["missing", "extra", "type", "value", "order", "length"]})]
    severity: Annotated[str, Meta(extra_json_schema={"enum": ["breaking", "risky", "additive", "value"]})]
    count: Annotated[int, Meta(description="The sightings in this release.")]
    accepted: Annotated[int, Meta(description="The sightings that a rule accepted at the time.")]
    first_seen: Annotated[float, Meta(description="Unix time.")]
    last_seen: Annotated[float, Meta(description="Unix time.")]
    state: Annotated[str, Meta(extra_json_schema={"enum": ["new", "known", "accepted", "fixed", "regressed"]})]
    state_since: Annotated[float, Meta(description="Unix time.")]
    owner: str | None
    why: str | None
    until: Annotated[str | None, Meta(description="The last day on which it is accepted: `2027-01-31`.")]
    legacy: Annotated[Any, Meta(description="What legacy had there when it was last seen, as JSON, redacted.")]
    candidate: Annotated[Any, Meta(description="What the candidate had there, likewise.")]
    share: Annotated[
        float | None, Meta(description="Share of the endpoint's pairs that show it, 0 to 1; null without pairs.")
    ]
    is_noise: Annotated[bool, Meta(description="Legacy differs from itself here about as often.")]
    sources: Annotated[
        dict[Source, int],
        Meta(description="The sightings by source, `live` and `replay`; a source with none is left out."),
    ] = {}


class SignatureDocument(SignatureRow, frozen=True, kw_only=True):
    """One difference with its samples, the newest first."""

    samples: list[SampleDocument]


class RuleUse(Struct, frozen=True):
    """One accept rule and its use."""

    rule: Annotated[str, Meta(description="The rule in short: `$.total (value)`.")]
    uses: Annotated[int, Meta(description="Comparisons in which it accepted something.")]
    is_dead: Annotated[bool, Meta(description="It has matched nothing in many comparisons.")]
    is_expired: Annotated[bool, Meta(description="Its `until` has passed, so that it no longer counts.")]


class RuleReport(Struct, frozen=True):
    """The accept rules of a route since they are in force."""

    comparisons: int
    rules: list[RuleUse]


class InboxDocument(Struct, frozen=True):
    """The inbox, most severe first."""

    signatures: list[SignatureRow]
    rules: Annotated[dict[str, RuleReport], Meta(description="By route.")]
    stops: Annotated[dict[str, str], Meta(description="By route: why its shadowing has stopped by itself.")]
    hints: Annotated[
        list[str], Meta(description="Accept rules that are for a part of an endpoint only, or for one beside it.")
    ] = []


class ProposalDocument(Struct, frozen=True):
    """Accept rules for what differs between two responses of legacy."""

    patch: Annotated[str | None, Meta(description="A fragment of routes.yaml; null if there is nothing to propose.")]
