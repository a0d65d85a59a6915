"""All operations of the admin listener but the pages of the dashboard: one row each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from strangler.control.api_reference import examples
from strangler.core import documents as d

_STORE = "The store cannot be read."
_UNWRITTEN = "The store cannot be written; nothing was changed."
_BODY = "The body does not fit."
_ROUTE = "routes.yaml has no such route."


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
    """One method on one path. `response` is a struct, or the media type of what is no JSON."""

    method: str
    path: str
    summary: str
    response: type[msgspec.Struct] | str
    example: msgspec.Struct | str
    call: str = ""
    """The query of the example, or its path if that has parameters."""
    query: tuple[Parameter, ...] = ()
    body: msgspec.Struct | None = None
    """An example of the body; its type is that of all bodies."""
    errors: Mapping[int, str] = field(default_factory=dict)
    unready: type[msgspec.Struct] | None = None
    """The document of a 503 that is no problem."""
    is_open: bool = False
    """Free for everyone: an orchestrator asks it."""

    @property
    def names(self) -> list[str]:
        """The parameters of the path."""
        return [part.strip("{}") for part in self.path.split("/") if part.startswith("{")]


PATH_PARAMETERS: Final = {
    "id": "The id of a difference; to read one, its beginning is enough.",
    "route": "The name of a route.",
}
_RELEASE = Parameter("release", "Of this release of the candidate; without it the current one. Empty: the unnamed one.")
_SINCE = Parameter("since", "Since this Unix time.", "number")

OPERATIONS: Final = (
    Operation(
        "GET",
        "/healthz",
        "Say that the control process is alive.",
        "text/plain",
        "ok\n",
        is_open=True,
    ),
    Operation(
        "GET",
        "/readyz",
        "Say whether the proxy is ready for traffic.",
        d.ReadyDocument,
        examples.READY,
        unready=d.ReadyDocument,
        is_open=True,
    ),
    Operation(
        "GET",
        "/metrics",
        "Give all metrics, as Prometheus or OpenMetrics text.",
        "text/plain",
        "strangler_workers 2.0\nstrangler_config_generation 3.0\n",
    ),
    Operation(
        "GET", "/api/openapi.json", "Give this reference as OpenAPI 3.1.", "application/json", '{"openapi":"3.1.0"}'
    ),
    Operation("GET", "/api/status", "Say what the proxy does now.", d.StatusDocument, examples.STATUS),
    Operation(
        "GET",
        "/api/explain",
        "Say where a request would go, and why. Nothing is sent.",
        d.Explanation,
        examples.EXPLANATION,
        call="?url=/api/orders/7&header=X-User-Id:%209",
        query=(
            Parameter("url", "A path or a whole URL.", is_required=True),
            Parameter("method", "Without it GET."),
            Parameter("header", "A field of the request, `Name: value`; as often as needed.", is_repeatable=True),
            Parameter("client", "The address that connects; without it 127.0.0.1."),
        ),
        errors={400: "There is no `url`, or the request cannot be described so."},
    ),
    Operation(
        "POST",
        "/api/explain",
        "Say the same of a request in a body.",
        d.Explanation,
        examples.EXPLANATION,
        body=d.ExplainRequest("GET", "/api/orders/7", [("X-User-Id", "9")]),
        errors={400: _BODY},
    ),
    Operation("GET", "/api/kill-switch", "Say how the kill switch stands.", d.KillSwitchStatus, examples.KILL_SWITCH),
    Operation(
        "POST",
        "/api/kill-switch",
        "Turn the kill switch. One that stands so already stays as it is.",
        d.KillSwitchStatus,
        examples.KILL_SWITCH,
        body=d.KillSwitchRequest(True, "orders answers nonsense", "ana"),
        errors={400: _BODY, 507: "The state folder cannot be written; nothing was changed."},
    ),
    Operation(
        "GET",
        "/api/events",
        "Give the events that are kept, oldest first.",
        d.EventsDocument,
        examples.EVENTS,
        call="?after=41&limit=100",
        query=(
            Parameter("after", "Only those behind this `seq`.", "integer"),
            _SINCE,
            Parameter("limit", "At most so many: 1 to 1000, without it 100.", "integer"),
        ),
        errors={400: "A parameter is no number.", 503: _STORE},
    ),
    Operation(
        "GET",
        "/api/diffs",
        "Give the inbox of differences, gravest first.",
        d.InboxDocument,
        examples.INBOX,
        call="?route=orders&severity=breaking",
        query=(
            Parameter("route", "Only this route."),
            Parameter("severity", "Only this severity: breaking, risky, additive or value."),
            Parameter("state", "Only this state: new, known, accepted, fixed or regressed."),
            Parameter("since", "Only those seen since this Unix time.", "number"),
            _RELEASE,
        ),
        errors={400: "A parameter has no such value, or no such release is known.", 503: _STORE},
    ),
    Operation(
        "POST",
        "/api/diffs",
        "Review several differences: all of them, or none if one is not there. The body may have 1 MiB and 20,000 ids.",
        d.ReviewedDocument,
        examples.REVIEWED,
        body=d.BulkReviewRequest("known", ids=["9f2c1a77d0b3e415"], owner="ana", why="rounding", who="ana"),
        errors={400: _BODY, 404: "An id is not there; nothing was changed.", 507: _UNWRITTEN},
    ),
    Operation(
        "GET",
        "/api/diffs/{id}",
        "Give one difference with its samples.",
        d.SignatureDocument,
        examples.SIGNATURE,
        call="/api/diffs/9f2c1a77",
        query=(_RELEASE,),
        errors={400: "It was not seen in that release.", 404: "None or several ids begin so.", 503: _STORE},
    ),
    Operation(
        "POST",
        "/api/diffs/{id}",
        "Review one difference.",
        d.ReviewedDocument,
        examples.REVIEWED,
        call="/api/diffs/9f2c1a77d0b3e415",
        body=d.ReviewRequest("known", "ana", "rounding", who="ana"),
        errors={400: _BODY, 404: "There is no such id.", 507: _UNWRITTEN},
    ),
    Operation(
        "GET",
        "/api/rollout",
        "Give what is in effect by route: its percent, its candidate, its gate.",
        d.RolloutDocument,
        examples.ROLLOUT,
    ),
    Operation(
        "GET",
        "/api/routes/{route}/readiness",
        "Say whether a route is ready to be cut over, and why not.",
        d.VerdictDocument,
        examples.VERDICT,
        call="/api/routes/orders/readiness",
        query=(
            _RELEASE,
            Parameter("gate", "Judge by this gate, as JSON with all of its fields, in place of the route's."),
        ),
        errors={400: "The gate does not fit, or no such release is known.", 404: _ROUTE, 503: _STORE},
    ),
    Operation(
        "GET",
        "/api/routes/{route}/proposal",
        "Propose accept rules for what legacy differs from itself in.",
        d.ProposalDocument,
        examples.PROPOSAL,
        call="/api/routes/orders/proposal",
        errors={503: _STORE},
    ),
    Operation(
        "POST",
        "/api/routes/{route}/reset",
        "Begin anew with a route: set aside all that was compared so far.",
        d.ResetDocument,
        examples.RESET,
        call="/api/routes/orders/reset",
        body=d.ResetRequest("the candidate read another database", "ana"),
        errors={400: "The body does not fit, or has no reason.", 404: _ROUTE, 507: _UNWRITTEN},
    ),
    Operation(
        "GET",
        "/api/report",
        "Give the data of `strangler report`.",
        d.ReportDocument,
        examples.REPORT,
        query=(_RELEASE,),
        errors={400: "No such release is known.", 503: _STORE},
    ),
    Operation(
        "GET",
        "/api/releases",
        "Give the releases of the candidates.",
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
            400: "The body does not fit, or the name is not possible.",
            404: _ROUTE,
            507: "It counts from now on, but the store cannot be written.",
        },
    ),
    Operation(
        "POST",
        "/api/shadows/{route}/resume",
        "Start the shadows of a route again that have stopped by themselves.",
        d.DoneDocument,
        examples.DONE,
        call="/api/shadows/orders/resume",
        body=d.ResumeRequest("ana", "it confirms dry runs now"),
        errors={400: _BODY, 404: "There is no such route, or it has no shadows.", 409: "They are not stopped."},
    ),
    Operation(
        "GET",
        "/api/audit",
        "Give what was changed, by whom and why, newest first.",
        d.AuditDocument,
        examples.AUDIT,
        call="?route=orders&limit=10",
        query=(
            Parameter("route", "Only this route."),
            _SINCE,
            Parameter("who", "Only entries of this name."),
            Parameter("limit", "At most so many: 1 to 10,000, without it 100.", "integer"),
        ),
        errors={400: "A parameter is no number.", 503: _STORE},
    ),
    Operation(
        "POST",
        "/api/audit",
        "Write an entry of one's own into the audit.",
        d.DoneDocument,
        examples.DONE,
        body=d.AuditRequest("shift", "orders", "agreed with ops", "ana", "25 to 50 %"),
        errors={400: _BODY, 507: _UNWRITTEN},
    ),
)
