"""The values of a comparison, frozen. Nothing here has been redacted: see `redact` before storing it."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from strangler.core.fault import Fault
from strangler.core.http.head import RawHeaders

Node: TypeAlias = "bool | str | bytes | list[Node] | dict[str, Node] | None"
"""JSON as a tree. Numbers are `bytes`: their exact decimal value in canonical form (`numbers.canonical`), so that two
nodes are equal if and only if JSON calls them equal, and True is never 1."""

Step: TypeAlias = "str | None"
"""One step of a path into a tree: a key, or None for `[*]`."""

Steps: TypeAlias = tuple[Step, ...]


class Where(StrEnum):
    """The part of a response that a difference is in (`"in"` in the JSON form)."""

    STATUS = "status"
    HEADER = "header"
    BODY = "body"


class Kind(StrEnum):
    MISSING = "missing"  # the candidate lacks it
    EXTRA = "extra"  # legacy lacks it
    TYPE = "type"
    VALUE = "value"
    ORDER = "order"
    LENGTH = "length"


class Severity(StrEnum):
    """The meaning of a difference to a client of legacy, gravest first."""

    BREAKING = "breaking"
    RISKY = "risky"
    ADDITIVE = "additive"
    VALUE = "value"

    @property
    def rank(self) -> int:
        """Return the rank; 0 is the gravest, so the severity of several differences is the `min` of their ranks."""
        return _RANKS[self]


_RANKS = {severity: rank for rank, severity in enumerate(Severity)}


class Outcome(StrEnum):
    MATCH = "match"
    ACCEPTED = "accepted"  # differences, all of them accepted
    MISMATCH = "mismatch"
    NOT_COMPARABLE = "not_comparable"


class Reason(StrEnum):
    """Why a pair says nothing about the candidate."""

    LEGACY_ERROR = "legacy_error"
    UNAVAILABLE = "unavailable"
    TIMEOUT = "timeout"
    TOO_LARGE = "too_large"
    STREAMING = "streaming"
    DECODE = "decode"
    NOT_HANDLED = "not_handled"
    LAG = "lag"
    CONDITIONAL = "conditional"
    NOT_RECORDED = "not_recorded"


@dataclass(frozen=True, slots=True)
class Response:
    """The response of one arm. With a fault there may be none at all: status 0, no headers, no body."""

    status: int
    headers: RawHeaders = field(default_factory=list)
    body: bytes = field(default=b"", repr=False)
    """The body as sent, with its content codings."""
    fault: Fault | None = None
    duration_s: float | None = None
    is_too_large: bool = False
    """Whether the body was over `shadow.max_body`; `body` is a part of it, or empty."""
    is_streaming: bool = False
    """Whether the caller saw an event stream or an upgrade; both are recognised from the head, too."""
    is_unrecorded: bool = False
    """Whether it was recorded without its body, or not at all: then its status is 0."""

    def field_values(self, name: bytes) -> list[bytes]:
        """Return the values of a header field, in order, without outer whitespace. `name` is lower-case."""
        return [value.strip(b" \t") for key, value in self.headers if key.lower() == name]


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A text and the position at which the other side's text starts to differ."""

    text: str = field(repr=False)
    position: int
    is_markup: bool = False


@dataclass(frozen=True, slots=True)
class Opaque:
    """Bytes that are shown as hash and length only: binary bodies, and those that could not be parsed."""

    data: bytes = field(repr=False)


Value: TypeAlias = "Node | int | Excerpt | Opaque"
"""One side of a difference. `int` is a status or the length of an array."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One path at which the responses differ, not redacted yet: `redact_difference` makes the form to keep.

    All elements of an array share one path, so a difference may stand for `count` places; its values are from one of
    the gravest.
    """

    in_: Where
    path: str | None
    kind: Kind
    severity: Severity
    legacy: Value = field(repr=False)
    candidate: Value = field(repr=False)
    steps: Steps = ()
    count: int = 1
    is_secret: bool = False
    """Whether its values are secret although no step says so: another member of their object names them."""

    @property
    def key(self) -> tuple[Where, str | None, Kind]:
        """Return what two looks must share in a difference (DESIGN section 7, second look)."""
        return self.in_, self.path, self.kind


@dataclass(frozen=True, slots=True)
class Comparison:
    """The result of one comparison. `reason` is set if and only if the outcome is `not_comparable`."""

    outcome: Outcome
    reason: Reason | None = None
    severity: Severity | None = None
    """The gravest of `differences`; None unless the outcome is `mismatch`."""
    differences: tuple[Difference, ...] = ()
    """The differences that are not accepted, gravest first; at most `MAX_DIFFERENCES`."""
    accepted: int = 0
    """The number of accepted differences, counted like `differences`: by in, path and kind."""
    omitted: int = 0
    """The number of differences beyond `MAX_DIFFERENCES`."""
    accepted_differences: tuple[Difference, ...] = ()
    """The accepted differences, in the same order, at most `MAX_DIFFERENCES`: they are still counted."""
    rules_used: frozenset[int] = frozenset()
    """The accept rules, by their place in the list, that accepted something here."""
    rules_expired: frozenset[int] = frozenset()
    """The accept rules that would have accepted something here if they had not expired."""
    is_cut: bool = False
    """Whether so much differs that not all was compared, or elements were paired by place alone: `omitted`, the counts
    and the severity cover only what was compared in that way."""


MAX_DIFFERENCES = 200
"""A map of 10,000 new keys is one finding to a reader, not 10,000."""


def not_comparable(reason: Reason) -> Comparison:
    return Comparison(Outcome.NOT_COMPARABLE, reason)
