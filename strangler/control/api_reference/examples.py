"""Examples of documents, for the reference."""

from msgspec import UNSET

from strangler.core import documents as d
from strangler.core.gate import Interval, Latency
from strangler.core.percents import RouteRollout
from strangler.core.settings import GateSettings

_AT = 1795435200.0
_TIME = "2026-11-23T12:00:00.000Z"
_ENDPOINT = "GET /api/orders/{}"
_ID = "9f2c1a77d0b3e415"
_GATE = GateSettings(min_pairs=3000, min_match=0.999, max_breaking=0, max_latency_ratio=1.1, min_age_s=86400.0)

READY = d.ReadyDocument(
    ready=True,
    degraded=False,
    checks=d.ReadyChecks(workers=True, legacy=True, not_draining=True),
    generation=3,
    is_rejected=False,
    problems=[],
)

_LEGACY = d.RecentFigures(rate=31.4, errors=0.0, p95_ms=82.0)
_CANDIDATE = d.RecentFigures(rate=10.2, errors=0.001, p95_ms=61.5)

RECORDING = (
    '{"recording":1,"made":"2026-11-23T12:00:00.000Z","by":"strangler 1.0.0","source":"proxy","from":"",'
    '"redacted":true,"key":"c902e8fc"}\n'
    '{"at":1795435200.5,"caller":"redacted:fdeb9b27","route":"orders","arm":"legacy","request":{"method":"GET",'
    '"target":"/api/orders/7","headers":[["Host","shop.example"]],"body":null},"response":{"status":200,'
    '"headers":[["Content-Type","application/json"]],"body":{"text":"{}"},"ms":12.1}}\n'
    '{"recorded":{"pairs":1,"bytes":287,"dropped":{"credit":3},"seconds":3600.0,"ended":"time"}}\n'
)

_DIGEST = "9f2c1b6d0a3e47d5b8c4e1f0a7d6c5b4e3f2a1908d7c6b5a4f3e2d1c0b9a8f7e"

STATUS = d.StatusDocument(
    version="1.0.0",
    nodes=[
        d.NodeStatus(node="shop-0", version="1.0.0", digest=_DIGEST, heard=0.4, share=0.51, leader=True),
        d.NodeStatus(node="shop-1", version="1.0.0", digest=_DIGEST, heard=0.9, share=0.49, leader=False),
    ],
    listen="0.0.0.0:8080",
    is_draining=False,
    pid=d.ProcessIds(supervisor=1, control=7, workers=[8], leaving=UNSET),
    workers=[d.WorkerStatus(index=0, pid=8, restarts=0, is_connected=True, generation=3, silent_s=0.2)],
    config=d.ConfigStatus(generation=3, since=_TIME, problems=[], warnings=[], needs_restart=[]),
    kill_switch=d.KillSwitchStatus(on=False, reason="", since=None),
    problems={},
    upstreams=[
        d.UpstreamStatus(
            name="orders",
            urls=["http://orders:8001"],
            endpoints={"http://orders:8001": "in_use"},
            breaker="closed",
            breaker_reason=None,
            in_flight=3,
            streams=0,
            waiting=0,
        )
    ],
    routes=[
        d.RouteStatus(
            name="orders",
            match="GET,HEAD /api/orders/*",
            candidate="orders",
            parts=None,
            owner="team-orders",
            passthrough=False,
            enabled=True,
            percent=25.0,
            requests=d.ArmsRequests(legacy=90210, candidate=30040),
            recent=d.ArmsRecent(_LEGACY, _CANDIDATE),
            shadow=d.ShadowStatus(
                percent=10.0,
                of="legacy",
                stopped=None,
                open=1,
                breakers={"orders": "closed"},
                comparisons=d.ShadowComparisons(match=8120, accepted=14, mismatch=3, not_comparable=20),
            ),
            judged=d.MatchFigures(release="v1.4.2", pairs=8137, matches=8134, share=0.9996),
            retire=d.RetireStatus(
                sunset="2027-03-01T00:00:00Z",
                deprecated="2026-11-23T12:00:00Z",
                link="https://example.com/orders-v1-ends",
                status=410,
                brownouts=[d.BrownoutStatus("2027-02-01T09:00:00Z", "2027-02-01T10:00:00Z")],
                in_force="announced",
                refused=0,
            ),
        )
    ],
    unrouted=d.UnroutedStatus(d.LegacyRequests(4711), d.LegacyRecent(_LEGACY)),
    events=d.EventsStatus(
        unwritten=0,
        sinks={"webhook": d.SinkStatus(backlog=0, delivered=42, dead=0, lost=0, last_dead=None, problem=None)},
        comparisons=None,
    ),
    tracing=None,
    gates=d.GatesStatus({}),
    slow={},
    ledger=d.LedgerStatus(0.25, {"legacy": 371, "splitting": 2, "deletable": 38, "probed": 12}, left_out=0),
)

EXPLANATION = d.Explanation(
    route="orders",
    owner="team-orders",
    arm="candidate",
    upstream="orders",
    reason="percent",
    bucket=1712,
    path="/api/orders/7",
    parts=None,
    timeouts={
        "connect": d.ExplainedTimeout(2.0, "default"),
        "response": d.ExplainedTimeout(5.0, "route"),
        "idle": d.ExplainedTimeout(60.0, "default"),
    },
    shadow=False,
    shadow_percent=0.0,
    detail="bucket 1712 of 10000 for header X-User-Id is below 25% of group 'orders'",
)

KILL_SWITCH = d.KillSwitchStatus(
    on=False, reason="", since=None, routes={"orders": d.RouteKillSwitch("orders answers nonsense", _TIME)}
)

EVENTS = d.EventsDocument(
    [
        d.StoredEvent(
            seq=42,
            event=d.EventDocument(
                specversion="1.0",
                id="01KAQ9T4A0S6G1WVHSNGCGTM70",
                source="//proxy-1/strangler",
                type="route.shifted",
                subject="orders",
                time=_TIME,
                datacontenttype="application/json",
                partitionkey="orders",
                data={"route": "orders", "from": 5.0, "to": 25.0, "generation": 3},
            ),
        )
    ]
)

SIGNATURE_ROW = d.SignatureRow(
    id=_ID,
    route="orders",
    release="v1.4.2",
    endpoint=_ENDPOINT,
    in_="body",
    path="$.price",
    kind="type",
    severity="breaking",
    count=3,
    accepted=0,
    first_seen=_AT,
    last_seen=_AT + 60,
    state="new",
    state_since=_AT,
    owner=None,
    why=None,
    until=None,
    legacy=19.99,
    candidate="19.99",
    share=0.0004,
    is_noise=False,
    sources={"live": 2, "replay": 1},
)

_RULES = d.RuleReport(8157, [d.RuleUse(rule="$.total (value)", uses=14, is_dead=False, is_expired=False)])

INBOX = d.InboxDocument(signatures=[SIGNATURE_ROW], rules={"orders": _RULES}, stops={}, hints=[])

_COMPARISON = d.ComparisonLine(
    time=_TIME,
    event="shadow.diff",
    id="01KAQ9T4A0S6G1WVHSNGCGTM71",
    request_id="5f0c",
    trace_id="0af7651916cd43dd8448eb211c80319c",
    route="orders",
    release="v1.4.2",
    method="GET",
    path="/api/orders/7",
    served_by="legacy",
    outcome="mismatch",
    reason=None,
    severity="breaking",
    signature=_ID,
    legacy=d.ComparedSide("legacy", status=200, duration_ms=61.2, bytes=22),
    candidate=d.ComparedSide("orders", status=200, duration_ms=48.7, bytes=24),
    differences=[d.ComparedDifference("body", "$.price", "type", "breaking", 19.99, "19.99")],
    accepted=0,
)


def _response(duration_ms: float, size: int, text: str) -> d.KeptResponse:
    return d.KeptResponse(
        status=200,
        fault=None,
        duration_ms=duration_ms,
        bytes=size,
        headers=[("Content-Type", "application/json")],
        body=d.KeptBody("json", text=text),
    )


SIGNATURE = d.SignatureDocument(
    **{name: getattr(SIGNATURE_ROW, name) for name in SIGNATURE_ROW.__struct_fields__},
    samples=[
        d.SampleDocument(
            comparison=_COMPARISON,
            answers=d.KeptPair(
                request=d.KeptRequest("GET", "/api/orders/7", [("Authorization", "redacted:3a5d4e0c")], None),
                legacy=_response(61.2, 22, '{"id":7,"price":19.99}'),
                candidate=_response(48.7, 24, '{"id":7,"price":"19.99"}'),
            ),
        )
    ],
)

REVIEWED = d.ReviewedDocument(done=True, changed=[_ID], unchanged=[])

ROLLOUT = d.RolloutDocument(
    {"orders": RouteRollout(percent=25.0, target="orders", match='["/api/orders"]', gate=_GATE)}
)

VERDICT = d.VerdictDocument(
    route="orders",
    release="v1.4.2",
    verdict="not ready",
    reasons=["1 breaking differences are open, 0 are allowed"],
    notes=[],
    pairs=8137,
    matches=8134,
    match_share=0.99963,
    match_low=0.998275,
    pairs_needed=0,
    breaking_open=1,
    noise_only=0,
    set_aside=0,
    claims=[d.ClaimRow(signature="41d09be27f5c8a36", endpoint=_ENDPOINT, needed=41, pairs=12, lacking=29)],
    not_comparable={"lag": 20},
    latency=Latency(median=Interval(0.81, 0.79, 0.83), p95=Interval(0.92, 0.88, 0.97)),
    age_s=172800.0,
    endpoints={_ENDPOINT: 8137},
    thin_endpoints=[],
    gate=_GATE,
)

PROPOSAL = d.ProposalDocument('routes:\n  - name: orders\n    compare:\n      accept:\n        - path: "$.at"\n')
RESET = d.ResetDocument(route="orders", set_aside=["v1.4.2@2026-11-23T12:00:00.000Z"])

_ENTRY = d.AuditEntry(at=_AT, who="ana", what="shift", route="orders", why="agreed with ops", detail="5 to 25 %")
AUDIT = d.AuditDocument([_ENTRY])

RELEASES = d.ReleasesDocument(
    [d.ReleaseRow("orders", "v1.4.2", _AT, _AT + 60, is_current=True, is_set_aside=False, pairs=8137)]
)
REPLAYED = d.ReplayedPair(
    id="01KAQ9T4A0S6G1WVHSNGCGTM72",
    at=_AT,
    route="orders",
    endpoint=_ENDPOINT,
    outcome="mismatch",
    differences=[d.ReplayedDifference("body", "$.price", "type", "breaking", 19.99, "19.99")],
)
REPLAYS = d.ReplaysDocument(stored=1, dropped=0)

RELEASE_NAMED = d.ReleaseNamedDocument(route="orders", release="v1.4.2", former="v1.4.1", changed=True)
DONE = d.DoneDocument(done=True)

_LEDGER_ROW = d.LedgerRow(
    endpoint=_ENDPOINT,
    method="GET",
    path="/api/orders/{}",
    state="splitting",
    route="orders",
    calls=d.LedgerCalls(legacy=90210, candidate=30040),
    statuses={"2xx": 120100, "4xx": 150},
    probes=0,
    first_seen=_TIME,
    last_seen=_TIME,
    last_legacy=_TIME,
    callers=[d.LedgerCaller("okhttp/4", calls=120250, legacy=90210, last_legacy=_TIME, refused=0, last_refused=None)],
    p95_ms=d.LedgerTimes(legacy=82.0, candidate=61.5),
    example="/api/orders/7",
    source="traffic",
    owner="team-orders",
    is_ignored=False,
)
_LOOK = d.RolloutLook(
    at=_TIME,
    percent=25.0,
    verdict="not_enough",
    reasons=["the candidate has served 120 of 500 requests and 3 of 20 callers on this step"],
    legacy=d.RolloutArmNumbers(requests=371, failed=0, p95_ms=82.0),
    candidate=d.RolloutArmNumbers(requests=120, failed=0, p95_ms=61.5),
    callers=3,
)
ROLLOUT_STATUS = d.RolloutStatus(
    route="orders",
    group="orders",
    state="running",
    percent=25.0,
    step=3,
    steps=[1.0, 5.0, 25.0, 50.0, 100.0],
    since=_TIME,
    until=None,
    waits_for="evidence",
    why="the candidate has served 120 of 500 requests and 3 of 20 callers on this step",
    commands=["pause", "back"],
    callers=3,
    failed_looks=0,
    looks=[_LOOK],
    moves=[
        d.RolloutMove(_TIME, 0.0, 0.0, "start", "agreed with ops", "ana"),
        d.RolloutMove(_TIME, 5.0, 25.0, "stepped", "the look was good"),
    ],
    notes=[],
)
ROLLOUTS = d.RolloutsDocument([ROLLOUT_STATUS])
LEDGER = d.LedgerDocument(
    rows=[_LEDGER_ROW],
    share=0.25,
    states={"legacy": 371, "splitting": 2, "deletable": 38, "probed": 12},
    quiet_s=2592000.0,
    keep_s=34560000.0,
    since=None,
    watched_since=_TIME,
    watched_s=86400.0,
    left_out=0,
    sampled=0,
)
REPORT = d.ReportDocument(
    at=_AT,
    routes=[
        d.RouteReport(
            name="orders",
            candidate="orders",
            percent=25.0,
            shadow_percent=10.0,
            readiness=VERDICT,
            timeline=[{"at": int(_AT), "match": 812, "mismatch": 1}],
            latencies=[(_AT, 0.061, 0.048)],
            signatures=[SIGNATURE_ROW],
            rules=_RULES,
        )
    ],
    audit=[_ENTRY],
    ledger=LEDGER,
)

_DAY = d.LedgerDay("2026-11-23", legacy=90210, candidate=30040, probes=0, statuses={"2xx": 120100, "4xx": 150})
LEDGER_ENDPOINT = d.LedgerEndpointDocument(
    row=_LEDGER_ROW,
    days=[_DAY],
    months=[],
    deletable_at="2026-12-23T12:00:00.000Z",
    evidence=d.LedgerEvidence(route="orders", pairs=8137, matches=8134, open_differences=1),
    next=d.LedgerStep(
        "Route 'orders' sends 25 % of the callers to its candidate. Raise it to 50 %.",
        "strangler shift orders 50",
        None,
    ),
    folded=[],
)
LEDGER_HISTORY = d.LedgerHistoryDocument(days=[_DAY], months=[], hours=[d.LedgerHour("2026-11-23T08", 7, 3)])
