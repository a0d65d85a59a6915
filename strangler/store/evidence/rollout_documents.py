"""The looks and moves of rollouts as documents: the same for the API, the pages, the commands and the report."""

from strangler.core.documents import RolloutArmNumbers, RolloutLook, RolloutMove
from strangler.core.rollout.judgement import ArmNumbers, LookRecord
from strangler.store.evidence.stored_rollouts import StoredMove
from strangler.times import rfc3339


def look_document(look: LookRecord) -> RolloutLook:
    """Return the document of a look."""
    return RolloutLook(
        at=rfc3339(look.at),
        percent=look.percent,
        verdict=look.verdict.value,
        reasons=list(look.reasons),
        legacy=_arm(look.legacy),
        candidate=_arm(look.candidate),
        callers=look.callers,
    )


def move_document(move: StoredMove) -> RolloutMove:
    """Return the document of a move, with the look that it was decided by."""
    look = None if move.look is None else look_document(move.look)
    return RolloutMove(rfc3339(move.at), move.from_percent, move.to_percent, move.what, move.why, move.who, look)


def _arm(arm: ArmNumbers) -> RolloutArmNumbers:
    return RolloutArmNumbers(arm.requests, arm.failed, None if arm.p95_ms is None else round(arm.p95_ms, 1))
