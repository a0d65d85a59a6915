"""All operations of the admin listener except the dashboard's pages: one row each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from strangler.control.api_reference import examples
from strangler.core import documents as d

_STORE = "The store cannot be read."
_UNWRITTEN = "The store cannot be written; nothing was changed."
_BODY = "The body is not valid."
_ROUTE = "routes.yaml has no such route."
_NO_ROLLOUT = "routes.yaml has no such route, or it has no `rollout`."
_NO_LEDGER = "There is no ledger: routes.yaml has `ledger: false`."
_LEDGER_ERRORS: Final = {
    400: "The body is not valid, or nothing can be changed as it says.",
    404: _NO_LEDGER,
    503: "No node of a fleet has made the change in time; what became of it stands there.",
    507: "The store cannot be written; the change is stored once it can be.",
}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a path or a query."""

    name: str
    meaning: str
    type: str = "string"
    """The type in JSON Schema."""
    is_required: bool = False
    is_repeatable: bool = False


@dataclass(frozen=True, slots=True)
class Operation:
    """One method on one path. `response` is a struct, or a media type if no struct describes it."""

    method: str
    path: str
    summary: str
    response: type[msgspec.Struct] | str
    example: msgspec.Struct | str
    call: str = ""
    """The query of the example, or its path if that has parameters."""
    query: tuple[Parameter, ...] = ()
    body: msgspec.Struct | None = None
    """An example of the body, of the type that every body has."""
    errors: Mapping[int, str] = field(default_factory=dict)
    unready: type[msgspec.Struct] | None = None
    """The document of a 503 response, if that is not a problem document."""
    is_open: bool = False
    """True if it needs no token: orchestrators probe it."""

    @property
    def names(self) -> list[str]:
        """The names of the path's parameters."""
        return [part.strip("{}") for part in self.path.split("/") if part.startswith("{")]


PATH_PARAMETERS: Final = {
    "id": "The id of a difference; for reading, its beginning is enough.",
    "route": "The name of a route.",
    "command": "start, pause, resume, approve or back.",
}
_RELEASE = Parameter("release", "The candidate's release; without it the current one, if empty the unnamed one.")
_SINCE = Parameter("since", "Only entries since this Unix time.", "number")

OPERATIONS: Final = (
    Operation(
        "GET",
        "/healthz",
        "Report that the control process is alive.",
        "text/plain",
        "ok\n",
        is_open=True,
    ),
    Operation(
        "GET",
        "/readyz",
        "Report whether the proxy is ready for traffic.",
        d.ReadyDocument,
        examples.READY,
        unready=d.ReadyDocument,
        is_open=True,
    ),
    Operation(
        "GET",
        "/metrics",
        "Return all metrics as Prometheus or OpenMetrics text.",
        "text/plain",
        "strangler_workers 2.0\nstrangler_config_generation 3.0\n",
    ),
    Operation(
        "GET", "/api/openapi.json", "Return this reference as OpenAPI 3.1.", "application/json", '{"openapi":"3.1.0"}'
    ),
    Operation("GET", "/api/status", "Return the status of the proxy.", d.StatusDocument, examples.STATUS),
    Operation(
        "GET",
        "/api/explain",
        "Explain where a request would go, and why. Nothing is sent.",
        d.Explanation,
        examples.EXPLANATION,
        call="?url=/api/orders/7&header=X-User-Id:%209",
        query=(
            Parameter("url", "A path or a whole URL.", is_required=True),
            Parameter("method", "The method; without it GET."),
            Parameter("header", "A header field of the request, `Name: value`; may be repeated.", is_repeatable=True),
            Parameter("client", "The client's address; without it 127.0.0.1."),
        ),
        errors={400: "`url` is missing, or the parameters describe no valid request."},
    ),
    Operation(
        "POST",
        "/api/explain",
        "Explain the request that the body describes.",
        d.Explanation,
        examples.EXPLANATION,
        body=d.ExplainRequest("GET", "/api/orders/7", [("X-User-Id", "9")]),
        errors={400: _BODY},
    ),
    Operation("GET", "/api/kill-switch", "Return the kill switch's state.", d.KillSwitchStatus, examples.KILL_SWITCH),
    Operation(
        "POST",
        "/api/kill-switch",
        "Turn the kill switch on or off, for all routes or for one. Nothing changes if it is so already.",
        d.KillSwitchStatus,
        examples.KILL_SWITCH,
        body=d.KillSwitchRequest(True, "orders answers nonsense", "ana", "orders"),
        errors={
            400: _BODY,
            404: "There is no such route.",
            409: "It cannot be turned on for a passthrough route, or for so many routes.",
            507: "The state folder cannot be written; nothing was changed.",
        },
    ),
    Operation(
        "GET",
        "/api/events",
        "Return the stored events, oldest first.",
        d.EventsDocument,
        examples.EVENTS,
        call="?after=41&limit=100",
        query=(
            Parameter("after", "Only events after this `seq`.", "integer"),
            _SINCE,
            Parameter("limit", "The most events to return, 1 to 1000; without it 100.", "integer"),
        ),
        errors={400: "A parameter is not a number.", 503: _STORE},
    ),
    Operation(
        "GET",
        "/api/diffs",
        "Return the inbox of differences, most severe first.",
        d.InboxDocument,
        examples.INBOX,
        call="?route=orders&severity=breaking",
        query=(
            Parameter("route", "Only this route."),
            Parameter("severity", "Only this severity: breaking, risky, additive or value."),
            Parameter("state", "Only this state: new, known, accepted, fixed or regressed."),
            Parameter("since", "Only differences seen since this Unix time.", "number"),
            _RELEASE,
            Parameter("source", "Only the sightings of this source: live or replay."),
        ),
        errors={400: "A parameter has an unknown value, or the release is unknown.", 503: _STORE},
    ),
    Operation(
        "POST",
        "/api/diffs",
        "Review several differences: all, or none if an id is unknown. The body may have up to 1 MiB and 20,000 ids."
        " Former ids count; the response has the present ones.",
        d.ReviewedDocument,
        examples.REVIEWED,
        body=d.BulkReviewRequest("known", ids=["9f2c1a77d0b3e415"], owner="ana", why="rounding", who="ana"),
        errors={400: _BODY, 404: "An id is unknown; nothing was changed.", 507: _UNWRITTEN},
    ),
    Operation(
        "GET",
        "/api/diffs/{id}",
        "Return one difference with its samples, by the start of its id or of a former one.",
        d.SignatureDocument,
        examples.SIGNATURE,
        call="/api/diffs/9f2c1a77",
        query=(_RELEASE,),
        errors={400: "That release has not shown it.", 404: "The id is unknown or ambiguous.", 503: _STORE},
    ),
    Operation(
        "POST",
        "/api/diffs/{id}",
        "Review one difference, by its id or a former one.",
        d.ReviewedDocument,
        examples.REVIEWED,
        call="/api/diffs/9f2c1a77d0b3e415",
        body=d.ReviewRequest("known", "ana", "rounding", who="ana"),
        errors={400: _BODY, 404: "The id is unknown.", 507: _UNWRITTEN},
    ),
    Operation(
        "GET",
        "/api/rollout",
        "Return the percent, the candidate and the gate in force for each route.",
        d.RolloutDocument,
        examples.ROLLOUT,
    ),
    Operation(
        "GET",
        "/api/rollouts",
        "Return where the rollouts of all routes stand, and why they wait.",
        d.RolloutsDocument,
        examples.ROLLOUTS,
    ),
    Operation(
        "GET",
        "/api/rollouts/{route}",
        "Return where the rollout of a route stands, with its last looks and moves.",
        d.RolloutStatus,
        examples.ROLLOUT_STATUS,
        call="/api/rollouts/orders",
        errors={404: _NO_ROLLOUT},
    ),
    Operation(
        "POST",
        "/api/rollouts/{route}/{command}",
        "Start, pause, resume or send back a rollout, or approve its next step. It acts on all routes of the group.",
        d.RolloutStatus,
        examples.ROLLOUT_STATUS,
        call="/api/rollouts/orders/start",
        body=d.RolloutRequest(who="ana", why="agreed with ops"),
        errors={
            400: _BODY,
            404: f"{_NO_ROLLOUT} Or there is no such command.",
            409: "The command is not possible now: the text says which ones are.",
            503: "No node leads at the moment: it was withdrawn, and will not be followed; the text says so.",
            507: "The store cannot be written; nothing was changed. `pause` and `back` are followed without it, by the"
            " node alone if others share the store.",
        },
    ),
    Operation(
        "GET",
        "/api/routes/{route}/readiness",
        "Report whether a route is ready to be cut over, and why not.",
        d.VerdictDocument,
        examples.VERDICT,
        call="/api/routes/orders/readiness",
        query=(
            _RELEASE,
            Parameter("gate", "A gate to use in place of the route's, as JSON with all of its fields."),
        ),
        errors={400: "The gate is not valid, or the release is unknown.", 404: _ROUTE, 503: _STORE},
    ),
    Operation(
        "GET",
        "/api/routes/{route}/proposal",
        "Propose accept rules for what differs between two responses of legacy.",
        d.ProposalDocument,
        examples.PROPOSAL,
        call="/api/routes/orders/proposal",
        errors={503: _STORE},
    ),
    Operation(
        "POST",
        "/api/routes/{route}/reset",
        "Start a route's evidence again: all comparisons so far are set aside.",
        d.ResetDocument,
        examples.RESET,
        call="/api/routes/orders/reset",
        body=d.ResetRequest("the candidate read another database", "ana"),
        errors={400: "The body is not valid, or has no reason.", 404: _ROUTE, 507: _UNWRITTEN},
    ),
    Operation(
        "GET",
        "/api/report",
        "Return the data of `strangler report`.",
        d.ReportDocument,
        examples.REPORT,
        query=(_RELEASE,),
        errors={400: "The release is unknown.", 503: _STORE},
    ),
    Operation(
        "GET",
        "/api/releases",
        "Return the releases of the candidates.",
        d.ReleasesDocument,
        examples.RELEASES,
        call="?route=orders",
        query=(Parameter("route", "Only this route."),),
        errors={404: _ROUTE, 503: _STORE},
    ),
    Operation(
        "POST",
        "/api/releases",
        "Name the current release of a route's candidate.",
        d.ReleaseNamedDocument,
        examples.RELEASE_NAMED,
        body=d.ReleaseRequest("orders", "v1.4.2", "ci", "deployed"),
        errors={
            400: "The body or the name is not valid.",
            404: _ROUTE,
            507: "The release is current from now on, but the store cannot be written.",
        },
    ),
    Operation(
        "POST",
        "/api/replays",
        "Add the findings of a replay to the evidence, with the source `replay`: all of a request, or none. The body"
        " may have up to 8 MiB and 1,000 findings. Ids of differences and names of endpoints are made anew, and the"
        " audit has one entry for each `run`. A 503 has a `Retry-After`.",
        d.ReplaysDocument,
        examples.REPLAYS,
        body=d.ReplaysRequest("ana", "01KAQ9T4A0S6G1WVHSNGCGTM70", [examples.REPLAYED]),
        errors={
            400: _BODY,
            404: "A finding is of a route that routes.yaml does not have; nothing was stored.",
            408: "The body did not arrive within 30 seconds.",
            503: "Findings of shadows or of another replay wait, or the store has a problem; try again.",
            507: "The store cannot be written; nothing was stored.",
        },
    ),
    Operation(
        "POST",
        "/api/shadows/{route}/resume",
        "Start a route's shadows again after they stopped by themselves.",
        d.DoneDocument,
        examples.DONE,
        call="/api/shadows/orders/resume",
        body=d.ResumeRequest("ana", "it confirms dry runs now"),
        errors={400: _BODY, 404: "There is no such route, or it has no shadows.", 409: "The shadows are not stopped."},
    ),
    Operation(
        "GET",
        "/api/audit",
        "Return all changes with who made them and why, newest first.",
        d.AuditDocument,
        examples.AUDIT,
        call="?route=orders&limit=10",
        query=(
            Parameter("route", "Only this route."),
            _SINCE,
            Parameter("who", "Only entries of this name."),
            Parameter("limit", "The most entries to return, 1 to 10,000; without it 100.", "integer"),
        ),
        errors={400: "A parameter is not a number.", 503: _STORE},
    ),
    Operation(
        "POST",
        "/api/audit",
        "Add an entry to the audit.",
        d.DoneDocument,
        examples.DONE,
        body=d.AuditRequest("shift", "orders", "agreed with ops", "ana", "25 to 50 %"),
        errors={400: _BODY, 507: _UNWRITTEN},
    ),
    Operation(
        "GET",
        "/api/ledger",
        "Return the endpoints of the ledger, and how far the migration is.",
        d.LedgerDocument,
        examples.LEDGER,
        call="?state=legacy&state=shadowed&sort=last_legacy",
        query=(
            Parameter("state", "Only endpoints in this state; may be repeated.", is_repeatable=True),
            Parameter("route", "Only endpoints that this route covers."),
            Parameter("since", "Calls are counted from this day on: 2027-02-01."),
            Parameter("q", "Only endpoints that have this text in their name, or in that of their owner or a caller."),
            Parameter("sort", "calls, endpoint, state, last_seen, last_legacy or p95; without it calls."),
            Parameter("hidden", "1: also what only probes have called, and what is ignored."),
        ),
        errors={400: "A parameter has an unknown value.", 404: _NO_LEDGER},
    ),
    Operation(
        "GET",
        "/api/ledger/endpoint",
        "Return all that the ledger knows of one endpoint, and the next step.",
        d.LedgerEndpointDocument,
        examples.LEDGER_ENDPOINT,
        call="?endpoint=GET%20/api/orders/{}",
        query=(Parameter("endpoint", "Its method and path, or a call of it: `GET /orders/7`.", is_required=True),),
        errors={400: "`endpoint` is missing.", 404: "It is unknown, or there is no ledger."},
    ),
    Operation(
        "GET",
        "/api/ledger/history",
        "Return the calls of all endpoints together, by day and by earlier month.",
        d.LedgerHistoryDocument,
        examples.LEDGER_HISTORY,
        errors={404: _NO_LEDGER},
    ),
    Operation(
        "POST",
        "/api/ledger/fold",
        "Make all paths of a template one endpoint, for each method.",
        d.LedgerActionDocument,
        d.LedgerActionDocument("/shops/{} is one endpoint now, which 12 were before"),
        body=d.LedgerActionRequest("/shops/{}", "ana", "tenants"),
        errors=_LEDGER_ERRORS,
    ),
    Operation(
        "POST",
        "/api/ledger/unfold",
        "Undo a fold: paths that come from now on are endpoints of their own.",
        d.LedgerActionDocument,
        d.LedgerActionDocument("/shops/{} is folded no more: from now on its paths are endpoints of their own"),
        body=d.LedgerActionRequest("GET /shops/{}", "ana"),
        errors=_LEDGER_ERRORS,
    ),
    Operation(
        "POST",
        "/api/ledger/ignore",
        "Hide an endpoint, which then counts for nothing, or show one that is hidden again.",
        d.LedgerActionDocument,
        d.LedgerActionDocument("GET /healthz is shown and counted again"),
        body=d.LedgerActionRequest("GET /healthz", "ana"),
        errors=_LEDGER_ERRORS,
    ),
    Operation(
        "POST",
        "/api/ledger/own",
        "Name the owner of an endpoint; an empty `name` is nobody.",
        d.LedgerActionDocument,
        d.LedgerActionDocument("GET /api/orders/{} belongs to team-orders"),
        body=d.LedgerActionRequest("GET /api/orders/{}", "ana", name="team-orders"),
        errors=_LEDGER_ERRORS,
    ),
    Operation(
        "POST",
        "/api/ledger/import",
        "Take over a file that `strangler ledger import` has read. The body may have up to 16 MiB.",
        d.LedgerImportedDocument,
        d.LedgerImportedDocument(new_endpoints=1, endpoints=412, calls=0),
        body=d.LedgerImportRequest(
            "9f86d081884c7d65", "routes.txt", "list", [("GET", "/api/orders/{}")], [], None, None, "ana"
        ),
        errors=_LEDGER_ERRORS | {413: "The body is longer than 16 MiB."},
    ),
    Operation(
        "POST",
        "/api/recordings",
        "Record what the proxy serves, while the connection is open. The first line is the recording's header, then a"
        ' line a pair, and each second a line `{"recorded": …}` between; the last line has `ended`.',
        "application/x-ndjson",
        examples.RECORDING,
        body=d.RecordingRequest(routes=["orders"], share=10.0, who="ana"),
        errors={
            400: "The body is not valid, or it has neither routes nor `all`, or both.",
            403: "routes.yaml has `evidence: {values: hashed}`, and `redact` is true.",
            404: _ROUTE,
            409: "There is a recording already; the detail says whose, and since when.",
            503: "The redaction key cannot be read.",
        },
    ),
)
