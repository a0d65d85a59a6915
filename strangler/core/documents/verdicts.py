"""The readiness of a route and its evidence: verdicts, releases, the audit, the report."""

from typing import Annotated

from msgspec import Meta, Struct, field

from strangler.core.documents.ledger import LedgerDocument
from strangler.core.documents.rollout_reports import RolloutReport
from strangler.core.documents.signatures import RuleReport, SignatureRow
from strangler.core.gate import Latency
from strangler.core.percents import RouteRollout
from strangler.core.settings import GateSettings
from strangler.core.source import LIVE_ONLY, Source


class ClaimRow(Struct, frozen=True):
    """A difference that was marked as fixed, and the new pairs that prove it."""

    signature: str
    endpoint: str
    needed: Annotated[int, Meta(description="Pairs without the difference that prove it gone.")]
    pairs: Annotated[int, Meta(description="Pairs of the endpoint since then.")]
    lacking: int


class VerdictDocument(Struct, frozen=True):
    """The verdict for a release of a route, with its evidence."""

    route: str
    release: Annotated[str | None, Meta(description="The candidate's release; null: the unnamed one.")]
    verdict: Annotated[str, Meta(extra_json_schema={"enum": ["ready", "not ready", "not enough evidence"]})]
    reasons: Annotated[list[str], Meta(description="Why it is not ready.")]
    notes: Annotated[list[str], Meta(description="What is left out of the verdict, and why.")]
    pairs: Annotated[int, Meta(description="Pairs that count.")]
    matches: int
    match_share: Annotated[float | None, Meta(description="0 to 1; null without pairs.")]
    match_low: Annotated[float | None, Meta(description="Its lower bound, valid however often one looks (95 %).")]
    pairs_needed: Annotated[int, Meta(description="Further pairs that a verdict needs, at least.")]
    breaking_open: Annotated[int, Meta(description="Breaking differences that are open.")]
    noise_only: Annotated[int, Meta(description="Pairs that differ only where legacy differs from itself.")]
    set_aside: Annotated[int, Meta(description="Pairs that differed only in what has been fixed since.")]
    claims: list[ClaimRow]
    not_comparable: Annotated[dict[str, int], Meta(description="Pairs that cannot be compared, by reason.")]
    latency: Annotated[
        Latency | None,
        Meta(description="The candidate's time divided by legacy's; null if no request was timed at both."),
    ]
    age_s: Annotated[float, Meta(description="Seconds over which the pairs were observed.")]
    endpoints: Annotated[dict[str, int], Meta(description="Pairs that count, by endpoint.")]
    thin_endpoints: Annotated[list[str], Meta(description="Endpoints with few pairs.")]
    gate: GateSettings
    sources: Annotated[
        tuple[Source, ...], Meta(description="The sources of evidence that were counted: `gate.from`.")
    ] = LIVE_ONLY


class ShortVerdict(Struct, frozen=True):
    """A short verdict, for a command that changes a percent."""

    verdict: Annotated[str | None, Meta(description="Null if there is no evidence.")]
    reasons: list[str]
    pairs: int
    match_share: float | None


class RiseDocument(Struct, frozen=True):
    """A rising percent, and whether its gate allows it."""

    route: str
    from_: float = field(name="from")
    to: float
    gated: bool
    allowed: bool
    verdict: str | None
    reasons: list[str]
    pairs: int
    match_share: float | None


class GateCheck(Struct, frozen=True):
    """The outcome of `check --gate`: all rising percents."""

    against: str
    ok: bool
    raises: list[RiseDocument]


class RolloutDocument(Struct, frozen=True):
    """The settings in force, by route."""

    routes: dict[str, RouteRollout]


class ReleaseRow(Struct, frozen=True):
    """One release of a route's candidate."""

    route: str
    name: Annotated[str, Meta(description="Empty: the unnamed release.")]
    first_seen: Annotated[float, Meta(description="Unix time.")]
    last_seen: Annotated[float, Meta(description="Unix time.")]
    is_current: bool
    is_set_aside: Annotated[bool, Meta(description="Its evidence was set aside by `evidence reset`.")]
    pairs: Annotated[int, Meta(description="Comparable pairs.")]


class ReleasesDocument(Struct, frozen=True):
    """Releases by route, the current one first, then the last seen."""

    releases: list[ReleaseRow]


class AuditEntry(Struct, frozen=True):
    """One action that has changed something."""

    at: Annotated[float, Meta(description="Unix time.")]
    who: str
    what: Annotated[str, Meta(description="`shift`, `known`, `kill-switch`, …")]
    route: Annotated[str, Meta(description="Empty if it concerns no route.")]
    why: str
    detail: str


class AuditDocument(Struct, frozen=True):
    """The audit, newest first."""

    entries: list[AuditEntry]


class RouteReport(Struct, frozen=True):
    """One route in the report."""

    name: str
    candidate: Annotated[str, Meta(description="Its upstream, or `aggregate`.")]
    percent: float
    shadow_percent: float
    readiness: VerdictDocument
    timeline: Annotated[
        list[dict[str, int]],
        Meta(
            description="By hour, `at` in Unix time: the number of pairs with `match`, `accepted`, `mismatch`,"
            " `set_aside` or `not_comparable`. A count of 0 is left out, and so is an hour without pairs."
        ),
    ]
    latencies: Annotated[
        list[tuple[float, float, float]],
        Meta(description="Unix time, seconds of legacy, seconds of the candidate; oldest first."),
    ]
    signatures: Annotated[list[SignatureRow], Meta(description="The most severe ones.")]
    rules: Annotated[RuleReport | None, Meta(description="Null if nothing has been compared yet.")]


class ReportDocument(Struct, frozen=True):
    """All that `strangler report` shows."""

    at: Annotated[float, Meta(description="Unix time.")]
    routes: list[RouteReport]
    audit: list[AuditEntry]
    ledger: Annotated[
        LedgerDocument | None, Meta(description="At most 100 endpoints of each state; null with `ledger: false`.")
    ] = None
    rollouts: Annotated[list[RolloutReport], Meta(description="In the order of routes.yaml.")] = []
