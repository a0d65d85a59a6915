"""The rollouts of the report: where each stands, and all that has moved it."""

from typing import Annotated

from msgspec import Meta, Struct

from strangler.core.documents.rollouts import RolloutMove


class RolloutReport(Struct, frozen=True, kw_only=True):
    """The rollout of all routes of a group, which climb as one."""

    group: str
    routes: list[str]
    state: Annotated[str, Meta(extra_json_schema={"enum": ["waiting", "running", "paused", "done", "backing"]})]
    percent: Annotated[float, Meta(description="Percent of the callers that its position gives to the candidate.")]
    steps: list[float]
    moves: Annotated[
        list[RolloutMove], Meta(description="The last 200 moves and commands that the store has, the newest last.")
    ]
