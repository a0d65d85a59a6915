"""The comparison of both responses to a replayed request, and its finding."""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from strangler.comparing.arm_request import path_of
from strangler.comparing.comparer import ArmResponse, Comparer, times_of
from strangler.comparing.digest import Pair, digest, endpoint_of, request_of
from strangler.core.compare import match_at_sight
from strangler.core.compare.model.endpoint_names import TemplateTree
from strangler.core.source import REPLAY
from strangler.ipc.messages import Captured
from strangler.recordings.comparable import Comparable
from strangler.recordings.redact_in_place import RecordingRedactor
from strangler.replay.destination import Destination, ReplayedRoute
from strangler.store.evidence.findings import Finding
from strangler.store.evidence.index import IndexState

LARGE_BYTES: Final = 16 * 1024
"""Pairs with larger bodies are compared in a thread, so that sending goes on."""
_MAX_KNOWN: Final = 10_000


@dataclass(frozen=True, slots=True)
class Opposed:
    """Both sides of a comparison. `left` stands in legacy's place."""

    left: ArmResponse
    right: ArmResponse
    is_recorded: bool
    """Whether `left` is what was recorded, with marks in the place of secrets."""

    @property
    def size(self) -> int:
        """The bytes of both bodies."""
        return len(self.left.response.body) + len(self.right.response.body)


class Named(NamedTuple):
    """The endpoint of a request, and the request in the spelling of endpoints, with nothing folded."""

    endpoint: str
    request: str


@dataclass(slots=True)
class Judging:
    """Comparisons of one run. `tree`: that of the ledger, if there is one."""

    is_same_key: bool
    tree: TemplateTree | None
    _index: IndexState = field(default_factory=IndexState)
    _known: dict[tuple[str, bytes, bytes], Named] = field(default_factory=dict)
    """By route, method and path: naming takes longer than comparing."""
    _comparables: dict[str, Comparable] = field(default_factory=dict)

    def finding(self, captured: Captured, destination: Destination, sides: Opposed, named: Named) -> Finding:
        """Return the finding of a comparison. Two threads may call it at once: what it remembers is made twice then."""
        route = destination.route
        rules = route.endpoint_rules.of(*named)
        left, right = sides.left.response, sides.right.response
        comparison = match_at_sight(left, right, rules, is_dry_run=destination.is_dry_run)
        if comparison is None:
            if sides.is_recorded:
                sides = self._comparable(route, sides)
            comparer = Comparer(captured, route, rules, None, is_dry_run=destination.is_dry_run)
            comparison = comparer.compare_here(sides.left, sides.right)
        pair = Pair(captured, sides.left.response, sides.right.response, destination.upstream)
        return digest(
            pair,
            named.endpoint,
            comparison,
            None,
            None if sides.is_recorded else times_of(sides.left, sides.right),
            route.redactor,
            self._index,
            sides.right.release,
            source=REPLAY,
        )

    def named(self, captured: Captured, route: ReplayedRoute) -> Named:
        """Return the names of a request. To be called by the thread that the tree belongs to."""
        key = route.name, captured.method, path_of(captured.target)
        known = self._known.get(key)
        if known is None:
            known = Named(endpoint_of(captured, route.names(self.tree)), request_of(captured))
            if len(self._known) >= _MAX_KNOWN:
                self._known.clear()
            self._known[key] = known
        return known

    def count_sample(self, finding: Finding) -> None:
        """Count the sample of a finding, so that each difference gets a few."""
        if finding.sample is not None:
            for difference in finding.differences:
                self._index.add_sample_if_wanted(difference.id, finding.at, finding.release, finding.source)

    def _comparable(self, route: ReplayedRoute, sides: Opposed) -> Opposed:
        known = self._comparables.get(route.name)
        if known is None:
            redactor = RecordingRedactor(route.redactor)
            known = self._comparables[route.name] = Comparable(redactor, is_same_key=self.is_same_key)
        left, right = known.responses(sides.left.response, sides.right.response)
        return Opposed(
            ArmResponse(left, None), ArmResponse(right, sides.right.url, sides.right.release), is_recorded=True
        )
