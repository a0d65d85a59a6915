"""The keys of a route."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from strangler.config import quantities
from strangler.config import types as t
from strangler.config.leaf import Unwritten
from strangler.config.schema_compare import Compare, Gate, Release
from strangler.config.schema_retire import Retire
from strangler.config.schema_rollout import Rollout
from strangler.config.section import REQUIRED, Section, key
from strangler.config.types import LIST, OR_SHARE, Switchable, whole, word
from strangler.core.routing.aggregate import METHODS as AGGREGATED

_OfUpstream = Annotated[t.MaybeLonger, Unwritten("the upstream's")]


class RouteTimeouts(Section):
    """The same keys as `Timeouts`; a key that is left out has the value of the candidate's upstream."""

    connect: _OfUpstream = key(None, "As in an upstream's `timeouts`.", "500ms")
    response: _OfUpstream = key(None, "As in an upstream's `timeouts`.", "5s")
    idle: _OfUpstream = key(None, "As in an upstream's `timeouts`.", "5m")


class Match(Section):
    prefix: t.MaybeText = key(
        None,
        "Path prefix, on whole segments; `{name}` matches one segment. One of `prefix` and `path` is required.",
        "/api/orders",
    )
    path: t.MaybeText = key(None, "The whole path; `{name}` matches one segment.", '"/users/{id}/orders"')
    methods: Annotated[tuple[t.Method, ...], LIST] = key((), "Methods that match; empty: any.", "[GET, HEAD]")
    host: t.MaybeText = key(None, "Host that matches, exact or `*.example.com`; null: any.", "shop.example.com")
    headers: t.HeaderPairs = key((), "Header fields that must be present with exactly this value.", '{X-Version: "2"}')
    query: t.TextPairs = key((), "Query parameters that must be present with exactly this value.", "{format: json}")


class Split(Section):
    percent: t.Percent = key(0.0, "Share of callers sent to the candidate, 0 to 100, two decimals.", "25")
    headers: t.HeaderPairs = key((), "Any of these header fields sends a request to the candidate.", '{X-Beta: "1"}')
    override: t.MaybeHeaderName = key(
        None, "Header whose value `legacy` or `candidate` names the arm; null: none.", "X-Strangler-Arm"
    )
    sticky: Annotated[tuple[t.Sticky, ...], LIST] = key(
        (),
        "What keeps a caller on its arm: the first of these that is present, a header also if it is empty, a cookie"
        " only if it has a value. If none is, chance decides.",
        '["header:X-User-Id", "cookie:sid", client_ip]',
    )
    group: t.MaybeText = key(None, "Routes of one group move a caller together; null: the route's name.", "orders")


class Rewrite(Section):
    prefix: t.Text = key(
        REQUIRED, "What the candidate sees in place of `match.prefix`; Location is rewritten back.", "/v2/orders"
    )


class Fallback(Section):
    when: Annotated[tuple[t.AttemptReason, ...], LIST] = key(
        ("connect", "timeout", "open", "full", 500, 502, 503, 504),
        "What makes a request fall back to legacy.",
        "[connect, open, full]",
    )
    fence: t.Duration = key(
        60.0, "How long a caller's reads do not fall back after the candidate has taken a write of that caller.", "5m"
    )


class Baseline(Section):
    share: t.Share = key(0.02, "Share of shadows that send the request to both arms once more.", "5%")
    credentials: t.Bool = key(False, "Also repeat requests with Cookie, Authorization or another secret.", "true")


def _share_alone(value: Any) -> Any:
    """Read `baseline: 2%` as `baseline: {share: 2%}`."""
    return Baseline.model_construct(share=quantities.share(value)) if isinstance(value, str) else value


class Shadow(Section):
    percent: t.Percent = key(REQUIRED, "Share of requests that get a shadow.", "10")
    methods: Annotated[tuple[t.Method, ...], LIST] = key(
        ("GET", "HEAD"), "Methods that get a shadow; any but GET, HEAD and OPTIONS need `writes`.", "[GET]"
    )
    of: Annotated[Literal["legacy", "candidate", "any"], *word("legacy", "candidate", "any")] = key(
        "legacy", "The arm whose responses get a shadow at the other arm.", "any"
    )
    max_body: t.Size = key(256 << 10, "Largest body that is compared.", "1MiB")
    timeout: t.LongerDuration = key(5.0, "Longest wait for the shadow's response.", "2s")
    in_flight: Annotated[int, *whole(1, 100_000)] = key(32, "Most shadows of the route at once; more are dropped.", "8")
    recheck: t.Duration = key(2.0, "Pause before a mismatch is checked again; 0: never.", "0")
    baseline: Annotated[Baseline, BeforeValidator(_share_alone), OR_SHARE] = key(
        Baseline, "Which shadows repeat the request, to learn what differs anyway; a percent alone is `share`.", "5%"
    )
    writes: Annotated[Literal["skip", "dry_run", "sandbox"], *word("skip", "dry_run", "sandbox")] = key(
        "skip", "Unsafe methods get no shadow, a dry run at the candidate, or a copy to a sandbox.", "dry_run"
    )
    to: t.MaybeText = key(None, "The sandbox's upstream; required with `writes: sandbox`.", "orders-sandbox")


class Part(Section):
    upstream: t.Text = key(REQUIRED, "Upstream that serves the part.", "orders")
    path: t.Text = key(REQUIRED, "Path to request; `{name}` is filled in from the match.", '"/v2/orders/{id}"')
    required: t.Bool = key(True, "Whether the whole request fails if this part does.", "false")
    timeout: t.MaybeLonger = key(None, "Longest wait for this part; its upstream's timeouts apply too.", "500ms")


class RouteDefaults(Section):
    """The keys that routes may have in common."""

    split: Split = key(Split, "Which requests go to the candidate.", "{percent: 25}")
    rollout: Annotated[Rollout | None, Switchable()] = key(
        None,
        "In place of `split.percent`: the percents that the route climbs by itself, by evidence; `false`: none.",
        "{steps: [1, 10, 50, 100]}",
    )
    timeouts: RouteTimeouts | None = key(
        None, "Timeouts of this route's candidate, in place of its upstream's.", "{response: 5s}"
    )
    fallback: Annotated[Fallback | None, Switchable()] = key(
        Fallback, "Legacy serves requests that failed at the candidate, when that is safe; `false`: never.", "false"
    )
    shadow: Shadow | None = key(
        None, "Copies of requests to the other arm, to compare the responses; null: none.", "{percent: 10}"
    )
    compare: Compare = key(Compare, "How responses are compared.", '{redact: ["$..email"]}')
    gate: Gate = key(Gate, "What comparisons must show before the route is called ready.", "{min_pairs: 500}")
    release: Release | None = key(
        None,
        "How the candidate names its release, to which evidence belongs; null: `strangler release` names it.",
        "{header: X-Release}",
    )


class RoutePlace(Section):
    """The requests that one route is about, and where it leads."""

    name: t.Text = key(REQUIRED, "Name in logs, metrics and commands; unique.", "orders")
    match: Match = key(REQUIRED, "Conditions that must all hold.", "{prefix: /api/orders}")
    candidate: t.MaybeText = key(
        None,
        "Upstream of the new service; one of `candidate`, `passthrough` and `aggregate` is required, except"
        " with `retire`. `legacy`: an exception that stays at legacy.",
        "orders",
    )
    passthrough: t.MaybeText = key(
        None,
        "In place of `candidate`: an upstream that has always served these requests, beside the monolith. Nothing is"
        " moved or compared, and the kill switch does not apply.",
        "chat",
    )
    aggregate: dict[str, Part] | None = key(
        None,
        "Several services replace what was one endpoint; each serves one field of the response.",
        '{order: {upstream: orders, path: "/v2/orders/{id}"}}',
    )
    owner: t.MaybeText = key(
        None, "Who is responsible for the route; an included file can name one owner for all its routes.", "payments"
    )
    enabled: t.Bool = key(True, "`false`: all requests go to legacy, whatever the other keys say.", "false")
    retire: Retire | None = key(
        None,
        "How the route ends; null: it stays. With it, a route may have no `candidate`: legacy serves it until then.",
        "{sunset: 2027-03-01}",
    )
    rewrite: Rewrite | None = key(None, "Path that the candidate sees; null: as received.", "{prefix: /v2/orders}")
    fold: Annotated[tuple[t.PathTemplate, ...], LIST] = key(
        (),
        "Paths whose `{}` segments are values, where the proxy cannot recognise that itself.",
        '["/shops/{}", "/wiki/{...}"]',
    )


class Route(RouteDefaults, RoutePlace):
    """All keys of a route."""

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods that match; empty: any. An aggregate serves only some and leaves the others to legacy."""
        return AGGREGATED if self.aggregate is not None and not self.match.methods else self.match.methods
