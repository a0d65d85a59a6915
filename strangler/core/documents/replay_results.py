"""The result of a replay, as `strangler replay --json` prints it."""

from typing import Annotated

from msgspec import Meta, Struct

from strangler.core.documents.signatures import SignatureRow
from strangler.core.documents.verdicts import VerdictDocument


class ReplayedEndpoint(Struct, frozen=True):
    """The comparisons of an endpoint in a replay."""

    endpoint: Annotated[str, Meta(description="`GET /api/orders/{}`")]
    matches: int
    accepted: Annotated[int, Meta(description="Pairs that differ only as accept rules allow.")]
    mismatches: int
    not_comparable: Annotated[dict[str, int], Meta(description="By reason.")]


class ReplayedRoute(Struct, frozen=True):
    """A route whose requests were replayed."""

    verdict: Annotated[VerdictDocument, Meta(description="By the route's gate, without `min_age`.")]
    matches: int
    accepted: int
    mismatches: int
    endpoints: list[ReplayedEndpoint]


class UnsentEndpoint(Struct, frozen=True):
    """An endpoint with requests that were not sent."""

    route: str
    endpoint: str
    reasons: Annotated[dict[str, int], Meta(description="The requests by reason.")]


class BadLines(Struct, frozen=True):
    """Lines of a recording that could not be read, for one reason."""

    why: str
    count: int
    first: Annotated[list[int], Meta(description="The numbers of the first of them; the header is line 1.")]


class ReplayInbox(Struct, frozen=True):
    """The findings of a replay that were put into the inbox."""

    stored: int
    not_stored: int
    why: Annotated[str | None, Meta(description="Why the first of those was not stored.")]


class LegacyItself(Struct, frozen=True):
    """A route with `--self`: how often legacy differs from itself, and from what was recorded of it."""

    route: str
    recorded_pairs: Annotated[int, Meta(description="Pairs that could be compared with the recording.")]
    recorded_mismatches: int
    recorded_noise: Annotated[int, Meta(description="Of those, pairs that differ only where legacy does from itself.")]
    pairs: Annotated[int, Meta(description="Pairs of two responses of legacy that could be compared.")]
    mismatches: int
    patch: Annotated[str | None, Meta(description="Accept rules as a part of routes.yaml; null: nothing to propose.")]


class ReplayDocument(Struct, frozen=True):
    """The result of a replay."""

    recording: str
    to: Annotated[str | None, Meta(description="An upstream, or `proxy`; null: the candidate of each route.")]
    against: Annotated[str, Meta(extra_json_schema={"enum": ["recorded", "legacy", "self"]})]
    at: Annotated[float, Meta(description="Unix time of the start.")]
    seconds: float
    passed: Annotated[bool, Meta(description="Whether the exit code is 0.")]
    reasons: Annotated[list[str], Meta(description="Why it has not passed.")]
    stopped: Annotated[str | None, Meta(description="Why it ended before the recording did; null: it did not.")]
    read: Annotated[int, Meta(description="Pairs that were read.")]
    sent: int
    routes: list[ReplayedRoute]
    differences: Annotated[list[SignatureRow], Meta(description="Most frequent first.")]
    faults: Annotated[dict[str, int], Meta(description="Requests without a response, by fault.")]
    arms: Annotated[dict[str, int], Meta(description="With `--to proxy`: responses by the arm that the proxy names.")]
    statuses: Annotated[dict[str, int], Meta(description="Responses by status.")]
    left_out: Annotated[dict[str, int], Meta(description="Requests that were not sent, by reason.")]
    unsent: Annotated[list[UnsentEndpoint], Meta(description="Those of them that a route matches, most first.")]
    fields_left_out: Annotated[dict[str, int], Meta(description="Redacted values that were left out, by place.")]
    bad_lines: list[BadLines]
    learned: Annotated[int, Meta(description="Values that were learned and put into later requests.")]
    by_candidate: Annotated[int, Meta(description="Pairs whose recorded response was the candidate's.")]
    inbox: Annotated[ReplayInbox | None, Meta(description="Null if nothing was to be put into it.")]
    itself: Annotated[list[LegacyItself], Meta(description="With `--self`: by route.")]
    refusals: Annotated[dict[str, str], Meta(description="Why no more dry runs were sent, by route.")] = {}
    sent_again: Annotated[int, Meta(description="Safe requests sent twice: an idle connection was closed.")] = 0
