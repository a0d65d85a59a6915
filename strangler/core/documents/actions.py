"""Bodies of requests that act on a proxy, and the documents of their outcomes."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

MAX_TEXT = 400
"""The most characters of a text that an operator gives with an action."""


class ExplainRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """A request to explain; nothing is sent."""

    method: str
    url: Annotated[str, Meta(description="A path or a whole URL.")]
    headers: list[tuple[str, str]] = []
    client: Annotated[str, Meta(description="The client's address.")] = "127.0.0.1"


class KillSwitchRequest(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Turn the kill switch. Without `route`, a proxy of the version before single routes understands it, too."""

    on: bool
    reason: str = ""
    who: str = ""
    route: Annotated[str | None, Meta(description="The route to turn it for; null: for all routes.")] = None


class ReviewRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """A review of a difference."""

    state: Literal["new", "known", "accepted", "fixed"]
    owner: str | None = None
    why: str | None = None
    until: str | None = None
    who: str = ""


class BulkReviewRequest(ReviewRequest, frozen=True, kw_only=True):
    """A review of several differences: all of them, or none if an id is unknown."""

    ids: list[str]


class ReviewedDocument(Struct, frozen=True):
    """The ids of the differences that were changed, and of those that were in that state already."""

    done: bool
    changed: list[str]
    unchanged: list[str]


class AuditRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """An entry to add to the audit."""

    what: str
    route: str
    why: str
    who: str
    detail: str


class ResumeRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Start a route's shadows again after they stopped by themselves."""

    who: Annotated[str, Meta(min_length=1, max_length=MAX_TEXT)]
    why: Annotated[str, Meta(max_length=MAX_TEXT)] = ""


class ReleaseRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Name the current release of a route's candidate."""

    route: str
    name: str
    who: str = ""
    why: str = ""


class ReleaseNamedDocument(Struct, frozen=True):
    """The current release of a route from now on."""

    route: str
    release: str
    former: Annotated[str | None, Meta(description="Null: the unnamed release.")]
    changed: bool


class ResetRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Set all evidence of a route aside."""

    why: str
    who: str = ""


class ResetDocument(Struct, frozen=True):
    """The names under which evidence that was set aside can still be read."""

    route: str
    set_aside: list[str]


class ProblemDocument(Struct, frozen=True):
    """Why a request was refused (RFC 9457); `application/problem+json`."""

    status: Annotated[int, Meta(description="The status of the response.")]
    detail: Annotated[str, Meta(description="What is wrong, and the way out.")]


class DoneDocument(Struct, frozen=True):
    """The action is done."""

    done: bool
