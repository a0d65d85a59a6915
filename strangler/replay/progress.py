"""The progress of a replay: what its bar shows while it runs, and the account at its end."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from strangler.store.evidence.stored_claims import FOLDED

MAX_PLACES: Final = 1000
"""The places with a redacted value that are told apart: their names come from the recording."""
MAX_UNSENT: Final = 1000
"""The endpoints and reasons by which requests that were not sent are told apart; further ones are counted together."""


class Unsent(NamedTuple):
    """The place of a request that was not sent, and the reason."""

    route: str
    endpoint: str
    reason: str


@dataclass(slots=True)
class ReplayProgress:
    """Counts that only grow. The replay writes them; whoever shows them reads them at any time."""

    read: int = 0
    """Pairs that were read."""
    share_read: float = 0.0
    """How much of the file was read, 0.0 to 1.0, by its bytes on disk."""
    sent: int = 0
    """Requests that were sent, those of both sides of `--against legacy` and `--self` counted once."""
    running: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    """Comparisons by outcome: `match`, `accepted`, `mismatch`, `not_comparable`; of `--self`, with the recording."""
    faults: Counter[str] = field(default_factory=Counter)
    """Requests without a response, by fault."""
    statuses: Counter[int] = field(default_factory=Counter)
    """Responses by status."""
    left_out: Counter[str] = field(default_factory=Counter)
    """Requests that were not sent, in words: `a write`, `no route with a candidate`, `a secret in its path`, …"""
    unsent: Counter[Unsent] = field(default_factory=Counter)
    """Those of them that a route matches, by endpoint."""
    bad_lines: Counter[str] = field(default_factory=Counter)
    """Lines of the recording that could not be read, by reason."""
    first_bad_lines: dict[str, list[int]] = field(default_factory=dict)
    """The numbers of the first of them, by reason."""
    fields_left_out: Counter[str] = field(default_factory=Counter)
    """Places with a redacted value that were left out of requests that were sent: `header:authorization`."""
    learned: int = 0
    """Values that were learned from responses, for later requests of their callers."""
    sent_again: int = 0
    """Safe requests that were sent once more, since the upstream had closed an idle connection."""
    arms: Counter[str] = field(default_factory=Counter)
    """Responses of the proxy by the arm that they name."""
    refusals: dict[str, str] = field(default_factory=dict)
    """Why no more dry runs are sent to the candidate of a route, by route."""
    by_candidate: int = 0
    """Pairs whose recorded response was the candidate's."""
    behind_s: float = 0.0
    """How late the request is that is due first."""
    stopped: str | None = None
    """Why the replay ended before the end of the recording; None if it did not."""

    def add_fields_left_out(self, places: Iterable[str]) -> None:
        """Count places that a request is sent without; names beyond `MAX_PLACES` are counted together."""
        for place in places:
            is_counted = place in self.fields_left_out or len(self.fields_left_out) < MAX_PLACES
            self.fields_left_out[place if is_counted else FOLDED] += 1

    def add_unsent(self, unsent: Unsent) -> None:
        """Count a request that is not sent at its endpoint."""
        if unsent not in self.unsent and len(self.unsent) >= MAX_UNSENT:
            unsent = unsent._replace(endpoint=f"{unsent.endpoint.partition(' ')[0]} {FOLDED}")
        self.unsent[unsent] += 1
