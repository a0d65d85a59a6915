"""One comparison of a replay."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from strangler.store.evidence.findings import Finding

What: TypeAlias = Literal["candidate", "noise", "recording"]


@dataclass(frozen=True, slots=True)
class ReplayedFinding:
    """A finding, redacted. With `--self` there may be two of one request."""

    finding: Finding
    is_for_inbox: bool
    """False with `--self`, and if the recorded response was the candidate's."""
    what: What = "candidate"
    """The comparison: of the candidate, with legacy or what was recorded; of `noise`, legacy with legacy; of legacy
    with what was recorded (`recording`)."""
