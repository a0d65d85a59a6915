"""The requests about rollouts of a node to the leader, as the store has them: counts, opened breakers, commands."""

from typing import Final, TypeVar

import msgspec
import structlog

from strangler.core.rollout.evidence import StepCounts
from strangler.store.evidence.stored_rollouts import are_our_counts
from strangler.store.requests import Request

COUNTS: Final = "rollout.counts"
BREAKER: Final = "rollout.breaker"
COMMAND: Final = "rollout.command"
KINDS: Final = (COUNTS, BREAKER, COMMAND)
WAIT_S: Final = 5.0
"""How long a command waits for the leader. One that sends more callers to the candidate is never followed later."""
MAX_PAIRS: Final = 1000
"""The most pairs of times of a group in one request; more are left out, at both arms alike."""

log = structlog.get_logger()

_T = TypeVar("_T")


class CountedStep(msgspec.Struct, frozen=True):
    """The requests that a node has served at a position of a group, and the times of the same requests at both arms."""

    since: float
    """Identifies the position: counts of another one are not counted."""
    counts: StepCounts
    pairs: tuple[tuple[float, float], ...] = ()


class CountsRequest(msgspec.Struct, frozen=True):
    """The counts of a node since its last request."""

    groups: dict[str, CountedStep]


class BreakerRequest(msgspec.Struct, frozen=True):
    """The groups whose candidate's breaker a node has found open."""

    upstream: str
    groups: tuple[str, ...]


class CommandRequest(msgspec.Struct, frozen=True):
    """A person's command. The name of the request is that of the response."""

    route: str
    command: str
    actor: str
    why: str
    percent: float | None
    announced_at: float | None


class CommandResponse(msgspec.Struct, frozen=True):
    """The leader's response to a command: why it was refused, or nothing. `is_unknown`: there is no such rollout."""

    problem: str = ""
    is_unknown: bool = False


def read_counts(request: Request) -> CountsRequest:
    """Return the counts of a request, without those that another version counts otherwise."""
    found = decoded(request, CountsRequest)
    if found is None:
        return CountsRequest({})
    return CountsRequest({group: step for group, step in found.groups.items() if are_our_counts(step.counts)})


def decoded(request: Request, kind: type[_T]) -> _T | None:
    """Return the content of a request; None, with a line in the log, for that of another version of this program."""
    try:
        return msgspec.json.decode(request.content, type=kind)
    except (msgspec.DecodeError, ValueError, TypeError, RecursionError) as error:
        log.error("rollout.unreadable_request", node=request.node, kind=request.kind, reason=str(error))
        return None
