"""The documents of the ledger: `/api/ledger`, `strangler ledger`, and its page of the dashboard."""

from typing import Annotated

from msgspec import Meta, Struct

from strangler.core.documents.status import Time


class LedgerCalls(Struct, frozen=True):
    """Calls by the arm that responded."""

    legacy: int
    candidate: int
    refused: Annotated[
        int, Meta(description="Calls that neither arm was asked for: `retire` has ended the endpoint.")
    ] = 0


class LedgerCaller(Struct, frozen=True):
    """A caller of an endpoint, since the endpoint is known."""

    name: Annotated[str, Meta(description="The family of a User-Agent, or what `ledger.callers` names.")]
    calls: int
    legacy: Annotated[int, Meta(description="Those that legacy served.")]
    last_legacy: Annotated[Time | None, Meta(description="The last call that legacy served.")]
    refused: Annotated[int, Meta(description="Those that `retire` refused: in a brownout, or after the sunset.")] = 0
    last_refused: Annotated[Time | None, Meta(description="The last call that `retire` refused.")] = None


class LedgerTimes(Struct, frozen=True):
    """95th percentiles of response times, in milliseconds; null where an arm was not called."""

    legacy: float | None
    candidate: float | None


class LedgerRow(Struct, frozen=True):
    """One endpoint."""

    endpoint: Annotated[str, Meta(description="Method and path: `GET /orders/{}`.")]
    method: str
    path: str
    state: Annotated[
        str,
        Meta(
            description="`legacy`, `shadowed`, `splitting`, `cut_over`, `quiet`, `deletable`, `retired`; `probed`: only"
            " probes have called it."
        ),
    ]
    route: Annotated[str | None, Meta(description="The route whose match covers it.")]
    calls: Annotated[LedgerCalls, Meta(description="Calls, without probes, in the time that was asked for.")]
    statuses: Annotated[dict[str, int], Meta(description="The same calls by class of status: `2xx`.")]
    probes: Annotated[int, Meta(description="Calls that were only ever refused; they keep nothing alive.")]
    first_seen: Time | None
    last_seen: Time | None
    last_legacy: Annotated[Time | None, Meta(description="The last call that legacy served, fallbacks included.")]
    callers: Annotated[list[LedgerCaller], Meta(description="The most frequent first; `…` stands for all others.")]
    p95_ms: LedgerTimes
    example: Annotated[str, Meta(description="A path as it was called, without what is secret or personal.")]
    source: Annotated[str, Meta(description="`traffic`, `import` or `route`: where it was first seen.")]
    owner: str | None
    is_ignored: Annotated[bool, Meta(description="`strangler ledger ignore` has hidden it.")]


class LedgerDocument(Struct, frozen=True):
    """Endpoints, and how far the migration is."""

    rows: list[LedgerRow]
    share: Annotated[
        float,
        Meta(
            description="The share of the requests of the last 7 days that candidates served, 0 to 1; `passthrough`"
            " routes are left out."
        ),
    ]
    states: Annotated[dict[str, int], Meta(description="How many endpoints are in each state; ignored ones are not.")]
    quiet_s: Annotated[float, Meta(description="`ledger.quiet`, in seconds.")]
    keep_s: Annotated[float, Meta(description="`ledger.keep`, in seconds.")]
    since: Annotated[Time | None, Meta(description="Calls are counted from this day on; null: all that are kept.")]
    watched_since: Annotated[Time | None, Meta(description="Since when calls have been watched.")]
    watched_s: Annotated[float, Meta(description="For how much of the time since then.")]
    left_out: Annotated[int, Meta(description="Calls of endpoints that no row had room for: they are under `…`.")]
    sampled: Annotated[int, Meta(description="Calls that are estimates, because there were too many at a time.")]


class LedgerDay(Struct, frozen=True):
    """The calls of a day (`2027-02-01`) or of an earlier month (`2026-11`), in UTC."""

    day: str
    legacy: int
    candidate: int
    probes: int
    statuses: dict[str, int]


class LedgerStep(Struct, frozen=True):
    """The next step for an endpoint."""

    text: str
    command: Annotated[str | None, Meta(description="A command to copy.")]
    block: Annotated[str | None, Meta(description="A block for routes.yaml, as YAML.")]


class LedgerEvidence(Struct, frozen=True):
    """The comparisons of an endpoint, of the current release of its route."""

    route: str
    pairs: int
    matches: int
    open_differences: int


class LedgerEndpointDocument(Struct, frozen=True):
    """All that the ledger knows of one endpoint."""

    row: LedgerRow
    days: Annotated[list[LedgerDay], Meta(description="In order, without days of no call.")]
    months: list[LedgerDay]
    deletable_at: Annotated[
        Time | None, Meta(description="The earliest time at which it is deletable, if legacy is not called again.")
    ]
    evidence: LedgerEvidence | None
    next: LedgerStep
    folded: Annotated[list[str], Meta(description="Templates of learned folds that it contains; `unfold` undoes one.")]


class LedgerHour(Struct, frozen=True):
    """The calls of an hour (`2027-02-01T09`), in UTC."""

    hour: str
    legacy: int
    candidate: int


class LedgerHistoryDocument(Struct, frozen=True):
    """The calls of all endpoints together, by day and by earlier month, and those of the last two weeks by hour."""

    days: list[LedgerDay]
    months: list[LedgerDay]
    hours: list[LedgerHour] = []


class LedgerActionRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """A change of one row."""

    endpoint: Annotated[str, Meta(description="`GET /orders/{}`; `{id}` equals `{}`. For fold, also a path alone.")]
    who: str = ""
    why: str = ""
    name: Annotated[str, Meta(description="For `own`: who answers for it; empty: nobody.")] = ""


class LedgerActionDocument(Struct, frozen=True):
    """The change that was made."""

    done: Annotated[str, Meta(description="One sentence.")]


class ImportedSum(Struct, frozen=True):
    """Calls of an imported log that are alike: one endpoint, status, caller and day. They are legacy's."""

    method: str
    template: str
    status: int
    caller: str
    calls: int
    at: float
    buckets: list[int]
    example: str


class LedgerImportRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """A file that `strangler ledger import` has read."""

    digest: Annotated[str, Meta(description="SHA-256 of the content; a second import of it is refused.")]
    name: str
    format: str
    endpoints: Annotated[list[tuple[str, str]], Meta(description="Method (`*`: any) and template of each, of a list.")]
    sums: Annotated[list[ImportedSum], Meta(description="Calls, of a log.")]
    began: Annotated[float | None, Meta(description="Unix time of the first call of a log.")]
    ended: float | None
    who: str = ""


class LedgerImportedDocument(Struct, frozen=True):
    """The changes that an import has made."""

    new_endpoints: int
    endpoints: int
    calls: int


class CalledEndpoint(Struct, frozen=True):
    """An endpoint that is called, and that a description does not have."""

    endpoint: str
    calls: int
    last_seen: Time | None
    callers: list[LedgerCaller]


class DescribedEndpoint(Struct, frozen=True):
    """An endpoint of a description that nobody calls."""

    endpoint: str
    line: Annotated[int | None, Meta(description="Where the description has it, from 1.")]


class LedgerComparisonDocument(Struct, frozen=True):
    """`strangler ledger compare --json`: what is in one of the two alone."""

    format: str
    both: Annotated[int, Meta(description="Endpoints that are called and described.")]
    called: list[CalledEndpoint]
    described: list[DescribedEndpoint]
