"""The types of keys: how each is read, its name in the reference, and its JSON Schema."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, GetCoreSchemaHandler, GetJsonSchemaHandler, PlainValidator, WithJsonSchema
from pydantic_core import CoreSchema, core_schema

from strangler.config import quantities, scalars, urls
from strangler.config.leaf import VARIABLE, Kind, Shape, leaf, unexpected
from strangler.config.quantities import duration_text, share_text, size_text
from strangler.config.store_urls import SQLITE, STORE_PATTERN, store_place
from strangler.core.fault import Fault
from strangler.core.listener_settings import Address
from strangler.core.settings import StickySource, Url

Pairs = tuple[tuple[str, str], ...]


def _or_none(read: Callable[[str], object]) -> Callable[[str], object]:
    """Return a reader that also takes `none`, for no limit."""
    return lambda text: None if text.lower() == "none" else read(text)


def _or_empty(read: Callable[[str], object]) -> Callable[[str], object]:
    """Return a reader that reads empty text, as `${TOKEN:-}` leaves it, as None."""
    return lambda text: read(text) if text.strip() else None


_TEXT: Shape = {"type": "string"}
_NONE: Shape = {"enum": ["none"]}
_ANY_SCALAR: Shape = {"type": ["string", "number", "boolean"]}
_DURATION: Shape = {"type": "string", "pattern": quantities.DURATION_PATTERN}
_SIZE: tuple[Shape, ...] = (
    {"type": "string", "pattern": quantities.SIZE_PATTERN},
    {"type": "integer", "minimum": 0},
)
_PERCENT: tuple[Shape, ...] = (
    {"type": "number", "minimum": 0, "maximum": 100},
    {"type": "string", "pattern": quantities.PERCENT_PATTERN},
)
_TOKEN: Shape = {"type": "string", "pattern": scalars.TOKEN_PATTERN}
_WEB: Shape = {"type": "string", "pattern": "^[hH][tT][tT][pP][sS]?://"}
_BASE_URL: Shape = {"type": "string", "pattern": "^([hH][tT][tT][pP]([sS]|\\+unix)?://|unix:[^/]|unix:/[^/])"}
_STICKY: Shape = {"type": "string", "pattern": "^(header:.+|cookie:.+|client_ip)$"}
_EXPONENT: Shape = {"type": "string", "pattern": quantities.NUMBER_PATTERN}
_SHARE: tuple[Shape, ...] = (
    {"type": "number", "minimum": 0},
    {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]{1,3})?[ ]?%?$"},
)
_WRITE_DURATION = "write a duration such as 250ms, 2s or 5m"
_WRITE_SIZE = "write a size such as 64KiB"
_WRITE_PERCENT = "write a percent such as 25 or 0.5%"
_WRITE_TEXT = "write a text"
_WRITE_URL = "write a URL such as http://127.0.0.1:8000"
_WRITE_STICKY = "write header:NAME, cookie:NAME or client_ip"
_any_duration = partial(quantities.duration, zero=True)
_longer = partial(quantities.duration, zero=False)

Text = Annotated[str, *leaf(scalars.line, "text", _WRITE_TEXT, _TEXT)]
StorePlace = Annotated[
    str | None,
    *leaf(
        store_place,
        "`sqlite` or URL",
        "write sqlite, or a URL such as postgresql://strangler@db.internal/strangler",
        {"type": "string", "pattern": STORE_PATTERN},
        write=lambda place: place or SQLITE,
    ),
]
MaybeText = Annotated[str | None, *leaf(_or_empty(scalars.line), "text or null", _WRITE_TEXT, _TEXT, nullable=True)]
MaybeToken = Annotated[
    str | None, *leaf(_or_empty(scalars.bearer_token), "text or null", _WRITE_TEXT, _TEXT, nullable=True)
]
Bool = Annotated[
    bool,
    *leaf(scalars.boolean, "boolean", "write true or false", {"type": "boolean"}, {"enum": ["yes", "no", "on", "off"]}),
]
Duration = Annotated[
    float,
    *leaf(_any_duration, "duration", _WRITE_DURATION, _DURATION, {"enum": [0]}, write=duration_text),
]
LongerDuration = Annotated[float, *leaf(_longer, "duration above 0", _WRITE_DURATION, _DURATION, write=duration_text)]
MaybeLonger = Annotated[
    float | None,
    *leaf(
        _or_none(_longer),
        "duration above 0, or `none`",
        _WRITE_DURATION,
        _DURATION,
        _NONE,
        write=duration_text,
    ),
]
Size = Annotated[int, *leaf(quantities.size, "size", _WRITE_SIZE, *_SIZE, write=size_text)]
MaybeSize = Annotated[
    int | None,
    *leaf(_or_none(quantities.size), "size or `none`", _WRITE_SIZE, *_SIZE, _NONE, write=size_text),
]
Percent = Annotated[float, *leaf(quantities.percent, "percent", _WRITE_PERCENT, *_PERCENT)]
Share = Annotated[float, *leaf(quantities.share, "percent", _WRITE_PERCENT, *_PERCENT, write=share_text)]
MaybeShare = Annotated[
    float | None,
    *leaf(_or_none(quantities.share), "percent or `none`", _WRITE_PERCENT, *_PERCENT, _NONE, write=share_text),
]
MaybeHost = Annotated[
    str | None,
    *leaf(_or_empty(urls.host_header), "host or null", "write a host such as shop.internal", _TEXT, nullable=True),
]
MaybeServerName = Annotated[
    str | None,
    *leaf(_or_empty(urls.server_name), "name or null", "write a name such as orders.internal", _TEXT, nullable=True),
]
Workers = Annotated[
    int | Literal["auto"],
    *leaf(
        quantities.workers,
        f"integer, 1 to {quantities.MAX_WORKERS}, or `auto`",
        "write a whole number, or auto",
        {"type": "integer", "minimum": 1, "maximum": quantities.MAX_WORKERS},
        {"enum": [quantities.AUTO]},
    ),
]
HeaderName = Annotated[str, *leaf(scalars.header_name, "header name", "write a header's name", _TOKEN)]
MaybeHeaderName = Annotated[
    str | None, *leaf(scalars.header_name, "header name or null", "write a header's name", _TOKEN, nullable=True)
]
HeaderValue = Annotated[str, *leaf(scalars.header_value, "text", _WRITE_TEXT, _ANY_SCALAR)]
AnyText = Annotated[str, *leaf(str, "text", _WRITE_TEXT, _ANY_SCALAR)]
Method = Annotated[
    str, *leaf(scalars.method, "method", "write a method such as GET", {"type": "string", "pattern": "^[A-Za-z-]+$"})
]
Listen = Annotated[
    Address,
    *leaf(
        urls.address, "host:port", "write host:port, such as 127.0.0.1:8080", {"type": "string", "pattern": ":[0-9]+$"}
    ),
]
ListenAddress = Annotated[
    Address,
    *leaf(
        urls.listen_address,
        "host:port or unix:PATH",
        "write host:port, such as 127.0.0.1:8080, or unix:/run/strangler.sock",
        {"type": "string", "pattern": ":([0-9]+$|.*/)"},
    ),
]
FileMode = Annotated[
    int,
    *leaf(
        scalars.file_mode,
        "octal digits",
        'write digits such as "0660"',
        {"type": "string", "pattern": "^0?[0-7]{3}$"},
        write=lambda mode: f"{mode:04o}",
    ),
]
MaybeRedirect = Annotated[
    int | None,
    *leaf(
        _or_empty(scalars.redirect_port),
        "`https` or `https:PORT`, or null",
        "write https, or https:8443",
        {"type": "string", "pattern": "^https(:[0-9]+)?$"},
        nullable=True,
    ),
]
BaseUrl = Annotated[Url, *leaf(urls.base_url, "URL", _WRITE_URL, _BASE_URL)]
MaybeBaseUrl = Annotated[Url | None, *leaf(urls.base_url, "URL or null", _WRITE_URL, _BASE_URL, nullable=True)]
MaybeWebUrl = Annotated[
    str | None,
    *leaf(_or_empty(urls.web_url), "URL or null", "write a URL such as https://example.com/hook", _WEB, nullable=True),
]
MaybePageBase = Annotated[
    str | None,
    *leaf(urls.page_base, "URL or null", "write a URL such as https://ops.example.com/strangler", _WEB, nullable=True),
]
Network = Annotated[
    str,
    *leaf(
        urls.network,
        "address or network",
        "write an address such as 10.0.0.0/8",
        {"type": "string", "pattern": "^[0-9a-fA-F:.]+(/[0-9]+)?$"},
    ),
]
Sticky = Annotated[StickySource, *leaf(urls.sticky, "header:NAME, cookie:NAME or client_ip", _WRITE_STICKY, _STICKY)]
JsonPath = Annotated[
    str,
    *leaf(scalars.json_path, "JSON path", "write a JSON path such as $.total", {"type": "string", "pattern": r"^\$"}),
]
MaybeBodyPath = Annotated[
    str | None,
    *leaf(
        scalars.body_path,
        "JSON path, XML path or null",
        "write a JSON path such as $.total, or a path into XML such as /feed/title",
        {"type": "string", "pattern": r"^[$/]"},
        nullable=True,
    ),
]
MaybeSelector = Annotated[
    str | None,
    *leaf(scalars.selector, "CSS selector or null", "write a selector such as main > .price", _TEXT, nullable=True),
]
Redaction = Annotated[
    str,
    *leaf(
        scalars.redaction,
        "JSON path or header:NAME",
        "write a JSON path or header:NAME",
        {"type": "string", "pattern": r"^(\$|header:)"},
    ),
]
Tolerance = Annotated[
    str | None,
    *leaf(
        quantities.tolerance,
        "number or null",
        "write a number such as 0.01",
        {"type": "number", "minimum": 0},
        _EXPONENT,
        nullable=True,
    ),
]
RelativeTolerance = Annotated[
    str | None,
    *leaf(quantities.relative_tolerance, "share or null", "write a share such as 0.01 or 1%", *_SHARE, nullable=True),
]
Day = Annotated[
    str | None,
    *leaf(
        scalars.day,
        "date or null",
        "write a date such as 2027-01-31",
        {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"},
        nullable=True,
    ),
]
Ratio = Annotated[
    float,
    *leaf(
        quantities.decimal_number(0.01, 1000),
        "number, 0.01 to 1000",
        "write a number such as 1.1",
        {"type": "number", "minimum": 0.01, "maximum": 1000},
        _EXPONENT,
    ),
]


def _rule_value(value: object) -> str:
    """Read a value of an accept rule; `null` is a JSON value like any other."""
    if value is None:
        return "null"
    if not isinstance(value, str):
        raise unexpected("write a value such as EUR, 5, null or '\"5\"'")
    return scalars.rule_value(value)


RuleValue = Annotated[
    str | None,
    PlainValidator(_rule_value),
    WithJsonSchema({"type": ["string", "number", "boolean", "null"]}),
    Kind("JSON value or text"),
]


Statuses = tuple[int, int]
_STATUS: Shape = {"type": "integer", "minimum": 100, "maximum": 599}


def _statuses(value: object) -> Statuses | None:
    """Read `[302, 303]`; None if nothing is written."""
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != 2:
        raise unexpected("write two statuses, legacy's and the candidate's, such as [302, 303]")
    legacy, candidate = (scalars.status(text) if isinstance(text, str) else scalars.status("") for text in value)
    return legacy, candidate


MaybeStatuses = Annotated[
    Statuses | None,
    PlainValidator(_statuses),
    WithJsonSchema(
        {"anyOf": [{"type": "array", "items": _STATUS, "minItems": 2, "maxItems": 2}, {"type": "null"}, VARIABLE]}
    ),
    Kind("two statuses or null"),
]
MaybeEndpoint = Annotated[
    str | None,
    *leaf(
        scalars.endpoint,
        "method and path, or null",
        "write a method and a path such as POST /api/orders/{}",
        {"type": "string", "pattern": "^[A-Za-z-]+ /"},
        nullable=True,
    ),
]
PathTemplate = Annotated[
    str,
    *leaf(scalars.path_template, "path", "write a path such as /shops/{}/items", {"type": "string", "pattern": "^/"}),
]


def whole(low: int, high: int, *, none: bool = False) -> tuple[PlainValidator, WithJsonSchema, Kind]:
    """Return the type of a whole number from `low` to `high`; with `none` also `none`."""
    read: Callable[[str], object] = quantities.integer(low, high)
    number: Shape = {"type": "integer", "minimum": low, "maximum": high}
    underscores: Shape = {"type": "string", "pattern": quantities.INTEGER_PATTERN}
    kind = f"integer, {low} to {high}{', or `none`' if none else ''}"
    shapes = [number, underscores, *([_NONE] if none else [])]
    return leaf(_or_none(read) if none else read, kind, f"write a whole number from {low} to {high}", *shapes)


def word(*words: str, nullable: bool = False) -> tuple[PlainValidator, WithJsonSchema, Kind]:
    """Return the type of a key that takes one of the words."""
    kind = ", ".join(f"`{each}`" for each in words) + (" or null" if nullable else "")
    expected = f"write {scalars.listed(words)}"
    return leaf(scalars.choice(*words), kind, expected, {"enum": list(words)}, nullable=nullable)


def _reasons(faults: tuple[Fault, ...]) -> tuple[PlainValidator, WithJsonSchema, Kind]:
    names = [str(fault) for fault in faults]
    status: Shape = {"type": "integer", "minimum": 400, "maximum": 599}
    kind = f"{', '.join(f'`{name}`' for name in names)} or a status"
    return leaf(scalars.fault_or_status(faults), kind, f"write {names[0]} or a status", {"enum": names}, status)


UpstreamReason = Annotated[str | int, *_reasons(scalars.UPSTREAM_FAULTS)]
AttemptReason = Annotated[str | int, *_reasons(scalars.ATTEMPT_FAULTS)]


def _nothing_is_a_list(value: object) -> object:
    return [] if value is None else value


def _nothing_is_a_mapping(value: object) -> object:
    return {} if value is None else value


LIST = BeforeValidator(_nothing_is_a_list)


class _Pairs:
    """A mapping of names to texts, kept as pairs in the order of the file."""

    def __init__(self, name: Any, value: Any) -> None:
        self._shape = dict[name, value]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        inner = handler.generate_schema(self._shape)
        mapping = core_schema.no_info_before_validator_function(_nothing_is_a_mapping, inner)
        return core_schema.no_info_after_validator_function(_pairs, mapping)


def _pairs(mapping: dict[str, str]) -> Pairs:
    return tuple(mapping.items())


HeaderPairs = Annotated[Pairs, _Pairs(HeaderName, HeaderValue), Kind("mapping of header names to texts")]
TextPairs = Annotated[Pairs, _Pairs(AnyText, AnyText), Kind("mapping of names to texts")]


class _OrShare:
    """A mapping that may be written as a percent alone."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> Shape:
        return {"anyOf": [handler(schema), *_PERCENT]}


OR_SHARE = _OrShare()


class Switchable:
    """A part that `false` switches off. A key without a value is refused: it could mean on or off."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(_switch, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> Shape:
        parts = [part for part in handler(schema)["anyOf"] if part != {"type": "null"}]
        return {"anyOf": [*parts, {"type": "boolean"}, {"enum": ["off", "on", "no", "yes"]}, VARIABLE]}


def _switch(value: object) -> object:
    if value is None:
        raise unexpected("write `{} {}` for the defaults, or `{} false` to switch it off")
    if not isinstance(value, str):
        return value
    try:
        return {} if scalars.boolean(value) else None
    except ValueError:
        raise unexpected("write a mapping of its keys, or false") from None
