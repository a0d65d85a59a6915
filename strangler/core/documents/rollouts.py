"""The documents of rollouts: `/api/rollouts`, `strangler rollout status`, and their pages of the dashboard."""

from typing import Annotated

from msgspec import Meta, Struct, field

from strangler.core.documents.actions import MAX_TEXT
from strangler.core.documents.status import Time


class RolloutArmNumbers(Struct, frozen=True):
    """The requests that an arm has served since the step began."""

    requests: int
    failed: Annotated[int, Meta(description="5xx and faults; those that legacy then served count at the candidate.")]
    p95_ms: Annotated[float | None, Meta(description="95th percentile of the duration; null without requests.")]


class RolloutLook(Struct, frozen=True):
    """A look at a step, with all numbers that it was decided by."""

    at: Time
    percent: Annotated[float, Meta(description="The percent of the step that was looked at.")]
    verdict: Annotated[str, Meta(extra_json_schema={"enum": ["good", "bad", "not_enough"]})]
    reasons: list[str]
    legacy: RolloutArmNumbers
    candidate: RolloutArmNumbers
    callers: Annotated[int, Meta(description="Different callers of the candidate, estimated.")]


class RolloutMove(Struct, frozen=True):
    """A move of a rollout, or a command of a person."""

    at: Time
    from_: float = field(name="from")
    to: float
    what: Annotated[
        str,
        Meta(
            description="`stepped`, `failed`, `waiting` and `done` are events; the others are commands.",
            extra_json_schema={
                "enum": [
                    "stepped", "failed", "waiting", "done", "start", "pause", "resume", "approve", "back", "kill_switch"
                ]
            },
        ),
    ]  # fmt: skip
    why: str
    who: Annotated[str, Meta(description="The person; empty if the rollout moved by itself.")] = ""
    look: Annotated[RolloutLook | None, Meta(description="The look that it was decided by, if one was.")] = None


class RolloutStatus(Struct, frozen=True, kw_only=True):
    """A route's rollout."""

    route: str
    group: Annotated[str, Meta(description="Routes of one group climb as one.")]
    state: Annotated[str, Meta(extra_json_schema={"enum": ["waiting", "running", "paused", "done", "backing"]})]
    percent: Annotated[float, Meta(description="Percent of the callers that its position gives to the candidate.")]
    step: Annotated[int, Meta(description="The number of the step that is reached: 0 before the first.")]
    steps: list[float]
    since: Annotated[Time | None, Meta(description="When the evidence began; null before the start.")]
    until: Annotated[Time | None, Meta(description="When what it waits for will be there, if time decides that.")]
    waits_for: Annotated[
        str | None,
        Meta(
            description="Null while nothing is lacking.",
            extra_json_schema={
                "enum": ["start", "resume", "evidence", "hold", "gate", "approve", "within", "kill_switch", None]
            },
        ),
    ]
    why: Annotated[str, Meta(description="Why it waits, in a sentence.")]
    commands: Annotated[list[str], Meta(description="The commands that are possible now.")]
    callers: Annotated[int, Meta(description="Different callers of the candidate since the evidence began, estimated.")]
    failed_looks: Annotated[int, Meta(description="Bad looks in a row.")]
    looks: Annotated[list[RolloutLook], Meta(description="The last ones, the newest last.")]
    moves: Annotated[list[RolloutMove], Meta(description="The last ones, the newest last.")]
    notes: Annotated[list[str], Meta(description="What a person should know.")]


class RolloutsDocument(Struct, frozen=True):
    """The rollouts of all routes that have one, in the order of routes.yaml."""

    rollouts: list[RolloutStatus]


class RolloutRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """A command to a rollout."""

    percent: Annotated[
        float | None, Meta(description="Of `approve`: the percent that may be entered; null: the next that waits.")
    ] = None
    who: Annotated[str, Meta(max_length=MAX_TEXT)] = ""
    why: Annotated[str, Meta(max_length=MAX_TEXT)] = ""
