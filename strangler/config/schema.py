"""What may be written in routes.yaml: every key with its type, its default and its meaning, once.

These models are what the user wrote; `strangler.config.build` turns them into `strangler.core.settings`. The JSON Schema,
the reference in docs/configuration.md and `strangler check` all come from here. Every value arrives as the text of its
scalar and is read by `strangler.config.scalars`; rules that join several keys are in `strangler.config.rules`.
"""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainValidator,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from strangler.config import scalars, urls
from strangler.core.fault import Fault
from strangler.core.settings import Address, StickySource, Url

Pairs = tuple[tuple[str, str], ...]
VARIABLE: dict[str, Any] = {"type": "string", "pattern": r"\$\{"}
"""The JSON Schema of a value with `${VAR}` in it: any key may have one."""


def _wrong(expected: str, value: object) -> PydanticCustomError:
    return PydanticCustomError("kind", "{expected}", {"expected": expected, "value": value})


def _leaf(read: Callable[[str], object], kind: str, expected: str, *schemas: dict[str, Any], nullable: bool = False) -> list[Any]:
    """Reads one scalar. `kind` names the type in the reference; `expected` says what to write instead of no scalar at all."""

    def validate(value: object) -> object:
        if type(value) is str:
            return read(value)
        if nullable and value is None:
            return None
        raise _wrong(expected, value)

    alternatives = [*schemas, *([{"type": "null"}] if nullable else [])]
    if not any(_takes_any_text(schema) for schema in schemas):
        alternatives.append(VARIABLE)
    shape = alternatives[0] if len(alternatives) == 1 else {"anyOf": alternatives}
    return [PlainValidator(validate), WithJsonSchema(shape), Kind(kind)]


def _takes_any_text(schema: dict[str, Any]) -> bool:
    return schema.get("type") == "string" and "pattern" not in schema


class Kind:
    """The name of a type in the reference of all keys."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


def _optional(read: Callable[[str], object]) -> Callable[[str], object]:
    """`none` is no limit."""
    return lambda text: None if text.lower() == "none" else read(text)


def _text_or_none(text: str) -> str | None:
    return scalars.line(text) if text.strip() else None


_TEXT = {"type": "string"}
_NONE = {"const": "none"}
_BOOL = ({"type": "boolean"}, {"enum": ["yes", "no", "on", "off"]})
_DURATION = ({"type": "string", "pattern": scalars.DURATION_PATTERN}, {"const": 0})
_LONGER = {"type": "string", "pattern": scalars.DURATION_PATTERN}
_SIZE = ({"type": "string", "pattern": scalars.SIZE_PATTERN}, {"type": "integer", "minimum": 0})
_PERCENT = ({"type": "number", "minimum": 0, "maximum": 100}, {"type": "string", "pattern": scalars.PERCENT_PATTERN})
_any_duration = partial(scalars.duration, zero=True)
_longer = partial(scalars.duration, zero=False)
_WRITE_DURATION = "write a duration such as 250ms, 2s or 5m"
_WRITE_SIZE = "write a size such as 64KiB"
_WRITE_PERCENT = "write a percent such as 25 or 0.5%"
_WRITE_TEXT = "write a text"

Text = Annotated[str, *_leaf(scalars.line, "text", _WRITE_TEXT, _TEXT)]
MaybeText = Annotated[str | None, *_leaf(_text_or_none, "text or null", _WRITE_TEXT, _TEXT, nullable=True)]
Bool = Annotated[bool, *_leaf(scalars.boolean, "boolean", "write true or false", *_BOOL)]
Duration = Annotated[float, *_leaf(_any_duration, "duration", _WRITE_DURATION, *_DURATION)]
LongerDuration = Annotated[float, *_leaf(_longer, "duration above 0", _WRITE_DURATION, _LONGER)]
MaybeLonger = Annotated[
    float | None, *_leaf(_optional(_longer), "duration above 0, or none", _WRITE_DURATION, _LONGER, _NONE)
]
Size = Annotated[int, *_leaf(scalars.size, "size", _WRITE_SIZE, *_SIZE)]
MaybeSize = Annotated[int | None, *_leaf(_optional(scalars.size), "size or none", _WRITE_SIZE, *_SIZE, _NONE)]
Percent = Annotated[float, *_leaf(scalars.percent, "percent", _WRITE_PERCENT, *_PERCENT)]
Share = Annotated[float, *_leaf(scalars.share, "percent", _WRITE_PERCENT, *_PERCENT)]
MaybeShare = Annotated[
    float | None, *_leaf(_optional(scalars.share), "percent or none", _WRITE_PERCENT, *_PERCENT, _NONE)
]
HeaderName = Annotated[
    str, *_leaf(scalars.header_name, "header name", "write a header's name", {"type": "string", "pattern": scalars.TOKEN_PATTERN})
]
MaybeHeaderName = Annotated[
    str | None,
    *_leaf(
        scalars.header_name, "header name or null", "write a header's name",
        {"type": "string", "pattern": scalars.TOKEN_PATTERN}, nullable=True,
    ),
]  # fmt: skip
HeaderValue = Annotated[
    str,
    *_leaf(scalars.header_value, "text", _WRITE_TEXT, {"type": ["string", "number", "boolean"]}),
]
QueryText = Annotated[str, *_leaf(str, "text", _WRITE_TEXT, {"type": ["string", "number", "boolean"]})]
Method = Annotated[str, *_leaf(scalars.method, "method", "write a method such as GET", {"type": "string", "pattern": "^[A-Za-z-]+$"})]
Listen = Annotated[
    Address,
    *_leaf(urls.address, "host:port", "write host:port, such as 127.0.0.1:8080", {"type": "string", "pattern": r"^.+:[0-9]+$"}),
]
BaseUrl = Annotated[
    Url, *_leaf(urls.base_url, "URL", "write a URL such as http://127.0.0.1:8000", {"type": "string", "pattern": "^https?://"})
]
Network = Annotated[
    str, *_leaf(urls.network, "address or network", "write an address such as 10.0.0.0/8", {"type": "string", "pattern": "^[0-9a-fA-F:.]+(/[0-9]+)?$"})
]
WebUrl = Annotated[
    str | None,
    *_leaf(urls.web_url, "URL or null", "write a URL such as https://example.com/hook", {"type": "string", "pattern": "^https?://"}, nullable=True),
]
Sticky = Annotated[
    StickySource,
    *_leaf(urls.sticky, "header:NAME, cookie:NAME or client_ip", "write header:NAME, cookie:NAME or client_ip",
           {"type": "string", "pattern": "^(header:.+|cookie:.+|client_ip)$"}),
]  # fmt: skip
Tolerance = Annotated[
    str | None, *_leaf(scalars.tolerance, "number", "write a number such as 0.01", {"type": "number", "minimum": 0}, nullable=True)
]
RelativeTolerance = Annotated[
    str | None,
    *_leaf(scalars.relative_tolerance, "share", "write a share such as 0.01 or 1%",
           {"type": "number", "minimum": 0}, {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?[ ]?%?$"}, nullable=True),
]  # fmt: skip
Day = Annotated[
    str | None,
    *_leaf(scalars.day, "date", "write a date such as 2027-01-31", {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"}, nullable=True),
]
Number = Annotated[
    float, *_leaf(scalars.decimal_number(0, 1000), "number", "write a number such as 1.1", {"type": "number", "minimum": 0, "maximum": 1000})
]


def _whole(low: int, high: int, *, none: bool = False) -> list[Any]:
    read: Callable[[str], object] = scalars.integer(low, high)
    shapes = [{"type": "integer", "minimum": low, "maximum": high}, *([_NONE] if none else [])]
    kind = f"integer, {low} to {high}{', or none' if none else ''}"
    return _leaf(_optional(read) if none else read, kind, f"write a whole number from {low} to {high}", *shapes)


def _word(*words: str) -> list[Any]:
    return _leaf(scalars.choice(*words), " or ".join(f"`{w}`" for w in words), f"write {scalars.listed(words)}", {"enum": list(words)})


def _reasons(faults: tuple[Fault, ...]) -> list[Any]:
    names = [str(fault) for fault in faults]
    shapes = ({"enum": names}, {"type": "integer", "minimum": 400, "maximum": 599})
    return _leaf(scalars.fault_or_status(faults), f"{', '.join(names)} or a status", f"write {names[0]} or a status", *shapes)


UpstreamReason = Annotated[str | int, *_reasons(scalars.UPSTREAM_FAULTS)]
AttemptReason = Annotated[str | int, *_reasons(scalars.ATTEMPT_FAULTS)]


class _Pairs:
    """A mapping of names to texts, kept as pairs in the order of the file."""

    def __init__(self, name: Any, value: Any) -> None:
        self._shape = dict[name, value]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        inner = core_schema.no_info_before_validator_function(_empty_mapping, handler.generate_schema(self._shape))
        return core_schema.no_info_after_validator_function(lambda pairs: tuple(pairs.items()), inner)


def _empty_mapping(value: object) -> object:
    return {} if value is None else value


def _empty_list(value: object) -> object:
    return [] if value is None else value


HeaderPairs = Annotated[Pairs, _Pairs(HeaderName, HeaderValue), Kind("mapping of header names to texts")]
QueryPairs = Annotated[Pairs, _Pairs(QueryText, QueryText), Kind("mapping of names to texts")]
_LIST = BeforeValidator(_empty_list)


class _Switchable:
    """A part that `false` switches off. Nothing at all after the key is refused: it could mean either."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(_switch, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        shape = handler(schema)
        parts = [part for part in shape["anyOf"] if part != {"type": "null"}]
        return {"anyOf": [*parts, {"type": "boolean"}, {"enum": ["off", "on", "no", "yes"]}]}


def _switch(value: object) -> object:
    if value is None:
        raise _wrong("write {} for the defaults or false for off", value)
    if not isinstance(value, str):
        return value
    try:
        return {} if scalars.boolean(value) else None
    except ValueError:
        raise _wrong("write a mapping of its keys, or false", value) from None


class Section(BaseModel):
    """A mapping with fixed keys. A key with nothing under it is an empty section."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    what: ClassVar[str] = "mapping"

    @model_validator(mode="before")
    @classmethod
    def _nothing_is_empty(cls, value: Any) -> Any:
        return {} if value is None else value


def _default(section: type[Section]) -> Any:
    """One shared value for all that write nothing (they are frozen)."""
    value: list[Section] = []

    def make() -> Section:
        if not value:
            value.append(section())
        return value[0]

    return make


class Admin(Section):
    listen: Listen = Field(
        default=Address("127.0.0.1", 8081), description="Where probes, metrics, the API and the dashboard are served.",
        examples=["127.0.0.1:8081"],
    )  # fmt: skip
    token: MaybeText = Field(
        default=None,
        description="Bearer token that all but `/healthz` and `/readyz` need. Without one only a loopback address may be bound.",
        examples=["${STRANGLER_TOKEN:-}"],
    )


class Log(Section):
    level: Annotated[Literal["debug", "info", "warning", "error"], *_word("debug", "info", "warning", "error")] = Field(
        default="info", description="The least severe line that is written.", examples=["info"]
    )
    format: Annotated[Literal["auto", "console", "json"], *_word("auto", "console", "json")] = Field(
        default="auto", description="`auto` is `console` on a terminal, else `json`.", examples=["json"]
    )
    access: Bool = Field(default=True, description="One line for every request.", examples=["false"])


class Tracing(Section):
    otlp: WebUrl = Field(
        default=None, description="OTLP endpoint that spans are sent to; needs `strangler[otel]`.", examples=["http://127.0.0.1:4318"]
    )
    sample: Share = Field(default=0.01, description="Share of requests that get spans.", examples=["1%"])


class Kafka(Section):
    bootstrap_servers: Text = Field(description="Brokers to ask first, separated by commas.", examples=["kafka-1:9092,kafka-2:9092"])
    topic: Text = Field(description="Topic that events are written to.", examples=["strangler"])
    shadow: Bool = Field(default=False, description="Also write every shadow comparison.", examples=["true"])


class Events(Section):
    webhook: WebUrl = Field(default=None, description="URL that gets each event as JSON by POST.", examples=["https://hooks.example.com/strangler"])
    kafka: Kafka | None = Field(default=None, description="Write events to Kafka; needs `strangler[kafka]`.", examples=["null"])


class Limits(Section):
    header_bytes: Size = Field(default=32 << 10, description="Largest request head; beyond it 431 (414 if the target alone is larger).", examples=["32KiB"])
    header_timeout: MaybeLonger = Field(default=10.0, description="Time for a request head to arrive; then 408.", examples=["10s"])
    idle_timeout: MaybeLonger = Field(default=75.0, description="How long a client's idle connection is kept.", examples=["75s"])
    request_body: MaybeSize = Field(default=None, description="Largest request body; beyond it 413.", examples=["10MiB"])
    response_header: Size = Field(default=256 << 10, description="Largest head of an upstream's answer; beyond it 502.", examples=["256KiB"])
    connections: Annotated[int, *_whole(1, 10_000_000)] = Field(default=10_000, description="Most client connections at one worker.", examples=["10_000"])
    drain: Duration = Field(default=30.0, description="How long requests in flight may take to finish after SIGTERM.", examples=["30s"])


class Tls(Section):
    ca: MaybeText = Field(default=None, description="File of PEM certificates to trust; null: the system's.", examples=["/etc/ssl/internal-ca.pem"])
    verify: Bool = Field(default=True, description="Check the upstream's certificate.", examples=["true"])


class Timeouts(Section):
    connect: MaybeLonger = Field(default=2.0, description="Name, TCP and TLS together.", examples=["2s"])
    response: MaybeLonger = Field(default=60.0, description="From the request fully sent to the head of the answer.", examples=["60s"])
    idle: MaybeLonger = Field(default=60.0, description="Longest pause between two bytes, either way.", examples=["60s"])


class RouteTimeouts(Section):
    """Like `Timeouts`; what is not written here is as the candidate's upstream says."""

    connect: MaybeLonger = Field(default=None, description="Name, TCP and TLS together. Not written: as the upstream says.", examples=["1s"])
    response: MaybeLonger = Field(default=None, description="To the head of the candidate's answer. Not written: as the upstream says.", examples=["5s"])
    idle: MaybeLonger = Field(default=None, description="Longest pause between two bytes. Not written: as the upstream says.", examples=["30s"])


class Bulkhead(Section):
    in_flight: Annotated[int, *_whole(1, 1_000_000)] = Field(default=256, description="Most requests in flight at once.", examples=["256"])
    waiting: Annotated[int, *_whole(0, 1_000_000)] = Field(default=64, description="Most requests that wait for a place.", examples=["64"])
    wait: Duration = Field(default=1.0, description="Longest wait for a place; then the fault is `full`.", examples=["1s"])


class Breaker(Section):
    failure_rate: MaybeShare = Field(default=0.5, description="Share of failures in the window that opens it.", examples=["50%"])
    min_requests: Annotated[int, *_whole(1, 1_000_000)] = Field(default=20, description="Fewest requests in the window before the share counts.", examples=["20"])
    window: LongerDuration = Field(default=30.0, description="How far back requests count.", examples=["30s"])
    consecutive: Annotated[int | None, *_whole(1, 1_000_000, none=True)] = Field(default=5, description="Failures in a row that open it.", examples=["5"])
    slow_call: MaybeLonger = Field(default=None, description="An answer slower than this counts as a failure.", examples=["none"])
    cooldown: LongerDuration = Field(default=10.0, description="How long it stays open at first; doubled each time a trial fails.", examples=["10s"])
    max_cooldown: LongerDuration = Field(default=300.0, description="Longest that it stays open.", examples=["5m"])
    trials: Annotated[int, *_whole(1, 1_000_000)] = Field(default=5, description="Good answers in a row, while half open, that close it.", examples=["5"])
    counts: Annotated[tuple[UpstreamReason, ...], _LIST] = Field(
        default=("connect", "reset", "timeout", "bad_response", 500, 502, 503, 504), description="What counts as a failure.",
        examples=["[connect, timeout, 503]"],
    )  # fmt: skip


class LegacyBreaker(Breaker):
    """One broken endpoint of the monolith must not cut off all the others, so fewer things count."""

    counts: Annotated[tuple[UpstreamReason, ...], _LIST] = Field(
        default=("connect", "timeout"), description="What counts as a failure.", examples=["[connect, timeout]"]
    )


class Retry(Section):
    attempts: Annotated[int, *_whole(1, 10)] = Field(default=2, description="All tries at the upstream, the first included.", examples=["2"])
    when: Annotated[tuple[AttemptReason, ...], _LIST] = Field(default=("connect", "reset"), description="What is tried again.", examples=["[connect, reset, 503]"])
    backoff: Duration = Field(default=0.025, description="Pause before the second try; doubled for each further one.", examples=["25ms"])
    max_backoff: Duration = Field(default=0.25, description="Longest pause.", examples=["250ms"])
    budget: Share = Field(default=0.2, description="Most retries, as a share of the upstream's requests.", examples=["20%"])


class Health(Section):
    path: Text = Field(default="/healthz", description="Path that is asked; any answer from 200 to 399 is healthy.", examples=["/healthz"])
    interval: LongerDuration = Field(default=10.0, description="Time between two checks.", examples=["10s"])
    timeout: LongerDuration = Field(default=1.0, description="Longest wait for the answer.", examples=["1s"])
    fall: Annotated[int, *_whole(1, 1000)] = Field(default=3, description="Failures in a row that take a URL out.", examples=["3"])
    rise: Annotated[int, *_whole(1, 1000)] = Field(default=1, description="Successes in a row that bring it back.", examples=["1"])


class HeaderEdit(Section):
    set: HeaderPairs = Field(default=(), description="Header fields that requests to this upstream get, instead of any of that name.", examples=["{X-Tenant: shop}"])
    remove: Annotated[tuple[HeaderName, ...], _LIST] = Field(default=(), description="Header fields that requests to this upstream lose.", examples=["[X-Debug]"])


class Upstream(Section):
    url: BaseUrl | None = Field(default=None, description="Base URL of the service; `url` or `urls` is required.", examples=["http://127.0.0.1:8001"])
    urls: Annotated[tuple[BaseUrl, ...], _LIST] = Field(default=(), description="Several base URLs of one service, taken in turn.", examples=["[http://10.0.0.1:8001, http://10.0.0.2:8001]"])
    tls: Tls = Field(default_factory=_default(Tls), description="For https:// URLs.")
    host: Annotated[Literal["preserve", "upstream"], *_word("preserve", "upstream")] = Field(
        default="preserve", description="Host header sent: the client's, or that of the upstream's URL.", examples=["upstream"]
    )
    timeouts: Timeouts = Field(default_factory=_default(Timeouts), description="How long each phase of an attempt may take.")
    bulkhead: Annotated[Bulkhead | None, _Switchable()] = Field(default_factory=_default(Bulkhead), description="Most requests in flight at the upstream; `false` switches it off.", examples=["false"])
    breaker: Annotated[Breaker | None, _Switchable()] = Field(default_factory=_default(Breaker), description="Stops sending to an upstream that fails; `false` switches it off.", examples=["false"])
    retry: Annotated[Retry | None, _Switchable()] = Field(default_factory=_default(Retry), description="Tries idempotent requests again; `false` switches it off.", examples=["false"])
    health: Annotated[Health | None, _Switchable()] = Field(default=None, description="Asks each URL whether it is well; off until it is written.", examples=["{path: /healthz}"])
    headers: HeaderEdit = Field(default_factory=_default(HeaderEdit), description="Changes to the headers of requests to this upstream.")


class Legacy(Upstream):
    breaker: Annotated[LegacyBreaker | None, _Switchable()] = Field(
        default_factory=_default(LegacyBreaker), description="Stops sending to an upstream that fails; `false` switches it off.", examples=["false"]
    )


class Upstreams(BaseModel):
    """Upstreams by name; `legacy` must be among them."""

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, Upstream]
    legacy: Legacy = Field(description="The monolith. It takes all that no route sends elsewhere.")

    @property
    def by_name(self) -> dict[str, Upstream]:
        """All of them, `legacy` first."""
        return {"legacy": self.legacy, **(self.__pydantic_extra__ or {})}


class Match(Section):
    prefix: MaybeText = Field(default=None, description="Path prefix, on whole segments; `{name}` matches one segment.", examples=["/api/orders"])
    path: MaybeText = Field(default=None, description="The whole path; `{name}` matches one segment.", examples=["/users/{id}/orders"])
    methods: Annotated[tuple[Method, ...], _LIST] = Field(default=(), description="Methods that match; empty: any.", examples=["[GET, HEAD]"])
    host: MaybeText = Field(default=None, description="Host that matches, exact or `*.example.com`; null: any.", examples=["shop.example.com"])
    headers: HeaderPairs = Field(default=(), description="Header fields that must be there with exactly this value.", examples=['{X-Version: "2"}'])
    query: QueryPairs = Field(default=(), description="Query parameters that must be there with exactly this value.", examples=['{format: json}'])


class Split(Section):
    percent: Percent = Field(default=0.0, description="Share of callers for the candidate, 0 to 100, two decimals.", examples=["25"])
    headers: HeaderPairs = Field(default=(), description="Any of these header fields sends a request to the candidate.", examples=['{X-Beta: "1"}'])
    override: MaybeHeaderName = Field(default=None, description="Header whose value `legacy` or `candidate` names the arm; null: none does.", examples=["X-Strangler-Arm"])
    sticky: Annotated[tuple[Sticky, ...], _LIST] = Field(default=(), description="What keeps a caller on its arm: the first one that is present. None present: by chance.", examples=['["header:X-User-Id", "cookie:sid", client_ip]'])
    group: MaybeText = Field(default=None, description="Routes of one group move a caller together; null: the route's name.", examples=["orders"])


class Rewrite(Section):
    prefix: Text = Field(description="What the candidate sees instead of `match.prefix`; Location is rewritten back.", examples=["/v2/orders"])


class Fallback(Section):
    when: Annotated[tuple[AttemptReason, ...], _LIST] = Field(
        default=("connect", "timeout", "open", "full", 502, 503, 504), description="What makes legacy answer instead, when that is safe.",
        examples=["[connect, open, full]"],
    )  # fmt: skip
    fence: Duration = Field(default=60.0, description="After a write reached the candidate, how long its caller's requests do not fall back.", examples=["60s"])


class Shadow(Section):
    percent: Percent = Field(description="Share of requests that get a shadow.", examples=["10"])
    methods: Annotated[tuple[Method, ...], _LIST] = Field(default=("GET", "HEAD"), description="Methods that get a shadow; unsafe ones need `writes`.", examples=["[GET, HEAD]"])
    of: Annotated[Literal["legacy", "candidate", "any"], *_word("legacy", "candidate", "any")] = Field(
        default="legacy", description="Whose answers get a shadow at the other arm.", examples=["any"]
    )
    max_body: Size = Field(default=256 << 10, description="Largest body, of a request or an answer, that is compared.", examples=["256KiB"])
    timeout: LongerDuration = Field(default=5.0, description="Longest wait for the shadow's answer.", examples=["5s"])
    in_flight: Annotated[int, *_whole(1, 100_000)] = Field(default=32, description="Most shadows of the route at once; more are dropped.", examples=["32"])
    recheck: Duration = Field(default=2.0, description="Pause before a mismatch is looked at again; 0: no second look.", examples=["2s"])
    baseline: Share = Field(default=0.02, description="Share of shadows that ask legacy twice, to learn what differs anyway.", examples=["2%"])
    writes: Annotated[Literal["skip", "dry_run", "sandbox"], *_word("skip", "dry_run", "sandbox")] = Field(
        default="skip", description="What becomes of unsafe methods: no shadow, a dry run at the candidate, or a copy to a sandbox.", examples=["dry_run"]
    )
    to: MaybeText = Field(default=None, description="The sandbox's upstream.", examples=["orders-sandbox"])


KINDS = ("missing", "extra", "type", "value", "order", "length")


class Accept(Section):
    path: MaybeText = Field(default=None, description="JSON path of the node that may differ; `path` or `header`.", examples=["$.generated_at"])
    header: MaybeHeaderName = Field(default=None, description="Header that may differ.", examples=["cache-control"])
    kind: Annotated[str | None, *_leaf(scalars.choice(*KINDS), " or ".join(f"`{k}`" for k in KINDS), f"write {scalars.listed(KINDS)}", {"enum": list(KINDS)}, nullable=True)] = Field(
        default=None, description="Only this kind of difference; null: any.", examples=["value"]
    )
    abs: Tolerance = Field(default=None, description="Largest difference of two numbers, inclusive.", examples=["0.01"])
    rel: RelativeTolerance = Field(default=None, description="Largest difference of two numbers as a share, inclusive.", examples=["1%"])
    owner: MaybeText = Field(default=None, description="Who agreed to it.", examples=["ana"])
    until: Day = Field(default=None, description="Last day on which the rule counts.", examples=["2027-01-31"])
    why: MaybeText = Field(default=None, description="Why it is allowed.", examples=['"new field, agreed"'])


class Unordered(Section):
    path: Text = Field(description="JSON path of an array whose order does not count.", examples=["$.items"])
    key: MaybeText = Field(default=None, description="Field that pairs its elements; null: as a multiset.", examples=["id"])


class Compare(Section):
    headers: Annotated[tuple[HeaderName, ...], _LIST] = Field(
        default=("content-type", "location", "cache-control"), description="Headers that are compared.", examples=["[content-type, location]"]
    )
    accept: Annotated[tuple[Accept, ...], _LIST] = Field(default=(), description="Differences that are allowed.", examples=['[{path: "$.generated_at"}]'])
    unordered: Annotated[tuple[Unordered, ...], _LIST] = Field(default=(), description="Arrays whose order does not count.", examples=['[{path: "$.items", key: id}]'])
    redact: Annotated[tuple[Text, ...], _LIST] = Field(default=(), description="JSON paths and `header:NAME` that are stored only as a keyed hash, beside the built-in ones.", examples=['["$..email", "header:x-tenant"]'])


class Gate(Section):
    min_pairs: Annotated[int, *_whole(0, 1_000_000_000)] = Field(default=3000, description="Fewest comparisons.", examples=["3000"])
    min_match: Share = Field(default=0.999, description="Least share of matches.", examples=["99.9%"])
    max_breaking: Annotated[int, *_whole(0, 1_000_000_000)] = Field(default=0, description="Most breaking differences.", examples=["0"])
    max_latency_ratio: Number = Field(default=1.1, description="The candidate's time against legacy's, at most.", examples=["1.1"])
    min_age: Duration = Field(default=86400.0, description="Shortest time since the first comparison.", examples=["24h"])


class Part(Section):
    upstream: Text = Field(description="Upstream that is asked.", examples=["orders"])
    path: Text = Field(description="Path that is asked; `{name}` is filled in from `match.path`.", examples=["/v2/orders/{id}"])
    required: Bool = Field(default=True, description="Without its answer the whole request fails.", examples=["false"])
    timeout: MaybeLonger = Field(default=None, description="Longest wait for this part; none: as the upstream's timeouts say.", examples=["500ms"])


class Route(Section):
    name: Text = Field(description="Name in logs, metrics and commands; unique.", examples=["orders"])
    match: Match = Field(description="Conditions that must all hold; `prefix` or `path` is one of them.", examples=["{prefix: /api/orders}"])
    candidate: MaybeText = Field(default=None, description="Upstream of the new service; `candidate` or `aggregate` is required.", examples=["orders"])
    aggregate: dict[str, Part] | None = Field(default=None, description="Several services that together answer what was one endpoint, by field of the answer.", examples=["{order: {upstream: orders, path: \"/v2/orders/{id}\"}}"])
    enabled: Bool = Field(default=True, description="`false`: all to legacy, whatever else is said.", examples=["false"])
    split: Split = Field(default_factory=_default(Split), description="Which requests go to the candidate.", examples=["{percent: 25}"])
    rewrite: Rewrite | None = Field(default=None, description="Path that the candidate sees; null: as received.", examples=["{prefix: /v2/orders}"])
    timeouts: RouteTimeouts | None = Field(default=None, description="Instead of the upstream's, for the candidate of this route.", examples=["{response: 5s}"])
    fallback: Annotated[Fallback | None, _Switchable()] = Field(default_factory=_default(Fallback), description="Legacy answers instead of a candidate that failed, when that is safe; `false`: never.", examples=["false"])
    shadow: Shadow | None = Field(default=None, description="Copies of requests to the other arm, to compare the answers; null: none.", examples=["{percent: 10}"])
    compare: Compare = Field(default_factory=_default(Compare), description="How answers are compared.")
    gate: Gate = Field(default_factory=_default(Gate), description="What must be shown before the next step.", examples=["{min_pairs: 3000}"])


class File(Section):
    """routes.yaml as a whole."""

    version: Annotated[Literal[1], *_leaf(lambda text: _version(text), "`1`", "write 1", {"const": 1})] = Field(description="Version of this format.", examples=["1"])
    listen: Listen = Field(default=Address("127.0.0.1", 8080), description="Where clients connect.", examples=["0.0.0.0:8080"])
    admin: Admin = Field(default_factory=_default(Admin), description="Listener for probes, metrics, the API and the dashboard.")
    workers: Annotated[int, *_whole(1, 256)] = Field(default=1, description="Processes that forward requests.", examples=["2"])
    state: Text = Field(default=".strangler", description="Folder for the SQLite store and shadow-diffs.jsonl.", examples=["/var/lib/strangler"])
    log: Log = Field(default_factory=_default(Log), description="Logs on standard error.")
    expose_arm: Bool = Field(default=True, description="Tell clients which arm answered, in X-Strangler-Arm.", examples=["false"])
    tracing: Tracing = Field(default_factory=_default(Tracing), description="Spans to OpenTelemetry.")
    events: Events = Field(default_factory=_default(Events), description="Where events are sent.")
    trusted_proxies: Annotated[tuple[Network, ...], _LIST] = Field(default=(), description="Addresses and networks whose X-Forwarded-* is believed.", examples=["[10.0.0.0/8]"])
    ambiguous_paths: Annotated[Literal["legacy", "reject"], *_word("legacy", "reject")] = Field(
        default="legacy", description="Who takes a path that can be read in two ways: legacy, or nobody (400).", examples=["reject"]
    )
    limits: Limits = Field(default_factory=_default(Limits), description="What one client may ask of a worker.")
    upstreams: Upstreams = Field(description="Services by name; `legacy` is required.", examples=["{legacy: {url: http://127.0.0.1:8000}}"])
    routes: Annotated[tuple[Route, ...], _LIST] = Field(default=(), description="What goes elsewhere than legacy. The most specific match wins, whatever the order.")


def _version(text: str) -> int:
    if text not in {"1", "1.0"}:
        raise ValueError("this program knows version 1")
    return 1
