"""The keys for how responses are compared, and for what comparisons must show."""

from typing import Annotated, Literal

from strangler.config import types as t
from strangler.config.section import REQUIRED, Section, key
from strangler.config.types import LIST, whole, word
from strangler.core.source import LIVE_ONLY, SOURCES, Source

KINDS = ("missing", "extra", "type", "value", "order", "length")


class Accept(Section):
    path: t.MaybeBodyPath = key(
        None,
        "The node that may differ, with everything below it. One of `path`, `css`, `header` and `status` is required.",
        '"$.generated_at"',
    )
    css: t.MaybeSelector = key(
        None,
        "The HTML elements that may differ, with everything inside them; `::text`: only their own text;"
        " `::attr(name)`: only this attribute.",
        '"main > .price::text"',
    )
    header: t.MaybeHeaderName = key(None, "Header that may differ.", "cache-control")
    status: t.MaybeStatuses = key(
        None, "Legacy's status, and the candidate's that is allowed in its place.", "[302, 303]"
    )
    endpoint: t.MaybeEndpoint = key(
        None,
        "Only this method and path, with `{}` for a segment that varies; null: the whole route.",
        '"POST /api/orders"',
    )
    kind: Annotated[str | None, *word(*KINDS, nullable=True)] = key(
        None, "Only this kind of difference; null: any.", "value"
    )
    abs: t.Tolerance = key(None, "Largest difference of two numbers, inclusive.", "0.01")
    rel: t.RelativeTolerance = key(None, "Largest difference of two numbers as a share, inclusive.", "1%")
    from_: t.RuleValue = key(None, "Only where this is legacy's value: JSON or text.", "EUR", name="from")
    to: t.RuleValue = key(None, "Only where this is the candidate's value; needs `from`.", "eur")
    owner: t.MaybeText = key(None, "Who agreed to it.", "ana")
    until: t.Day = key(None, "Last day on which the rule counts.", "2027-01-31")
    why: t.MaybeText = key(None, "Why it is allowed.", '"new field, agreed"')


class Unordered(Section):
    path: t.JsonPath = key(REQUIRED, "An array whose order does not count.", '"$.items"')
    key: t.MaybeText = key(None, "Field that pairs the elements; null: they are a multiset.", "id")


class Compare(Section):
    headers: Annotated[tuple[t.HeaderName, ...], LIST] = key(
        ("content-type", "location", "cache-control"), "Headers that are compared.", "[content-type, location]"
    )
    accept: Annotated[tuple[Accept, ...], LIST] = key((), "Differences that are allowed.", '[{path: "$.generated_at"}]')
    unordered: Annotated[tuple[Unordered, ...], LIST] = key(
        (), "Arrays whose order does not count.", '[{path: "$.items", key: id}]'
    )
    redact: Annotated[tuple[t.Redaction, ...], LIST] = key(
        (), "What is stored only as a keyed hash, besides the built-in rules.", '["$..email", "header:x-tenant"]'
    )
    numbers: Annotated[Literal["decimal", "typed"], *word("decimal", "typed")] = key(
        "decimal", "`decimal`: JSON numbers are compared by value; `typed`: by type too, so 5 and 5.0 differ.", "typed"
    )


class Gate(Section):
    min_pairs: Annotated[int, *whole(0, 1_000_000_000)] = key(3000, "Fewest comparisons required.", "500")
    min_match: t.Share = key(0.999, "Smallest share of matches.", "99.5%")
    max_breaking: Annotated[int, *whole(0, 1_000_000_000)] = key(0, "Most breaking differences allowed.", "2")
    max_latency_ratio: t.Ratio = key(1.1, "Largest ratio of the candidate's response time to legacy's.", "1.5")
    min_age: t.Duration = key(
        86400.0, "Shortest time since the first comparison, or since a difference was last marked fixed.", "72h"
    )
    from_: Annotated[tuple[Annotated[Source, *word(*SOURCES)], ...], LIST] = key(
        LIVE_ONLY,
        "The evidence that counts: that of shadows (`live`), that of replays, or both.",
        "[live, replay]",
        name="from",
    )


class Release(Section):
    header: t.HeaderName = key(REQUIRED, "Response header in which the candidate names its release.", "X-Release")
