"""The way of one request, as `strangler explain` and `/api/explain` show it."""

from typing import Annotated

from msgspec import Meta, Struct


class ExplainedTimeout(Struct, frozen=True):
    """The timeout of one phase of an attempt."""

    seconds: Annotated[float | None, Meta(description="Null: no limit.")]
    source: Annotated[str, Meta(description="Where routes.yaml sets it: `route`, `upstream`, or `default` if nowhere.")]


class ExplainedPart(Struct, frozen=True):
    """One part of an aggregate."""

    name: str
    upstream: str
    path: Annotated[str, Meta(description="The path that the upstream sees, without the client's query.")]
    required: bool
    timeout_s: Annotated[
        float | None, Meta(description="The limit of the part as a whole; null: no limit but its upstream's.")
    ]
    timeouts: Annotated[
        dict[str, ExplainedTimeout], Meta(description="The limits of each attempt: `connect`, `response`, `idle`.")
    ]


class Explanation(Struct, frozen=True):
    """The way that a request would take."""

    route: str | None
    owner: Annotated[str | None, Meta(description="Who is responsible for the route.")]
    arm: Annotated[
        str | None,
        Meta(
            description="`legacy` or `candidate`, the likelier one where chance decides; null if the request is"
            " refused."
        ),
    ]
    upstream: str | None
    reason: Annotated[str, Meta(description="`percent`, `chance`, `override`, `kill_switch`, …")]
    bucket: int | None
    path: Annotated[
        str | None,
        Meta(description="The path that the upstream sees, without the query; null if the request is refused."),
    ]
    parts: Annotated[list[ExplainedPart] | None, Meta(description="The parts of an aggregate.")]
    timeouts: Annotated[
        dict[str, ExplainedTimeout] | None,
        Meta(
            description="The limits of each attempt: `connect`, `response`, `idle`; null if the request is refused, or"
            " its parts have their own."
        ),
    ]
    shadow: Annotated[bool, Meta(description="A copy may go to the other arm.")]
    shadow_percent: Annotated[float, Meta(description="Percent of such requests that get a shadow.")]
    detail: Annotated[str, Meta(description="The reason in words.")]
